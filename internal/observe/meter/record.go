package meter

import (
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

const (
	// known is from how many requests on their times say what is slow.
	known = 100
	// patient is the longest time that most requests may take for their times to say
	// that: where connections last, a gateway finds out by itself from the headers.
	patient = 8 * time.Second
)

// Remember fills in what the baseline of each guard did so far, for gateways that
// see too little of it to compare with. What was filled in for a guard's key
// stays: gateways hold to the first they see.
func (m *Meter) Remember(groups []route.GroupState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	present := map[string]bool{}
	for i := range groups {
		g := groups[i].Guard
		if g == nil {
			continue
		}
		present[g.Key] = true
		if m.records[g.Key] == nil {
			m.records[g.Key] = m.record(g)
		}
		g.Record = m.records[g.Key]
	}
	for k := range m.records {
		if !present[k] {
			delete(m.records, k)
		}
	}
}

// record is what a guard's baseline did; nil where it never had a request.
func (m *Meter) record(g *route.Guard) *route.Record {
	var sum route.Counter
	for k, s := range m.series {
		if k.group == g.Baseline {
			add(&sum, s.total)
		}
	}
	if sum.Requests() == 0 {
		return nil
	}
	r := &route.Record{Requests: sum.Requests(), Failed: sum.Classes[5]}
	filled := g.Filled()
	if filled.Slow < 0 {
		return r
	}
	most, ok := quantile(&sum, 0.9)
	if !ok || most > patient {
		return r
	}
	slow := max(time.Duration(filled.Slow*float64(most)), filled.SlowFrom.Std())
	r.Slow = app.Duration(slow)
	for i, n := range sum.Latency {
		if i == len(route.LatencyBounds) || route.LatencyBounds[i] > slow {
			r.Over += n
		}
	}
	r.Over = min(r.Over, r.Requests)
	return r
}

// quantile is a time that a share of the requests took at most; ok is false where
// there were too few, or that time is not known.
func quantile(c *route.Counter, share float64) (took time.Duration, ok bool) {
	var all, below uint64
	for _, n := range c.Latency {
		all += n
	}
	if all < known {
		return 0, false
	}
	for i, bound := range route.LatencyBounds {
		if below += c.Latency[i]; float64(below) >= share*float64(all) {
			return bound, true
		}
	}
	return 0, false
}
