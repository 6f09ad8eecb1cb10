package drain

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/observe/logs"
)

// Fleet runs all drains there are, each for each of its apps, and follows as
// drains and apps come and go.
//
// How far they are is kept once in a while, and when they stop: what was passed
// on since then is passed on again by a fleet that begins after a crash, and
// nothing is left out.
type Fleet struct {
	parts FleetParts
	wake  chan struct{}

	mu      sync.Mutex // guards courses and lines
	courses map[at]*course
	lines   map[ID]*line
}

// FleetParts are what a fleet is given. All are needed.
type FleetParts struct {
	Store Store
	Book  Book
	// Open makes the sender of a drain. Its errors are told as those of sending.
	Open func(ctx context.Context, d Declared) (Sender, error)
	// Tell writes a line about a drain into an app's log.
	Tell   func(ctx context.Context, a app.ID, text string) error
	Limits Limits
	Clock  func() time.Time
	Log    *slog.Logger
}

type at struct {
	drain ID
	app   app.ID
}

// line is the connection of a drain and how many courses use it.
type line struct {
	*shared
	users int
}

const (
	followEvery = 5 * time.Second // apps that are made tell nobody
	keepEvery   = time.Second     // bounds what a crash repeats
)

// NewFleet makes a fleet; Run runs it.
func NewFleet(parts FleetParts) *Fleet {
	return &Fleet{parts: parts, wake: make(chan struct{}, 1), courses: map[at]*course{}, lines: map[ID]*line{}}
}

// Wake has the fleet look at once which drains there are.
func (f *Fleet) Wake() {
	select {
	case f.wake <- struct{}{}:
	default: // it is awake
	}
}

// Run passes on until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	inner, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer func() {
		stop()
		all.Wait()
		f.keep(context.WithoutCancel(ctx))
	}()
	follow, keep := time.NewTicker(followEvery), time.NewTicker(keepEvery)
	defer follow.Stop()
	defer keep.Stop()
	look, said := true, false
	for {
		if look {
			err := f.follow(inner, &all)
			if err != nil && ctx.Err() == nil && !said {
				f.parts.Log.ErrorContext(ctx, "look which log drains there are", "error", err)
			}
			said = err != nil
		}
		look = true
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-follow.C:
		case <-keep.C:
			f.keep(ctx)
			f.tell(ctx)
			look = false
		}
	}
}

// follow starts and stops courses so that they are those of the store.
func (f *Fleet) follow(ctx context.Context, all *sync.WaitGroup) error {
	wanted, err := f.parts.Store.Courses(ctx)
	if err != nil {
		return err
	}
	there := map[at]bool{}
	var stopped []*course
	f.mu.Lock()
	for _, w := range wanted {
		k := at{w.ID, w.Of}
		there[k] = true
		if have, ok := f.courses[k]; ok {
			if have.From == w.From {
				continue
			}
			// It was renamed: the lines say whose they are from now on.
			have.stop()
			w.State = have.now()
			delete(f.courses, k)
		}
		f.start(ctx, all, w)
	}
	for k, c := range f.courses {
		if !there[k] {
			c.stop()
			stopped = append(stopped, c)
			delete(f.courses, k)
		}
	}
	f.mu.Unlock()
	for _, c := range stopped {
		<-c.done
	}
	return nil
}

// start starts a course; f.mu is held.
func (f *Fleet) start(ctx context.Context, all *sync.WaitGroup, w Course) {
	l, ok := f.lines[w.ID]
	if !ok {
		l = &line{shared: newShared(func(ctx context.Context) (Sender, error) { return f.parts.Open(ctx, w.Declared) })}
		f.lines[w.ID] = l
	}
	l.users++
	c := newCourse(w, f.parts.Clock)
	f.courses[at{w.ID, w.Of}] = c
	ctx, c.stop = context.WithCancel(ctx)
	all.Go(func() {
		defer close(c.done)
		c.run(ctx, f.parts, l.shared)
		f.left(w.ID, l)
	})
}

// left closes a connection that nobody uses any more.
func (f *Fleet) left(id ID, l *line) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.users--; l.users > 0 {
		return
	}
	if f.lines[id] == l {
		delete(f.lines, id)
	}
	_ = l.end() // what it had was sent or is sent again
}

// all returns the courses as they are now, in a fixed order.
func (f *Fleet) all() []*course {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(f.courses), func(a, b at) int {
		return cmpOr(a.drain, b.drain, a.app, b.app)
	})
	out := make([]*course, len(keys))
	for i, k := range keys {
		out[i] = f.courses[k]
	}
	return out
}

// keep writes down how far they are.
func (f *Fleet) keep(ctx context.Context) {
	var states []Kept
	var of []*course
	for _, c := range f.all() {
		if s, changed := c.unkept(); changed {
			states, of = append(states, Kept{c.ID, c.Of, s}), append(of, c)
		}
	}
	if len(states) == 0 {
		return
	}
	if err := f.parts.Store.KeepDrained(ctx, states); err != nil {
		if ctx.Err() == nil {
			f.parts.Log.WarnContext(ctx, "note how far logs were drained", "error", err)
		}
		return
	}
	for i, c := range of {
		c.kept(states[i].State)
	}
}

// tell says in the logs of apps what their drains had to leave out.
func (f *Fleet) tell(ctx context.Context) {
	for _, c := range f.all() {
		text, ok := c.notice()
		if !ok {
			continue
		}
		if err := f.parts.Tell(ctx, c.Of, text); err != nil && ctx.Err() == nil {
			f.parts.Log.WarnContext(ctx, "tell an app of its log drain", "app", c.Of, "drain", c.Name, "error", err)
		}
	}
}

// States are how the courses of a drain are doing, by app.
func (f *Fleet) States(d ID) map[app.ID]State {
	out := map[app.ID]State{}
	for _, c := range f.all() {
		if c.ID == d {
			out[c.Of] = c.now()
		}
	}
	return out
}

// Try sends one line to the receiver of a drain, over a connection of its own,
// and returns what comes of it.
func (f *Fleet) Try(ctx context.Context, d Declared, from Source, text string) error {
	to, err := f.parts.Open(ctx, d)
	if err != nil {
		return err
	}
	defer to.Close() //nolint:errcheck // its line was taken or not
	l := logs.Line{App: d.App, Time: f.parts.Clock().UTC(), Source: logs.Platform, Stream: "stdout", Text: text}
	if err := to.Send(ctx, from, []logs.Line{l}); err != nil {
		return err
	}
	if s, ok := to.(interface{ Settle(context.Context) error }); ok {
		return s.Settle(ctx)
	}
	return nil
}
