package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/judge/burn"
	"naru/internal/operate/alarm"
	"naru/internal/operate/notify"
)

// placed are the columns of what is of a space, an organisation or the platform.
type placed struct {
	Scope string      `bun:"scope"`
	Org   app.OrgID   `bun:"org_id,nullzero"`
	Space app.SpaceID `bun:"space_id,nullzero"`
}

func placedAt(p alarm.Place) placed {
	if p.Space != "" {
		p.Org = "" // of a space the space says which
	}
	return placed{p.String(), p.Org, p.Space}
}

func (p placed) place() alarm.Place { return alarm.Place{Org: p.Org, Space: p.Space} }

func scopes(places []alarm.Place) []string {
	return each(places, func(p alarm.Place) string { return placedAt(p).Scope })
}

type receiverRow struct {
	bun.BaseModel `bun:"table:receivers"`

	ID string `bun:"id,pk"`
	placed
	Name       string               `bun:"name"`
	Kind       alarm.ReceiverKind   `bun:"kind"`
	Severities doc[[]burn.Severity] `bun:"severities"`
	Shown      string               `bun:"shown"`
	Addresses  doc[[]string]        `bun:"addresses"`
	Sealed     string               `bun:"sealed"`
	By         string               `bun:"set_by"`
	Created    stamp                `bun:"created"`
}

func (r receiverRow) receiver() alarm.Receiver {
	return alarm.Receiver{
		ID: r.ID, Place: r.place(), Name: r.Name, Kind: r.Kind, Severities: r.Severities.V, Shown: r.Shown, Addresses: r.Addresses.V, By: r.By, Created: r.Created.Time,
	}
}

func (r receiverRow) sealed() vault.Sealed { return vault.SealedKeys(r.ID, r.Sealed) }

// NewReceiverID makes an id, to which the keys of a receiver are sealed before it is
// kept.
func (s *Store) NewReceiverID() string { return id.New() }

// AddReceiver keeps a receiver and its sealed keys. A name that is taken in its
// place is a Conflict; more than most of a place are TooLarge.
func (s *Store) AddReceiver(ctx context.Context, r alarm.Receiver, sealed string, most int, evs ...event.Event) (alarm.Receiver, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if err := s.at(ctx, t, r.Place); err != nil {
			return err
		}
		r.Created = t.Now
		row := receiverRow{
			ID: r.ID, placed: placedAt(r.Place), Name: r.Name, Kind: r.Kind, Severities: doc[[]burn.Severity]{r.Severities}, Shown: r.Shown,
			Addresses: doc[[]string]{r.Addresses}, Sealed: sealed, By: r.By, Created: stamp{t.Now},
		}
		r.Place = row.place()
		taken, err := t.NewSelect().Model((*receiverRow)(nil)).Where("scope = ? AND name = ?", row.Scope, r.Name).Exists(ctx)
		if err != nil {
			return fmt.Errorf("add receiver %s: %w", r.Name, err)
		}
		if taken {
			return fault.New(fault.Conflict, "name", "there is a receiver %q already", r.Name).WithTry("naru receiver delete %s, or another name", r.Name)
		}
		n, err := t.NewSelect().Model((*receiverRow)(nil)).Where("scope = ?", row.Scope).Count(ctx)
		if err != nil {
			return fmt.Errorf("add receiver %s: %w", r.Name, err)
		}
		if n >= int64(most) {
			return fault.New(fault.TooLarge, "", "there are %d receivers already, no more are taken here (alerts.receivers)", n).WithTry("naru receiver delete NAME")
		}
		if _, err := t.NewInsert().Model(&row).Exec(ctx); err != nil {
			return fmt.Errorf("add receiver %s: %w", r.Name, err)
		}
		return nil
	})
	return r, err
}

// at checks that a place exists, and notes that a write is about it.
func (s *Store) at(ctx context.Context, t *tx, p alarm.Place) (err error) {
	switch {
	case p.Space != "":
		_, err = s.Space(ctx, p.Space)
	case p.Org != "":
		_, err = s.Org(ctx, p.Org)
	}
	t.about(p.Space, "")
	return err
}

