package gateway

import (
	"sync/atomic"
	"time"
)

// hurry sets when the exchange must be over, as its route says.
func (x *exchange) hurry() {
	if t := x.entry.spec.Timeouts; t != nil && t.Total > 0 {
		x.watch.until.Store(x.now + t.Total.Std().Milliseconds() + 1)
	}
}

// relaxed takes that back.
func (x *exchange) relaxed() {
	if x.watch.until.Load() != 0 {
		x.watch.until.Store(0)
	}
}

// overdue reports whether the exchange should have been over.
func (x *exchange) overdue() bool {
	until := x.watch.until.Load()
	return until != 0 && now() >= until
}

// within is a limit, or what is left until the exchange must be over.
func (x *exchange) within(limit time.Duration) time.Duration {
	until := x.watch.until.Load()
	if until == 0 {
		return limit
	}
	return max(time.Millisecond, min(limit, time.Duration(until-now())*time.Millisecond))
}

// silence is how long an instance may be silent inside its answer, and both ends
// of a tunnel; 0 is for ever.
func (e *entry) silence() time.Duration {
	if t := e.spec.Timeouts; t != nil {
		return t.Idle.Std()
	}
	return 0
}

// quiet begins the wait for more of an answer.
func (x *exchange) quiet(silence time.Duration) {
	if silence > 0 {
		x.watch.begin(onAnswer, now(), silence)
	} else {
		x.watch.begin(onAnswer, 0, 0)
	}
}

// flow is the watch over a tunnel, in which only silence takes too long: of both
// ends, or of the one that is left.
type flow struct {
	watch   *watch
	silence time.Duration // of both; 0: for ever
	half    time.Duration // of one, where that is less
	left    atomic.Bool   // only one is left
}

func (f *flow) begin() {
	if f.silence > 0 {
		f.watch.begin(onWrite, now(), f.silence)
	}
}

// goes notes that something moves.
func (f *flow) goes() {
	switch {
	case f.left.Load():
		f.watch.extend(onWrite, now(), f.half)
	case f.silence > 0:
		f.watch.extend(onWrite, now(), f.silence)
	}
}

// halve notes that one direction has ended. When the second one does, it is over.
func (f *flow) halve() {
	if f.silence > 0 && f.silence < f.half {
		return
	}
	if f.left.CompareAndSwap(false, true) {
		f.watch.bound(onWrite, now(), f.half)
	}
}
