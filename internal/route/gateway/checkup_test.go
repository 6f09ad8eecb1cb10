package gateway

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// clinic is a gateway whose instances say how they are as a test wants them to.
func clinic(t *testing.T) (*Gateway, *ward) {
	t.Helper()
	g, err := New(Config{TableFile: filepath.Join(t.TempDir(), "table.json")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{tables: g.tables, ill: map[string]bool{}, asked: map[string]int{}}
	g.tables.asking = w.answer
	return g, w
}

// examined plays a checkup: after each of the times the instances named become
// ill, or well where they were ill.
func examined(t *testing.T, table *route.Table, turns []turn) (trips []route.Trip, weights map[string]int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g, w := clinic(t)
		if err := g.Apply(table); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.tables.prober.Run(ctx)
		}()
		for _, turn := range turns {
			for _, id := range turn.change {
				w.mu.Lock()
				w.ill[id] = !w.ill[id]
				w.mu.Unlock()
			}
			if turn.table != nil {
				if err := g.Apply(turn.table); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(turn.then)
			synctest.Wait()
		}
		stop()
		<-done
		trips, weights = g.Trips(), map[string]int{}
		for range 100 {
			group, _ := g.tables.entryOf("shop.test").pick(&g.cfg, nil)
			weights[group.id]++
		}
	})
	return trips, weights
}

type turn struct {
	change []string
	table  *route.Table // comes into use
	then   time.Duration
}

func guardedRoute(old, canary, instances int, health *route.Probe) *route.Table {
	table := oneRoute(groupOf("old", old, 2), groupOf("new", canary, instances))
	table.Routes[0].Groups[1].Guard = &route.Guard{Key: "k", Baseline: "old"}
	if health != nil {
		table.Routes[0].Policy = &route.Policy{Health: health}
	}
	return table
}

func TestAGroupWhoseInstancesAreAllUnwellLosesItsWeight(t *testing.T) {
	probe := &route.Probe{Path: "/up", Every: app.Duration(10 * time.Second), Fails: 3, Passes: 2}
	both := []string{"new-0", "new-1"}
	all := []string{"new-0", "new-1", "old-0", "old-1"}
	matched := guardedRoute(100, 0, 2, probe)
	matched.Routes[0].Groups[1].Match = &route.Match{Header: "X-Internal"}
	for name, tc := range map[string]struct {
		table *route.Table
		turns []turn
		trips bool
	}{
		"all of its instances":                  {guardedRoute(90, 10, 2, probe), []turn{{both, nil, time.Minute}}, true},
		"one of them":                           {guardedRoute(90, 10, 2, probe), []turn{{both[:1], nil, 5 * time.Minute}}, false},
		"for two questions":                     {guardedRoute(90, 10, 2, probe), []turn{{both, nil, 15 * time.Second}, {both, nil, 5 * time.Minute}}, false},
		"one of the baseline as well":           {guardedRoute(90, 10, 2, probe), []turn{{append(both, "old-1"), nil, time.Minute}}, true},
		"only matched requests come":            {matched, []turn{{both, nil, time.Minute}}, true},
		"all traffic is on it":                  {guardedRoute(0, 100, 2, probe), []turn{{both, nil, time.Minute}}, true},
		"after a good hour":                     {guardedRoute(90, 10, 2, probe), []turn{{nil, nil, time.Hour}, {both, nil, time.Minute}}, true},
		"it has no weight":                      {guardedRoute(100, 0, 2, probe), []turn{{both, nil, 5 * time.Minute}}, false},
		"weight comes later":                    {guardedRoute(100, 0, 2, probe), []turn{{both, nil, 2 * time.Minute}, {nil, guardedRoute(90, 10, 2, probe), time.Millisecond}}, true},
		"the baseline as well":                  {guardedRoute(90, 10, 2, probe), []turn{{all, nil, 5 * time.Minute}}, false},
		"the baseline as well, for a while":     {guardedRoute(90, 10, 2, probe), []turn{{nil, nil, time.Minute}, {all, nil, 45 * time.Second}, {all, nil, 10 * time.Minute}}, false},
		"the baseline is well again, it is not": {guardedRoute(90, 10, 2, probe), []turn{{all, nil, time.Minute}, {all[2:], nil, 5 * time.Minute}}, true},
		"nobody asks":                           {guardedRoute(90, 10, 2, nil), []turn{{both, nil, 5 * time.Minute}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			trips, picked := examined(t, tc.table, tc.turns)
			if !tc.trips {
				if len(trips) != 0 {
					t.Errorf("tripped: %s", trips[0].Reason())
				}
				return
			}
			if len(trips) != 1 {
				t.Fatalf("%d trips", len(trips))
			}
			got := trips[0]
			if got.Measure != route.Health || got.Group != "new" || got.Baseline != "old" || got.Key != "k" || got.Said != "GET /up: status 500" ||
				got.Canary != (route.Tally{Requests: 2, Bad: 2}) || got.Base.Requests != 2 {
				t.Errorf("%+v", got)
			}
			if picked["old"] != 100 {
				t.Errorf("picked %v afterwards", picked)
			}
		})
	}
}

// The beginning and the end of what breaks both never look like the fault of the
// group, in whatever order instances are asked.
func TestWhatBreaksBothIsNobodysFault(t *testing.T) {
	probe := &route.Probe{Path: "/up", Every: app.Duration(10 * time.Second), Fails: 2, Passes: 2}
	all := []string{"new-0", "old-0", "old-1"}
	for length := 5 * time.Second; length < time.Minute; length += 1700 * time.Millisecond {
		trips, _ := examined(t, guardedRoute(50, 50, 1, probe), []turn{{nil, nil, time.Minute}, {all, nil, length}, {all, nil, 2 * time.Minute}})
		if len(trips) != 0 {
			t.Errorf("broken for %s: %s", length, trips[0].Reason())
		}
	}
}
