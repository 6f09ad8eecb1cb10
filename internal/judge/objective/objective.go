// Package objective says how far what was declared of an app is met: the share of
// good events, the error budget that is left, how fast it goes, and who spent it.
package objective

import (
	"context"
	"math"
	"time"

	"naru/internal/app"
)

// SLI names what is counted: the events of one objective of one app on one of its
// journeys. The zero Journey means all of its requests.
type SLI struct {
	App       app.ID
	Objective app.Objective // filled
	Journey   app.Journey
}

// Count is how many events there were and how many of them were good. Where an
// objective has a Query, Total is 1 for a slice with a value and 0 for one
// without, and Good is 1 where its Bound holds. Good of throughput is not used.
type Count struct{ Good, Total float64 }

// Counts is where events were counted. Times are half open: from belongs to it, to
// does not.
type Counts interface {
	// Over counts the events between two moments.
	Over(ctx context.Context, of SLI, from, to time.Time) (Count, error)
	// Each counts the events of each slice; there are (to-from)/length of them.
	Each(ctx context.Context, of SLI, from, to time.Time, length time.Duration) ([]Count, error)
}

// sane takes what no count can be out of a count: negative numbers, more good
// events than events, numbers that are none. Counters that began again or were
// read at slightly different moments bring these.
func (c Count) sane() Count {
	number := func(v float64) float64 {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return 0
		}
		return v
	}
	c.Total = number(c.Total)
	c.Good = min(number(c.Good), c.Total)
	return c
}

func (c Count) bad() float64 { return c.Total - c.Good }

func (c Count) plus(d Count) Count { return Count{c.Good + d.Good, c.Total + d.Total} }

// Share is a share of good events, where it is known.
type Share struct {
	Count         // events, or slices that count
	Idle  int     // slices without any event
	Ratio float64 // good over total, 0 to 1; by the policy on idle time where there is no event
	Known bool
}

// share judges a count under a policy on time without events.
func share(c Count, idle app.Idle) Share {
	s := Share{Count: c}
	switch {
	case c.Total > 0:
		s.Ratio, s.Known = c.Good/c.Total, true
	case idle == app.IdleGood:
		s.Ratio, s.Known = 1, true
	case idle == app.IdleBad:
		s.Ratio, s.Known = 0, true
	}
	return s
}

// slices judges each slice and counts the good ones.
func ofSlices(each []Count, o app.Objective) Share {
	var s Share
	for _, c := range each {
		if c = c.sane(); c.Total == 0 {
			s.Idle++
		}
		if good, counts := goodSlice(c, o); counts {
			s.Total++
			if good {
				s.Good++
			}
		}
	}
	judged := share(s.Count, o.Idle)
	judged.Idle = s.Idle
	if len(each) == 0 { // no time has passed: not even a policy can say anything
		judged.Known = false
	}
	return judged
}

func goodSlice(c Count, o app.Objective) (good, counts bool) {
	if c.Total == 0 {
		return o.Idle == app.IdleGood, o.Idle == app.IdleGood || o.Idle == app.IdleBad
	}
	switch {
	case o.Kind == app.Throughput:
		return o.Bound.Holds(c.Total / o.Slice.Length.Std().Seconds()), true
	case o.Query != "":
		return c.Good >= c.Total, true
	}
	return c.Good/c.Total >= o.Slice.Target, true
}
