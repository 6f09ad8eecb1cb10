package alarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/objective"
	"naru/internal/operate/notify"
)

// Store keeps alarms, and knows what is promised of which app.
type Store interface {
	AllPromises(ctx context.Context) (map[app.ID][]app.Promise, error)
	// Homes returns where the apps are that exist.
	Homes(ctx context.Context) (map[app.ID]Home, error)
	Alarms(ctx context.Context) ([]Alarm, error)
	// SetAlarms keeps some alarms and forgets others, with the events, in one
	// transaction.
	SetAlarms(ctx context.Context, keep []Alarm, forget []Key, evs ...event.Event) error
}

// Teller tells people; notify.Courier does. An error that is no fault means that
// it has to be told again.
type Teller interface {
	Tell(ctx context.Context, alerts ...notify.Alert) error
}

// History knows what changed in an app.
type History interface {
	// LastChange says in a few words what changed last before a moment; "" where
	// nothing did that matters.
	LastChange(ctx context.Context, id app.ID, before time.Time) (string, error)
}

// Options say how often it looks, and at what.
type Options struct {
	Interval time.Duration // between two looks
	Least    time.Duration // shortest window: what is counted less often cannot be seen in it
	Clock    func() time.Time
}

// Watcher looks at all objectives again and again.
type Watcher struct {
	store   Store
	counts  objective.Counts
	teller  Teller
	history History
	opts    Options
	log     *slog.Logger

	mu     sync.Mutex // guards alarms and looked
	alarms map[Key]Alarm
	looked time.Time

	// Only Run uses these.
	stored  map[Key]Alarm
	read    map[glimpse]sight
	trouble map[Key]string // that was logged already
}

// New makes a watcher.
func New(store Store, counts objective.Counts, teller Teller, history History, opts Options, log *slog.Logger) *Watcher {
	if opts.Clock == nil {
		opts.Clock = func() time.Time { return time.Now().Round(0) }
	}
	return &Watcher{
		store: store, counts: counts, teller: teller, history: history, opts: opts, log: log,
		alarms: map[Key]Alarm{}, stored: map[Key]Alarm{}, read: map[glimpse]sight{}, trouble: map[Key]string{},
	}
}

// Alarms returns what is known, what fires first, and when it was looked last;
// zero: not yet.
func (w *Watcher) Alarms(wanted func(Alarm) bool) ([]Alarm, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Alarm
	for _, a := range w.alarms {
		if wanted(a) {
			out = append(out, a)
		}
	}
	return sorted(out), w.looked
}

// Run looks until ctx ends. What it finds is stored before it is told, and told
// before it looks again: killed at any moment, nothing is lost.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.opts.Interval)
	defer tick.Stop()
	loaded := false
	begin := time.Now()
	var lived time.Duration // since begin, at the last look
	var wall time.Time      // at the last look
	for {
		if err := w.once(ctx, &loaded, func() time.Time {
			now, since := w.opts.Clock(), time.Since(begin)
			if jump := now.Sub(wall) - (since - lived); !wall.IsZero() && jump.Abs() > w.tolerance() {
				w.log.WarnContext(ctx, "the clock jumped: alerts go on as if it had not", "by", jump.Round(time.Second))
				w.shift(func(Alarm) time.Duration { return jump })
			}
			lived, wall = since, now
			return now
		}); err != nil && ctx.Err() == nil {
			w.log.ErrorContext(ctx, "look at objectives", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tolerance is how far a clock may be set without being called a jump: it is
// disciplined all the time.
func (w *Watcher) tolerance() time.Duration { return 2 * time.Second }

func (w *Watcher) once(ctx context.Context, loaded *bool, clock func() time.Time) error {
	if !*loaded {
		if err := w.load(ctx); err != nil {
			return err
		}
		*loaded = true
	}
	return w.look(ctx, clock())
}

// load takes up what was stored. What is of the future was written before a clock
// was set back.
func (w *Watcher) load(ctx context.Context) error {
	all, err := w.store.Alarms(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	for _, a := range all {
		w.alarms[a.Key], w.stored[a.Key] = a, a
	}
	w.mu.Unlock()
	now := w.opts.Clock()
	w.shift(func(a Alarm) time.Duration { return min(now.Sub(a.Seen), 0) })
	return nil
}

func (w *Watcher) shift(by func(Alarm) time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, a := range w.alarms {
		if d := by(a); d != 0 {
			w.alarms[k] = a.shifted(d)
		}
	}
	clear(w.read) // they are of other times
}

// look is one round: it tells what the last one found, should that not have been
// told, looks, stores what changed, and tells it.
func (w *Watcher) look(ctx context.Context, now time.Time) error {
	if err := w.tell(ctx); err != nil {
		return err
	}
	all, err := w.rules(ctx)
	if err != nil {
		return err
	}
	after := make(map[Key]Alarm, len(all))
	seen := map[glimpse]sight{}
	for _, r := range all {
		before, had := w.alarms[r.key]
		if !had {
			before = Alarm{Key: r.key}
		}
		a, err := w.step(ctx, r, before, now, seen)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.note(ctx, &a, err)
		after[r.key] = a
	}
	w.read = seen
	for k, a := range w.alarms {
		if _, there := after[k]; !there {
			if end, remember := gone(a, now); remember {
				after[k] = end
			}
		}
	}
	w.beside(ctx, after, all, now)
	if err := w.keep(ctx, after); err != nil {
		return err
	}
	w.mu.Lock()
	w.alarms, w.looked = after, now
	w.mu.Unlock()
	return w.tell(ctx)
}

// keep stores what differs from what is stored, with the events of what began and
// ended.
func (w *Watcher) keep(ctx context.Context, after map[Key]Alarm) error {
	var keep []Alarm
	var forget []Key
	for k, a := range after {
		old, had := w.stored[k]
		switch {
		case a.Forgettable() && had:
			forget = append(forget, k)
		case !a.Forgettable() && !(had && a.alike(old)):
			keep = append(keep, a)
		}
	}
	for k := range w.stored {
		if _, there := after[k]; !there {
			forget = append(forget, k)
		}
	}
	evs := happened(w.alarms, after)
	if len(keep) == 0 && len(forget) == 0 && len(evs) == 0 {
		return nil
	}
	if err := w.store.SetAlarms(ctx, keep, forget, evs...); err != nil {
		return fmt.Errorf("keep alarms: %w", err)
	}
	stored := maps.Clone(w.stored)
	for _, a := range keep {
		stored[a.Key] = a
	}
	for _, k := range forget {
		delete(stored, k)
	}
	w.stored = stored
	return nil
}

// tell hands on what fires and what has just ended. The same again is no news to
// who is told.
func (w *Watcher) tell(ctx context.Context) error {
	alerts := messages(w.alarms)
	if len(alerts) == 0 {
		return nil
	}
	err := w.teller.Tell(ctx, alerts...)
	if f := new(fault.Error); errors.As(err, &f) {
		w.log.WarnContext(ctx, "tell of alerts", "error", err) // what there is no room for is told when there is
		return nil
	}
	return err
}

// note remembers why something could not be looked at, and logs it once.
func (w *Watcher) note(ctx context.Context, a *Alarm, err error) {
	a.Trouble = ""
	if err != nil {
		a.Trouble = err.Error()
	}
	if a.Trouble != w.trouble[a.Key] && a.Trouble != "" {
		w.log.WarnContext(ctx, "look at objective", "app", a.Home.App, "objective", a.Objective, "error", err)
	}
	if a.Trouble == "" {
		delete(w.trouble, a.Key)
	} else {
		w.trouble[a.Key] = a.Trouble
	}
}
