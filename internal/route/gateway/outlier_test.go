package gateway

import (
	"testing"
	"time"

	"naru/internal/route"
)

// saw counts requests of an instance.
func (b *backend) saw(requests, failed int, now int64) {
	for i := range requests {
		b.seen.Count(i < failed, now, outlierWindow)
	}
}

func TestOutliersAreLeftAlone(t *testing.T) {
	type seen struct{ requests, failed int }
	guard := &route.Guard{Key: "k", Baseline: "base"}
	for name, tc := range map[string]struct {
		first   seen
		others  []seen
		guard   *route.Guard
		already int // of the others are out
		want    bool
	}{
		"all its requests fail":         {seen{20, 20}, []seen{{20, 0}, {20, 0}}, nil, 0, true},
		"half of them":                  {seen{40, 20}, []seen{{20, 1}}, nil, 0, true},
		"less than half":                {seen{40, 19}, []seen{{40, 0}}, nil, 0, false},
		"too few to know":               {seen{19, 19}, []seen{{40, 0}}, nil, 0, false},
		"siblings that do nothing":      {seen{40, 40}, []seen{{10, 0}, {9, 0}}, nil, 0, false},
		"siblings that fail too":        {seen{40, 40}, []seen{{20, 0}, {20, 8}}, nil, 0, false},
		"the only one":                  {seen{40, 40}, nil, nil, 0, false},
		"half of the group is out":      {seen{40, 40}, []seen{{20, 0}, {20, 0}, {20, 0}}, nil, 2, false},
		"less than half is out":         {seen{40, 40}, []seen{{20, 0}, {20, 0}, {20, 0}}, nil, 1, true},
		"a group that a guard compares": {seen{40, 40}, []seen{{20, 0}, {20, 0}}, guard, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			spec := groupOf("g", 1, 1+len(tc.others))
			spec.Guard = tc.guard
			ts := tablesWith(t, Config{}, spec, groupOf("base", 1, 1))
			g := ts.entryOf("shop.test").groups[0]
			b := g.backends[0]
			at := now()
			b.saw(tc.first.requests, tc.first.failed, at)
			for i, o := range tc.others {
				g.backends[1+i].saw(o.requests, o.failed, at)
				if i < tc.already {
					g.backends[1+i].ejected.Store(1)
				}
			}
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

func TestAnOutlierComesBackSlowly(t *testing.T) {
	ts := tablesWith(t, Config{EjectFirst: time.Hour, EjectMax: 8 * time.Hour}, groupOf("g", 1, 2))
	g := ts.entryOf("shop.test").groups[0]
	bad, good := g.backends[0], g.backends[1]
	before := now()
	bad.saw(40, 40, before)
	good.saw(40, 0, before)
	g.compare(bad, before, &ts.cfg)
	if bad.serving() || bad.term(&ts.cfg) != 4*time.Hour {
		t.Fatalf("out: %v, for %s", !bad.serving(), bad.term(&ts.cfg))
	}
	bad.worked(before, false)
	if bad.serving() {
		t.Error("a request from before brought it back")
	}
	if !bad.ready(time.Now().Add(5*time.Hour).UnixNano(), &ts.cfg) {
		t.Fatal("it is not tried after its term")
	}
	later := before + 1000
	bad.worked(later, true)
	if bad.serving() || bad.term(&ts.cfg) != 8*time.Hour {
		t.Errorf("out after a try that failed: %v, for %s", !bad.serving(), bad.term(&ts.cfg))
	}
	bad.worked(later, false)
	if !bad.serving() {
		t.Fatal("a try that was well did not bring it back")
	}
	share := func() (n int) {
		now := int64(0)
		for range 1000 {
			if g.pick(&ts.cfg, nil, &now) == bad {
				n++
			}
		}
		return n
	}
	if n := share(); n > 50 {
		t.Errorf("it gets %d of the first 1000 requests", n)
	}
	bad.full.Store(now() + outlierReturn/2)
	if n := share(); n < 150 || n > 350 {
		t.Errorf("half way it gets %d of 1000 requests, want about 250", n)
	}
	bad.full.Store(now() - 1)
	if n := share(); n < 400 {
		t.Errorf("at the end it gets %d of 1000 requests", n)
	}
	if bad.expelled.Load() != 0 {
		t.Error("it is never forgotten")
	}
	if n := ts.reports.urgentEjections(); n != 2 {
		t.Errorf("%d reports, want that it was out and that it is back", n)
	}
}
