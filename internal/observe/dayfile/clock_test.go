package dayfile

import (
	"testing"
	"time"
)

func TestAClockThatIsSetAhead(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var s steady
	for _, c := range []struct {
		wall, count time.Duration
		want        bool
	}{
		{0, 0, true},
		{time.Minute, time.Minute, true},
		{30 * time.Minute, 2 * time.Minute, true}, // a leap as summer time makes where it should not
		{365 * 24 * time.Hour, 3 * time.Minute, false},
		{365*24*time.Hour + time.Minute, 4 * time.Minute, false},
		{5 * time.Minute, 5 * time.Minute, false}, // set right: back is no leap, but it was wrong just now
		{70 * time.Minute, 70 * time.Minute, true},
		{200 * time.Minute, 71 * time.Minute, false},
		{200*time.Minute + time.Hour, 131 * time.Minute, true}, // it was meant
	} {
		if got := s.look(begin.Add(c.wall), c.count); got != c.want {
			t.Errorf("after %s on the clock and %s in truth: %t", c.wall, c.count, got)
		}
	}
}
