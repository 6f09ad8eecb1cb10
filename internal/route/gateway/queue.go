package gateway

import (
	"math"
	"time"
)

// Of many requests that come at once and find no connection kept, only some make one.
// The others wait for their turn to, or for one that is given back, whichever comes
// first: an instance that answers at once needs few connections, and making one costs
// more than the request. One that takes its time gets as many as there are requests,
// a few at once.
const (
	madeAtOnce = 8    // connections of a pool
	queueLook  = tick // how often a queue is looked at
	queuePace  = 500  // of a queue that moves slower than this in that time, all make their own
)

// queue is who waits for a connection of a pool, whose lock guards it.
type queue struct {
	making      int // connections that are being made
	moved       int // have left it since the last look
	first, last *waiter
	timer       *time.Timer // for the next look; made with the first waiter
	timed       bool        // it runs
}

// waiter is a request in a queue. It is used again and again.
type waiter struct {
	given  chan *upstream // nil: it is to make one itself
	behind *waiter
}

func (q *queue) add(w *waiter) {
	if q.first == nil {
		q.first = w
	} else {
		q.last.behind = w
	}
	q.last = w
}

// next takes out who is first; nil: there is nobody.
func (q *queue) next() *waiter {
	w := q.first
	if w != nil {
		q.first, w.behind = w.behind, nil
		q.moved++
	}
	return w
}

// maker takes out who is to make a connection now; nil: nobody.
func (q *queue) maker(atOnce int) *waiter {
	if q.making >= atOnce {
		return nil
	}
	w := q.next()
	if w != nil {
		q.making++
	}
	return w
}

// get returns a connection that was kept or is given back. Nil: the caller makes one,
// and says so with made once it has, or could not.
func (p *pool) get(now int64, limit time.Duration, w *waiter) *upstream {
	p.mu.Lock()
	u, q := p.pop(now, limit), &p.queue
	if u != nil || q.making < madeAtOnce {
		if u == nil {
			q.making++
		}
		p.mu.Unlock()
		return u
	}
	if w.given == nil {
		w.given = make(chan *upstream, 1)
	}
	q.add(w)
	if q.timer == nil {
		q.timer = time.AfterFunc(queueLook, p.lookAfter)
	} else if !q.timed {
		q.timer.Reset(queueLook)
	}
	q.timed = true
	p.mu.Unlock()
	return <-w.given
}

// made lets the next one make a connection.
func (p *pool) made() {
	p.mu.Lock()
	p.queue.making--
	w := p.queue.maker(madeAtOnce)
	p.mu.Unlock()
	if w != nil {
		w.given <- nil
	}
}

// lookAfter lets all make their connections where the queue does not move: those
// before them wait for an instance that does not answer.
func (p *pool) lookAfter() {
	p.mu.Lock()
	q, atOnce := &p.queue, 0
	if q.moved < queuePace {
		atOnce = math.MaxInt
	}
	for w := q.maker(atOnce); w != nil; w = q.maker(atOnce) {
		w.given <- nil // has room
	}
	q.moved = 0
	if q.timed = q.first != nil; q.timed {
		q.timer.Reset(queueLook)
	}
	p.mu.Unlock()
}
