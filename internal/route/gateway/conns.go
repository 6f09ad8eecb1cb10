package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"naru/internal/route"
)

// conns knows the clients' open connections and the requests on them.
type conns struct {
	active sync.RWMutex // read-held by every request of HTTP/2 and every connection of HTTP/1, so that one can wait for all

	slots  chan struct{} // one per open connection, up to the limit
	shares shares        // of each address in them

	mu       sync.Mutex // guards what follows
	open     map[*socket]struct{}
	upgraded int           // of those open
	accepted uint64        // ever
	waiting  chan struct{} // closed when a connection ends; nil while nobody waits
}

// socket is a client's connection at the very bottom, under TLS.
type socket struct {
	net.Conn
	conns   *conns
	other   bool         // it was switched to another protocol; guarded by conns.mu
	flowing atomic.Int32 // requests on it that are streams
	closing atomic.Bool  // it is to end without ceremony
	once    sync.Once
	tunnel  atomic.Pointer[tunnel] // it is an end of; nil: of none

	share netip.Prefix // counted in; zero: not counted

	from net.Addr       // the client, where a balancer told it; else nil
	to   netip.AddrPort // and what it connected to there
}

func newConns() *conns {
	return &conns{open: map[*socket]struct{}{}, shares: shares{has: map[netip.Prefix]int{}}}
}

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

// add takes in a connection that there was room for; nil where its address has
// as many as it may.
func (c *conns) add(conn net.Conn) *socket {
	of := c.shares.of(conn.RemoteAddr())
	if !c.shares.take(of) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := &socket{Conn: conn, conns: c, share: of}
	c.open[cl] = struct{}{}
	c.accepted++
	return cl
}

// Close closes the connection and forgets it. It blocks as long as somebody is at
// the connection, which for a tunnel would be for ever.
func (c *socket) Close() error {
	c.once.Do(func() {
		if t := c.tunnel.Load(); t != nil {
			t.interrupt(net.ErrClosed)
		}
		c.conns.remove(c)
		c.conns.shares.back(c.share)
		c.conns.refund()
	})
	return c.Conn.Close()
}

func (c *conns) remove(cl *socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, cl)
	if cl.other {
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
func (c *socket) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// upgraded notes that the connection was switched to another protocol.
func (c *socket) upgraded() {
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	c.other = true
	c.conns.upgraded++
	c.conns.tell()
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

// cut closes connections at once: all, or those without a stream.
func (c *conns) cut(plain bool) {
	c.mu.Lock()
	var doomed []*socket
	for cl := range c.open {
		if plain && (cl.other || cl.flowing.Load() > 0) {
			continue
		}
		cl.closing.Store(true)
		doomed = append(doomed, cl)
	}
	c.mu.Unlock()
	var closing sync.WaitGroup
	for _, cl := range doomed { // each may take until a request on it has noticed
		closing.Go(func() { _ = cl.Close() })
	}
	closing.Wait()
}

// load says how many there are.
func (c *conns) load() route.Load {
	c.mu.Lock()
	defer c.mu.Unlock()
	return route.Load{Connections: int64(len(c.open)), Upgraded: int64(c.upgraded), Accepted: c.accepted}
}

// finished blocks until no request is being handled.
func (c *conns) finished() {
	c.active.Lock()
	defer c.active.Unlock()
}
