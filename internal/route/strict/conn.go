package strict

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Limits of a connection; every field must be set.
type Limits struct {
	Head   int           // bytes of one request's header block
	Read   time.Duration // without a byte while a body is awaited
	Write  time.Duration // without progress while an answer is sent
	Linger time.Duration // for the client to read an answer that came before its body's end
}

type mode int

const (
	inHead    mode = iota // collecting a header block
	giveHead              // handing a checked block out
	inBody                // a body of known length
	inChunks              // a chunked body
	isRefused             // the last request was refused: nothing more is read
)

// Conn is a client's connection under net/http. A Read never returns bytes of
// two requests, and a request that Check refuses reaches the handler as a
// harmless one that Refused recognises, in its turn behind earlier answers.
type Conn struct {
	net.Conn
	limits Limits

	mode    mode
	buf     []byte // read from the client, not handed out
	give    int    // bytes of buf that are the checked header block
	framing Framing
	left    int64
	chunks  chunks
	refusal *Refusal
	nonce   string

	held    atomic.Bool // an upgrade was asked for: what follows is not HTTP until Resume
	raw     atomic.Bool // the protocol was switched
	aborted atomic.Bool
	closing atomic.Bool
}

// NewConn wraps a connection whose client speaks HTTP/1.
func NewConn(c net.Conn, limits Limits) *Conn { return &Conn{Conn: c, limits: limits} }

// mark is the header field under which a refused request is handed on. Its
// value is secret to the connection, so a client cannot set it.
const mark = "Naru-Refused"

type connKey struct{}

// With returns a context in which the connection is found again.
func With(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(*Conn); ok {
		return context.WithValue(ctx, connKey{}, s)
	}
	return ctx
}

// Of returns the connection a request came on; nil for HTTP/2.
func Of(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

// Refused returns why the request was refused, nil if it was not.
func Refused(r *http.Request) *Refusal {
	values := r.Header[mark]
	if len(values) == 0 {
		return nil
	}
	c := Of(r.Context())
	if c == nil || c.nonce == "" || values[0] != c.nonce {
		return nil
	}
	return c.refusal
}

// Switch ends HTTP on the connection: everything from here on, with what is
// already buffered, is handed out as it comes.
func (c *Conn) Switch() { c.raw.Store(true) }

// Resume says that an upgrade did not happen and requests go on.
func (c *Conn) Resume() { c.held.Store(false) }

// Abort makes every Read fail, also one that is waiting. It is for requests
// whose body is not wanted any more: what is left of it must never be taken for
// another request.
func (c *Conn) Abort() {
	c.aborted.Store(true)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
}

// Read hands out at most the rest of the present request.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		switch {
		case c.aborted.Load():
			return 0, errAborted
		case c.raw.Load():
			return c.readRaw(p)
		case c.held.Load():
			if err := c.fill(); err != nil {
				return 0, err
			}
			continue
		}
		switch c.mode {
		case isRefused:
			return 0, io.EOF
		case inHead:
			if !c.findHead() {
				if err := c.fill(); err != nil {
					return 0, err
				}
			}
		case giveHead:
			return c.giveHead(p), nil
		case inBody:
			return c.readBody(p)
		case inChunks:
			return c.readChunks(p)
		}
	}
}

var (
	errAborted = errors.New("the request was ended before its body")
	errEarly   = errors.New("too much was sent before the protocol was switched")
)

func (c *Conn) readRaw(p []byte) (int, error) {
	if len(c.buf) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.buf)
	c.buf = c.buf[n:]
	return n, nil
}

