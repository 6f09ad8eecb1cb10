package gateway

import (
	"encoding/binary"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/route/h1"
)

// unserved are the requests that began on a connection of HTTP/2 and have not come
// to us yet. Those that net/http answers or resets by itself are counted and
// recorded when it does.
type unserved struct {
	n     atomic.Int32 // of them: where there are none nobody locks
	blind atomic.Bool  // nobody can tell which ones come to us

	mu      sync.Mutex // guards streams
	streams []uint32
}

func (u *unserved) add(stream uint32) {
	if u.blind.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.streams = append(u.streams, stream)
	u.n.Store(int32(len(u.streams)))
}

// take reports whether a stream was among them, which it is no more then.
func (u *unserved) take(stream uint32) bool {
	if u.n.Load() == 0 {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	i := slices.Index(u.streams, stream)
	if i < 0 {
		return false
	}
	u.streams = slices.Delete(u.streams, i, i+1)
	u.n.Store(int32(len(u.streams)))
	return true
}

// rest takes all, and returns how many.
func (u *unserved) rest() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := len(u.streams)
	u.streams = nil
	u.n.Store(0)
	return n
}

// heard looks at a frame of the client's, which begins a request or takes it back.
func (c *calm) heard() {
	switch stream := c.in.stream(); {
	case c.in.kind() == headersFrame && stream > c.stream: // what is no later one are trailers, or a mistake
		c.stream = stream
		c.unserved.add(stream)
	case c.in.kind() == resetFrame && c.unserved.take(stream):
		c.refused(0, "the client left")
	}
}

// said looks at a frame of net/http's; block is what is there of its content.
func (c *calm) said(block []byte) {
	switch kind := c.out.kind(); {
	case kind == goAwayFrame:
		c.wrong.Store(len(block) >= 8 && binary.BigEndian.Uint32(block[4:]) != 0)
	case kind == resetFrame && c.unserved.take(c.out.stream()):
		c.refused(0, "refused: it is no request of HTTP/2")
	case kind == headersFrame && c.unserved.take(c.out.stream()):
		if bad(block) {
			c.refused(http.StatusBadRequest, "refused: a header field that HTTP/2 does not have")
		} else {
			c.refused(h1.TooLarge.Status, "refused: "+h1.TooLarge.Reason)
		}
	}
}

// bad tells the statuses apart that net/http answers with by itself, 400 and 431.
// A header block begins with the status, and 400 has a number of its own in it
// (RFC 7541, appendix A), behind changes of the table's size.
func bad(block []byte) bool {
	for len(block) > 0 && block[0]>>5 == 1 {
		more := block[0]&0x1f == 0x1f
		for block = block[1:]; more && len(block) > 0; block = block[1:] {
			more = block[0]&0x80 != 0
		}
	}
	return len(block) == 0 || block[0] == 0x80|12
}

// refused counts and records a request that does not come to us.
func (c *calm) refused(status int, why string) {
	x := c.g.exchange()
	defer c.g.exchanges.Put(x)
	x.client, x.watch, x.origin = nil, &watch{}, &c.origin
	x.bare, x.proto = true, "HTTP/2.0"
	x.reset(time.Now(), nil)
	x.status, x.problem = status, why
	x.ended()
}

// Close closes the connection; what had begun on it comes to nobody any more.
func (c *calm) Close() error {
	why := "the client left"
	if c.wrong.Load() {
		why = "refused: it is not HTTP/2"
	}
	for range c.unserved.rest() {
		c.refused(0, why)
	}
	return c.Conn.Close()
}

// comes takes note that a request has come to us. False: it was taken back, or
// reset, before it could.
func (c *calm) comes(w http.ResponseWriter) bool {
	stream, ok := streamOf(w)
	if !ok {
		c.unserved.blind.Store(true)
		c.unserved.rest()
		return true
	}
	return c.unserved.take(stream)
}

// streamOf is the number of a request's stream, which net/http keeps for itself. A
// net/http that calls it otherwise takes nothing away but the records of what it
// refuses; a test would tell.
func streamOf(w http.ResponseWriter) (stream uint32, ok bool) {
	v := reflect.ValueOf(w)
	for _, name := range [...]string{"rws", "stream", "id"} {
		if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
			return 0, false
		}
		v = v.Elem().FieldByName(name)
	}
	if v.Kind() != reflect.Uint32 {
		return 0, false
	}
	return uint32(v.Uint()), true
}
