package gateway

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
)

// bulkhead bounds how many requests of a route are in flight. Who comes when it
// is full waits in a queue, the first first.
type bulkhead struct {
	spec route.Bulkhead
	wait time.Duration
	in   atomic.Int64 // requests, plus queued while somebody waits

	mu    sync.Mutex // guards the queue, and is held while queued is set or taken back
	first *waiter
	last  *waiter
	waits int
}

// queued stands in the word of the requests, so that one that leaves cannot miss
// one that begins to wait.
const queued = int64(1) << 62

// waitOf is how long a request waits at most where a bulkhead does not say.
const waitOf = 10 * time.Second

// waiter is a request that waits for its turn.
type waiter struct {
	turn       chan struct{} // closed when it has come
	in         bool          // it has; guarded by the bulkhead's lock
	prev, next *waiter
}

func newBulkhead(spec route.Bulkhead) *bulkhead {
	b := &bulkhead{spec: spec, wait: spec.Wait.Std()}
	or(&b.wait, waitOf)
	return b
}

func (b *bulkhead) rule() any { return b.spec }

// pass takes a place, and waits for one where that is possible. It is given back
// when the exchange has ended.
func (b *bulkhead) pass(x *exchange) (*page, error) {
	if b.enter() {
		x.place = b
		return nil, nil
	}
	w := b.queue()
	if w == nil {
		return x.crowded("there is no room in the queue", b.spec.Queue > 0), nil
	}
	err := x.await(w.turn, b.wait)
	if err == nil {
		x.place = b
		return nil, nil
	}
	b.abandon(w)
	if errors.Is(err, errLate) {
		return x.crowded("its turn did not come in time", true), nil
	}
	return nil, err
}

// enter takes a place if one is free and nobody waits.
func (b *bulkhead) enter() bool {
	for {
		n := b.in.Load()
		if n >= int64(b.spec.Requests) { // also while somebody waits
			return false
		}
		if b.in.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// queue begins to wait; nil where the queue is full. The turn may have come
// already.
func (b *bulkhead) queue() *waiter {
	w := &waiter{turn: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		n := b.in.Load()
		switch {
		case n < int64(b.spec.Requests): // somebody left meanwhile
			if b.in.CompareAndSwap(n, n+1) {
				w.in = true
				close(w.turn)
				return w
			}
			continue
		case b.waits >= b.spec.Queue:
			return nil
		case n < queued && !b.in.CompareAndSwap(n, n|queued):
			continue
		}
		break
	}
	if w.prev = b.last; b.last != nil {
		b.last.next = w
	} else {
		b.first = w
	}
	b.last = w
	b.waits++
	return w
}

// leave gives a place to who waits longest, or back.
func (b *bulkhead) leave() {
	for {
		n := b.in.Load()
		if n >= queued {
			break
		}
		if b.in.CompareAndSwap(n, n-1) {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.first
	if w == nil { // who waited has just given up
		b.in.Add(-1)
		return
	}
	b.remove(w)
	w.in = true
	close(w.turn)
}

// abandon ends a wait. A turn that came at the same moment goes to the next.
func (b *bulkhead) abandon(w *waiter) {
	b.mu.Lock()
	if !w.in {
		b.remove(w)
	}
	b.mu.Unlock()
	if w.in {
		b.leave()
	}
}

// remove takes a request out of the queue. The caller holds the lock.
func (b *bulkhead) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		b.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		b.last = w.prev
	}
	w.prev, w.next = nil, nil
	if b.waits--; b.waits == 0 {
		b.in.And(^queued)
	}
}

// crowded answers a request that gets no place.
func (x *exchange) crowded(why string, waits bool) *page {
	x.problem = "the route is full: " + why
	if !waits {
		x.problem = "the route is full"
	}
	return &page{
		status: http.StatusServiceUnavailable, kind: fault.Unavailable, title: "Busy",
		message: x.app() + " has as many requests as it takes at once.", retry: seconds(x.g.cfg.RetryAfter),
	}
}