// Receivers lists the receivers of some places by name.
func (s *Store) Receivers(ctx context.Context, places ...alarm.Place) ([]alarm.Receiver, error) {
	var rows []receiverRow
	err := s.read(ctx).NewSelect().Model(&rows).ExcludeColumn("sealed").Where("scope IN (?)", in(scopes(places))).Order("name", "scope").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list receivers: %w", err)
	}
	return each(rows, receiverRow.receiver), nil
}

// AllReceivers lists the receivers of all places, and their sealed keys.
func (s *Store) AllReceivers(ctx context.Context) (all []alarm.Receiver, sealed []string, err error) {
	var rows []receiverRow
	if err := s.read(ctx).NewSelect().Model(&rows).Order("id").Scan(ctx); err != nil {
		return nil, nil, fmt.Errorf("list receivers: %w", err)
	}
	return each(rows, receiverRow.receiver), each(rows, func(r receiverRow) string { return r.Sealed }), nil
}

// Receiver returns a receiver of a place by name, and its sealed keys.
func (s *Store) Receiver(ctx context.Context, p alarm.Place, name string) (alarm.Receiver, string, error) {
	var row receiverRow
	err := s.read(ctx).NewSelect().Model(&row).Where("scope = ? AND name = ?", placedAt(p).Scope, name).Scan(ctx)
	return row.receiver(), row.Sealed, found(err, noReceiver(name), "find receiver")
}

// DeleteReceiver forgets a receiver of a place.
func (s *Store) DeleteReceiver(ctx context.Context, p alarm.Place, name string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		t.about(p.Space, "")
		res, err := t.NewDelete().Model((*receiverRow)(nil)).Where("scope = ? AND name = ?", placedAt(p).Scope, name).Exec(ctx)
		return changed(res, err, noReceiver(name), "delete receiver")
	})
}

func noReceiver(name string) *fault.Error {
	return fault.New(fault.NotFound, "receiver", "there is no receiver %q here", name).WithTry("naru receivers")
}

type silenceRow struct {
	bun.BaseModel `bun:"table:silences"`

	ID int64 `bun:"id,pk"`
	placed
	Matchers doc[[]notify.Matcher] `bun:"matchers"`
	Begins   stamp                 `bun:"begins"`
	Ends     stamp                 `bun:"ends"`
	By       string                `bun:"set_by"`
	Reason   string                `bun:"reason"`
}

func (r silenceRow) silence() alarm.Silence {
	return alarm.Silence{Place: r.place(), Silence: notify.Silence{
		ID: strconv.FormatInt(r.ID, 10), Matchers: r.Matchers.V, From: r.Begins.Time, To: r.Ends.Time, By: r.By, Reason: r.Reason,
	}}
}

// AddSilence keeps a silence under a number of its own. More than most of a place
// that are not over are TooLarge.
func (s *Store) AddSilence(ctx context.Context, x alarm.Silence, most int, evs ...event.Event) (alarm.Silence, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if err := s.at(ctx, t, x.Place); err != nil {
			return err
		}
		n, err := t.NewSelect().Model((*silenceRow)(nil)).Where("scope = ? AND ends > ?", placedAt(x.Place).Scope, stamp{t.Now}).Count(ctx)
		if err != nil {
			return fmt.Errorf("add silence: %w", err)
		}
		if n >= int64(most) {
			return fault.New(fault.TooLarge, "", "there are %d silences already, no more are taken here (alerts.silences)", n).WithTry("naru silence end ID")
		}
		number, err := t.next(ctx, "", "silence")
		if err != nil {
			return err
		}
		row := silenceRow{
			ID: number, placed: placedAt(x.Place), Matchers: doc[[]notify.Matcher]{x.Matchers}, Begins: stamp{x.From}, Ends: stamp{x.To}, By: x.By, Reason: clean(x.Reason),
		}
		if _, err := t.NewInsert().Model(&row).Exec(ctx); err != nil {
			return fmt.Errorf("add silence: %w", err)
		}
		x = row.silence()
		return nil
	})
	return x, err
}

