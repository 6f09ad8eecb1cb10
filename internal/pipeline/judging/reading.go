package judging

import (
	"context"
	"slices"
	"strings"
	"time"

	"naru/internal/judge"
	"naru/internal/route"
	"naru/internal/run"
)

// reading is what the groups of a side had done at one time.
type reading struct {
	at        time.Time
	of        string        // ids of its groups
	counted   route.Counter // over all groups
	copies    route.Counter // the same of copies that both sides were sent
	instances map[run.InstanceID]usage
	restarts  map[place]int
	healthy   int
	addresses []string // of those that are healthy
	unread    bool     // an instance that is healthy was not measured
}

type usage struct {
	cpu    time.Duration
	memory int64
}

// place is an instance's in its group; who is started anew there takes it.
type place struct {
	group run.GroupID
	index int
}

// read asks what both sides have done.
func (w *Watcher) read(ctx context.Context, s sides, at time.Time) (look, error) {
	have, err := w.store.Instances(ctx, s.app.ID)
	if err != nil {
		return look{}, err
	}
	counted, known := w.meter.Groups(slices.Concat(ids(s.canary), ids(s.baseline), copiesOf(s.canary), copiesOf(s.baseline))...)
	of := func(s side) reading {
		r := reading{at: at, of: strings.Join(ids(s), " "), instances: map[run.InstanceID]usage{}, restarts: map[place]int{}, unread: !known}
		for _, g := range s.groups {
			add(&r.counted, counted[string(g.ID)])
			add(&r.copies, counted[string(g.ID)+route.Pairs])
			for _, i := range have {
				if i.Group != g.ID || i.State == run.Lingering {
					continue
				}
				r.restarts[place{g.ID, i.Index}] = max(r.restarts[place{g.ID, i.Index}], i.Restarts)
				if i.State != run.Healthy {
					continue
				}
				r.healthy++
				r.addresses = append(r.addresses, i.Addr)
				used, err := w.loads.Load(ctx, i.ID)
				if err != nil {
					r.unread = true // it is on its way up or down
					continue
				}
				r.instances[i.ID] = usage{used.CPU, used.MemoryBytes}
			}
		}
		return r
	}
	return look{canary: of(s.canary), baseline: of(s.baseline)}, nil
}

func ids(s side) []string {
	out := make([]string, len(s.groups))
	for i, g := range s.groups {
		out[i] = string(g.ID)
	}
	return out
}

// copiesOf is where copies are counted that a side's groups were sent.
func copiesOf(s side) []string {
	out := ids(s)
	for i := range out {
		out[i] += route.Pairs
	}
	return out
}

func add(to *route.Counter, c route.Counter) {
	for i := range c.Classes {
		to.Classes[i] += c.Classes[i]
	}
	for i := range c.Latency {
		to.Latency[i] += c.Latency[i]
	}
}

// between is what a side did between two readings; ok is false where that cannot
// be told: it was other groups, counters fell, a clock jumped, or nobody looked for
// too long.
func between(a, b reading, block time.Duration) (m judge.Measured, ok bool) {
	took := b.at.Sub(a.at)
	if took <= 0 || took > 3*block || a.of != b.of {
		return m, false
	}
	m.Took = make([]uint64, len(b.counted.Latency))
	for i := range m.Took {
		if b.counted.Latency[i] < a.counted.Latency[i] || b.copies.Latency[i] < a.copies.Latency[i] {
			return m, false
		}
		m.Took[i] = b.counted.Latency[i] - a.counted.Latency[i]
	}
	for i := range b.counted.Classes {
		if b.counted.Classes[i] < a.counted.Classes[i] || b.copies.Classes[i] < a.copies.Classes[i] {
			return m, false
		}
	}
	m.Copies, m.Broken = b.copies.Requests()-a.copies.Requests(), b.copies.Classes[5]-a.copies.Classes[5]
	if m.Copies > 0 {
		m.Waited = make([]uint64, len(b.copies.Latency))
		for i := range m.Waited {
			m.Waited[i] = b.copies.Latency[i] - a.copies.Latency[i]
		}
	}
	m.Requests, m.Failed = b.counted.Requests()-a.counted.Requests(), b.counted.Classes[5]-a.counted.Classes[5]
	m.Ran = float64(b.healthy) * took.Seconds()
	for at, n := range b.restarts {
		if had, there := a.restarts[at]; there && n > had {
			m.Restarts += uint64(n - had)
		}
	}
	// Less than all of a side would look like less use.
	if a.unread || b.unread {
		return m, true
	}
	for id, now := range b.instances {
		m.Memory += float64(now.memory) * took.Seconds()
		if had, there := a.instances[id]; there {
			m.CPU += max(0, now.cpu-had.cpu).Seconds()
		}
	}
	return m, true
}
