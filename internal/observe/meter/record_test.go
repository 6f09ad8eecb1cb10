package meter

import (
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/guard"
)

// guarded are the groups of a rollout that replaces g1 by g2.
func guarded(key string) []route.GroupState {
	return []route.GroupState{{ID: "g1"}, {ID: "g2", Guard: &route.Guard{Key: key, Baseline: "g1"}}}
}

func TestRecordOfABaseline(t *testing.T) {
	m, _ := newMeter(Limits{})
	slow := route.Counter{Route: "r1", Group: "g1", Took: time.Second}
	slow.Classes[2], slow.Latency[route.LatencyBucket(time.Second)] = 5, 5
	counts := count("r1", "g1", 2, 190)
	counts.Classes[5], counts.Classes[2] = 3, 187
	m.Counters("g", []route.Counter{counts, {Route: "r2", Group: "g1", Classes: slow.Classes, Latency: slow.Latency}, count("r1", "g2", 5, 77)})
	groups := guarded("ro1")
	m.Remember(groups)
	r := groups[1].Guard.Record
	// Nine in ten took at most 4 ms; twice that is still below what is never slow.
	if r == nil || r.Requests != 195 || r.Failed != 3 || r.Slow != (route.Guard{}).Filled().SlowFrom || r.Over != 5 {
		t.Fatalf("record %+v", r)
	}
	if groups[0].Guard != nil {
		t.Error("the baseline got a guard")
	}
	m.Counters("g", []route.Counter{count("r1", "g1", 2, 1000)})
	groups = guarded("ro1")
	if m.Remember(groups); groups[1].Guard.Record != r {
		t.Errorf("under the same key it became %+v", groups[1].Guard.Record)
	}
	groups = guarded("ro2")
	if m.Remember(groups); groups[1].Guard.Record.Requests <= 195 {
		t.Errorf("under another key it is still %+v", groups[1].Guard.Record)
	}
	if err := (&route.Table{Routes: []route.Entry{{ID: "r", Host: "h.test", Path: "/", Groups: []route.Group{{ID: "g1", Name: "g1"}, {ID: "g2", Name: "g2", Guard: groups[1].Guard}}}}}).Check(); err != nil {
		t.Errorf("a table with it: %v", err)
	}
}

func TestRecordSaysOnlyWhatIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		did  []route.Counter
		want *route.Record
	}{
		"no request":         {nil, nil},
		"too few for a time": {[]route.Counter{count("r", "g1", 5, 99)}, &route.Record{Requests: 99, Failed: 99}},
		"connections that last": {[]route.Counter{func() route.Counter {
			c := count("r", "g1", 2, 150)
			c.Latency[len(c.Latency)-1] = 50
			return c
		}()}, &route.Record{Requests: 150}},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newMeter(Limits{})
			m.Counters("g", c.did)
			groups := guarded("ro")
			m.Remember(groups)
			got := groups[1].Guard.Record
			if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
				t.Errorf("record %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestACanaryWithoutABaselineIsJudgedByItsRecord lets a group fail as often as the
// one before always did, and another one three times as often, when all traffic is
// theirs. Without the record a hundredth would be allowed, and both would trip.
func TestACanaryWithoutABaselineIsJudgedByItsRecord(t *testing.T) {
	for name, c := range map[string]struct {
		record bool
		every  int // request fails
		trips  bool
	}{
		"as bad as before":                 {true, 20, false},
		"a third more":                     {true, 15, false},
		"ten times as bad":                 {true, 2, true},
		"as bad as before, without record": {false, 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newMeter(Limits{})
			if c.record {
				before := count("r", "g1", 2, 1900)
				before.Classes[5] = 100
				m.Counters("g", []route.Counter{before})
			}
			groups := guarded("ro")
			m.Remember(groups)
			var set guard.Set
			table := &route.Table{Routes: []route.Entry{{ID: "r", Host: "h.test", Path: "/", Groups: []route.Group{
				{ID: "g1", Instances: []route.Instance{{ID: "i1"}}}, {ID: "g2", Weight: 100, Guard: groups[1].Guard, Instances: []route.Instance{{ID: "i2"}}},
			}}}}
			set.Update(table)
			watch, side, share := set.Of(&table.Routes[0], 1)
			tripped := false
			for i := range 1000 {
				end := guard.Request{Side: side, Share: share, Failed: i%c.every == 0, Header: time.Millisecond}
				tripped = watch.Ended(end, time.Now()) != nil || tripped
			}
			if tripped != c.trips {
				t.Errorf("tripped %v, want %v: %+v", tripped, c.trips, watch.Trip())
			}
		})
	}
}
