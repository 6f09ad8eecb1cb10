package gateway

import (
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"naru/internal/route"
	"naru/internal/route/h1"
)

// conn serves one client that speaks HTTP/1. While it waits for a request it
// holds no buffer.
type conn struct {
	g      *Gateway
	bottom *socket               // the client's connection, known to the drain
	nc     net.Conn              // the same, or TLS on top of it
	sock   syscall.RawConn       // of bottom
	turn   func(fd uintptr) bool // takes what came; made once; nil where nc is not read directly
	h2     *intake               // takes clients of HTTP/2
	watch  watch
	hit    atomic.Bool // interrupt has happened
	place  int32       // in the lot
	origin origin
	since  int64         // when it became idle, as now tells it
	limit  time.Duration // of that

	lent    *small // lent for in
	in      []byte // in[r:w] came and was not used
	r, w    int
	seen    int // of in[r:w]: known to hold no end of a head
	x       *exchange
	direct  bool    // fd may be used
	fd      uintptr // inside a turn
	next    then
	began   bool // a request has come
	partly  bool // part of a head has come
	blank   byte // empty lines that came before it
	closing bool // the connection ends with the answer that is being sent
	linger  bool // the client may still be sending something nobody wants
}

// then is why the connection is not just waiting for its next request.
type then int

const (
	finish  then = iota // it ends
	body                // the request at the front needs more of its client than has come
	preface             // the client speaks HTTP/2
)

func (g *Gateway) newConn(bottom *socket, nc net.Conn, secure bool, h2 *intake) *conn {
	c := &conn{g: g, bottom: bottom, nc: nc, origin: g.originOf(nc, secure), h2: h2}
	c.watch.owner = c
	if s, ok := bottom.Conn.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.sock = raw
		}
	}
	if c.sock != nil && direct && !secure {
		c.turn = c.step
	}
	c.idle(g.cfg.HeaderTimeout)
	g.watcher.add(&c.watch)
	return c
}

// serve answers requests until the connection ends, or is parked.
func (c *conn) serve() {
	for {
		c.next = finish
		var err error
		if c.turn == nil {
			err = c.wait()
		} else {
			c.direct = true
			err = c.sock.Read(c.turn)
			c.direct = false
		}
		if interrupted(err) && c.awake() { // by the watcher, to have it parked
			c.release()
			if c.r == c.w && c.park() {
				return
			}
			if !c.watch.over() {
				continue
			}
		}
		if c.next == body && c.request() {
			continue
		}
		break
	}
	c.g.watcher.remove(&c.watch)
	if c.next == preface {
		c.watch.rest()
		came := append([]byte(nil), c.in[c.r:c.w]...)
		c.r = c.w
		c.release()
		c.h2.give(&begun{Conn: c.bottom, came: came})
		return
	}
	c.end()
}

// idle begins the wait for a request.
func (c *conn) idle(limit time.Duration) {
	c.since, c.limit = c.g.watcher.now(), limit
	c.watch.begin(onIdle, c.since, limit)
}

// awake ends the wait for a request. It reports whether the watcher had meant
// to have the connection parked.
func (c *conn) awake() bool {
	if c.watch.rest() || c.watch.why != byParking {
		return false
	}
	for !c.hit.Load() { // the watcher is just about to interrupt
		runtime.Gosched()
	}
	c.hit.Store(false)
	_ = c.bottom.SetReadDeadline(time.Time{})
	c.watch.why = working
	return true
}

// park leaves the connection to the lot, if there is place.
func (c *conn) park() bool {
	if c.sock == nil {
		return false
	}
	c.watch.begin(parked, c.since, c.limit)
	if !c.g.lot.park(c) {
		c.watch.begin(onClient, c.since, c.limit)
		return false
	}
	// From here on it is another goroutine's, unless its time was over meanwhile.
	return !c.watch.over() || !c.g.lot.fetch(c)
}

// step is called when something has come, and once before that. As long as it
// returns false, the next call comes when more has.
func (c *conn) step(fd uintptr) bool {
	c.fd = fd
	for {
		if c.answer() {
			return true
		}
		c.space()
		free := len(c.in) - c.w
		n, err := receive(fd, c.in[c.w:])
		if err == errAgain {
			c.release()
			return false
		}
		if err != nil {
			return true
		}
		c.w += n
		if n == free {
			continue
		}
		// The socket was emptied; what comes from now on is told by another call.
		if c.answer() {
			return true
		}
		c.release()
		return false
	}
}

// wait is step for connections that are not read directly.
func (c *conn) wait() error {
	for !c.answer() {
		c.release()
		var one [1]byte
		p := one[:]
		if c.in != nil { // part of a head has come
			c.space()
			p = c.in[c.w:]
		}
		n, err := c.nc.Read(p)
		if n == 0 && err != nil {
			return err
		}
		if c.in == nil {
			c.space()
			c.in[0] = one[0]
		}
		c.w += n
	}
	return nil
}

// answer serves what is there and can be served out of hand. True means that
// something else is to be done; next says what.
func (c *conn) answer() bool {
	for c.r < c.w {
		if c.x == nil {
			c.x = c.g.exchange()
		}
		size, refusal := c.head()
		if refusal == nil && size == 0 {
			if c.next == preface {
				return true
			}
			c.partial()
			return false
		}
		if refusal == nil {
			refusal = c.x.request.Parse(c.in[c.r : c.r+size])
		}
		c.begin(size, refusal)
		if refusal != nil {
			c.x.refuse(refusal)
			return true
		}
		if !c.x.upload.done.Load() || c.x.request.Switch {
			c.next = body
			return true
		}
		if !c.request() {
			return true
		}
	}
	return false
}

// begin makes an exchange of the request at the front.
func (c *conn) begin(size int, refusal *h1.Refusal) {
	c.awake()
	x := c.x
	x.client, x.watch, x.origin = c, &c.watch, &c.origin
	x.req, x.bare, x.proto = nil, false, "HTTP/1.1"
	c.began, c.partly, c.blank, c.seen, c.closing = true, false, 0, 0, true
	if refusal != nil {
		x.reset(time.Now(), nil)
		c.linger = true
		return
	}
	if x.request.Minor == 0 {
		x.bare, x.proto = true, "HTTP/1.0"
	}
	x.reset(time.Now(), &x.request)
	c.closing = x.request.Close()
	c.r += size
	c.r += x.upload.start(&x.request, false, c.in[c.r:c.w])
}

// request serves the exchange that was begun and reports whether the connection
// goes on.
func (c *conn) request() bool {
	x := c.x
	whole := x.serve()
	if c.watch.rest(); !x.upload.done.Load() {
		c.linger, c.closing = true, true
	}
	if !whole || c.closing || c.watch.why != working {
		c.next = finish
		return false
	}
	c.push(x.upload.rest)
	c.idle(c.g.cfg.IdleTimeout)
	return true
}

// stringOf is a string that lives as long as the bytes and changes with them.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// locate reads the host and the path that routes are found by.
func (x *exchange) locate() {
	path := x.req.Decoded(x.low)
	if len(path) < len(x.req.Path) { // it was decoded into the scratch
		x.low = path
	}
	x.path = stringOf(path)
	x.host = route.CutPort(stringOf(x.req.Host()))
}
