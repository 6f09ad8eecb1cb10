package meter

import "naru/internal/route"

// Totals returns what all gateway processes counted since the meter began, also
// those that have ended, for each pair of a route and a group, by their ids. What
// gateways had counted before is not in it: somebody who kept that would count it
// twice. Nor are copies for a comparison: no metric of visitors has them.
func (m *Meter) Totals() []route.Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]route.Counter, 0, len(m.series))
	for k, s := range m.series {
		if k.compared() {
			continue
		}
		c := s.total
		if s.before != nil {
			c = since(c, *s.before)
		}
		c.Route, c.Group, c.Name = k.route, k.group, s.said
		out = append(out, c)
	}
	return out
}

// Grown is what was counted between two totals of a pair; Active is that of now.
// Totals that are lower than before were begun anew.
func Grown(now, had route.Counter) route.Counter { return since(now, had) }

// Sum adds up what was counted, but for Active.
func Sum(to *route.Counter, c route.Counter) { add(to, c) }
