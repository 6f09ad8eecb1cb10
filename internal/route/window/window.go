// Package window counts what happened in the time just past, without a lock.
package window

import "sync/atomic"

// Window counts requests, and those that failed, in ten parts of a time: the
// oldest is forgotten as a whole. Times are milliseconds of a clock that is never
// set; the length is the time looked back at, and the same in each call. The zero
// value has seen nothing.
type Window struct {
	parts [10]struct{ at, all, failed atomic.Int64 }
}

// Count counts a request.
func (w *Window) Count(failed bool, now, length int64) {
	at := partOf(now, length)
	p := &w.parts[at%int64(len(w.parts))]
	if old := p.at.Load(); old != at && p.at.CompareAndSwap(old, at) {
		p.all.Store(0) // who counts at this moment may be lost
		p.failed.Store(0)
	}
	p.all.Add(1)
	if failed {
		p.failed.Add(1)
	}
}

// Sum is how many there were, and how many of them failed.
func (w *Window) Sum(now, length int64) (all, failed int64) {
	least := partOf(now, length) - int64(len(w.parts))
	for i := range w.parts {
		if p := &w.parts[i]; p.at.Load() > least {
			all += p.all.Load()
			failed += p.failed.Load()
		}
	}
	return all, failed
}

// Clear forgets all of them.
func (w *Window) Clear() {
	for i := range w.parts {
		w.parts[i].at.Store(0)
	}
}

// partOf numbers the parts of time, the first one 11: 0 is a part long ago.
func partOf(now, length int64) int64 { return now/max(1, length/10) + 11 }
