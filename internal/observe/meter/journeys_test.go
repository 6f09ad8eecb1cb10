package meter

import (
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/id"
	"naru/internal/route"
)

func walked(journey string, ok, failed uint64) route.JourneyCounter {
	return route.JourneyCounter{App: "a1", Group: "g1", Journey: journey, Cells: []uint64{0, 0, ok, 0, 0, failed}}
}

// Journeys are summed up over processes as pairs are: nothing is lost when one ends
// or says it all again, and nothing is there twice.
func TestJourneysAreSummedUp(t *testing.T) {
	m, now := newMeter(Limits{Series: 2})
	is := func(when string, ok, failed uint64) {
		t.Helper()
		var gotOK, gotFailed uint64
		for _, c := range m.JourneyTotals() {
			if c.App != "a1" || c.Group != "g1" {
				t.Errorf("%s: %+v", when, c)
			}
			gotOK, gotFailed = gotOK+c.Cells[2], gotFailed+c.Cells[5]
		}
		if gotOK != ok || gotFailed != failed {
			t.Errorf("%s: %d and %d, want %d and %d", when, gotOK, gotFailed, ok, failed)
		}
	}
	m.Counters("old", nil)
	m.Journeys("old", []route.JourneyCounter{walked("all", 1000, 10)})
	is("with a gateway that was there", 0, 0)
	m.Journeys("old", []route.JourneyCounter{walked("all", 1007, 11)})
	is("after eight requests", 7, 1)
	m.Journeys("old", []route.JourneyCounter{walked("all", 1007, 11)}) // it dialed again
	is("said twice", 7, 1)
	now.now = now.now.Add(settled)
	m.Journeys("new", []route.JourneyCounter{walked("all", 5, 0)})
	is("with a gateway that came later", 12, 1)
	m.Living("new") // the old one was killed
	is("after the old one ended", 12, 1)
	m.Journeys("new", []route.JourneyCounter{walked("all", 2, 0)})
	is("after a process of the same name began anew", 14, 1)
	other := walked("all", 3, 0)
	other.Within = []app.Duration{1}
	m.Journeys("new", []route.JourneyCounter{other}) // its cells are of another form
	is("with cells that do not fit", 14, 1)
	m.Journeys("new", []route.JourneyCounter{walked("/b", 3, 0), walked("/c", 100, 0)})
	is("with more journeys than there is a place for", 17, 1)
	now.now = now.now.Add(m.limits.Forget * 2)
	m.Forget(func(string, string) (Place, bool) { return Place{}, false })
	is("long after", 0, 0)
	m.Journeys("new", []route.JourneyCounter{walked("all", 4, 0)})
	is("when it counts again", 2, 0)
}

// A gateway's name says when it began: one that came after us has counted nothing
// before, however soon it tells.
func TestGatewaysOfOurTime(t *testing.T) {
	before := id.New()
	m := New(Limits{})
	m.began = time.Now().Add(time.Second).Truncate(time.Millisecond)
	m.now = func() time.Time { return m.began.Add(2 * time.Second) }
	after := "ffffffff-ffff-7000-8000-000000000000"
	for _, g := range []string{before, after} {
		m.Counters(g, nil)
		m.Counters(g, []route.Counter{count("r1", "g1", 2, 7)})
		m.Journeys(g, []route.JourneyCounter{walked("all", 7, 0)})
	}
	if got := m.JourneyTotals(); len(got) != 1 || got[0].Cells[2] != 7 {
		t.Errorf("journeys %+v", got)
	}
	if got := m.Totals(); len(got) != 1 || got[0].Requests() != 7 {
		t.Errorf("pairs %+v", got)
	}
}
