package gateway

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/app"
	"naru/internal/route"
	"naru/internal/route/window"
)

// breaker spares a group that fails. Its times are as now tells them.
type breaker struct {
	spec  route.Breaker // with its defaults
	asked route.Breaker // as it was written
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

func newBreaker(spec route.Breaker, tell func(route.BreakerState, string)) *breaker {
	b := &breaker{spec: spec, asked: spec, tell: tell}
	or(&b.spec.Requests, 20)
	or(&b.spec.Failed, 0.5)
	or(&b.spec.Window, app.Duration(10*time.Second))
	or(&b.spec.Open, app.Duration(15*time.Second))
	or(&b.spec.Probes, 3)
	return b
}

// term tells the present state from the same one at another time.
func (b *breaker) term() int64 { return b.word.Load() / kinds }

// admissible reports whether a request may go to the group, as far as that can be
// known without taking a try.
func (b *breaker) admissible(now int64) bool {
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

// admits lets a request go to the group; while it is half-open that is a try.
func (b *breaker) admits(now int64) bool {
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
func (b *breaker) stuck(now int64) bool {
	return b.tries >= b.spec.Probes && now-b.since > b.spec.Open.Std().Milliseconds()
}

// ended counts a request that was let in during a term.
func (b *breaker) ended(term int64, failed bool, now int64) {
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
		if b.term() == term {
			b.open(fmt.Sprintf("%d of %d requests failed in %s", bad, all, b.spec.Window), now)
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.term() != term || b.word.Load()%kinds != halfOpen:
	case failed:
		b.open("a try failed", now)
	default:
		if b.well++; b.well >= b.spec.Probes {
			b.seen.Clear()
			b.change(closed, fmt.Sprintf("%d tries were well", b.well))
		}
	}
}

// void takes a try back that told nothing.
func (b *breaker) void(term int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.term() == term && b.word.Load()%kinds == halfOpen && b.tries > 0 {
		b.tries--
	}
}

// open opens it. The caller holds the lock, as for change.
func (b *breaker) open(why string, now int64) {
	b.until.Store(now + b.spec.Open.Std().Milliseconds())
	b.change(open, why)
}

func (b *breaker) change(to int64, why string) {
	b.tries, b.well = 0, 0
	b.word.Store((b.term()+1)*kinds + to)
	b.tell(stateNames[to], why)
}
