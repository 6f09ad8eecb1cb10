// Package fitness keeps how an instance does: whether it accepts connections,
// answers well what it is asked about itself, and fails no more often than its
// siblings.
package fitness

import (
	"sync/atomic"
	"time"

	"naru/internal/route/window"
)

// Fitness of an instance; the zero value is fit. Its methods may be called by many
// at once. Those that take "now" mean milliseconds of a clock that is never set.
type Fitness struct {
	out    atomic.Int64 // unix nanoseconds until it may be tried again; 0: in service
	fails  atomic.Int32 // in a row
	unwell atomic.Int32 // questions about it that are answered badly

	expelled atomic.Int32 // how often its answers were worse than its siblings', not long ago
	since    atomic.Int64 // when that was last
	full     atomic.Int64 // when it has its full share again after that; 0: it has
	seen     window.Window
}

// Terms say how long an instance is left alone.
type Terms struct {
	First time.Duration // the first time, doubling
	Max   time.Duration // up to this
}

// Serving reports whether it is in service.
func (f *Fitness) Serving() bool { return f.out.Load() == 0 && f.unwell.Load() == 0 }

// Ready reports whether it may take a request at a time in unix nanoseconds. One
// that is out becomes ready for a single request each time its term is over;
// whoever asks first carries that one.
func (f *Fitness) Ready(at int64, terms Terms) bool {
	until := f.out.Load()
	if f.unwell.Load() > 0 {
		return false
	}
	if until == 0 {
		return true
	}
	return at >= until && f.out.CompareAndSwap(until, at+int64(f.Term(terms)))
}

// Term is how long it is left alone.
func (f *Fitness) Term(terms Terms) time.Duration {
	n := min(f.fails.Load(), 16)
	return min(terms.First<<max(n-1, 0), terms.Max)
}

// Refused notes a connection that was not accepted. It reports whether that puts
// the instance out of service.
func (f *Fitness) Refused(terms Terms) (out bool) {
	f.fails.Add(1)
	return f.leave(terms)
}

func (f *Fitness) leave(terms Terms) (out bool) {
	return f.out.Swap(time.Now().UnixNano()+int64(f.Term(terms))) == 0
}

// Sound reports whether there is nothing that Worked could change.
func (f *Fitness) Sound() bool { return f.out.Load() == 0 && f.fails.Load() == 0 }

// Worked notes an answer to a request that began at a time, of the clock that is
// never set. It reports whether that brings the instance back into service. One
// that is left alone because of its answers does not come back with one that
// failed, or with one from before.
func (f *Fitness) Worked(begun int64, failed bool, now int64) (back bool) {
	if f.Sound() {
		return false
	}
	if f.expelled.Load() > 0 && f.out.Load() != 0 {
		if begun <= f.since.Load() {
			return false
		}
		if failed {
			f.fails.Add(1)
			return false
		}
		f.seen.Clear()
		f.full.Store(now + slowReturn)
	}
	f.fails.Store(0)
	return f.out.Swap(0) != 0
}

// Unwell counts the questions about it that are answered badly: one more, or, with
// -1, one less.
func (f *Fitness) Unwell(more int32) { f.unwell.Add(more) }
