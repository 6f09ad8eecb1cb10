package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"

	"naru/internal/route/strict"
)

// conns knows the clients' open connections and the requests on them.
type conns struct {
	active sync.RWMutex // read-held by every request: two atomic additions, and one can wait for all

	slots chan struct{} // one per open connection, up to the limit

	mu       sync.Mutex // guards what follows
	open     map[*client]struct{}
	upgraded int           // of those open
	waiting  chan struct{} // closed when a connection ends; nil while nobody waits
}

// client is a client's connection at the very bottom, under TLS and strict.
type client struct {
	net.Conn
	conns    *conns
	strict   *strict.Conn // nil for HTTP/2 and during a handshake; guarded by conns.mu
	upgraded bool         // guarded by conns.mu
	once     sync.Once
}

func newConns() *conns { return &conns{open: map[*client]struct{}{}} }

// allow sets how many connections may be open at once. Each listener that waits
// for one takes up a place.
func (c *conns) allow(most int) { c.slots = make(chan struct{}, most) }

// room waits until one more connection may be accepted; false when ctx ends
// first. Every true is given back by a connection's Close, or by refund.
func (c *conns) room(ctx context.Context) bool {
	select {
	case c.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *conns) refund() { <-c.slots }

// add takes in a connection that there was room for.
func (c *conns) add(conn net.Conn) *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := &client{Conn: conn, conns: c}
	c.open[cl] = struct{}{}
	return cl
}

// Close closes the connection and forgets it.
func (c *client) Close() error {
	c.once.Do(func() {
		c.conns.remove(c)
		c.conns.refund()
	})
	return c.Conn.Close()
}

func (c *conns) remove(cl *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, cl)
	if cl.upgraded {
		c.upgraded--
	}
	c.tell()
}

// tell wakes whoever waits. The caller holds the lock.
func (c *conns) tell() {
	if c.waiting != nil {
		close(c.waiting)
		c.waiting = nil
	}
}

// CloseWrite ends our direction only.
func (c *client) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// state is told by net/http what becomes of a connection.
func (c *conns) state(conn net.Conn, state http.ConnState) {
	s, ok := conn.(*strict.Conn)
	if !ok || state != http.StateHijacked {
		return
	}
	bottom := s.Conn
	if t, ok := bottom.(*tls.Conn); ok {
		bottom = t.NetConn()
	}
	if cl, ok := bottom.(*client); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		cl.upgraded = true
		c.upgraded++
		c.tell()
	}
}

// wait blocks until no connection is left, or, with plain, none that was not
// upgraded.
func (c *conns) wait(ctx context.Context, plain bool) {
	for {
		c.mu.Lock()
		left := len(c.open)
		if plain {
			left -= c.upgraded
		}
		if left > 0 && c.waiting == nil {
			c.waiting = make(chan struct{})
		}
		changed := c.waiting
		c.mu.Unlock()
		if left <= 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// cut closes connections at once: all, or those that were not upgraded.
func (c *conns) cut(plain bool) {
	c.mu.Lock()
	var doomed []*client
	for cl := range c.open {
		if plain && cl.upgraded {
			continue
		}
		if cl.strict != nil {
			cl.strict.Closing()
		}
		doomed = append(doomed, cl)
	}
	c.mu.Unlock()
	for _, cl := range doomed {
		_ = cl.Close()
	}
}

// finished blocks until no request is being handled.
func (c *conns) finished() {
	c.active.Lock()
	defer c.active.Unlock()
}
