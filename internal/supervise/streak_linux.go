package supervise

import (
	"context"
	"math/rand/v2"
	"time"

	"naru/internal/backoff"
)

const (
	// atOnce is how many restarts in a row are made without any wait.
	atOnce = 3
	// healthyAfter is how long a child must have been ready for its earlier
	// deaths to be forgotten.
	healthyAfter = 5 * time.Second
)

var (
	// stillborn is the wait for a child that dies again and again before it is
	// ready: what keeps it from starting must change first.
	stillborn = backoff.Policy{First: 100 * time.Millisecond, Max: 30 * time.Second, Jitter: 0.2}
	// shortLived is how far apart the deaths of one are that did become ready.
	// It can work, so people should not wait for it longer than for its start;
	// one that dies of its first request must not take the machine's time either.
	shortLived = backoff.Policy{First: 100 * time.Millisecond, Max: time.Second, Jitter: 0.2}
)

// life is how one life of a child went.
type life struct {
	reason string        // why it ended
	ready  time.Duration // how long it was ready; below 0: never
}

// streak counts the deaths in a row of a child.
type streak struct {
	unready int // before it was ready, since it last was
	deaths  int // since it last was healthy
}

// died counts a death and returns how long to wait before the next life.
func (s *streak) died(l life, random func() float64) time.Duration {
	switch {
	case l.ready >= healthyAfter:
		*s = streak{deaths: 1}
	case l.ready >= 0:
		s.unready = 0
		s.deaths++
	default:
		s.unready++
		s.deaths++
	}
	switch {
	case s.deaths <= atOnce:
		return 0
	case s.unready == 0:
		return max(0, shortLived.Delay(s.deaths-atOnce-1, random)-l.ready)
	}
	return stillborn.Delay(s.unready-1, random)
}

// keep lives again and again until ctx ends; died hears of each death, of how
// many there were in a row, and of the wait before the next life.
func keep(ctx context.Context, live func(context.Context) life, died func(l life, deaths int, wait time.Duration)) {
	for s := (streak{}); ctx.Err() == nil; {
		l := live(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := s.died(l, rand.Float64)
		died(l, s.deaths, wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}
