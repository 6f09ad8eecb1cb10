package gateway

import (
	"errors"
	"fmt"
	"testing"

	"naru/internal/route"
)

// stickyEntry is the entry of a table with a sticky rule.
func stickyEntry(t testing.TB, ts *tables, s route.Sticky, groups ...route.Group) *entry {
	t.Helper()
	table := oneRoute(groups...)
	table.Routes[0].Policy = &route.Policy{Sticky: &s}
	if err := ts.apply(table); err != nil {
		t.Fatal(err)
	}
	return ts.entryOf("shop.test")
}

func pickFor(t testing.TB, ts *tables, e *entry, fields string) (string, string) {
	t.Helper()
	x := asking(t, "192.0.2.1", nil, fields)
	x.g.tables, x.entry = ts, e
	g, b := x.pick(&ts.cfg)
	if b == nil {
		t.Fatal("nothing picked")
	}
	return g.id, b.instance.ID
}

func TestValuesMoveOnlyWhereWeightsGo(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("old", 100, 1))
	const values = 2000
	in := map[int]string{}
	at := map[int]string{}
	for _, share := range []int{1, 10, 25, 50, 90, 100} {
		e := stickyEntry(t, ts, route.Sticky{Header: "X-User"}, groupOf("old", 100-share, 5), groupOf("new", share, 3))
		moved := 0
		for v := range values {
			group, instance := pickFor(t, ts, e, fmt.Sprintf("X-User: %d\r\n", v))
			if in[v] == "new" && group == "old" {
				t.Errorf("value %d went back to the old group at %d percent", v, share)
			}
			if in[v] == group && at[v] != instance {
				t.Errorf("value %d changed its instance within its group", v)
			}
			if in[v], at[v] = group, instance; group == "new" {
				moved++
			}
		}
		if got, want := float64(moved)/values, float64(share)/100; got < want-0.06 || got > want+0.06 {
			t.Errorf("%.2f of the values are at the new group at %d percent", got, share)
		}
	}
}

func TestOnlyTheValuesOfAnInstanceThatGoesMove(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	rule := route.Sticky{Header: "X-User"}
	e := stickyEntry(t, ts, rule, groupOf("g", 1, 5))
	before := map[int]string{}
	share := map[string]int{}
	const values = 1000
	for v := range values {
		_, before[v] = pickFor(t, ts, e, fmt.Sprintf("X-User: %d\r\n", v))
		share[before[v]]++
	}
	for id, n := range share {
		if n < values/5/2 || n > values/5*2 {
			t.Errorf("%s has %d of %d values", id, n, values)
		}
	}
	e.groups[0].backends[2].failed(&ts.cfg, errors.New("refused"))
	gone := e.groups[0].backends[2].instance.ID
	for v := range values {
		switch _, now := pickFor(t, ts, e, fmt.Sprintf("X-User: %d\r\n", v)); {
		case now == gone:
			t.Fatal("an ejected instance was picked")
		case before[v] != gone && before[v] != now:
			t.Errorf("value %d moved from %s, which is there, to %s", v, before[v], now)
		}
	}
}

func TestAVisitorGoesElsewhereOnlyForAReason(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	rule := route.Sticky{Cookie: "seat"}
	fields := "Cookie: seat=" + markOf("r", "g1-1") + "\r\n"
	stays := func(groups ...route.Group) (n int) {
		e := stickyEntry(t, ts, rule, groups...)
		for range 100 {
			if _, id := pickFor(t, ts, e, fields); id == "g1-1" {
				n++
			}
		}
		return n
	}
	if n := stays(groupOf("g1", 1, 4), groupOf("g2", 99, 4)); n != 100 {
		t.Errorf("stays %d times of 100", n)
	}
	if n := stays(groupOf("g1", 0, 4), groupOf("g2", 99, 4)); n != 0 {
		t.Errorf("comes %d times to a group without weight", n)
	}
	if n := stays(groupOf("g1", 1, 1), groupOf("g2", 99, 4)); n != 0 {
		t.Errorf("comes %d times to an instance that left", n)
	}
	e := stickyEntry(t, ts, rule, groupOf("g1", 1, 4))
	e.groups[0].backends[1].failed(&ts.cfg, errors.New("refused"))
	if _, id := pickFor(t, ts, e, fields); id == "g1-1" {
		t.Error("comes to an ejected instance")
	}
}
