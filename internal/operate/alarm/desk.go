package alarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/judge/burn"
	"naru/internal/operate/notify"
)

// Files keep receivers, silences and what was told.
type Files interface {
	NewReceiverID() string
	AddReceiver(ctx context.Context, r Receiver, sealed string, most int, evs ...event.Event) (Receiver, error)
	Receivers(ctx context.Context, places ...Place) ([]Receiver, error)
	Receiver(ctx context.Context, p Place, name string) (r Receiver, sealed string, err error)
	AllReceivers(ctx context.Context) (all []Receiver, sealed []string, err error)
	DeleteReceiver(ctx context.Context, p Place, name string, evs ...event.Event) error
	AddSilence(ctx context.Context, x Silence, most int, evs ...event.Event) (Silence, error)
	Silences(ctx context.Context, places []Place, now time.Time) ([]Silence, error)
	EndSilence(ctx context.Context, p Place, number string, evs ...event.Event) error
	AddDelivery(ctx context.Context, d notify.Delivery, keep int) error
	Deliveries(ctx context.Context, p Place, before int64, limit int) ([]Delivery, error)
	Orgs(ctx context.Context) ([]app.Org, error)
	Spaces(ctx context.Context, org app.OrgID) ([]app.Space, error)
}

// Sealer keeps the keys of receivers from being read.
type Sealer interface {
	SealKeys(receiver string, k Keys) (string, error)
	OpenKeys(receiver, sealed string) (Keys, error)
}

// Setter takes up who is told; notify.Courier does.
type Setter interface {
	Set(ctx context.Context, set notify.Settings)
}

// DeskParts are what a Desk is made of.
type DeskParts struct {
	Files   Files
	Sealer  Sealer
	Courier Setter
	// Open makes the way to a receiver.
	Open      func(r Receiver, k Keys) (notify.Trier, error)
	Timing    notify.Timing
	Base      string   // address of naru
	Domains   []string // that mail may go to; none: all
	Receivers int      // most of a place
	Silences  int      // most of a place
	Log       *slog.Logger
}

// Desk is where people say who is told of alerts.
type Desk struct {
	DeskParts

	mu    sync.Mutex           // guards tried
	tried map[string]time.Time // receivers, by id, that were tested
}

// NewDesk makes one.
func NewDesk(p DeskParts) *Desk { return &Desk{DeskParts: p, tried: map[string]time.Time{}} }

// refreshing is how often what was changed elsewhere is taken up: a space that is
// gone takes its receivers along.
const refreshing = time.Minute

