package gateway

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"naru/internal/route/strict"
)

// errTooLarge ends a request whose body is over the limit.
var errTooLarge = errors.New("the request's body is over the limit")

// body is a request's body on its way to an instance. The transport may close
// it and still be reading; both are harmless.
type body struct {
	src   io.ReadCloser
	conn  *strict.Conn // nil for HTTP/2
	limit int64        // 0: none
	touch func()       // called when something was read

	read atomic.Int64
	done atomic.Bool           // its end was read
	err  atomic.Pointer[error] // why reading failed: the client's doing
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	total := b.read.Add(int64(n))
	b.touch()
	if b.limit > 0 && total > b.limit {
		n, err = 0, errTooLarge
	}
	switch {
	case err == io.EOF:
		b.done.Store(true)
	case err != nil:
		b.err.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close does nothing: a transport that failed to connect closes the body, and
// the next attempt still needs it.
func (b *body) Close() error { return nil }

// failed returns why reading from the client failed, nil if it did not.
func (b *body) failed() error {
	if err := b.err.Load(); err != nil {
		return *err
	}
	return nil
}

// finish is called when the answer is through. What is left of the body is not
// wanted: the connection ends, and a Read that waits returns.
func (b *body) finish() {
	if b.done.Load() {
		return
	}
	if b.conn != nil {
		b.conn.Abort()
		return
	}
	_ = b.src.Close()
}

// patience ends an exchange whose answer does not begin in time.
type patience struct {
	timer *time.Timer
	limit time.Duration
	over  atomic.Bool
}

func newPatience(limit time.Duration, end func()) *patience {
	p := &patience{limit: limit}
	p.timer = time.AfterFunc(limit, func() {
		if !p.over.Load() {
			end()
		}
	})
	return p
}

// more starts the wait anew: the request itself is still on its way.
func (p *patience) more() {
	if !p.over.Load() {
		p.timer.Reset(p.limit)
	}
}

// stop ends the wait for good, also where more is just being called.
func (p *patience) stop() {
	p.over.Store(true)
	p.timer.Stop()
}
