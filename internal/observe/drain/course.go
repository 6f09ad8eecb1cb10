package drain

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"naru/internal/observe/logs"
	"naru/internal/observe/logs/search"
)

// course is a Course that runs.
type course struct {
	Course
	clock func() time.Time
	stop  context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex // guards what follows
	state  State
	fresh  bool // state is not kept yet
	lost   int64
	why    string
	lately time.Time // when something was told last
	told   bool      // that nothing gets through
}

func newCourse(w Course, clock func() time.Time) *course {
	if w.State.Cursor == (logs.Cursor{}) {
		w.State.Cursor = logs.Cursor{Day: 1}
	}
	return &course{Course: w, clock: clock, done: make(chan struct{}), state: w.State}
}

// run passes lines on until ctx ends.
func (c *course) run(ctx context.Context, parts FleetParts, to *shared) {
	var filter *search.Expr
	if c.Search != "" {
		var err error
		if filter, err = search.Parse(c.Search); err != nil { // a naru of another time wrote it
			s := c.now()
			s.Failing, s.Error = c.clock().UTC(), err.Error()
			c.save(s)
			<-ctx.Done()
			return
		}
	}
	d := &Drain{
		From: c.From, App: c.Of, Filter: filter, To: to, Turn: to.wait, Limits: parts.Limits, Log: parts.Log.With("drain", c.Name), Clock: c.clock, Passed: c.passed,
		Save: func(_ context.Context, s State) error {
			c.save(s)
			return nil
		},
	}
	for {
		err := d.Run(ctx, parts.Book, c.now())
		if ctx.Err() != nil {
			return
		}
		parts.Log.ErrorContext(ctx, "a log drain stopped, and begins again", "drain", c.Name, "app", c.Of, "error", err)
		_ = parts.Limits.Retry.Wait(ctx, 31) // the next turn of the loop sees its end
	}
}

func (c *course) save(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.fresh = s, true
}

func (c *course) now() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// unkept is the state, where it has changed since it was kept.
func (c *course) unkept() (State, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.fresh
}

// kept notes that a state was kept.
func (c *course) kept(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fresh = c.state != s
}

// passed counts lines that were left out.
func (c *course) passed(lines int64, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost += lines
	c.why = why
}

const (
	tellAfter = 5 * time.Second // what fails for less is not worth a line
	tellEvery = time.Minute
)

// notice is what the app's log is to say now. It is asked again and again.
func (c *course) notice() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	if !c.lately.IsZero() && now.Sub(c.lately) < tellEvery {
		return "", false
	}
	text := ""
	switch {
	case c.lost > 0:
		text = fmt.Sprintf("log drain %s: %d lines were left out (%s)", c.Name, c.lost, c.why)
		c.lost = 0
	case !c.told && !c.state.Failing.IsZero() && now.Sub(c.state.Failing) >= tellAfter:
		c.told = true
		text = fmt.Sprintf("log drain %s does not get through since %s; lines wait in this log: %s", c.Name, c.state.Failing.Format(time.RFC3339), c.state.Error)
	case c.told && c.state.Failing.IsZero():
		c.told = false
		text = fmt.Sprintf("log drain %s gets through again", c.Name)
	default:
		return "", false
	}
	c.lately = now
	return text, true
}

func cmpOr[A, B cmp.Ordered](a1, a2 A, b1, b2 B) int {
	return cmp.Or(cmp.Compare(a1, a2), cmp.Compare(b1, b2))
}
