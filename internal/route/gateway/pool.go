package gateway

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pool keeps a backend's unused connections, the one used last on top.
type pool struct {
	among  *stocked    // told when it holds any; nil: nobody is
	abrupt atomic.Bool // the instance closes connections without a word

	mu     sync.Mutex // guards what follows
	idle   []*upstream
	closed bool // nothing is kept any more
	listed bool // among the stocked
	queue  queue
}

// pop returns a kept connection, nil where there is none that is fresh enough. The
// caller holds the lock.
func (p *pool) pop(now int64, limit time.Duration) *upstream {
	n := len(p.idle) - 1
	if n < 0 || now-p.idle[n].since > limit.Milliseconds() {
		return nil
	}
	u := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	return u
}

// Of many requests at once, all connections are kept at first: who asks as often
// does so again, and connecting costs more than the request.
const (
	surge   = 16   // times as many are kept
	surging = 1000 // for so many milliseconds
)

// put keeps a connection for the next exchange, which may be waiting for it. In the
// long run there are at most so many.
func (p *pool) put(u *upstream, now int64, most int) {
	u.since, u.served = now, true
	p.mu.Lock()
	if w := p.queue.next(); w != nil {
		p.mu.Unlock()
		w.given <- u
		return
	}
	if p.closed || len(p.idle) >= most*surge {
		p.mu.Unlock()
		u.close()
		return
	}
	p.idle = append(p.idle, u)
	first := !p.listed
	p.listed = true
	p.mu.Unlock()
	if first {
		p.among.add(p)
	}
}

// closedAtOnce is how many connections are closed before requests have their turn.
const closedAtOnce = 16

// age closes what was unused for too long, which is sooner for more than so many. It
// reports whether the pool is still among the stocked.
func (p *pool) age(now int64, limit time.Duration, most int) bool {
	p.mu.Lock()
	old := 0
	for ; old < len(p.idle); old++ {
		unused := now - p.idle[old].since
		if unused <= limit.Milliseconds() && (len(p.idle)-old <= most || unused <= surging) {
			break
		}
	}
	doomed := append([]*upstream(nil), p.idle[:old]...)
	kept := copy(p.idle, p.idle[old:])
	clear(p.idle[kept:])
	p.idle = p.idle[:kept]
	p.listed = kept > 0
	stays := p.listed
	p.mu.Unlock()
	for i, u := range doomed {
		if i%closedAtOnce == closedAtOnce-1 {
			runtime.Gosched()
		}
		u.close()
	}
	return stays
}

// close closes what is kept, and from now on everything that comes back; open
// undoes the latter.
func (p *pool) close() {
	p.mu.Lock()
	doomed := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, u := range doomed {
		u.close()
	}
}

func (p *pool) open() {
	p.mu.Lock()
	p.closed = false
	p.mu.Unlock()
}

// connectError is a connection that was not made: nothing was sent.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// dial makes a connection to the backend's instance.
func (b *backend) dial(limit time.Duration) (*upstream, error) {
	c, err := b.connect(limit)
	if err != nil {
		return nil, &connectError{attempt(b.instance.Address, err)}
	}
	u, err := newUpstream(c, b)
	if err != nil {
		_ = c.Close()
		return nil, &connectError{attempt(b.instance.Address, err)}
	}
	return u, nil
}

func (b *backend) connect(limit time.Duration) (duplex, error) {
	if b.http2 {
		return b.tables.translator.dial(limit, b.instance.Address)
	}
	// The instance is near: a connection that went dead is seen by its next use.
	dialer := net.Dialer{Timeout: limit, KeepAlive: -1}
	c, err := dialer.DialContext(context.Background(), "tcp", b.instance.Address)
	if err != nil {
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		_ = c.Close()
		return nil, net.UnknownNetworkError(c.LocalAddr().Network())
	}
	return tcp, nil
}
