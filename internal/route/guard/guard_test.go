package guard

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// world draws requests of a canary and its baseline.
type world struct {
	*rand.Rand
	w              *Watch
	share          float64
	base, canary   float64 // share of failed requests
	times, slower  time.Duration
	failed, served int // of the canary
	now            time.Time
	stalls         float64 // a second, each of one of the groups
	stalled        [2]time.Time
}

func newWorld(seed uint64, g route.Guard) *world {
	g.Key, g.Baseline = "rollout", "old"
	return &world{Rand: rand.New(rand.NewPCG(seed, 1)), w: newWatch(g, "new"), times: 20 * time.Millisecond, slower: 1, now: time.Unix(1000, 0)}
}

func (x *world) to(share float64) { x.share = share; x.w.shift(share) }

// request lets one request end, of which the canary has 50 a second, and returns
// the trip it causes.
func (x *world) request() *route.Trip {
	passed := max(x.share, 0.01) / 50
	x.now = x.now.Add(time.Duration(passed * float64(time.Second)))
	if x.Float64() < passed*x.stalls {
		x.stalled[x.IntN(2)] = x.now.Add(15 * time.Millisecond) // in which all ends that stood still
	}
	side, fails, factor := Baseline, x.base, time.Duration(1)
	if x.Float64() < x.share {
		side, fails, factor = Canary, x.canary, x.slower
		x.served++
	}
	r := Request{Side: side, Share: x.share, Failed: x.Float64() < fails}
	if r.Failed && side == Canary {
		x.failed++
	}
	if !r.Failed {
		r.Header = time.Duration(float64(x.times*factor) * (0.5 + x.ExpFloat64()))
		if x.now.Before(x.stalled[side]) {
			r.Header += 300 * time.Millisecond
		}
	}
	return x.w.Ended(r, x.now)
}

// runs is how many of many runs are made: all are drawn from seeds and arithmetic,
// so that the race detector, which makes them slow, has nothing to find in more.
func runs(many int) int {
	if testing.Short() {
		return many / 10
	}
	return many
}

// TestFalseAlarms runs 10,000 rollouts of releases that are no worse, through
// steps and a watch period. The stated rate is 1 %; it holds for releases that
// are exactly as bad as is allowed, too.
func TestFalseAlarms(t *testing.T) {
	rollouts := runs(10_000)
	for name, tc := range map[string]struct{ worse, stalls float64 }{
		"as good": {1, 0}, "as bad as allowed": {1.5, 0}, "on a machine that stands still twice a second": {1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			worse := tc.worse
			alarms := map[route.Measure]int{}
			for seed := range uint64(rollouts) {
				base := []float64{0.001, 0.01, 0.1, 0.5}[seed%4]
				x := newWorld(seed, route.Guard{})
				x.base, x.canary, x.stalls = base, base*worse, tc.stalls
				for _, share := range []float64{0.01, 0.1, 0.5, 1} {
					x.to(share)
					for range 250 {
						if trip := x.request(); trip != nil {
							alarms[trip.Measure]++
						}
					}
				}
			}
			t.Logf("false alarms in %d rollouts: %v", rollouts, alarms)
			// 1 % of 10,000 is 100, and three standard deviations of that are 30.
			most := 0.01*float64(rollouts) + 3*math.Sqrt(0.01*float64(rollouts))
			if n := alarms[route.Errors] + alarms[route.Latency]; float64(n) > most {
				t.Errorf("%d false alarms in %d rollouts, stated are at most 1 %%", n, rollouts)
			}
		})
	}
}

