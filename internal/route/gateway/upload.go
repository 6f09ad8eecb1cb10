package gateway

import (
	"errors"
	"io"
	"sync/atomic"

	"naru/internal/route/h1"
)

// errTooLarge ends a request whose body is over the limit.
var errTooLarge = errors.New("the request's body is over the limit")

// upload is a request's body on its way to an instance, as bytes the instance
// is sent.
type upload struct {
	framing h1.Framing
	wrap    bool  // what comes is not chunked and must become so
	limit   int64 // bytes of data; 0: none
	left    int64 // of a Sized body
	chunks  h1.Chunks

	first    []byte // came with the head
	bad      error  // what is wrong with that
	end      []byte // what ends it, to be sent after the last bytes
	rest     []byte // came behind it, where somebody read that far
	done     atomic.Bool
	talk     atomic.Bool // it is one side of a conversation
	received atomic.Int64
}

// none is the upload of a request without a body.
func (u *upload) none() {
	u.framing, u.limit, u.left, u.wrap = h1.Framing{}, 0, 0, false
	u.first, u.end, u.rest, u.bad = nil, nil, nil, nil
	u.received.Store(0)
	u.done.Store(true)
}

// start makes the upload ready for a request; first is what came with its head.
// It returns how much of that belongs to the body.
func (u *upload) start(r *h1.Request, bare bool, first []byte) (used int) {
	if r.Body.Kind == h1.None {
		return 0
	}
	u.framing, u.left = r.Body, r.Body.Length
	u.wrap = bare && r.Body.Kind == h1.Chunked
	u.done.Store(false)
	if u.chunks = (h1.Chunks{}); len(first) > 0 {
		u.first, used, u.bad = u.take(first)
	}
	return used
}

// bound sets the limit; what has come may be over it already.
func (u *upload) bound(limit int64) {
	if u.limit = limit; limit > 0 && (u.framing.Length > limit || u.received.Load() > limit) {
		u.bad = errTooLarge
		u.done.Store(false)
	}
}

// take makes of bytes as they came those to be sent, in the same memory.
func (u *upload) take(b []byte) (out []byte, used int, err error) {
	done := false
	if u.framing.Kind == h1.Sized {
		used = int(min(u.left, int64(len(b))))
		u.left -= int64(used)
		u.received.Add(int64(used))
		out, done = b[:used], u.left == 0
	} else {
		out, used, done, err = u.chunks.Next(b)
		u.received.Store(u.chunks.Data)
		if done && err == nil {
			u.end, err = lastChunk(&u.chunks)
		}
	}
	if err == nil && u.limit > 0 && u.received.Load() > u.limit {
		err = errTooLarge
	}
	if err != nil {
		return nil, used, err
	}
	u.done.Store(done)
	return out, used, nil
}

// pass is take for bytes at buf[from:to] that may have to be wrapped; there is
// room before and after them.
func (u *upload) pass(buf []byte, from, to int) (out []byte, used int, err error) {
	if !u.wrap {
		return u.take(buf[from:to])
	}
	n := to - from
	if u.limit > 0 && u.received.Add(int64(n)) > u.limit {
		return nil, n, errTooLarge
	}
	from, to = chunk(buf, from, to)
	return buf[from:to], n, nil
}

// finish ends a body that came without chunks, at its end.
func (u *upload) finish(trailers []byte) error {
	if !u.wrap {
		return io.ErrUnexpectedEOF
	}
	u.end = append(append([]byte("0\r\n"), trailers...), '\r', '\n')
	u.done.Store(true)
	return nil
}

var endOfChunks = []byte("0\r\n\r\n")

// lastChunk is what ends a chunked body that has been read to its end: with the
// trailers that may be passed on.
func lastChunk(c *h1.Chunks) ([]byte, error) {
	var f h1.Fields
	if why := c.Trailers(&f); why != nil {
		return nil, h1.ErrMalformed
	}
	if len(f.Fields) == 0 {
		return endOfChunks, nil
	}
	return append(append([]byte("0\r\n"), f.Passable()...), '\r', '\n'), nil
}

// chunk puts a chunk's size before buf[from:to] and its end after, where there
// is room, and returns the chunk's place.
func chunk(buf []byte, from, to int) (int, int) {
	if from == to {
		return from, to // a chunk of zero bytes would be the last
	}
	n := to - from
	to += copy(buf[to:], "\r\n")
	from -= copy(buf[from-2:], "\r\n")
	for n > 0 {
		from--
		buf[from] = hexDigits[n&15]
		n >>= 4
	}
	return from, to
}
