package gateway

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// pool keeps a backend's unused connections, the one used last on top.
type pool struct {
	kept   atomic.Int32 // as many as idle holds, readable without the lock
	abrupt atomic.Bool  // the instance closes connections without a word

	mu     sync.Mutex // guards what follows
	idle   []*upstream
	closed bool // nothing is kept any more
}

// take returns a kept connection, nil where there is none that is fresh enough.
func (p *pool) take(now int64, limit time.Duration) *upstream {
	if p.kept.Load() == 0 {
		return nil
	}
	p.mu.Lock()
	n := len(p.idle) - 1
	if n < 0 || now-p.idle[n].since > limit.Milliseconds() {
		p.mu.Unlock()
		p.age(now, limit, 0)
		return nil
	}
	u := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	p.kept.Store(int32(n))
	p.mu.Unlock()
	return u
}

// Of many requests at once, all connections are kept at first: who asks as often
// does so again, and connecting costs more than the request.
const (
	surge   = 16   // times as many are kept
	surging = 1000 // for so many milliseconds
)

// put keeps a connection for the next exchange. In the long run there are at most
// so many.
func (p *pool) put(u *upstream, now int64, most int) {
	u.since, u.served = now, true
	p.mu.Lock()
	if p.closed || len(p.idle) >= most*surge {
		p.mu.Unlock()
		u.close()
		return
	}
	p.idle = append(p.idle, u)
	p.kept.Store(int32(len(p.idle)))
	p.mu.Unlock()
}

// age closes what was unused for too long, which is sooner for more than so many.
func (p *pool) age(now int64, limit time.Duration, most int) {
	if p.kept.Load() == 0 {
		return
	}
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
	p.kept.Store(int32(kept))
	p.mu.Unlock()
	for _, u := range doomed {
		u.close()
	}
}

// close closes what is kept, and from now on everything that comes back; open
// undoes the latter.
func (p *pool) close() {
	p.mu.Lock()
	doomed := p.idle
	p.idle, p.closed = nil, true
	p.kept.Store(0)
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