// Run keeps the courier's settings as they should be, until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshing)
	defer tick.Stop()
	for {
		if err := d.Refresh(ctx); err != nil && ctx.Err() == nil {
			d.Log.ErrorContext(ctx, "read receivers of alerts", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Refresh has the courier take up what is kept.
func (d *Desk) Refresh(ctx context.Context) error {
	set, err := d.settings(ctx)
	if err != nil {
		return err
	}
	d.Courier.Set(ctx, set)
	return nil
}

// Receivers lists the receivers of some places by name.
func (d *Desk) Receivers(ctx context.Context, places ...Place) ([]Receiver, error) {
	return d.Files.Receivers(ctx, places...)
}

// AddReceiver keeps a receiver, which is told from now on.
func (d *Desk) AddReceiver(ctx context.Context, r Receiver, k Keys) (Receiver, error) {
	r, err := CheckReceiver(r, k, d.Domains)
	if err != nil {
		return r, err
	}
	r.ID = d.Files.NewReceiverID()
	if _, err := d.Open(r, k); err != nil {
		return r, err
	}
	sealed, err := d.Sealer.SealKeys(r.ID, k)
	if err != nil {
		return r, err
	}
	r, err = d.Files.AddReceiver(ctx, r, sealed, d.DeskParts.Receivers, event.Event{
		Kind: "receiver.added", Actor: r.By, Subject: r.Name, Detail: map[string]any{"kind": string(r.Kind), "to": r.Shown, "scope": r.Place.Scope()},
	})
	if err != nil {
		return r, err
	}
	return r, d.Refresh(ctx)
}

// DeleteReceiver forgets a receiver; it is told nothing any more.
func (d *Desk) DeleteReceiver(ctx context.Context, by string, p Place, name string) error {
	err := d.Files.DeleteReceiver(ctx, p, name, event.Event{Kind: "receiver.deleted", Actor: by, Subject: name, Detail: map[string]any{"scope": p.Scope()}})
	if err != nil {
		return err
	}
	return d.Refresh(ctx)
}

// Trial is what came of a test of a receiver.
type Trial struct {
	Took bool
	Said string // by the receiver, or why it cannot be reached
	In   time.Duration
}

// testPause is how often a receiver may be tested: a test is a mail to somebody.
const testPause = 5 * time.Second

// TestReceiver sends a message that says it is a test, and tells what the receiver
// said. keep is the log's length.
func (d *Desk) TestReceiver(ctx context.Context, by string, p Place, name string, keep int) (Trial, error) {
	r, sealed, err := d.Files.Receiver(ctx, p, name)
	if err != nil {
		return Trial{}, err
	}
	if !d.mayTest(r.ID, time.Now()) {
		return Trial{}, fault.New(fault.Unavailable, "", "%s was tested a moment ago", name).WithTry("wait %s", testPause)
	}
	k, err := d.Sealer.OpenKeys(r.ID, sealed)
	if err != nil {
		return Trial{}, err
	}
	to, err := d.Open(r, k)
	if err != nil {
		return Trial{}, err
	}
	m := testMessage(r, by, d.Base, time.Now())
	begun := time.Now()
	said, err := to.Try(ctx, m)
	if err == nil && r.Kind == PagerDuty { // a test leaves no incident behind
		m.Alerts[0].Ended = time.Now()
		said, err = to.Try(ctx, m)
	}
	t := Trial{Took: err == nil, Said: said, In: time.Since(begun)}
	line := notify.Delivery{At: begun, Receiver: r.ID, Message: m.ID, Title: m.Title(), Alerts: 1, Try: 1, Took: t.In}
	if err != nil {
		t.Said = err.Error()
		line.Error, line.Final = t.Said, true
	}
	return t, d.Files.AddDelivery(context.WithoutCancel(ctx), line, keep)
}

func (d *Desk) mayTest(receiver string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, at := range d.tried {
		if now.Sub(at) >= testPause {
			delete(d.tried, k)
		}
	}
	if _, just := d.tried[receiver]; just {
		return false
	}
	d.tried[receiver] = now
	return true
}

func testMessage(r Receiver, by, base string, now time.Time) notify.Message {
	return notify.Message{
		ID: id.New(), Receiver: r.Name, Base: base, Group: map[string]string{notify.LabelName: "test of naru"},
		Alerts: []notify.Alert{{
			Labels:  map[string]string{notify.LabelName: "test", notify.LabelSeverity: string(burn.Ticket)},
			Summary: fmt.Sprintf("%s tries whether alerts of naru arrive at %s. They do: nothing has to be done.", by, r.Name), Started: now,
		}},
	}
}

// Silences lists the silences of some places that are not over.
func (d *Desk) Silences(ctx context.Context, places ...Place) ([]Silence, error) {
	return d.Files.Silences(ctx, places, time.Now())
}

// AddSilence holds back alerts of its place from now on.
func (d *Desk) AddSilence(ctx context.Context, x Silence) (Silence, error) {
	if err := x.Check(); err != nil {
		return x, err
	}
	words := make([]any, len(x.Matchers))
	for i, m := range x.Matchers {
		words[i] = m.Label + m.Op + m.Value
	}
	x, err := d.Files.AddSilence(ctx, x, d.DeskParts.Silences, event.Event{
		Kind: "silence.added", Actor: x.By, Subject: x.Place.Scope(), Detail: map[string]any{"matchers": words, "until": x.To.UTC().Format(time.RFC3339), "reason": x.Reason},
	})
	if err != nil {
		return x, err
	}
	return x, d.Refresh(ctx)
}

// EndSilence ends a silence now.
func (d *Desk) EndSilence(ctx context.Context, by string, p Place, number string) error {
	if err := d.Files.EndSilence(ctx, p, number, event.Event{Kind: "silence.ended", Actor: by, Subject: p.Scope(), Detail: map[string]any{"silence": number}}); err != nil {
		return err
	}
	return d.Refresh(ctx)
}

// Deliveries lists tries to tell the receivers of a place, newest first.
func (d *Desk) Deliveries(ctx context.Context, p Place, before int64, limit int) ([]Delivery, error) {
	return d.Files.Deliveries(ctx, p, before, limit)
}

// errClosed is what a receiver whose keys do not open is told.
var errClosed = errors.New("its keys cannot be opened: delete it and add it again")

// closed stands for a receiver that cannot be told: what it should be told is kept.
type closed struct{ err error }

func (c closed) Send(context.Context, notify.Message) error { return c.err }
