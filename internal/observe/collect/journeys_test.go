package collect

import (
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

func toured(group string, ok, fast, failed uint64) route.JourneyCounter {
	c := route.JourneyCounter{App: "a1", Group: group, Journey: "GET /{x}", Within: []app.Duration{app.Duration(500 * time.Millisecond)}, Cells: make([]uint64, 12)}
	c.Cells[4], c.Cells[5], c.Cells[10] = ok, fast, failed
	return c
}

// TestJourneys: they carry the labels of their group, the first count of each is an
// increase, and what is gone ends.
func TestJourneys(t *testing.T) {
	w := shop()
	r := start(t, w)
	r.next()
	w.journeys = []route.JourneyCounter{toured("g1", 10, 8, 1), toured("", 0, 0, 2)}
	r.next()
	for ask, want := range map[string]string{
		`naru_journey_requests_total{status="2xx"}`:                                   `{__name__="naru_journey_requests_total", app="shop", group="shop-v001", journey="GET /{x}", org="default", process="web", release="v1", space="dev", space_id="s1", status="2xx"} 10`,
		`sum by (status) (naru_journey_requests_total{group="shop-v001"} offset 15s)`: "{status=\"2xx\"} 0\n{status=\"5xx\"} 0", // they were born then
		`sum by (status) (naru_journey_requests_total{group=""})`:                     `{status="5xx"} 2`,
		`sum by (le) (naru_journey_requests_within_total)`:                            `{le="0.5"} 8`,
	} {
		if got := r.ask(ask); got != want {
			t.Errorf("%s is\n%s, want\n%s", ask, got, want)
		}
	}
	// What is counted by other times is another counter, and the same series.
	more := toured("g1", 5, 0, 0)
	more.Within = []app.Duration{app.Duration(time.Second)}
	w.journeys = append(w.journeys, more)
	r.next()
	if got := r.ask(`sum(naru_journey_requests_total{status="2xx"})`); got != "{} 15" {
		t.Errorf("with two counters: %s", got)
	}
	// The meter forgets what does not count any more, and it comes again.
	w.journeys = nil
	r.next()
	w.journeys = []route.JourneyCounter{toured("g1", 2, 0, 0)}
	r.next()
	if got := r.ask(`sum(naru_journey_requests_total{status="2xx"})`); got != "{} 17" {
		t.Errorf("after it was forgotten: %s", got)
	}
	w.journeys, w.groups = nil, nil
	for range int(linger/(15*time.Second)) + 2 {
		r.next()
	}
	if got := r.ask(`naru_journey_requests_total`); got != "" {
		t.Errorf("of a group that is gone: %s", got)
	}
}
