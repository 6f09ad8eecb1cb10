package gateway

import "naru/internal/route/h1"

// maxBlank is how many empty lines may stand before a request.
const maxBlank = 16

// head finds the head at the front; 0 where it is not whole.
func (c *conn) head() (int, *h1.Refusal) {
	for c.blank < maxBlank && c.w-c.r >= 2 && c.in[c.r] == '\r' && c.in[c.r+1] == '\n' { // some clients end a body with one too many
		c.blank++
		c.r += 2
		c.seen = 0
	}
	b := c.in[c.r:c.w]
	if !c.began && len(b) > 0 && b[0] == 'P' && c.isPreface(b) {
		return 0, nil
	}
	size, refusal := h1.End(b, c.seen)
	c.seen = len(b)
	if refusal == nil && (size > c.g.cfg.HeaderBytes || size == 0 && len(b) > c.g.cfg.HeaderBytes) {
		refusal = h1.TooLarge
	}
	return size, refusal
}

const h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// isPreface sees HTTP/2 without TLS, by a client that knows it is spoken here,
// or what may become that.
func (c *conn) isPreface(b []byte) bool {
	if c.origin.secure {
		return false
	}
	if len(b) < len(h2Preface) {
		return string(b) == h2Preface[:len(b)]
	}
	if string(b[:len(h2Preface)]) != h2Preface {
		return false
	}
	c.next = preface
	return true
}

// partial bounds the wait for the rest of a head. The first one's began with the
// connection.
func (c *conn) partial() {
	if c.partly {
		return
	}
	c.partly = true
	c.awake()
	if c.began {
		c.since = c.g.watcher.now()
	}
	c.watch.begin(onClient, c.since, c.g.cfg.HeaderTimeout)
}

// space makes room to read into.
func (c *conn) space() {
	switch {
	case c.in == nil:
		c.lent = getSmall()
		c.in = c.lent[:]
	case c.w < len(c.in):
	case c.r > 0:
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	default:
		c.grow(2 * len(c.in))
	}
}

func (c *conn) grow(size int) {
	bigger := make([]byte, size)
	copy(bigger, c.in[:c.w])
	if c.lent != nil {
		smalls.Put(c.lent)
		c.lent = nil
	}
	c.in = bigger
}

// push puts back what was read too far.
func (c *conn) push(b []byte) {
	if len(b) == 0 {
		return
	}
	c.space()
	if c.w+len(b) > len(c.in) {
		c.grow(c.w + len(b))
	}
	c.w += copy(c.in[c.w:], b)
}

// release gives back what a connection needs only while it serves a request.
func (c *conn) release() {
	if c.r < c.w {
		return
	}
	if c.lent != nil {
		smalls.Put(c.lent)
	}
	c.lent, c.in, c.r, c.w, c.seen = nil, nil, 0, 0, 0
	if c.x != nil {
		c.g.exchanges.Put(c.x)
		c.x = nil
	}
}
