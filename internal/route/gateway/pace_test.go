package gateway

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	cfg := Config{BodyRate: 100, BodyWindow: time.Minute}
	type wait struct {
		took  time.Duration
		bytes int
	}
	many := func(n int, w wait) (out []wait) {
		for range n {
			out = append(out, w)
		}
		return out
	}
	for _, tc := range []struct {
		name  string
		waits []wait
		slow  int // the wait after which it is; -1: never
	}{
		{"a byte a second", many(120, wait{time.Second, 1}), 59},
		{"just enough", many(600, wait{time.Second, 100}), -1},
		{"a little less", many(600, wait{time.Second, 99}), 59},
		{"nobody is waited for", many(100_000, wait{0, 1}), -1},
		{"a stumble", append([]wait{{59 * time.Second, 1}}, many(100, wait{100 * time.Millisecond, 1460})...), -1},
		{"a stumble after another", append([]wait{{59 * time.Second, 1}, {0, 1 << 20}, {59 * time.Second, 1}}, many(100, wait{100 * time.Millisecond, 1460})...), -1},
		{"a fast beginning is no licence", append([]wait{{time.Second, 1 << 30}}, many(200, wait{time.Second, 1})...), 119},
		{"a byte a minute", many(10, wait{time.Minute, 1}), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, at := pace{}, -1
			for i, w := range tc.waits {
				if p.slow(&cfg, w.took, w.bytes) {
					at = i
					break
				}
			}
			if at != tc.slow {
				t.Errorf("slow after wait %d, want %d", at, tc.slow)
			}
		})
	}
	off, p := Config{BodyRate: -1, BodyWindow: time.Minute}, pace{}
	for range 2 { // the second wait fills the window
		if p.slow(&off, time.Hour, 1) {
			t.Error("a limit that is off strikes")
		}
	}
}
