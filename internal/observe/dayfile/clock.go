package dayfile

import "time"

// A clock that was set ahead makes all lines old. So nothing goes for its age
// until the clock has run for an hour as it should.
const (
	leap  = time.Hour // more than any leap of a clock that is right
	trust = time.Hour
)

// steady watches a clock beside one that only counts.
type steady struct {
	wall   time.Time
	count  time.Duration
	leapt  time.Duration // count when the clock leapt; meaningless while calm
	leaped bool
}

// look reports whether the clock can be believed. count is how long something has
// counted that nobody sets.
func (s *steady) look(wall time.Time, count time.Duration) bool {
	if ahead := wall.Sub(s.wall) - (count - s.count); !s.wall.IsZero() && ahead > leap {
		s.leapt, s.leaped = count, true
	}
	s.wall, s.count = wall, count
	s.leaped = s.leaped && count-s.leapt < trust
	return !s.leaped
}
