package collect

import (
	"context"

	"naru/internal/observe/metrics"
	"naru/internal/run"
)

// instances makes metrics of what instances use.
type instances struct {
	all map[holder]*instance
}

// holder is a place in a group: who is started anew there goes on with its series.
type holder struct {
	group run.GroupID
	index int
}

// instance has the series of one.
type instance struct {
	cpu, memory, processes, restarts, healthy, received, sent *metrics.Series

	present bool // in this round
}

func newInstances() *instances { return &instances{all: map[holder]*instance{}} }

// round asks every instance. One that is on its way up or down cannot be asked:
// it is left out.
func (n *instances) round(ctx context.Context, groups []Group, load func(context.Context, run.InstanceID) (run.Usage, error)) (points []metrics.Point) {
	for _, g := range groups {
		taken := map[holder]bool{}
		for _, i := range g.Instances {
			// One that lingers with its streams does not hold its index any more.
			where := holder{g.ID, i.Index}
			if i.State == run.Lingering || taken[where] {
				continue
			}
			taken[where] = true
			used, err := load(ctx, i.ID)
			if err != nil {
				continue
			}
			one := n.of(g, where)
			points = append(points,
				metrics.Point{Series: one.cpu, Value: used.CPU.Seconds()},
				metrics.Point{Series: one.memory, Value: float64(used.MemoryBytes)},
				metrics.Point{Series: one.processes, Value: float64(used.PIDs)},
				metrics.Point{Series: one.restarts, Value: float64(i.Restarts)},
				metrics.Point{Series: one.healthy, Value: yes(i.State == run.Healthy)})
			if used.Received > 0 || used.Sent > 0 {
				points = append(points,
					metrics.Point{Series: one.received, Value: float64(used.Received)},
					metrics.Point{Series: one.sent, Value: float64(used.Sent)})
			}
		}
	}
	for at, one := range n.all {
		if !one.present {
			delete(n.all, at)
		}
		one.present = false
	}
	return points
}

func (n *instances) of(g Group, at holder) *instance {
	one := n.all[at]
	if one == nil {
		of := g.Labels()
		index := number(at.index)
		make := func(name string) *metrics.Series { return series(name, of, metrics.LabelIndex, index) }
		one = &instance{
			cpu: make("naru_instance_cpu_seconds_total"), memory: make("naru_instance_memory_bytes"),
			processes: make("naru_instance_processes"), restarts: make("naru_instance_restarts_total"), healthy: make("naru_instance_healthy"),
			received: make("naru_instance_received_bytes_total"), sent: make("naru_instance_sent_bytes_total"),
		}
		n.all[at] = one
	}
	one.present = true
	return one
}

func yes(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
