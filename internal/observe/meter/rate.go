package meter

import (
	"slices"
	"time"

	"naru/internal/route"
)

// Rate is what happened lately.
type Rate struct {
	PerSecond float64 // requests that ended
	Failed    float64 // share of them answered with 5xx, 0 to 1
}

// A window is the last minute in slots.
const (
	slot  = 5 * time.Second
	slots = 12
)

type window struct {
	number   [slots]int64 // which slot of all time stands at each place
	requests [slots]uint32
	failed   [slots]uint32
}

func (w *window) add(now time.Time, c route.Counter) {
	n := now.UnixNano() / int64(slot)
	i := n % slots
	if w.number[i] != n {
		w.number[i], w.requests[i], w.failed[i] = n, 0, 0
	}
	w.requests[i] += uint32(c.Requests())
	w.failed[i] += uint32(c.Classes[5])
}

func (w *window) sum(now time.Time) (requests, failed uint64) {
	n := now.UnixNano() / int64(slot)
	for i := range w.number {
		if w.number[i] > n-slots {
			requests += uint64(w.requests[i])
			failed += uint64(w.failed[i])
		}
	}
	return requests, failed
}

// Rates returns what groups did in the last minute, by group id; those that had
// no request are left out.
func (m *Meter) Rates(groups ...string) map[string]Rate {
	m.mu.Lock()
	defer m.mu.Unlock()
	asked := make(map[string]bool, len(groups))
	for _, g := range groups {
		asked[g] = true
	}
	now := m.now()
	// The present slot has only begun, and we may not have looked for a minute yet.
	span := min((slots-1)*slot+time.Duration(now.UnixNano()%int64(slot)), max(now.Sub(m.began), time.Second))
	all := map[string][2]uint64{}
	for k, s := range m.series {
		if !asked[k.group] {
			continue
		}
		if requests, failed := s.recent.sum(now); requests > 0 {
			had := all[k.group]
			all[k.group] = [2]uint64{had[0] + requests, had[1] + failed}
		}
	}
	out := make(map[string]Rate, len(all))
	for g, n := range all {
		out[g] = Rate{PerSecond: float64(n[0]) / span.Seconds(), Failed: float64(n[1]) / float64(n[0])}
	}
	return out
}

// Requests counts all that groups have answered since they exist; ok is false
// where that is not known, because some are counted together with others.
func (m *Meter) Requests(groups ...string) (n uint64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, s := range m.series {
		if slices.Contains(groups, k.group) {
			n += s.total.Requests()
		}
	}
	return n, m.over == 0
}
