package meter

import (
	"testing"
	"time"

	"naru/internal/route"
)

// TestTotalsBeginWithTheMeter: what a gateway had counted before a control plane
// began was kept by the one before.
func TestTotalsBeginWithTheMeter(t *testing.T) {
	m, now := newMeter(Limits{})
	is := func(when string, want uint64) {
		t.Helper()
		var got uint64
		for _, c := range m.Totals() {
			if c.Route != "r1" || c.Group != "g1" {
				t.Errorf("%s: %s of %s", when, c.Group, c.Route)
			}
			got += c.Requests()
		}
		if got != want {
			t.Errorf("%s: %d requests, want %d", when, got, want)
		}
	}
	m.Counters("old", []route.Counter{count("r1", "g1", 2, 1000)})
	is("with a gateway that was there", 0)
	m.Counters("old", []route.Counter{count("r1", "g1", 2, 1007)})
	is("after seven requests", 7)
	m.Counters("fresh", nil) // it connects, and somebody comes a little later
	now.now = now.now.Add(reports)
	m.Counters("fresh", []route.Counter{count("r1", "g1", 2, 3)})
	is("with one that began to count", 10)
	now.now = now.now.Add(settled)
	m.Counters("new", []route.Counter{count("r1", "g1", 2, 5)})
	is("with a gateway that came later", 15)
	m.Living("new")
	is("after the others ended", 15)
	if got := Grown(count("r1", "g1", 2, 12), count("r1", "g1", 2, 5)); got.Requests() != 7 {
		t.Errorf("grown by %d", got.Requests())
	}
	sum := route.Counter{}
	Sum(&sum, count("r1", "g1", 2, 12))
	if sum.Requests() != 12 || sum.Took < time.Millisecond {
		t.Errorf("sum %+v", sum)
	}
}