// TestBadReleasesLeaveAtOnce: 50 requests a second on the canary, half of which
// fail: gone after at most 20 failed requests and within a second, in 50 of 50
// runs, whatever its share; and what is slower instead.
func TestBadReleasesLeaveAtOnce(t *testing.T) {
	record := &route.Record{Requests: 10_000, Failed: 10, Slow: app.Duration(80 * time.Millisecond), Over: 300}
	for name, tc := range map[string]struct {
		share, base, canary float64
		slower              time.Duration
		measure             route.Measure
		failed, served      int // at most
	}{
		"half fail at 1 %":                  {0.01, 0.001, 0.5, 1, route.Errors, 20, 50},
		"half fail at 10 %":                 {0.1, 0.001, 0.5, 1, route.Errors, 20, 50},
		"half fail at 50 %":                 {0.5, 0.001, 0.5, 1, route.Errors, 20, 50},
		"half fail after the promotion":     {1, 0.001, 0.5, 1, route.Errors, 20, 50},
		"all fail at 50 %":                  {0.5, 0.001, 1, 1, route.Errors, 20, 50},
		"a third where a tenth fails":       {0.1, 0.03, 0.3, 1, route.Errors, 60, 200},
		"five times slower at 10 %":         {0.1, 0.001, 0.001, 5, route.Latency, 5, 80},
		"five times slower at 50 %":         {0.5, 0.001, 0.001, 5, route.Latency, 5, 150},
		"five times slower when promoted":   {1, 0.001, 0.001, 5, route.Latency, 5, 120},
		"one in twenty fails at 10 %":       {0.1, 0.001, 0.05, 1, route.Errors, 20, 500},
		"one in twenty fails when promoted": {1, 0.001, 0.05, 1, route.Errors, 40, 800},
	} {
		t.Run(name, func(t *testing.T) {
			var failed, served []int
			for seed := range uint64(50) {
				x := newWorld(seed, route.Guard{Record: record})
				x.base = tc.base
				x.to(0) // what ran before, alone
				for range 2000 {
					x.request()
				}
				x.canary, x.slower = tc.canary, tc.slower
				x.to(tc.share)
				var trip *route.Trip
				for n := 0; trip == nil && n < 1_000_000; n++ {
					trip = x.request()
				}
				if trip == nil || trip.Measure != tc.measure {
					t.Fatalf("seed %d: trip %+v, want one by %s", seed, trip, tc.measure)
				}
				failed, served = append(failed, x.failed), append(served, x.served)
			}
			slices.Sort(failed)
			slices.Sort(served)
			t.Logf("failed: median %d, most %d; requests: median %d, most %d", failed[25], failed[49], served[25], served[49])
			if failed[49] > tc.failed || served[49] > tc.served {
				t.Errorf("gone after %d failed of %d requests, wanted at most %d of %d", failed[49], served[49], tc.failed, tc.served)
			}
		})
	}
}

// TestOutageOfEverybodyIsNobodysFault breaks both groups at once.
func TestOutageOfEverybodyIsNobodysFault(t *testing.T) {
	trips, outages := 0, runs(1000)
	for seed := range uint64(outages) {
		x := newWorld(seed, route.Guard{})
		x.to(0.1)
		for n := range 2000 {
			if n == 500 {
				x.base, x.canary = 0.9, 0.9
				x.times *= 20
			}
			if x.request() != nil {
				trips++
			}
		}
	}
	if trips > outages/50 {
		t.Errorf("%d of %d outages were blamed on the release", trips, outages)
	}
}

// TestTurningBadLate: after 100,000 good requests a release that starts to fail
// leaves as well.
func TestTurningBadLate(t *testing.T) {
	var failed []int
	for seed := range uint64(runs(50)) {
		x := newWorld(seed, route.Guard{})
		x.base, x.canary = 0.01, 0.01
		x.to(0.5)
		for range 100_000 {
			if x.request() != nil {
				t.Fatal("a good release tripped")
			}
		}
		before := x.failed
		x.canary = 0.5
		for x.request() == nil {
		}
		failed = append(failed, x.failed-before)
	}
	slices.Sort(failed)
	t.Logf("failed after it turned bad: median %d, most %d", failed[len(failed)/2], failed[len(failed)-1])
	if most := failed[len(failed)-1]; most > 80 {
		t.Errorf("%d failed requests until a release that turned bad was found", most)
	}
}

func TestNothingTripsBeforeTheLeastRequests(t *testing.T) {
	x := newWorld(1, route.Guard{Requests: 40})
	x.canary = 1
	x.to(0.01)
	for x.request() == nil {
	}
	if x.served != 40 {
		t.Errorf("tripped after %d requests of the group, want 40", x.served)
	}
}

func TestTripIsSaidOnceFromManyRequests(t *testing.T) {
	w := newWatch(route.Guard{Key: "k", Baseline: "old"}, "new")
	w.shift(0.1)
	var said sync.Map
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if trip := w.Ended(Request{Side: Canary, Share: 0.1, Failed: true}, time.Unix(1, 0)); trip != nil {
					said.Store(trip, nil)
				}
				w.Ended(Request{Side: Baseline, Share: 0.1, Header: time.Millisecond}, time.Unix(1, 0))
			}
		})
	}
	all.Wait()
	n := 0
	said.Range(func(any, any) bool { n++; return true })
	if n != 1 || w.Trip() == nil || w.Trip().Odds < 200 {
		t.Errorf("said %d times, trip %+v", n, w.Trip())
	}
}

func TestHistogramBounds(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 100, time.Microsecond, 3 * time.Millisecond, time.Second, time.Hour, 100 * time.Hour} {
		t.Run(fmt.Sprint(d), func(t *testing.T) {
			var h histogram
			for range 10 {
				h.add(d)
			}
			if got := h.below(0.9); d < 39*time.Hour && (got < d || got > d+d/8+16) {
				t.Errorf("below = %s for %s", got, d)
			}
		})
	}
}

func BenchmarkEnded(b *testing.B) {
	w := newWatch(route.Guard{Key: "k", Baseline: "old"}, "new")
	w.shift(0.5)
	b.ReportAllocs()
	for b.Loop() {
		w.Ended(Request{Side: Canary, Share: 0.5, Header: time.Millisecond}, time.Time{})
	}
}
