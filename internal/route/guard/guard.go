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
// Failed requests are looked at one by one. Slow ones have causes in common (a
// machine that stands still for a moment makes everything slow that is on its
// way), so what ends within a twentieth of a second counts as one request, in parts.
//
// While the baseline has less than a tenth of the traffic there is next to
// nothing to compare with. Then each request of the group is a bet against the
// larger of the guard's floor and r times what the baseline is known to do at
// most. What is broken for everybody then looks like the group's fault.
//
// # Health
//
// A group whose instances all fail the gateway's own health check gets no
// requests, so there is nothing to compare. Whoever asks instances tells the Watch
// (Unwell), and that trips it without a test: it is no matter of chance.
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
// Ended takes no lock for a request that is neither failed nor slow, but for the
// first of a twentieth of a second: two or three atomic additions. A Watch takes about a KiB whatever happens.
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
	slowFloor = 0.25 // share of slow requests that is no reason while the baseline has no traffic
)

// slot is the time in which slow requests have one cause.
const slot = 50 * time.Millisecond

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
	slot  atomic.Int64 // number of the present one

	mu      sync.Mutex // guards what follows
	share   float64    // in the newest table
	alone   bool
	failed  [2]uint64
	errors  measure
	latency measure
	before  [2]route.Tally // latency, when the present slot began
	most    float64        // largest share a slow request of the present slot was sent by
}

// measure is a test with what it began from.
type measure struct {
	test
	from  [2]route.Tally // counts when the test began (last began anew)
	base  route.Tally    // alone: what the baseline is known to do
	limit float64        // alone: the share allowed
	good  uint64         // errors, alone: requests of the group up to its last bad one
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
	present := now.UnixNano() / int64(slot)
	turned := w.slot.Load() != present
	if turned && w.trip.Load() == nil {
		if trip := w.turn(present, now); trip != nil {
			return trip
		}
	}
	w.ended[r.Side].Add(1)
	slow := w.timed(r)
	if !r.Failed && !slow || w.trip.Load() != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if slow {
		w.most = max(w.most, r.Share)
		return nil // the slot's end tells
	}
	w.failed[r.Side]++
	w.bad(r, w.tallies(route.Errors))
	return w.decide(now)
}

// Baseline is the id of the group that the watched one is compared with.
func (w *Watch) Baseline() string { return w.guard.Baseline }

// Unwell takes that no instance of the group passes a health check that the
// baseline's pass; said is what was asked and answered. It returns a trip if the
// guard had none.
func (w *Watch) Unwell(canary, baseline route.Tally, said string, now time.Time) *route.Trip {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trip.Load() != nil {
		return nil
	}
	t := &route.Trip{
		Time: now.UTC(), Key: w.guard.Key, Group: w.group, Baseline: w.guard.Baseline, Measure: route.Health,
		Canary: canary, Base: baseline, Said: said,
	}
	w.trip.Store(t)
	return t
}

// turn lets the latency's measure see the slot that is over.
func (w *Watch) turn(present int64, now time.Time) *route.Trip {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.slot.Swap(present) == present {
		return nil // somebody else did
	}
	m, seen := &w.latency, w.tallies(route.Latency)
	own, others := since(seen[Canary], w.before[Canary]), since(seen[Baseline], w.before[Baseline])
	share := w.shareOf(w.most)
	w.before, w.most = seen, 0
	switch {
	case w.alone && own.Requests > 0 && m.limit > 0:
		m.alone(m.limit, own.Share(), 1-own.Share())
	case !w.alone && own.Bad+others.Bad > 0:
		m.pair(float64(own.Bad)/float64(own.Bad+others.Bad), share)
	default:
		return nil
	}
	if m.lost() {
		m.restart()
		m.from = seen
	}
	return w.decide(now)
}

// shareOf is the larger of what was meant, by the table a request was sent by and
// by the newest, and what was seen: with sticky visitors or matched requests the
// weights do not say who gets how much. A larger share only makes the test more
// patient. The caller holds the lock.
func (w *Watch) shareOf(meant float64) float64 {
	a, b := float64(w.ended[Canary].Load()), float64(w.ended[Baseline].Load())
	return max(meant, w.share, a/max(1, a+b))
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

// bad lets the errors' measure see a failed request. The caller holds the lock.
func (w *Watch) bad(r Request, now [2]route.Tally) {
	m := &w.errors
	if w.alone {
		if r.Side == Canary && m.limit > 0 {
			all := now[Canary].Requests - now[Canary].Bad
			m.alone(m.limit, 1, float64(all-min(all, m.good)))
			m.good = all
		}
	} else {
		own := 0.0
		if r.Side == Canary {
			own = 1
		}
		m.pair(own, w.shareOf(r.Share))
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
		w.before, w.most = w.tallies(route.Latency), 0
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
