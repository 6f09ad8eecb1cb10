// Package turnstile bounds how many are inside at once. Who comes when it is full
// waits in a queue, the first first.
package turnstile

import (
	"sync"
	"sync/atomic"
)

// Turnstile leads to a number of places. Its methods may be called by many at
// once.
type Turnstile struct {
	places int64
	queue  int          // most that wait
	in     atomic.Int64 // places taken, plus queued while somebody waits

	mu    sync.Mutex // guards the queue, and is held while queued is set or taken back
	first *Waiter
	last  *Waiter
	waits int
}

// queued stands in the word of the places, so that one that leaves cannot miss
// one that begins to wait.
const queued = int64(1) << 62

// Waiter waits for a place.
type Waiter struct {
	turn       chan struct{} // closed when it has come
	in         bool          // it has; guarded by the turnstile's lock
	prev, next *Waiter
}

// Turn is closed when its place is free, and its own from then on.
func (w *Waiter) Turn() <-chan struct{} { return w.turn }

// New makes one that nobody has passed, with a queue for so many.
func New(places, queue int) *Turnstile { return &Turnstile{places: int64(places), queue: queue} }

// Enter takes a place if one is free and nobody waits.
func (t *Turnstile) Enter() bool {
	for {
		n := t.in.Load()
		if n >= t.places { // also while somebody waits
			return false
		}
		if t.in.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Queue begins to wait; nil where the queue is full. The turn may have come
// already. Who has had it must Leave, who waits no longer must Abandon it.
func (t *Turnstile) Queue() *Waiter {
	w := &Waiter{turn: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		n := t.in.Load()
		switch {
		case n < t.places: // somebody left meanwhile
			if t.in.CompareAndSwap(n, n+1) {
				w.in = true
				close(w.turn)
				return w
			}
			continue
		case t.waits >= t.queue:
			return nil
		case n < queued && !t.in.CompareAndSwap(n, n|queued):
			continue
		}
		break
	}
	if w.prev = t.last; t.last != nil {
		t.last.next = w
	} else {
		t.first = w
	}
	t.last = w
	t.waits++
	return w
}

// Leave gives a place to who waits longest, or back.
func (t *Turnstile) Leave() {
	for {
		n := t.in.Load()
		if n >= queued {
			break
		}
		if t.in.CompareAndSwap(n, n-1) {
			return
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.first
	if w == nil { // who waited has just given up
		t.in.Add(-1)
		return
	}
	t.remove(w)
	w.in = true
	close(w.turn)
}

// Abandon ends a wait. A turn that came at the same moment goes to the next.
func (t *Turnstile) Abandon(w *Waiter) {
	t.mu.Lock()
	if !w.in {
		t.remove(w)
	}
	t.mu.Unlock()
	if w.in {
		t.Leave()
	}
}

// remove takes one out of the queue. The caller holds the lock.
func (t *Turnstile) remove(w *Waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		t.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		t.last = w.prev
	}
	w.prev, w.next = nil, nil
	if t.waits--; t.waits == 0 {
		t.in.And(^queued)
	}
}

// Waiting is how many wait.
func (t *Turnstile) Waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waits
}
