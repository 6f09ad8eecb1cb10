// Package breaker spares what fails: it counts while it is closed, lets nobody in
// while it is open, and a few to try while it is half-open.
package breaker

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/app"
	"naru/internal/route"
	"naru/internal/route/window"
)

// Breaker of a group. Its times are milliseconds of a clock that is never set;
// its methods may be called by many at once.
type Breaker struct {
	asked route.Breaker // as it was written
	spec  route.Breaker // with its defaults
	tell  func(state route.BreakerState, reason string)
	word  atomic.Int64 // changes of the state so far, times its kinds plus the state
	until atomic.Int64 // when an open one is tried again
	seen  window.Window

	mu    sync.Mutex // guards what follows, and is held while the state changes
	tries int        // begun while half-open
	well  int        // of them
	since int64      // when the first began
}

// States of a breaker.
const (
	closed = iota
	open
	halfOpen
	kinds
)

var stateNames = [kinds]route.BreakerState{route.BreakerClosed, route.BreakerOpen, route.BreakerHalfOpen}

// New makes a closed one. What it is asked for is completed with the defaults
// that route.Breaker names; tell hears of each change, and must not call it.
func New(asked route.Breaker, tell func(state route.BreakerState, reason string)) *Breaker {
	return &Breaker{asked: asked, tell: tell, spec: route.Breaker{
		Requests: cmp.Or(asked.Requests, 20),
		Failed:   cmp.Or(asked.Failed, 0.5),
		Window:   cmp.Or(asked.Window, app.Duration(10*time.Second)),
		Open:     cmp.Or(asked.Open, app.Duration(15*time.Second)),
		Probes:   cmp.Or(asked.Probes, 3),
	}}
}

// Asked is what it was made for.
func (b *Breaker) Asked() route.Breaker { return b.asked }

// Term tells the present state from the same one at another time; Ended and Void
// want to know in which a request was let in.
func (b *Breaker) Term() int64 { return b.word.Load() / kinds }

// Admissible reports whether a request may be let in, as far as that can be known
// without taking a try.
func (b *Breaker) Admissible(now int64) bool {
	switch b.word.Load() % kinds {
	case open:
		return now >= b.until.Load()
	case halfOpen:
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.tries < b.spec.Probes || b.stuck(now)
	}
	return true
}

// Admits lets a request in; while it is half-open that is a try, and Ended or Void
// must follow.
func (b *Breaker) Admits(now int64) bool {
	if b.word.Load()%kinds == closed {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.word.Load() % kinds {
	case open:
		if now < b.until.Load() {
			return false
		}
		b.change(halfOpen, "")
	case halfOpen:
		if b.stuck(now) {
			b.tries, b.well = 0, 0
		}
		if b.tries >= b.spec.Probes {
			return false
		}
	}
	if b.tries++; b.tries == 1 {
		b.since = now
	}
	return true
}

// stuck reports whether tries take so long that others are to be made. The caller
// holds the lock.
func (b *Breaker) stuck(now int64) bool {
	return b.tries >= b.spec.Probes && now-b.since > b.spec.Open.Std().Milliseconds()
}

// Ended counts a request that was let in during a term.
func (b *Breaker) Ended(term int64, failed bool, now int64) {
	word := b.word.Load()
	if word/kinds != term {
		return
	}
	if word%kinds == closed {
		length := b.spec.Window.Std().Milliseconds()
		b.seen.Count(failed, now, length)
		if !failed {
			return
		}
		all, bad := b.seen.Sum(now, length)
		if all < int64(b.spec.Requests) || float64(bad) < b.spec.Failed*float64(all) {
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.Term() == term {
			b.open(fmt.Sprintf("%d of %d requests failed in %s", bad, all, b.spec.Window), now)
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.Term() != term || b.word.Load()%kinds != halfOpen:
	case failed:
		b.open("a try failed", now)
	default:
		if b.well++; b.well >= b.spec.Probes {
			b.seen.Clear()
			b.change(closed, fmt.Sprintf("%d tries were well", b.well))
		}
	}
}

// Void takes a try back that told nothing.
func (b *Breaker) Void(term int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Term() == term && b.word.Load()%kinds == halfOpen && b.tries > 0 {
		b.tries--
	}
}

// Wait is how many milliseconds it takes until an open one is tried, at most 0
// when its time has come; only one that is not Admissible is asked.
func (b *Breaker) Wait(now int64) int64 { return b.until.Load() - now }

// Retire closes it, for one that is not used any more: nobody else would.
func (b *Breaker) Retire(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.word.Load()%kinds != closed {
		b.change(closed, why)
	}
}

// open opens it. The caller holds the lock, as for change.
func (b *Breaker) open(why string, now int64) {
	b.until.Store(now + b.spec.Open.Std().Milliseconds())
	b.change(open, why)
}

func (b *Breaker) change(to int64, why string) {
	b.tries, b.well = 0, 0
	b.word.Store((b.Term()+1)*kinds + to)
	b.tell(stateNames[to], why)
}
