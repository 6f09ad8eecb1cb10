package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
)

type eventRow struct {
	bun.BaseModel `bun:"table:events"`

	Seq     int64               `bun:"seq,pk"`
	Time    stamp               `bun:"time"`
	Kind    event.Kind          `bun:"kind"`
	Actor   string              `bun:"actor"`
	Space   string              `bun:"space_id"`
	App     string              `bun:"app_id"`
	Subject string              `bun:"subject"`
	Detail  doc[map[string]any] `bun:"detail"`
}

func (r eventRow) event() event.Event {
	return event.Event{
		Seq: r.Seq, Time: r.Time.Time, Kind: r.Kind, Actor: r.Actor,
		Space: r.Space, App: r.App, Subject: r.Subject, Detail: r.Detail.V,
	}
}

// append completes the events and adds them to the log.
func (t *tx) append(ctx context.Context, evs []event.Event) error {
	for _, ev := range evs {
		if ev.Kind == "" || ev.Actor == "" {
			return errors.New("append event: an event needs a kind and an actor")
		}
		if ev.Space == "" {
			ev.Space = string(t.space)
		}
		if ev.App == "" {
			ev.App = string(t.app)
		}
		seq, err := t.next(ctx, "", "event")
		if err != nil {
			return err
		}
		_, err = t.NewInsert().Model(&eventRow{
			Seq: seq, Time: stamp{t.Now}, Kind: ev.Kind, Actor: clean(ev.Actor),
			Space: ev.Space, App: ev.App, Subject: clean(ev.Subject), Detail: doc[map[string]any]{ev.Detail},
		}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("append event %s: %w", ev.Kind, err)
		}
		t.touch(Events)
	}
	return nil
}

// AppendEvents records what happened without changing anything else: a login, a
// crash seen from outside.
func (s *Store) AppendEvents(ctx context.Context, evs ...event.Event) error {
	return s.write(ctx, evs, func(context.Context, *tx) error { return nil })
}

// EventFilter selects events. Empty fields select all.
type EventFilter struct {
	After  int64         // only those with a higher Seq
	Before int64         // only those with a lower Seq; 0: all
	Spaces []app.SpaceID // nil: all, also the platform's; empty: none
	App    app.ID
	Kinds  []event.Kind
	Newest bool // from the newest backwards, in place of from the oldest
	Limit  int  // at most so many; 0: 1,000
}

// MaxEvents bounds what one call of Events returns when its filter names no
// limit.
const MaxEvents = 1000

// Events returns events in the order of Seq, or backwards.
func (s *Store) Events(ctx context.Context, f EventFilter) ([]event.Event, error) {
	var rows []eventRow
	q := s.read(ctx).NewSelect().Model(&rows).Where("seq > ?", f.After)
	if f.Before > 0 {
		q.Where("seq < ?", f.Before)
	}
	if f.Spaces != nil {
		q.Where("space_id IN (?)", in(f.Spaces))
	}
	if f.App != "" {
		q.Where("app_id = ?", f.App)
	}
	if len(f.Kinds) > 0 {
		q.Where("kind IN (?)", in(f.Kinds))
	}
	if f.Newest {
		q.Order("seq DESC")
	} else {
		q.Order("seq")
	}
	if f.Limit <= 0 {
		f.Limit = MaxEvents
	}
	if err := q.Limit(int64(f.Limit)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return each(rows, eventRow.event), nil
}

// EventsBefore lists at most limit events with a Seq below before (0: all),
// newest first, of a space, an app and a kind; "" does not narrow.
func (s *Store) EventsBefore(ctx context.Context, space app.SpaceID, a app.ID, kind event.Kind, before int64, limit int) ([]event.Event, error) {
	f := EventFilter{App: a, Before: before, Newest: true, Limit: limit}
	if space != "" {
		f.Spaces = []app.SpaceID{space}
	}
	if kind != "" {
		f.Kinds = []event.Kind{kind}
	}
	return s.Events(ctx, f)
}

// LastEvent returns the Seq of the newest event, 0 when there is none.
func (s *Store) LastEvent(ctx context.Context) (seq int64, err error) {
	err = s.read(ctx).NewRaw("SELECT coalesce(max(seq), 0) FROM events").Scan(ctx, &seq)
	if err != nil {
		return 0, fmt.Errorf("find last event: %w", err)
	}
	return seq, nil
}
