package metrics

import (
	"sync"
	"sync/atomic"
)

// maxLate bounds the samples that wait for a reader who was past their time.
const maxLate = 20_000

// late has the samples that came after the time that they are of was read.
type late struct {
	past atomic.Int64 // milliseconds up to which was read; 0: nobody reads

	mu      sync.Mutex // guards what follows
	of      Selection
	waiting []Stretch // of one sample each
	dropped int
}

// Follow says that everything before a time, in milliseconds, is read from now on
// or was: of the series that are selected, later writers' samples of that time go
// to Late. It must be said before that time is read.
func (s *Store) Follow(of Selection, past int64) {
	s.late.mu.Lock()
	s.late.of = of
	s.late.mu.Unlock()
	s.late.past.Store(past)
}

// Late takes the samples that came late, and how many there was no room for.
func (s *Store) Late() (samples []Stretch, dropped int) {
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	samples, dropped = s.late.waiting, s.late.dropped
	s.late.waiting, s.late.dropped = nil, 0
	return samples, dropped
}

// wrote is a sample that was just written: a point, or the nought that it was born
// with.
type wrote struct {
	*Point
	at   int64
	born bool
}

// missed keeps the samples of what was just written that no reader comes by any
// more. One can be read as well that was on its way while the reader went by.
func (l *late) missed(written []wrote) {
	past := l.past.Load()
	for _, w := range written {
		if w.at >= past {
			continue
		}
		sample := Sample{At: w.at, Value: w.Value, Histogram: w.Histogram}
		if w.born {
			sample = Sample{At: w.at}
		}
		l.mu.Lock()
		switch {
		case !l.of.Selects(w.Labels):
		case len(l.waiting) >= maxLate:
			l.dropped++
		default:
			l.waiting = append(l.waiting, Stretch{w.Labels, []Sample{sample}})
		}
		l.mu.Unlock()
	}
}
