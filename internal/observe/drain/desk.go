package drain

import (
	"cmp"
	"context"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/observe/logs"
	"naru/internal/observe/logs/search"
)

// Desk is where people ask for drains.
type Desk struct{ parts DeskParts }

// DeskParts are what a desk is given. All are needed.
type DeskParts struct {
	Store Register
	Vault Sealing
	Book  DeskBook
	Fleet *Fleet
	Reach Reach
	Most  int // drains of a space
}

// Register keeps which drains there are.
type Register interface {
	Drains(ctx context.Context, space app.SpaceID, a app.ID) ([]Declared, error)
	DrainNamed(ctx context.Context, space app.SpaceID, name string) (Declared, error)
	DeleteDrain(ctx context.Context, space app.SpaceID, name string, evs ...event.Event) error
	SpacesOfApps(ctx context.Context) (map[app.ID]app.SpaceID, error)
	// Drained is how far each app of a drain was when that was kept last.
	Drained(ctx context.Context, d ID) (map[app.ID]State, error)
}

// Sealing keeps where a drain leads to.
type Sealing interface {
	AddDrain(ctx context.Context, d Declared, to Target, begin map[app.ID]logs.Cursor) (Declared, error)
}

// DeskBook is the log; *logs.Book is one.
type DeskBook interface {
	Book
	Behind(ctx context.Context, a app.ID, c logs.Cursor) (int64, error)
}

// NewDesk makes a desk.
func NewDesk(parts DeskParts) *Desk { return &Desk{parts} }

// Standing is how a drain is doing, all of its apps together.
type Standing struct {
	Declared

	Sent, Dropped int64
	Behind        int64     // lines that wait
	Oldest        time.Time // of them
	Failing       time.Time // since when nothing gets through; zero: it does
	Error         string
}

// Wake has a drain followed at once that was added in a transaction of the
// caller's.
func (k *Desk) Wake() { k.parts.Fleet.Wake() }

// CheckURL reads a receiver's URL and returns it as people see it. What cannot be
// drained to is refused.
func (k *Desk) CheckURL(text string) (shown string, err error) {
	u, err := Check(text)
	if err != nil {
		return "", err
	}
	return Shown(u.String()), k.parts.Reach.refuses(u.Hostname())
}

// Add keeps a drain, which begins with the next line; where it has no ID it gets
// one. What is not an address that can be drained to is refused; whether anybody
// listens there is not asked.
func (k *Desk) Add(ctx context.Context, d Declared, to Target) (Standing, error) {
	if err := app.CheckName("name", d.Name); err != nil {
		return Standing{}, err
	}
	to, err := CheckTarget(to)
	if err != nil {
		return Standing{}, err
	}
	u, err := Check(to.URL)
	if err != nil {
		return Standing{}, err
	}
	if err := k.parts.Reach.refuses(u.Hostname()); err != nil {
		return Standing{}, err
	}
	if d.Search != "" {
		if _, err := search.Parse(d.Search); err != nil {
			return Standing{}, err
		}
	}
	if d.CA != "" {
		if Kind(u.Scheme) == Syslog || Kind(u.Scheme) == PlainOTLP {
			return Standing{}, fault.New(fault.Invalid, "ca", "%s is not encrypted, so nobody vouches for the receiver", u.Scheme).WithTry("%s, or no --ca", secureOf(u.Scheme))
		}
		if _, err := parseCA(d.CA); err != nil {
			return Standing{}, err
		}
	}
	have, err := k.parts.Store.Drains(ctx, d.Space, "")
	if err != nil {
		return Standing{}, err
	}
	if len(have) >= k.parts.Most {
		return Standing{}, fault.New(fault.Conflict, "name", "the space has %d log drains, and %d is the most (logs.drains)", len(have), k.parts.Most).
			WithTry("delete one: naru drain delete %s", have[0].Name)
	}
	begin, err := k.begin(ctx, d)
	if err != nil {
		return Standing{}, err
	}
	d.ID, d.Shown, d.Fields = cmp.Or(d.ID, ID(id.New())), Shown(to.URL), []string{}
	for name := range to.Header {
		d.Fields = append(d.Fields, name)
	}
	if d, err = k.parts.Vault.AddDrain(ctx, d, to, begin); err != nil {
		return Standing{}, err
	}
	k.parts.Fleet.Wake()
	return Standing{Declared: d}, nil
}

