package gateway

import (
	"maps"
	"slices"
	"testing"
	"time"

	"naru/internal/route"
)

func TestBreakersOutliveTablesAndSaySo(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	table := oneRoute(groupOf("g1", 1, 1), groupOf("g2", 1, 1))
	table.Routes[0].Policy = &route.Policy{Breaker: &route.Breaker{Requests: 1}}
	use := func() *entry {
		t.Helper()
		if err := ts.apply(table); err != nil {
			t.Fatal(err)
		}
		return ts.entryOf("shop.test")
	}
	first := use().groups[0].breaker
	first.Ended(first.Term(), true, now())
	e := use()
	if e.groups[0].breaker != first {
		t.Error("a table made the breaker forget")
	}
	for range 50 {
		if g, _ := e.pick(&ts.cfg, nil); g.id != "g2" {
			t.Fatal("a request went to the group that is spared")
		}
	}
	second := e.groups[1].breaker
	second.Ended(second.Term(), true, now())
	if _, b := e.pick(&ts.cfg, nil); b != nil || e.spared() < 14*time.Second {
		t.Errorf("all are spared: picked %v, spared for %s", b, e.spared())
	}
	if got := ts.reports.standing(); len(got) != 2 {
		t.Errorf("not closed: %v", got)
	}
	table.Routes[0].Groups = table.Routes[0].Groups[:1]
	use()
	table.Routes[0].Policy = nil
	use()
	if got := ts.reports.standing(); len(got) != 0 {
		t.Errorf("nobody will close %v", got)
	}
	var states []route.BreakerState
	for _, b := range ts.reports.takeBreakings() {
		states = append(states, b.State)
	}
	if want := []route.BreakerState{route.BreakerOpen, route.BreakerOpen, route.BreakerClosed, route.BreakerClosed}; !slices.Equal(states, want) {
		t.Errorf("said %v, want %v", states, want)
	}
}

// A group that is spared says nothing, and nothing looks like success to a guard.
func TestGuardedGroupsAreNotSpared(t *testing.T) {
	table := oneRoute(groupOf("old", 90, 1), groupOf("new", 10, 1), groupOf("other", 10, 1))
	table.Routes[0].Policy = &route.Policy{Breaker: &route.Breaker{}}
	ts := tablesWith(t, Config{})
	breakers := func() map[string]bool {
		if err := ts.apply(table); err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, g := range ts.entryOf("shop.test").groups {
			got[g.id] = g.breaker != nil
		}
		return got
	}
	table.Routes[0].Groups[1].Guard = &route.Guard{Key: "rollout-1", Baseline: "old"}
	if got, want := breakers(), (map[string]bool{"old": false, "new": false, "other": true}); !maps.Equal(got, want) {
		t.Errorf("under a guard %v, want %v", got, want)
	}
	table.Routes[0].Groups[1].Guard = nil
	if got, want := breakers(), (map[string]bool{"old": true, "new": true, "other": true}); !maps.Equal(got, want) {
		t.Errorf("without one %v, want %v", got, want)
	}
}
