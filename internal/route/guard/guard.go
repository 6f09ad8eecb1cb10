// Package guard decides, request by request, whether a group of instances is
// worse than its baseline: the brake that a gateway pulls by itself.
//
// # The test
//
// Only requests that failed (or were slow) are looked at. If the guarded group
// fails at most r times as often as its baseline, a failed request is one of its
// own with probability at most
//
//	q = r*s / (r*s + 1 - s)
//
// where s is the group's share of requests, known before the outcome. So a bet
// against q, an e-process, has an expected capital of at most 1 at any time, for
// any base rate, however often it is looked at; a capital of 1/alpha is seen with
// probability at most alpha (Ville). The capital is a mixture of bets on how much
// worse the group is. When it has been lost, the test begins anew: the n-th
// beginning needs n(n+1)/alpha, so that all of them together stay within alpha,
// and a group that turns bad after a good hour is still found at once.
//
// While the baseline has less than a tenth of the traffic there is next to
// nothing to compare with. Then each request of the group is a bet against the
// larger of the guard's floor and r times what the baseline is known to do at
// most. What is broken for everybody then looks like the group's fault.
//
// # Use
//
// A gateway keeps one Set for its life and calls Set.Update with every table
// before it is used, Set.Weights for the weights of each entry, Set.Of for what
// to tell about each group, and Watch.Ended once per ended request. When that
// returns a trip, it applies the table it has once more (the weights are others
// now) and sends the trip; it keeps Set.Trips in a file beside the table, gives
// them to Set.Restore at its start, and says them in every Hello.
//
// Ended takes no lock for a request that is neither failed nor slow: two or three
// atomic additions. A Watch takes about a KiB whatever happens.
package guard

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// Side is which of the two groups a request went to.
type Side int

// The sides.
const (
	Baseline Side = iota
	Canary
)

// Request is how a request ended.
type Request struct {
	Side Side
	// Share is the weight of the guarded group over that of both in the table the
	// request was sent by; 0 to 1.
	Share  float64
	Failed bool          // 5xx, or no answer because of the instance
	Header time.Duration // to the answer's header; 0: none came
}

const (
	aloneFrom = 0.9  // share of the guarded group from which the baseline says too little
	enough    = 100  // requests from which a baseline is known
	slowFloor = 0.05 // share of slow requests that is no reason while the baseline has no traffic
)

// Watch compares one group with its baseline.
type Watch struct {
	guard route.Guard // filled
	group string

	ended [2]atomic.Uint64 // by side
	over  [2]atomic.Uint64 // slow ones
	times [2]atomic.Uint64 // those that could be slow: with a header, after slow was known
	slow  atomic.Int64     // nanoseconds from which a request is slow; 0: not known yet
	hist  histogram        // of the baseline, until slow is known
	trip  atomic.Pointer[route.Trip]

	mu      sync.Mutex // guards what follows
	share   float64    // in the newest table
	alone   bool
	failed  [2]uint64
	errors  measure
	latency measure
}

// measure is a test with what it began from.
type measure struct {
	test
	from  [2]route.Tally // counts when the test began (last began anew)
	base  route.Tally    // alone: what the baseline is known to do
	limit float64        // alone: the share allowed
	good  uint64         // alone: requests of the group up to its last bad one
}

func newWatch(g route.Guard, group string) *Watch {
	g = g.Filled()
	w := &Watch{guard: g, group: group}
	w.errors.test = newTest(g.Alarm/2, g.Ratio)
	w.latency.test = newTest(g.Alarm/2, g.Ratio)
	if g.Record != nil && g.Slow > 0 {
		w.slow.Store(int64(g.Record.Slow))
	}
	return w
}

// Trip returns the trip, nil while there is none.
func (w *Watch) Trip() *route.Trip { return w.trip.Load() }

// Ended takes a request that ended. It returns a trip for the request that trips
// the guard, and nil before and after.
func (w *Watch) Ended(r Request, now time.Time) *route.Trip {
	w.ended[r.Side].Add(1)
	slow := w.timed(r)
	if !r.Failed && !slow || w.trip.Load() != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Failed {
		w.failed[r.Side]++
		w.bad(&w.errors, r, w.tallies(route.Errors))
	}
	if slow {
		w.bad(&w.latency, r, w.tallies(route.Latency))
	}
	return w.decide(now)
}

