package dora

import (
	"slices"
	"time"
)

// Trouble is what incidents did to a service over some time, in the usual terms.
// Trouble that overlaps counts once as downtime.
type Trouble struct {
	N            int
	Downtime     time.Duration // while at least one incident was open
	Availability float64       // share of the time without
	MTTR         time.Duration // mean from begin to restored
	Median       time.Duration // the same; a few long incidents make a mean
	MTTF         time.Duration // time without trouble for each incident
	MTBF         time.Duration // MTTF and MTTR
}

// TroubleOf works it out for from <= t < to. An incident that goes on lasts until to.
func TroubleOf(scope Scope, from, to time.Time, incidents []Incident) Trouble {
	type spell struct{ from, to time.Time }
	var spells []spell
	var took []time.Duration
	for _, i := range incidents {
		end := i.Restored
		if end.IsZero() || end.After(to) {
			end = to
		}
		if !scope.has(i.Of) || i.Opened.Before(from) || !i.Opened.Before(to) {
			continue
		}
		if end.Before(i.Opened) {
			end = i.Opened
		}
		spells, took = append(spells, spell{i.Opened, end}), append(took, end.Sub(i.Opened))
	}
	t := Trouble{N: len(spells), Availability: 1}
	if t.N == 0 || !to.After(from) {
		return t
	}
	slices.SortFunc(spells, func(a, b spell) int { return a.from.Compare(b.from) })
	var until time.Time
	for _, s := range spells {
		if s.from.Before(until) {
			s.from = until
		}
		if s.to.After(s.from) {
			t.Downtime += s.to.Sub(s.from)
			until = s.to
		}
	}
	var sum time.Duration
	for _, d := range took {
		sum += d
	}
	period, n := to.Sub(from), time.Duration(t.N)
	t.Availability = 1 - float64(t.Downtime)/float64(period)
	t.MTTR, t.Median = sum/n, span(took).Median
	t.MTTF = (period - t.Downtime) / n
	t.MTBF = t.MTTF + t.MTTR
	return t
}
