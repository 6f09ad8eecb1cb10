package gateway

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// told is a breaker and what it said.
func told(spec route.Breaker) (*breaker, *[]route.BreakerState) {
	var said []route.BreakerState
	return newBreaker(spec, func(s route.BreakerState, _ string) { said = append(said, s) }), &said
}

// ask lets a request in and ends it.
func (b *breaker) ask(failed bool, now int64) bool {
	if !b.admissible(now) || !b.admits(now) {
		return false
	}
	b.ended(b.term(), failed, now)
	return true
}

func TestBreaker(t *testing.T) {
	const second = int64(1000)
	spec := route.Breaker{Requests: 10, Failed: 0.5, Probes: 2}
	type row struct {
		at     int64
		failed bool
		times  int
		refuse bool
	}
	for name, tc := range map[string]struct {
		rows []row
		said []route.BreakerState
	}{
		"too few requests":         {[]row{{0, true, 9, false}}, nil},
		"enough, and half of them": {[]row{{0, false, 5, false}, {second, true, 5, false}, {second, true, 1, true}}, []route.BreakerState{route.BreakerOpen}},
		"less than half":           {[]row{{0, false, 50, false}, {second, true, 49, false}}, nil},
		"what is long ago":         {[]row{{0, true, 9, false}, {11 * second, true, 9, false}}, nil},
		"a success opens nothing":  {[]row{{0, true, 9, false}, {0, false, 1, false}}, nil},
		"open until its time":      {[]row{{0, true, 10, false}, {14 * second, false, 1, true}}, []route.BreakerState{route.BreakerOpen}},
		"tries that are well":      {[]row{{0, true, 10, false}, {15 * second, false, 3, false}}, []route.BreakerState{route.BreakerOpen, route.BreakerHalfOpen, route.BreakerClosed}},
		"it begins anew":           {[]row{{0, true, 10, false}, {15 * second, false, 2, false}, {15 * second, true, 9, false}}, []route.BreakerState{route.BreakerOpen, route.BreakerHalfOpen, route.BreakerClosed}},
		"a try that fails":         {[]row{{0, true, 10, false}, {15 * second, false, 1, false}, {15 * second, true, 1, false}, {29 * second, false, 1, true}}, []route.BreakerState{route.BreakerOpen, route.BreakerHalfOpen, route.BreakerOpen}},
		"and another one":          {[]row{{0, true, 10, false}, {15 * second, true, 1, false}, {30 * second, false, 2, false}}, []route.BreakerState{route.BreakerOpen, route.BreakerHalfOpen, route.BreakerOpen, route.BreakerHalfOpen, route.BreakerClosed}},
	} {
		t.Run(name, func(t *testing.T) {
			b, said := told(spec)
			for _, r := range tc.rows {
				for i := range r.times {
					if got := b.ask(r.failed, r.at); got == r.refuse {
						t.Fatalf("at %d ms, request %d: let in %v", r.at, i, got)
					}
				}
			}
			if !slices.Equal(*said, tc.said) {
				t.Errorf("said %v, want %v", *said, tc.said)
			}
		})
	}
}

func TestBreakerLetsNoMoreTryThanItSays(t *testing.T) {
	b, _ := told(route.Breaker{Requests: 1, Probes: 3})
	b.ask(true, 0)
	at := int64(20_000)
	old := b.term()
	for range 3 {
		if !b.admits(at) {
			t.Fatal("a try is refused")
		}
	}
	if b.admissible(at) || b.admits(at) {
		t.Error("a fourth request is let in")
	}
	b.ended(old, true, at) // of the time before
	b.void(b.term())
	if !b.admits(at) {
		t.Error("a try that told nothing is not replaced")
	}
	// All tries hang: others are made after a while.
	if at += 15_001; !b.admits(at) {
		t.Error("tries that hang keep the group out for ever")
	}
	if b.word.Load()%kinds != halfOpen {
		t.Error("it is not half-open")
	}
}

func TestBreakerUnderManyHands(t *testing.T) {
	b, _ := told(route.Breaker{Requests: 5, Probes: 2, Open: app.Duration(time.Millisecond), Window: app.Duration(10 * time.Millisecond)})
	var clock atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 5000 {
				now := clock.Add(1) / 8
				if !b.admissible(now) || !b.admits(now) {
					continue
				}
				if term := b.term(); now%7 == 0 {
					b.void(term)
				} else {
					b.ended(term, now%5 < int64(i%3), now)
				}
			}
		})
	}
	all.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tries < 0 || b.tries > b.spec.Probes {
		t.Errorf("%d tries", b.tries)
	}
}

func TestBreakersOutliveTablesAndSaySo(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	table := oneRoute(groupOf("g1", 1, 1), groupOf("g2", 1, 1))
	table.Routes[0].Policy = &route.Policy{Breaker: &route.Breaker{Requests: 1}}
	use := func() *entry {
		t.Helper()
		if err := ts.apply(table); err != nil {
			t.Fatal(err)
		}
		return ts.entryOf("shop.test")
	}
	first := use().groups[0].breaker
	first.ended(first.term(), true, now())
	e := use()
	if e.groups[0].breaker != first {
		t.Error("a table made the breaker forget")
	}
	for range 50 {
		if g, _ := e.pick(&ts.cfg, nil); g.id != "g2" {
			t.Fatal("a request went to the group that is spared")
		}
	}
	second := e.groups[1].breaker
	second.ended(second.term(), true, now())
	if _, b := e.pick(&ts.cfg, nil); b != nil || e.spared() < 14*time.Second {
		t.Errorf("all are spared: picked %v, spared for %s", b, e.spared())
	}
	if got := ts.reports.standing(); len(got) != 2 {
		t.Errorf("not closed: %v", got)
	}
	table.Routes[0].Groups = table.Routes[0].Groups[:1]
	use()
	table.Routes[0].Policy = nil
	use()
	if got := ts.reports.standing(); len(got) != 0 {
		t.Errorf("nobody will close %v", got)
	}
	var states []route.BreakerState
	for _, b := range ts.reports.takeBreakings() {
		states = append(states, b.State)
	}
	if want := []route.BreakerState{route.BreakerOpen, route.BreakerOpen, route.BreakerClosed, route.BreakerClosed}; !slices.Equal(states, want) {
		t.Errorf("said %v, want %v", states, want)
	}
}

// A group that is spared says nothing, and nothing looks like success to a guard.
func TestGuardedGroupsAreNotSpared(t *testing.T) {
	table := oneRoute(groupOf("old", 90, 1), groupOf("new", 10, 1), groupOf("other", 10, 1))
	table.Routes[0].Policy = &route.Policy{Breaker: &route.Breaker{}}
	ts := tablesWith(t, Config{})
	breakers := func() map[string]bool {
		if err := ts.apply(table); err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, g := range ts.entryOf("shop.test").groups {
			got[g.id] = g.breaker != nil
		}
		return got
	}
	table.Routes[0].Groups[1].Guard = &route.Guard{Key: "rollout-1", Baseline: "old"}
	if got, want := breakers(), (map[string]bool{"old": false, "new": false, "other": true}); !maps.Equal(got, want) {
		t.Errorf("under a guard %v, want %v", got, want)
	}
	table.Routes[0].Groups[1].Guard = nil
	if got, want := breakers(), (map[string]bool{"old": true, "new": true, "other": true}); !maps.Equal(got, want) {
		t.Errorf("without one %v, want %v", got, want)
	}
}
