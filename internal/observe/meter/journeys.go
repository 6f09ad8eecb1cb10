package meter

import (
	"slices"
	"time"

	"naru/internal/route"
)

// journey is the sum of one counter of a journey over all gateway processes, since
// the meter began.
type journey struct {
	total   route.JourneyCounter
	changed time.Time
}

// Journeys takes what a gateway process counted of journeys since its start, those
// that changed. A counter that is lower than before was begun anew. What a process
// counted before we were there is left out, as in Totals.
func (m *Meter) Journeys(gateway string, counters []route.JourneyCounter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, p := m.now(), m.process(gateway)
	early := p.walked == nil && m.wasThere(gateway, p)
	if p.walked == nil {
		p.walked = make(map[string][]uint64, len(counters))
	}
	for _, c := range counters {
		if !c.Whole() {
			continue // of another form than ours: a gateway of another version
		}
		key := c.Key()
		had := p.walked[key]
		p.walked[key] = slices.Clone(c.Cells)
		if early {
			continue
		}
		if len(had) != len(c.Cells) || less(c.Cells, had) {
			had = make([]uint64, len(c.Cells))
		}
		j := m.journeys[key]
		if j == nil {
			if len(m.journeys) >= m.limits.Series {
				m.over++
				continue
			}
			j = &journey{total: c}
			j.total.Cells = make([]uint64, len(c.Cells))
			m.journeys[key] = j
		}
		for i, n := range c.Cells {
			j.total.Cells[i] += n - had[i]
		}
		j.changed = now
	}
}

func less(now, had []uint64) bool {
	for i, n := range now {
		if n < had[i] {
			return true
		}
	}
	return false
}

// JourneyTotals returns what all gateway processes counted of journeys since the
// meter began, also those that have ended.
func (m *Meter) JourneyTotals() []route.JourneyCounter {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]route.JourneyCounter, 0, len(m.journeys))
	for _, j := range m.journeys {
		c := j.total
		c.Cells = slices.Clone(c.Cells)
		out = append(out, c)
	}
	return out
}

// forgetJourneys lets go of what has not changed for long. A gateway that counts it
// again says its total since its start, so what it said stays known.
func (m *Meter) forgetJourneys(before time.Time) {
	for key, j := range m.journeys {
		if j.changed.Before(before) {
			delete(m.journeys, key)
		}
	}
}