// timed notes how long a request took and says whether that was slow.
func (w *Watch) timed(r Request) bool {
	if w.guard.Slow < 0 || r.Failed || r.Header <= 0 {
		return false
	}
	limit := time.Duration(w.slow.Load())
	if limit == 0 {
		if r.Side == Baseline && w.hist.add(r.Header) == enough {
			limit = time.Duration(w.guard.Slow * float64(w.hist.below(0.9)))
			w.slow.CompareAndSwap(0, int64(max(limit, w.guard.SlowFrom.Std())))
		}
		return false
	}
	w.times[r.Side].Add(1)
	if r.Header < limit {
		return false
	}
	w.over[r.Side].Add(1)
	return true
}

// tallies are the counts of both sides. The caller holds the lock.
func (w *Watch) tallies(m route.Measure) (out [2]route.Tally) {
	for side := range out {
		if m == route.Errors {
			out[side] = route.Tally{Requests: w.ended[side].Load(), Bad: w.failed[side]}
		} else {
			out[side] = route.Tally{Requests: w.times[side].Load(), Bad: w.over[side].Load()}
		}
	}
	return out
}

// bad lets a measure see a bad request. The caller holds the lock.
func (w *Watch) bad(m *measure, r Request, now [2]route.Tally) {
	if w.alone {
		if r.Side == Canary && m.limit > 0 {
			all := now[Canary].Requests - now[Canary].Bad
			m.alone(m.limit, all-min(all, m.good))
			m.good = all
		}
	} else {
		// The larger of what was meant and what was seen: with sticky visitors or
		// matched requests the weights do not say who gets how much. A larger share
		// only makes the test more patient.
		a, b := float64(w.ended[Canary].Load()), float64(w.ended[Baseline].Load())
		m.pair(r.Side == Canary, max(r.Share, w.share, a/(a+b)))
	}
	if m.lost() {
		m.restart()
		m.from = now
	}
}

// decide trips the guard when a measure has seen enough. The caller holds the
// lock.
func (w *Watch) decide(now time.Time) *route.Trip {
	if w.trip.Load() != nil || w.ended[Canary].Load() < w.guard.Requests {
		return nil
	}
	for _, m := range []struct {
		name route.Measure
		*measure
	}{{route.Errors, &w.errors}, {route.Latency, &w.latency}} {
		if !m.proven() {
			continue
		}
		seen := w.tallies(m.name)
		t := &route.Trip{
			Time: now.UTC(), Key: w.guard.Key, Group: w.group, Baseline: w.guard.Baseline, Measure: m.name,
			Canary: since(seen[Canary], m.from[Canary]), Base: since(seen[Baseline], m.from[Baseline]), Allowed: w.guard.Ratio,
			Odds: math.Exp(min(m.capital(), 700)),
		}
		if m.name == route.Latency {
			t.Slow = app.Duration(w.slow.Load())
		}
		if w.alone {
			t.Alone, t.Allowed, t.Base = true, m.limit, m.base
		}
		w.trip.Store(t)
		return t
	}
	return nil
}

func since(now, then route.Tally) route.Tally {
	return route.Tally{Requests: now.Requests - then.Requests, Bad: now.Bad - then.Bad}
}

// shift tells the share of a new table. Between comparing and being alone both
// tests begin anew.
func (w *Watch) shift(share float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.share = share
	if alone := share >= aloneFrom; alone != w.alone {
		w.alone = alone
		w.begin(&w.errors, route.Errors, w.guard.Floor)
		w.begin(&w.latency, route.Latency, max(w.guard.Floor, slowFloor))
	}
}

// begin starts a measure anew under the present kind of comparison.
func (w *Watch) begin(m *measure, name route.Measure, floor float64) {
	now := w.tallies(name)
	m.from, m.good = now, now[Canary].Requests-now[Canary].Bad
	if !m.fresh() {
		m.restart()
	}
	m.base, m.limit = route.Tally{}, 0
	if !w.alone {
		return
	}
	if m.base = now[Baseline]; m.base.Requests < enough && w.guard.Record != nil {
		m.base = route.Tally{Requests: w.guard.Record.Requests, Bad: w.guard.Record.Failed}
		if name == route.Latency {
			m.base.Bad = w.guard.Record.Over
		}
	}
	m.limit = floor
	if m.base.Requests >= enough {
		m.limit = max(floor, min(0.99, w.guard.Ratio*atMost(m.base)))
	}
}

// atMost is a bound the true share of bad requests is below in 995 of 1,000
// cases (Wilson).
func atMost(t route.Tally) float64 {
	const z = 2.58
	n, p := float64(t.Requests), t.Share()
	return (p + z*z/(2*n) + z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))) / (1 + z*z/n)
}
