package breaker

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// told is a breaker and what it said.
func told(spec route.Breaker) (*Breaker, *[]route.BreakerState) {
	var said []route.BreakerState
	return New(spec, func(s route.BreakerState, _ string) { said = append(said, s) }), &said
}

// ask lets a request in and ends it.
func (b *Breaker) ask(failed bool, now int64) bool {
	if !b.Admissible(now) || !b.Admits(now) {
		return false
	}
	b.Ended(b.Term(), failed, now)
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
	old := b.Term()
	for range 3 {
		if !b.Admits(at) {
			t.Fatal("a try is refused")
		}
	}
	if b.Admissible(at) || b.Admits(at) {
		t.Error("a fourth request is let in")
	}
	b.Ended(old, true, at) // of the time before
	b.Void(b.Term())
	if !b.Admits(at) {
		t.Error("a try that told nothing is not replaced")
	}
	// All tries hang: others are made after a while.
	if at += 15_001; !b.Admits(at) {
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
				if !b.Admissible(now) || !b.Admits(now) {
					continue
				}
				if term := b.Term(); now%7 == 0 {
					b.Void(term)
				} else {
					b.Ended(term, now%5 < int64(i%3), now)
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
