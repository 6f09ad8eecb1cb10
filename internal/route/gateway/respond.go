package gateway

import (
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"naru/internal/route/h1"
)

var _ client = (*conn)(nil)

// write sends bytes. Where the socket takes not all of them at once it waits.
func (c *conn) write(b []byte) error {
	if c.direct {
		n, err := transmit(c.fd, b)
		if n == len(b) {
			return nil
		}
		if err != nil && err != errAgain {
			return err
		}
		b = b[n:]
	}
	_, err := c.nc.Write(b)
	return err
}

// respond sends the head of the answer with the first bytes of its body.
func (c *conn) respond(x *exchange, buf []byte, from, to int, _ bool) error {
	a := &x.answer
	if c.g.draining.Load() || !x.upload.done.Load() || x.bare && (a.Body.Kind == h1.Chunked || a.Body.Kind == h1.UntilClose) {
		c.closing = true
	}
	head := c.answerHead(x)
	if len(head) > from {
		if err := c.write(head); err != nil {
			return err
		}
		return c.more(x, buf[from:to], false)
	}
	from -= copy(buf[from-len(head):], head)
	return c.write(buf[from:to])
}

// more sends further bytes of the body.
func (c *conn) more(_ *exchange, b []byte, _ bool) error {
	if len(b) == 0 {
		return nil
	}
	return c.write(b)
}

// trailers have no place behind a body that ends with its connection.
func (c *conn) trailers(*exchange, *h1.Fields) {}

// answerHead makes the head of the answer: the instance's fields where they are,
// without those that concern its connection only.
func (c *conn) answerHead(x *exchange) []byte {
	a := &x.answer
	b := append(x.out[:0], "HTTP/1.1 "...)
	b = append(append(b, a.Line...), "\r\n"...)
	b = fields(b, a, a.Status == 204)
	if a.Count(h1.RequestID) == 0 {
		b = line(b, "X-Request-Id: ", x.id)
	}
	if a.Count(h1.Date) == 0 {
		b = append(time.Now().UTC().AppendFormat(append(b, "Date: "...), dateFormat), "\r\n"...)
	}
	chunked := a.Body.Kind == h1.Chunked || a.Body.Kind == h1.UntilClose
	if chunked && !x.bare {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if a.Count(h1.Trailer) > 0 {
			b = line(b, "Trailer: ", a.Get(h1.Trailer))
		}
	}
	b = c.connection(b, x)
	if e := x.edits(); e != nil {
		b = e.apply(b, x)
	}
	if x.entry.sticky != nil {
		b = x.stay(b)
	}
	x.out = append(b, '\r', '\n')
	return x.out
}

const dateFormat = "Mon, 02 Jan 2006 15:04:05 GMT"

// connection says what becomes of the client's connection.
func (c *conn) connection(b []byte, x *exchange) []byte {
	switch {
	case c.closing:
		return append(b, "Connection: close\r\n"...)
	case x.bare:
		return append(b, "Connection: keep-alive\r\n"...)
	}
	return b
}

// fields appends an answer's fields that are meant for the client.
func fields(b []byte, a *h1.Response, noLength bool) []byte {
	from := 0
	for i := range a.Fields {
		f := &a.Fields[i]
		if f.Kind.Hop() || noLength && f.Kind == h1.ContentLength || a.Named(f) {
			if from < i {
				b = append(b, a.Lines(from, i)...)
			}
			from = i + 1
		}
	}
	if from < len(a.Fields) {
		b = append(b, a.Lines(from, len(a.Fields))...)
	}
	return b
}

// interim passes an answer before the answer on.
func (c *conn) interim(x *exchange) error {
	if x.bare {
		return nil
	}
	b := append([]byte("HTTP/1.1 "), x.answer.Line...)
	b = x.edits().strip(fields(append(b, "\r\n"...), &x.answer, true))
	return c.write(append(b, "\r\n"...))
}

func (c *conn) proceed(*exchange) error { return c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n")) }

// page answers for the gateway itself.
func (c *conn) page(x *exchange, p *page) error {
	if c.g.draining.Load() || !x.upload.done.Load() {
		c.closing = true
	}
	kind, body := p.body(x)
	b := append(x.out[:0], "HTTP/1.1 "...)
	b = append(append(strconv.AppendInt(b, int64(p.status), 10), ' '), statusText(p.status)...)
	b = append(b, "\r\nContent-Type: "...)
	b = append(append(b, kind...), "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"...)
	if p.retry > 0 {
		b = append(strconv.AppendInt(append(b, "Retry-After: "...), int64(p.retry), 10), "\r\n"...)
	}
	for _, f := range p.fields {
		b = append(append(append(append(b, f.name...), ": "...), f.value...), "\r\n"...)
	}
	if says := x.hsts(); says != "" {
		b = append(append(append(b, hstsName+": "...), says...), "\r\n"...)
	}
	b = line(b, "X-Request-Id: ", x.id)
	b = append(time.Now().UTC().AppendFormat(append(b, "Date: "...), dateFormat), "\r\n"...)
	b = append(c.connection(b, x), "\r\n"...)
	if x.req == nil || string(x.req.Method) != "HEAD" {
		b = append(b, body...)
		x.sent = int64(len(body))
	}
	x.out = b
	return c.write(b)
}

// local is where the client reached us.
func (c *conn) local() net.Addr { return c.bottom.LocalAddr() }

// receive reads more of a request's body.
func (c *conn) receive(p []byte) (int, error) { return c.nc.Read(p) }

func (c *conn) tail() []byte { return nil }

// interrupt makes reads fail, and writes unless it is only bytes of the client
// that are waited for.
func (c *conn) interrupt(s stage) {
	switch s {
	case parked:
		c.g.lot.expire(c)
	case onIdle, onClient:
		_ = c.bottom.SetReadDeadline(past)
		c.hit.Store(s == onIdle)
	default:
		_ = c.bottom.SetDeadline(past)
		if t := c.bottom.tunnel.Load(); t != nil { // of which the client's direction may have ended
			t.interrupt(os.ErrDeadlineExceeded)
		}
	}
}

func (c *conn) silent() bool { return silent(c.bottom.Conn) }

func (c *conn) left() (half, gone bool) { return ended(c.bottom.Conn) }

// lingering is how long, and how many bytes, a client is listened to that may
// still be sending a request that was answered.
const (
	lingering     = time.Second
	lingeringMost = 1 << 20
)

// end closes the connection. Where the client may still be sending, it first
// reads on for a moment: a reset would take the answer away from the client
// before it had read it.
func (c *conn) end() {
	if c.linger && !c.bottom.closing.Load() && c.bottom.CloseWrite() == nil {
		_ = c.bottom.SetReadDeadline(time.Now().Add(lingering))
		_, _ = io.CopyN(io.Discard, c.bottom.Conn, lingeringMost)
	}
	_ = c.nc.Close()
	c.r = c.w
	c.release()
}
