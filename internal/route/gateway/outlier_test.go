package gateway

import (
	"testing"
	"time"

	"naru/internal/route"
)

// saw counts requests of an instance.
func (b *backend) saw(requests, failed int, now int64) {
	for i := range requests {
		b.fit.Saw(i < failed, now)
	}
}

func TestOutliersAreLeftAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		failed   int // of 40
		siblings int
		guard    *route.Guard
		want     bool
	}{
		"it fails":                      {40, 1, nil, true},
		"it does not":                   {10, 1, nil, false},
		"the only one":                  {40, 0, nil, false},
		"a group that a guard compares": {40, 2, &route.Guard{Key: "k", Baseline: "base"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			spec := groupOf("g", 1, 1+tc.siblings)
			spec.Guard = tc.guard
			ts := tablesWith(t, Config{}, spec, groupOf("base", 1, 1))
			g := ts.entryOf("shop.test").groups[0]
			at := now()
			for _, b := range g.backends[1:] {
				b.saw(40, 0, at)
			}
			b := g.backends[0]
			b.saw(40, tc.failed, at)
			g.compare(b, at, &ts.cfg)
			if got := !b.serving(); got != tc.want {
				t.Errorf("left alone: %v", got)
			}
			if ts.reports.urgentEjections() > 0 != tc.want {
				t.Error("what was done is not what was said")
			}
		})
	}
}

func (r *reports) urgentEjections() int {
	_, _, ejections := r.urgent()
	return len(ejections)
}

func TestAnOutlierGetsFewRequestsAtFirst(t *testing.T) {
	ts := tablesWith(t, Config{EjectFirst: time.Hour, EjectMax: 8 * time.Hour}, groupOf("g", 1, 2))
	g := ts.entryOf("shop.test").groups[0]
	bad, good := g.backends[0], g.backends[1]
	at := now()
	bad.saw(40, 40, at)
	good.saw(40, 0, at)
	g.compare(bad, at, &ts.cfg)
	if bad.serving() {
		t.Fatal("it is in service")
	}
	bad.worked(at+1000, false)
	if !bad.serving() {
		t.Fatal("a try that was well did not bring it back")
	}
	n := 0
	for range 1000 {
		now := int64(0)
		if g.pick(&ts.cfg, nil, &now) == bad {
			n++
		}
	}
	if n > 250 { // it would be 500; a slow machine may take a second of its twenty
		t.Errorf("it gets %d of the first 1000 requests", n)
	}
	if n := ts.reports.urgentEjections(); n != 2 {
		t.Errorf("%d reports, want that it was out and that it is back", n)
	}
}
