package gateway

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// calming is where connections of HTTP/2 are taken from. They are bounded in what
// net/http does not bound: frames that cost work and bring nothing.
type calming struct {
	*intake
	g       *Gateway
	flooded seldom
}

// Accept waits for a connection.
func (l *calming) Accept() (net.Conn, error) {
	nc, err := l.intake.Accept()
	if err != nil {
		return nil, err
	}
	return l.g.calmed(nc, func(c *calm) {
		l.flooded.warn(func() {
			l.g.log.Warn("a connection of HTTP/2 was closed: too many frames that carry nothing",
				"client", c.origin.addr, "limit", l.g.cfg.EmptyFrames)
		})
		l.g.reports.stray.ended(0, 0, 0, 0)
	}), nil
}

// calm is a client's connection of HTTP/2. One goroutine reads and one writes.
type calm struct {
	net.Conn
	bottom *socket
	origin origin
	most   int64
	now    func() int64
	told   func(*calm) // of a client that floods

	g        *Gateway
	unserved unserved
	wrong    atomic.Bool // the client was told that it made a mistake

	in, out frames
	left    atomic.Int64 // frames without content that may come
	filled  int64        // when left was last raised by the time that passed, as now tells it
	stream  uint32       // the last one that was begun

	mu     sync.Mutex // guards what follows
	busy   bool       // something is being written
	ending bool       // the client is to be told so
	over   bool       // it was told: nothing is written any more
}

func (g *Gateway) calmed(nc net.Conn, told func(*calm)) *calm {
	_, secure := nc.(*tls.Conn)
	c := &calm{
		Conn: nc, g: g, bottom: bottomOf(nc), origin: g.originOf(nc, secure), most: int64(g.cfg.EmptyFrames + begins*g.cfg.Streams),
		now: g.watcher.now, told: told, in: frames{skip: uint32(len(h2Preface))},
	}
	c.left.Store(c.most)
	c.filled = c.now()
	return c
}

// bottomOf is a connection of HTTP/2 at the very bottom.
func bottomOf(c net.Conn) *socket {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if p, ok := c.(*peeked); ok {
		c = p.Conn
	}
	if b, ok := c.(*begun); ok {
		c = b.Conn
	}
	s, _ := c.(*socket)
	return s
}

// calmKey is where a request of HTTP/2 finds its connection.
type calmKey struct{}

func onCalm(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, calmKey{}, c)
}

// fillTime is how long, in milliseconds, the time alone takes to forgive all
// that may come at once.
const fillTime = 10_000

// A head is taken for one that brings nothing until net/http makes a request of
// it, which then makes up for some of what clients say around requests.
const (
	begins = 3
	asks   = begins + 2
)

var errFlood = errors.New("too many frames that carry nothing")

// Read reads on as long as what comes is worth it.
func (c *calm) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for b := p[:n]; ; {
		rest, whole := c.in.next(b)
		if !whole {
			return n, err
		}
		b = rest
		c.heard()
		switch {
		case c.in.kind() == headersFrame:
			c.left.Add(-begins)
		case c.in.empty():
			c.left.Add(-1)
		}
		if c.left.Load() < 0 && !c.forgiven() {
			c.told(c)
			c.end()
			return 0, errFlood
		}
	}
}

// forgiven raises what may come by the time that has passed.
func (c *calm) forgiven() bool {
	now := c.now()
	more := min(c.most, (now-c.filled)*c.most/fillTime)
	if more <= 0 {
		return false
	}
	c.filled = now
	return c.left.Add(more) >= 0
}

// earn makes up for n frames.
func (c *calm) earn(n int64) {
	if n != 0 && c.left.Add(n) > c.most {
		c.left.Store(c.most)
	}
}

// Write writes, and takes into account what that brings the client to send: it
// may tell of each part of an answer that there is room for more.
func (c *calm) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.over { // until the requests there are have been told
		c.mu.Unlock()
		return len(p), nil
	}
	c.busy = true
	c.mu.Unlock()
	for b := p; ; {
		rest, whole := c.out.next(b)
		if !whole {
			break
		}
		b = rest
		c.said(b[:min(len(b), int(c.out.length()))])
		c.earn(c.out.worth())
	}
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy = false; c.ending {
		c.farewell()
	}
	return n, err
}

// end says why the connection ends, and listens for a moment, so that it can be
// read.
func (c *calm) end() {
	_ = c.SetDeadline(time.Now().Add(lingering))
	c.mu.Lock()
	if c.ending = true; !c.busy {
		c.farewell()
	}
	c.mu.Unlock()
	if c.bottom != nil {
		_, _ = io.CopyN(io.Discard, c.bottom.Conn, lingeringMost)
	}
}

// farewell ends our direction, where no frame has begun and not ended. The caller
// holds the lock.
func (c *calm) farewell() {
	if c.over || !c.out.between() || c.bottom == nil {
		return
	}
	c.over = true
	c.wrong.Store(true)
	goAway := []byte{0, 0, 8, goAwayFrame, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, enhanceYourCalm}
	binary.BigEndian.PutUint32(goAway[9:], c.stream)
	if _, err := c.Conn.Write(goAway); err == nil {
		_ = c.bottom.CloseWrite()
	}
}

// What frames are called in RFC 9113.
const (
	dataFrame       = 0x0
	headersFrame    = 0x1
	resetFrame      = 0x3
	goAwayFrame     = 0x7
	endStream       = 0x1
	padded          = 0x8
	enhanceYourCalm = 0xb
)

// frames follows the frames in a stream of bytes.
type frames struct {
	skip uint32   // bytes until the next one
	head [10]byte // of the present one: nine bytes, and the length of its padding where data has that
	have uint8    // of them
}

// next takes bytes up to the head of a frame, which it holds then, or all.
func (f *frames) next(b []byte) (rest []byte, whole bool) {
	for len(b) > 0 {
		if f.skip > 0 {
			n := min(f.skip, uint32(len(b)))
			f.skip -= n
			b = b[n:]
			continue
		}
		need := uint8(9)
		if f.have >= need {
			need++
		}
		n := copy(f.head[f.have:need], b)
		b = b[n:]
		if f.have += uint8(n); f.have < need {
			return nil, false
		}
		if f.skip = f.length(); f.skip > 0 && f.kind() == dataFrame && f.head[4]&padded != 0 {
			if need == 9 {
				f.skip = 0
				continue
			}
			f.skip--
		}
		f.have = 0
		return b, true
	}
	return nil, false
}

// between reports that no frame has begun and not ended.
func (f *frames) between() bool { return f.skip == 0 && f.have == 0 }

func (f *frames) length() uint32 {
	return uint32(f.head[0])<<16 | uint32(f.head[1])<<8 | uint32(f.head[2])
}

func (f *frames) kind() byte { return f.head[3] }

func (f *frames) stream() uint32 { return binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31) }

// empty reports whether a client's frame, which begins no head, carries nothing of
// a request.
func (f *frames) empty() bool {
	if f.kind() != dataFrame {
		return true
	}
	content := f.length()
	if content > 0 && f.head[4]&padded != 0 {
		content -= min(content, 1+uint32(f.head[9]))
	}
	return content == 0 && f.head[4]&endStream == 0
}

// worth is how many frames without content a frame of ours makes up for. Of data
// it is more the more there is: clients make room for each bit they have read.
func (f *frames) worth() int64 {
	switch f.kind() {
	case dataFrame:
		return 2 + int64(f.length()>>10)
	case resetFrame: // what came was no request, or is no longer wanted
		return -1
	}
	return 0
}
