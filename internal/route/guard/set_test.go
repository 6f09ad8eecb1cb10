package guard_test

import (
	"slices"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/guard"
)

func table(key string, old, canary int) *route.Table {
	in := func(id string) []route.Instance { return []route.Instance{{ID: id, Address: "127.0.0.1:1"}} }
	groups := []route.Group{{ID: "old", Weight: old, Instances: in("o")}, {ID: "new", Weight: canary, Instances: in("n")}}
	if key != "" {
		groups[1].Guard = &route.Guard{Key: key, Baseline: "old"}
	}
	return &route.Table{Routes: []route.Entry{{ID: "r", Groups: groups}}}
}

// trip makes the new group fail until its guard trips.
func trip(t *testing.T, s *guard.Set, tab *route.Table) {
	t.Helper()
	w, side, share := s.Of(&tab.Routes[0], 1)
	if w == nil || side != guard.Canary {
		t.Fatalf("the guarded group has watch %v as %v", w, side)
	}
	for range 1000 {
		for range 9 {
			w.Ended(guard.Request{Side: guard.Baseline, Share: share}, time.Unix(7, 0))
		}
		if got := w.Ended(guard.Request{Side: side, Share: share, Failed: true}, time.Unix(7, 0)); got != nil {
			return
		}
	}
	t.Fatal("no trip")
}

func weights(s *guard.Set, tab *route.Table) []int { w, _ := s.Weights(&tab.Routes[0]); return w }

func TestTripMovesTheWeightAndStays(t *testing.T) {
	var s guard.Set
	first := table("r1", 90, 10)
	s.Update(first)
	if w, side, share := s.Of(&first.Routes[0], 0); w == nil || side != guard.Baseline || share != 0.1 {
		t.Errorf("the baseline has %v, %v, %v", w, side, share)
	}
	if got := weights(&s, first); !slices.Equal(got, []int{90, 10}) {
		t.Errorf("weights %v before", got)
	}
	trip(t, &s, first)
	if got := weights(&s, first); !slices.Equal(got, []int{100, 0}) {
		t.Errorf("weights %v after the trip", got)
	}
	next := table("r1", 50, 50) // the control plane does not know yet
	s.Update(next)
	if got := weights(&s, next); !slices.Equal(got, []int{100, 0}) {
		t.Errorf("weights %v under the next table", got)
	}

	var successor guard.Set
	successor.Restore(s.Trips())
	successor.Update(next)
	if got := weights(&successor, next); !slices.Equal(got, []int{100, 0}) {
		t.Errorf("weights %v in the next process", got)
	}
	gone := table("", 100, 0)
	successor.Update(gone)
	if got := successor.Trips(); len(got) != 1 || got[0].Key != "r1" || got[0].Group != "new" {
		t.Errorf("trips %+v when the guard is gone", got)
	}
	again := table("r2", 90, 10)
	successor.Update(again)
	if got := weights(&successor, again); !slices.Equal(got, []int{90, 10}) || len(successor.Trips()) != 0 {
		t.Errorf("weights %v, trips %v under another key", got, successor.Trips())
	}
}

func TestPromotedGroupGivesAllBack(t *testing.T) {
	var s guard.Set
	promoted := table("r1", 0, 100)
	s.Update(promoted)
	trip(t, &s, promoted)
	if got := weights(&s, promoted); !slices.Equal(got, []int{100, 0}) {
		t.Errorf("weights %v", got)
	}
	promoted.Routes[0].Groups[0].Instances = nil
	if got := weights(&s, promoted); !slices.Equal(got, []int{0, 100}) {
		t.Errorf("weights %v where nobody can take the traffic", got)
	}
}