func secureOf(scheme string) string {
	if Kind(scheme) == Syslog {
		return string(SyslogTLS) + "://"
	}
	return string(OTLP) + "://"
}

// begin is the end of each log that is passed on. Apps that are made later are
// passed on from their first line.
func (k *Desk) begin(ctx context.Context, d Declared) (map[app.ID]logs.Cursor, error) {
	apps := []app.ID{d.App}
	if d.App == "" {
		of, err := k.parts.Store.SpacesOfApps(ctx)
		if err != nil {
			return nil, err
		}
		apps = apps[:0]
		for a, space := range of {
			if space == d.Space {
				apps = append(apps, a)
			}
		}
	}
	out := map[app.ID]logs.Cursor{}
	for _, a := range apps {
		end, err := k.parts.Book.End(ctx, a)
		if err != nil {
			return nil, err
		}
		if end == (logs.Cursor{}) {
			end = logs.Cursor{Day: 1} // before all lines
		}
		out[a] = end
	}
	return out, nil
}

// List tells of the drains of a space; of an app, those that pass its log on.
func (k *Desk) List(ctx context.Context, space app.SpaceID, a app.ID) ([]Standing, error) {
	all, err := k.parts.Store.Drains(ctx, space, a)
	if err != nil {
		return nil, err
	}
	out := make([]Standing, len(all))
	for i, d := range all {
		if out[i], err = k.standing(ctx, d, a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// standing adds up the apps of a drain, or takes one of them.
func (k *Desk) standing(ctx context.Context, d Declared, only app.ID) (Standing, error) {
	s := Standing{Declared: d}
	states, err := k.parts.Store.Drained(ctx, d.ID)
	if err != nil {
		return s, err
	}
	for a, live := range k.parts.Fleet.States(d.ID) {
		states[a] = live
	}
	for a, of := range states {
		if only != "" && a != only {
			continue
		}
		s.Sent, s.Dropped = s.Sent+of.Sent, s.Dropped+of.Dropped
		if !of.Failing.IsZero() && (s.Failing.IsZero() || of.Failing.Before(s.Failing)) {
			s.Failing, s.Error = of.Failing, of.Error
		}
		if s.Failing.IsZero() {
			s.Error = cmp.Or(s.Error, of.Error)
		}
		behind, err := k.parts.Book.Behind(ctx, a, of.Cursor)
		if err != nil {
			return s, err
		}
		if behind == 0 {
			continue
		}
		s.Behind += behind
		page, err := k.parts.Book.Read(ctx, logs.Query{App: a, After: of.Cursor, Limit: 1})
		if err != nil {
			return s, err
		}
		for _, l := range page.Lines {
			if s.Oldest.IsZero() || l.Time.Before(s.Oldest) {
				s.Oldest = l.Time
			}
		}
	}
	return s, nil
}

// Delete forgets a drain; what waits for its receiver is not passed on any more.
func (k *Desk) Delete(ctx context.Context, by string, space app.SpaceID, name string) error {
	if err := k.parts.Store.DeleteDrain(ctx, space, name, event.Event{Kind: "drain.deleted", Actor: by, Subject: name}); err != nil {
		return err
	}
	k.parts.Fleet.Wake()
	return nil
}

// Try sends one line to the receiver of a drain and returns how long that took,
// and what it says: nothing in an error is secret.
func (k *Desk) Try(ctx context.Context, by string, from Source, space app.SpaceID, name string) (Declared, time.Duration, error) {
	d, err := k.parts.Store.DrainNamed(ctx, space, name)
	if err != nil {
		return d, 0, err
	}
	began := time.Now()
	err = k.parts.Fleet.Try(ctx, d, from, "naru drain test "+d.Name+" (asked by "+by+")")
	return d, time.Since(began), err
}
