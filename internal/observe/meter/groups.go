package meter

import "naru/internal/route"

// Groups returns what groups did over all their routes, by their ids, since the
// meter began; what gateways had counted before is not in it. Copies of requests
// are what a group of its own did, with route.Copies or route.Pairs behind the id. It only grows. ok is false where some may be counted together with
// others.
func (m *Meter) Groups(ids ...string) (sums map[string]route.Counter, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums = make(map[string]route.Counter, len(ids))
	for _, id := range ids {
		sums[id] = route.Counter{}
	}
	for k, s := range m.series {
		sum, asked := sums[k.group]
		if !asked {
			continue
		}
		c := s.total
		if s.before != nil {
			c = since(c, *s.before)
		}
		add(&sum, c)
		sums[k.group] = sum
	}
	return sums, m.over == 0
}
