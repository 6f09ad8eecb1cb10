package gateway

import "naru/internal/route/h1"

// trip is one attempt to have a request answered.
type trip struct {
	back     *backend
	u        *upstream
	in       *large // lent for buf; nil where buf is larger
	buf      []byte // holds what came of the answer
	from, to int    // after its head
	pump     *pump  // moves the rest of the request's body; nil where all of it was at hand
}

// keep leaves the connection to the next exchange, drop closes it.
func (t *trip) keep(x *exchange) {
	t.u.doubt = x.answer.Silent()
	t.back.pool.put(t.u, now(), x.g.cfg.UpstreamKept)
	t.u = nil
	t.forget(x)
}

func (t *trip) drop(x *exchange) {
	if t.u != nil {
		t.finish(x)
		t.u.close()
		t.u = nil
	}
	t.forget(x)
}

func (t *trip) forget(x *exchange) {
	x.watch.up.Store(nil)
	if t.in != nil {
		larges.Put(t.in)
		t.in = nil
	}
	t.buf = nil
}

// finish waits for the pump and reports whether it has moved the whole body.
func (t *trip) finish(x *exchange) bool {
	if t.pump == nil {
		return x.upload.done.Load()
	}
	return t.pump.stop()
}

func (t *trip) clientErr() error {
	if t.pump == nil {
		return nil
	}
	return t.pump.failed()
}

// take makes a borrowed buffer with n bytes in it the trip's.
func (t *trip) take(in *large, n int) {
	t.in, t.buf, t.from, t.to = in, in[:], room, room+n
}

// Bounds of what an instance may send.
const (
	maxInterims   = 16
	maxAnswerHead = 256 << 10
)

// read reads the head of the answer, of which the beginning has come, and passes
// on the ones before it.
func (x *exchange) read(t *trip) error {
	for interims, seen := 0, 0; ; {
		size, why := h1.End(t.buf[t.from:t.to], seen)
		if why != nil {
			return why
		}
		if size == 0 {
			seen = t.to - t.from
			if err := t.more(); err != nil {
				return err
			}
			continue
		}
		if why := x.answer.Parse(t.buf[t.from:t.from+size], string(x.req.Method) == "HEAD"); why != nil {
			return why
		}
		t.from += size
		if x.answer.Status >= 200 || x.answer.Status == 101 {
			if !x.watch.rest() {
				return errSlowAnswer // or the client left: see cause
			}
			return nil
		}
		if interims++; interims > maxInterims {
			return errInterims
		}
		if seen = 0; x.answer.Status != 100 {
			if err := x.client.interim(x); err != nil {
				return errLeft
			}
		} else if x.req.Expect && t.pump == nil && !x.upload.done.Load() {
			if err := x.client.proceed(x); err != nil {
				return errLeft
			}
			t.start(x)
		}
	}
}

// more reads more of the answer's head.
func (t *trip) more() error {
	if t.to == len(t.buf)-spare {
		if t.from > room { // interim answers have gone before
			t.to = room + copy(t.buf[room:], t.buf[t.from:t.to])
			t.from = room
		} else {
			if len(t.buf) > maxAnswerHead {
				return errLargeHead
			}
			bigger := make([]byte, 2*len(t.buf))
			copy(bigger, t.buf[:t.to])
			larges.Put(t.in)
			t.in, t.buf = nil, bigger
		}
	}
	n, err := t.u.read(t.buf[t.to : len(t.buf)-spare])
	t.to += n
	if n > 0 {
		return nil
	}
	return err
}
