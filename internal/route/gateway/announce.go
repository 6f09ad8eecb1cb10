package gateway

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"naru/internal/route/proxyproto"
)

// door takes a connection over: came is what was read of it already. The caller
// has read-locked conns.active for it.
type door func(s *socket, came []byte)

// announced leads a connection to its door. One of a balancer has to say first
// whose it is; nobody else is asked, and who says it nevertheless is refused
// like everybody who does not speak the protocol behind the door.
func (g *Gateway) announced(s *socket, enter door) {
	if !g.balances(s.Conn.RemoteAddr()) {
		enter(s, nil)
		return
	}
	came, err := g.announcement(s)
	if err != nil {
		g.unannounced.warn(func() {
			g.log.Warn("a balancer's connection was closed: it must begin with a PROXY header",
				"balancer", s.Conn.RemoteAddr().String(), "error", err)
		})
		g.reports.stray.ended(0, 0, 0, 0)
		_ = s.Close()
		g.conns.active.RUnlock()
		return
	}
	enter(s, came)
}

// announcement reads the header, in the time a request's head has, and returns
// what came behind it.
func (g *Gateway) announcement(s *socket) (came []byte, err error) {
	if err := s.SetReadDeadline(time.Now().Add(g.cfg.HeaderTimeout)); err != nil {
		return nil, err
	}
	buf := getSmall()
	defer smalls.Put(buf)
	for have := 0; ; {
		n, rerr := s.Read(buf[have:])
		have += n
		h, size, err := proxyproto.Parse(buf[:have])
		switch {
		case err != nil:
			return nil, err
		case size > 0:
			s.announce(h)
			return append(came, buf[size:have]...), s.SetReadDeadline(time.Time{})
		case rerr != nil:
			return nil, rerr
		}
	}
}

// announce makes the connection one of the client that was told.
func (c *socket) announce(h proxyproto.Header) {
	if h.From.IsValid() {
		c.from, c.to = net.TCPAddrFromAddrPort(h.From), h.To
	}
}

// RemoteAddr is the client's address: where a balancer told it, that one.
func (c *socket) RemoteAddr() net.Addr {
	if c.from != nil {
		return c.from
	}
	return c.Conn.RemoteAddr()
}

// ends are the client and what it connected to.
func (c *socket) ends() proxyproto.Header {
	if c.from != nil {
		return proxyproto.Header{From: addrPort(c.from), To: c.to}
	}
	return proxyproto.Header{From: addrPort(c.Conn.RemoteAddr()), To: addrPort(c.Conn.LocalAddr())}
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := t.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}

// balances reports whether a peer announces its connections.
func (g *Gateway) balances(peer net.Addr) bool {
	at := addrPort(peer).Addr()
	for _, p := range g.cfg.Balancers {
		if p.Contains(at) {
			return true
		}
	}
	return false
}

// seldom lets a warning through once in a while.
type seldom struct{ last atomic.Int64 }

const seldomEvery = 10 * time.Second

func (s *seldom) warn(say func()) {
	last, t := s.last.Load(), now()
	if (last == 0 || t-last > seldomEvery.Milliseconds()) && s.last.CompareAndSwap(last, t) {
		say()
	}
}