// Silences lists the silences of some places (nil: of all) that are not over, those
// that end first before others.
func (s *Store) Silences(ctx context.Context, places []alarm.Place, now time.Time) ([]alarm.Silence, error) {
	var rows []silenceRow
	q := s.read(ctx).NewSelect().Model(&rows).Where("ends > ?", stamp{now}).Order("ends", "id")
	if places != nil {
		q.Where("scope IN (?)", in(scopes(places)))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list silences: %w", err)
	}
	return each(rows, silenceRow.silence), nil
}

// EndSilence ends a silence of a place now. One that is over, or is not there, is
// NotFound.
func (s *Store) EndSilence(ctx context.Context, p alarm.Place, number string, evs ...event.Event) error {
	none := fault.New(fault.NotFound, "silence", "there is no silence %q here that is not over", number).WithTry("naru silences")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return none
	}
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		t.about(p.Space, "")
		res, err := t.NewUpdate().Model((*silenceRow)(nil)).Set("ends = ?", stamp{t.Now}).
			Where("scope = ? AND id = ? AND ends > ?", placedAt(p).Scope, n, stamp{t.Now}).Exec(ctx)
		return changed(res, err, none, "end silence")
	})
}

type deliveryRow struct {
	bun.BaseModel `bun:"table:deliveries"`

	Seq int64 `bun:"seq,pk"`
	placed
	Receiver string `bun:"receiver"`
	Time     stamp  `bun:"time"`
	Message  string `bun:"message"`
	Title    string `bun:"title"`
	Alerts   int    `bun:"alerts"`
	Try      int    `bun:"try"`
	Took     int64  `bun:"took"`
	Error    string `bun:"error"`
	Final    bool   `bun:"final"`
}

func (r deliveryRow) delivery() alarm.Delivery {
	return alarm.Delivery{Seq: r.Seq, Place: r.place(), Delivery: notify.Delivery{
		At: r.Time.Time, Receiver: r.Receiver, Message: r.Message, Title: r.Title, Alerts: r.Alerts, Try: r.Try, Took: time.Duration(r.Took), Error: r.Error, Final: r.Final,
	}}
}

// AddDelivery adds a line to the log of deliveries, of the receiver whose id it
// names, and removes the oldest beyond keep. One that is gone has none any more.
func (s *Store) AddDelivery(ctx context.Context, d notify.Delivery, keep int) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		var to receiverRow
		err := t.NewSelect().Model(&to).ExcludeColumn("sealed").Where("id = ?", d.Receiver).Scan(ctx)
		if err = found(err, noReceiver(d.Receiver), "find receiver"); fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := t.next(ctx, "", "delivery")
		if err != nil {
			return err
		}
		row := deliveryRow{
			Seq: n, placed: to.placed, Receiver: to.Name, Time: stamp{d.At}, Message: d.Message, Title: clean(d.Title), Alerts: d.Alerts, Try: d.Try,
			Took: int64(d.Took), Error: clean(d.Error), Final: d.Final,
		}
		if _, err := t.NewInsert().Model(&row).Exec(ctx); err != nil {
			return fmt.Errorf("log delivery to %s: %w", to.Name, err)
		}
		if _, err := t.NewDelete().Model((*deliveryRow)(nil)).Where("seq <= ?", n-int64(keep)).Exec(ctx); err != nil {
			return fmt.Errorf("prune deliveries: %w", err)
		}
		return nil
	})
}

// Deliveries lists at most limit deliveries of a place with a Seq below before (0:
// all), newest first.
func (s *Store) Deliveries(ctx context.Context, p alarm.Place, before int64, limit int) ([]alarm.Delivery, error) {
	var rows []deliveryRow
	q := s.read(ctx).NewSelect().Model(&rows).Where("scope = ?", placedAt(p).Scope).Order("seq DESC").Limit(int64(limit))
	if before > 0 {
		q.Where("seq < ?", before)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return each(rows, deliveryRow.delivery), nil
}
