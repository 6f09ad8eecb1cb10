package gateway

import (
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/route/proxyproto"
)

// session is a connection of a TCP route. It has a status like a request: 200
// once an instance took it, 404 without a route, 502 or 503 without an instance.
type session struct {
	g      *Gateway
	client *socket
	came   []byte // was read of the client already
	proto  string // TCP, or TLS that is not ours
	host   string // the name it asks for
	find   func(*view) *passage

	start    time.Time
	passage  *passage
	group    *group
	back     *backend
	instance *upstream
	watch    watch

	status         int
	problem        string
	attempts       int
	took           time.Duration // until an instance was there
	sent, received int64
}

var _ watched = (*session)(nil)

// pass serves a session. The caller has read-locked conns.active for it.
func (g *Gateway) pass(c *session) {
	defer g.conns.active.RUnlock()
	defer func() {
		if p := recover(); p != nil {
			g.log.Error("a connection ended by panic", "client", c.client.RemoteAddr().String(), "panic", p, "stack", string(debug.Stack()))
		}
		_ = c.client.Close()
	}()
	c.start = time.Now()
	c.client.upgraded() // while it drains it has the time of WebSockets
	c.serve()
	c.ended()
}

func (c *session) serve() {
	v := c.g.tables.view()
	if c.passage = c.find(v); c.passage == nil {
		c.refuse(http.StatusNotFound, "")
		return
	}
	if v.waiting {
		c.refuse(http.StatusServiceUnavailable, "the table is of another boot")
		return
	}
	if leave, ok := c.enter(); ok {
		defer leave()
	} else {
		c.refuse(http.StatusServiceUnavailable, "too many connections")
		return
	}
	if err := c.connect(); err != nil {
		status := http.StatusServiceUnavailable
		if c.attempts > 0 {
			status = http.StatusBadGateway
		}
		c.refuse(status, err.Error())
		return
	}
	defer c.back.streamed()
	defer c.instance.close()
	c.group.count.active.Add(1)
	defer c.group.count.active.Add(-1)
	c.status, c.took = http.StatusOK, time.Since(c.start)
	if err := c.announce(); err != nil {
		c.problem = "the connection broke: " + err.Error()
		return
	}
	c.carry()
}

// refuse has the client see that nobody is here, as if nobody listened.
func (c *session) refuse(status int, problem string) {
	c.status, c.problem = status, problem
	if hard, ok := c.client.tcp(); ok {
		_ = hard.SetLinger(0)
	}
}

// tcp is the connection itself, where it is one of TCP.
func (c *socket) tcp() (*net.TCPConn, bool) {
	below := c.Conn
	if q, ok := below.(*quick); ok {
		below = q.Conn
	}
	t, ok := below.(*net.TCPConn)
	return t, ok
}

// enter counts the connection in, at its route and at all of them together.
func (c *session) enter() (leave func(), ok bool) {
	of, all, cfg := c.passage.open, &c.g.sessions, &c.g.cfg
	leave = func() { of.Add(-1); all.Add(-1) }
	if here, everywhere := of.Add(1), all.Add(1); here > c.passage.most(cfg) || everywhere > int64(cfg.TCPConnections) {
		leave()
		return nil, false
	}
	return leave, true
}

// connect finds an instance that accepts, and counts the connection in there.
func (c *session) connect() error {
	cfg := &c.g.cfg
	last, skip := errNoInstance, tried(nil)
	for len(skip) < cfg.Attempts {
		g, b := c.passage.pick(cfg, skip)
		if b == nil {
			return last
		}
		if !b.acquire() { // it left the table just now
			p := c.find(c.g.tables.view())
			if p == nil {
				return errNoInstance
			}
			c.passage = p
			continue
		}
		c.group, c.back = g, b
		c.attempts++
		u, err := b.dial(c.passage.connect(cfg))
		if err == nil {
			b.worked(at(c.start), false)
			b.streams()
			c.instance = u
			return nil
		}
		b.failed(cfg, err)
		g.count.ejections.Add(1)
		b.release()
		skip, last = append(skip, b), err
	}
	return last
}

// announce tells the instance whose connection it is, where it wants to know.
func (c *session) announce() error {
	if c.passage.line.Proxy == proxyproto.None {
		return nil
	}
	return c.instance.write(proxyproto.Append(nil, c.passage.line.Proxy, c.client.ends()))
}

// carry moves bytes both ways until each end has ended its direction, one of
// them breaks, or both are silent for too long.
func (c *session) carry() {
	client := &end{nc: c.client, early: c.came}
	if s, ok := c.client.Conn.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			client.raw = raw
		}
	}
	c.watch.owner = c
	c.g.watcher.add(&c.watch)
	defer c.g.watcher.remove(&c.watch)
	up, down, err := c.g.tunnel(c.client, client, &end{nc: c.instance.nc, raw: c.instance.raw}, &flow{watch: &c.watch, silence: c.silence(), half: c.silence()})
	c.received, c.sent = up, down
	switch {
	case !c.watch.rest():
		c.problem = "both ends were silent"
	case err != nil && !cut(err) && !errors.Is(err, net.ErrClosed):
		c.problem = "the connection broke: " + err.Error()
	}
}

func (c *session) silence() time.Duration {
	if t := c.passage.line.Timeouts; t != nil && t.Idle > 0 {
		return t.Idle.Std()
	}
	return c.g.cfg.TCPIdle
}

// interrupt ends the waits of both directions.
func (c *session) interrupt(stage) {
	_ = c.client.SetDeadline(past)
	c.instance.interrupt()
}

func (c *session) left() (half, gone bool) { return false, false }

func (c *session) silent() bool { return false }

// ended counts and records the session.
func (c *session) ended() {
	took := time.Since(c.start)
	count := c.g.reports.stray
	switch {
	case c.group != nil:
		count = c.group.count
	case c.passage != nil:
		count = c.passage.own
	}
	count.ended(c.status, took, c.sent, c.received)
	if c.passage == nil || !c.g.reports.wanted() {
		return // a port that is nobody's is nobody's to log
	}
	a := route.Access{
		Time: c.start, RequestID: id.New(), Client: c.client.RemoteAddr().String(), Method: "CONNECT", Host: c.host,
		URI: c.client.ends().To.String(), Proto: c.proto, Status: c.status, Received: c.received, Sent: c.sent,
		Took: took, Header: c.took, Route: c.passage.line.ID, App: c.passage.line.App, Attempts: c.attempts, Upgrade: true, Problem: c.problem,
	}
	if c.group != nil {
		in := &c.back.instance
		a.App, a.Group, a.Instance, a.Index, a.Upstream = c.group.app, c.group.id, in.ID, in.Index, in.Address
	}
	c.g.reports.note(&a)
}

// note passes on a record that was made of memory of its own.
func (r *reports) note(a *route.Access) {
	if r.records.most > 0 {
		r.records.record(a)
	}
	if r.recorder != nil && r.recorder.Wants(a.Status) {
		a.ForwardedProto = strings.ToLower(a.Proto)
		a.ForwardedFor, _, _ = net.SplitHostPort(a.Client)
		r.recorder.Record(a)
	}
}
