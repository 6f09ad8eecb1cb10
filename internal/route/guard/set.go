package guard

import (
	"slices"
	"sync"

	"naru/internal/route"
)

// MaxTrips bounds the trips a Set holds to; the oldest go.
const MaxTrips = 1024

// Set is the watches of a gateway. Its zero value is ready to use.
type Set struct {
	mu      sync.RWMutex // guards what follows
	watches map[key]*Watch
	trips   []route.Trip // of watches that are gone or were there before a restart
}

// key names a watch: a rollout guards a group of each of its process types.
type key struct{ guard, group string }

// Update takes the guards of a table that is about to be used: watches are kept
// while their key and group stay, others are forgotten. A trip is forgotten when
// the table guards its group under another key.
func (s *Set) Update(t *route.Table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, other := map[key]*Watch{}, map[string]bool{} // groups that have a guard
	for i := range t.Routes {
		e := &t.Routes[i]
		for j := range e.Groups {
			g := &e.Groups[j]
			if g.Guard == nil {
				continue
			}
			k := key{g.Guard.Key, g.ID}
			other[g.ID] = true
			if next[k] != nil {
				continue
			}
			w := s.watches[k]
			if w == nil {
				w = newWatch(*g.Guard, g.ID)
				if trip := s.known(k); trip != nil {
					w.trip.Store(trip)
				}
			}
			w.shift(share(e, g))
			next[k] = w
		}
	}
	for k, w := range s.watches {
		if trip := w.Trip(); trip != nil && next[k] == nil {
			s.trips = append(s.trips, *trip)
		}
	}
	s.trips = slices.DeleteFunc(s.trips, func(t route.Trip) bool { return other[t.Group] })
	s.trips = s.trips[max(0, len(s.trips)-MaxTrips):]
	s.watches = next
}

func (s *Set) known(k key) *route.Trip {
	for i := range s.trips {
		if s.trips[i].Key == k.guard && s.trips[i].Group == k.group {
			trip := s.trips[i] // a copy: the list moves
			return &trip
		}
	}
	return nil
}

// share is a guarded group's weight over that of it and its baseline.
func share(e *route.Entry, g *route.Group) float64 {
	for i := range e.Groups {
		if b := &e.Groups[i]; b.ID == g.Guard.Baseline && b.Weight+g.Weight > 0 {
			return float64(g.Weight) / float64(g.Weight+b.Weight)
		}
	}
	if g.Weight == 0 {
		return 0
	}
	return 1
}

// Of returns the watch to tell about the requests of an entry's i-th group, as
// which side, and with which share; nil where nobody compares it.
func (s *Set) Of(e *route.Entry, i int) (w *Watch, side Side, part float64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := &e.Groups[i]
	if g.Guard != nil {
		return s.watches[key{g.Guard.Key, g.ID}], Canary, share(e, g)
	}
	for j := range e.Groups {
		if c := &e.Groups[j]; c.Guard != nil && c.Guard.Baseline == g.ID {
			return s.watches[key{c.Guard.Key, c.ID}], Baseline, share(e, c)
		}
	}
	return nil, Baseline, 0
}

// Weights returns the weights an entry's groups have after all trips: that of a
// tripped group is its baseline's where that one has an instance, and stays where
// it is when nobody could take it. Tripped tells for each group whether it may
// get matched requests: not when it tripped.
func (s *Set) Weights(e *route.Entry) (weights []int, tripped []bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	weights, tripped = make([]int, len(e.Groups)), make([]bool, len(e.Groups))
	for i := range e.Groups {
		weights[i] += e.Groups[i].Weight
		guard := e.Groups[i].Guard
		if guard == nil {
			continue
		}
		w := s.watches[key{guard.Key, e.Groups[i].ID}]
		if w == nil || w.Trip() == nil {
			continue
		}
		for j := range e.Groups {
			if e.Groups[j].ID == guard.Baseline && len(e.Groups[j].Instances) > 0 {
				weights[j] += e.Groups[i].Weight
				weights[i] -= e.Groups[i].Weight
				tripped[i] = true
			}
		}
	}
	return weights, tripped
}

// Trips lists the trips the gateway holds to, oldest first: for its file and its
// Hello.
func (s *Set) Trips() []route.Trip {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := slices.Clone(s.trips)
	for _, w := range s.watches {
		trip := w.Trip()
		if trip != nil && s.known(key{trip.Key, trip.Group}) == nil {
			out = append(out, *trip)
		}
	}
	slices.SortStableFunc(out, func(a, b route.Trip) int { return a.Time.Compare(b.Time) })
	return out
}

// Restore takes the trips of an earlier process, before the first Update.
func (s *Set) Restore(trips []route.Trip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trips = append(s.trips, trips...)
}