// fill reads more into the buffer.
func (c *Conn) fill() error {
	if len(c.buf) > c.limits.Head {
		return errEarly // a block is refused at the limit, so only a held connection gets here
	}
	if free := cap(c.buf) - len(c.buf); free == 0 {
		bigger := make([]byte, len(c.buf), max(4096, 2*cap(c.buf)))
		copy(bigger, c.buf)
		c.buf = bigger
	}
	n, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// findHead looks for a whole header block in the buffer and checks it. False
// means more is needed.
func (c *Conn) findHead() bool {
	for bytes.HasPrefix(c.buf, []byte("\r\n")) { // some clients end a body with one too many
		c.buf = c.buf[2:]
	}
	end := bytes.Index(c.buf, []byte("\n\r\n"))
	size := end + 3
	switch {
	case end >= 0 && size <= c.limits.Head:
		framing, refusal := Check(c.buf[:size])
		if refusal != nil {
			c.refuse(refusal)
			return true
		}
		c.framing, c.give, c.mode = framing, size, giveHead
		return true
	case len(c.buf) > c.limits.Head:
		c.refuse(&Refusal{http.StatusRequestHeaderFieldsTooLarge, "the request's header is too large"})
		return true
	case bareLF(c.buf):
		c.refuse(bad("a line does not end with CR LF"))
		return true
	}
	return false
}

// bareLF sees line feeds without a carriage return before the block is whole: a
// client that writes only those would never end it.
func bareLF(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return false
		}
		if i == 0 || b[i-1] != '\r' {
			return true
		}
		b = b[i+1:]
	}
}

// refuse puts a harmless request in the place of the one that was sent.
func (c *Conn) refuse(why *Refusal) {
	c.refusal, c.nonce = why, rand.Text()
	c.buf = []byte("GET / HTTP/1.1\r\nHost: refused.invalid\r\nConnection: close\r\n" + mark + ": " + c.nonce + "\r\n\r\n")
	c.give, c.mode = len(c.buf), giveHead
}

func (c *Conn) giveHead(p []byte) int {
	n := copy(p, c.buf[:c.give])
	c.take(n)
	if c.give -= n; c.give > 0 {
		return n
	}
	switch {
	case c.refusal != nil:
		c.mode = isRefused
	case c.framing.Chunked:
		c.mode, c.chunks = inChunks, chunks{}
	case c.framing.Length > 0:
		c.mode, c.left = inBody, c.framing.Length
	default:
		c.mode = inHead
		if c.framing.Upgrade {
			c.held.Store(true)
		}
	}
	return n
}

// take drops handed out bytes; an empty buffer starts over at its beginning.
func (c *Conn) take(n int) {
	if c.buf = c.buf[n:]; len(c.buf) == 0 {
		c.buf = nil
	}
}

func (c *Conn) readBody(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	var n int
	var err error
	if len(c.buf) > 0 {
		n = copy(p, c.buf)
		c.take(n)
	} else {
		n, err = c.timed(p)
	}
	if c.left -= int64(n); c.left == 0 {
		c.ended()
	}
	return n, err
}

func (c *Conn) readChunks(p []byte) (int, error) {
	if len(c.buf) == 0 {
		// Into the caller's memory; what turns out to be the next request moves over.
		n, err := c.timed(p)
		if n == 0 {
			return 0, err
		}
		mine, done, cerr := c.chunks.scan(p[:n])
		if cerr != nil {
			return 0, cerr
		}
		if done {
			c.buf = append(c.buf, p[mine:n]...)
			c.ended()
		}
		return mine, nil
	}
	b := c.buf[:min(len(c.buf), len(p))]
	n, done, err := c.chunks.scan(b)
	if err != nil {
		return 0, err
	}
	copy(p, b[:n])
	c.take(n)
	if done {
		c.ended()
	}
	return n, nil
}

// timed reads with the limit on silence inside a body.
func (c *Conn) timed(p []byte) (int, error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(c.limits.Read)); err != nil {
		return 0, err
	}
	if c.aborted.Load() { // Abort's deadline was just overwritten
		return 0, errAborted
	}
	return c.Conn.Read(p)
}

func (c *Conn) ended() {
	c.mode = inHead
	_ = c.Conn.SetReadDeadline(time.Time{})
}

// Write sends with the limit on a client that does not read.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.limits.Write)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Closing makes Close immediate from now on.
func (c *Conn) Closing() { c.closing.Store(true) }

// CloseWrite ends our direction only.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection. Where the client is still sending a request that
// was answered, it first reads on for a moment: a reset would take the answer
// away from the client before it had read it.
func (c *Conn) Close() error {
	if (c.aborted.Load() || c.refusal != nil) && !c.closing.Swap(true) && c.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(c.limits.Linger))
		_, _ = io.CopyN(io.Discard, c.Conn, 1<<20)
	}
	return c.Conn.Close()
}
