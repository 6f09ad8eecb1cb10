package run

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"naru/internal/backoff"
)

// Want is a group and how many instances it should have. A group that has
// instances and is wanted nowhere is wanted with none.
type Want struct {
	Group GroupID
	Size  int
}

// Act is what a Change does.
type Act string

// The acts. Each may be carried out again without harm.
const (
	Start   Act = "start"   // make an instance at Index
	Restart Act = "restart" // make an instance at Index in place of the crashed Instance
	Drain   Act = "drain"   // take Instance out of all gateways' tables, wait until it is idle, mark it Drained; with only streams left it becomes Lingering
	Stop    Act = "stop"    // stop and remove Instance
	Forget  Act = "forget"  // Instance never ran or crashed, and is not wanted: it becomes Stopped
)

// Change is one difference between what is wanted and what there is.
type Change struct {
	Act      Act
	Group    GroupID
	Index    int
	Instance InstanceID // "" for Start
	Reason   string     // for people
}

// Policy bounds how fast Plan restarts.
type Policy struct {
	Restart   backoff.Policy // wait between a crash and the restart, by crashes in a row
	Unhealthy time.Duration  // an instance that was unhealthy for so long is replaced
}

// DefaultPolicy restarts after a second, then doubles to five minutes.
func DefaultPolicy() Policy {
	return Policy{
		Restart:   backoff.Policy{First: time.Second, Max: 5 * time.Minute, Jitter: 0.2},
		Unhealthy: 30 * time.Second,
	}
}

// Plan returns what brings the instances to what is wanted: the indexes 0 to
// Size-1 of every group, each once. What is missing is started, lowest index
// first; what crashed is restarted when its wait is over; what is too much is
// drained, highest index first, and stopped once it is drained.
func (p Policy) Plan(want []Want, have []Instance, now time.Time) []Change {
	byGroup := map[GroupID][]Instance{}
	for _, i := range have {
		byGroup[i.Group] = append(byGroup[i.Group], i)
	}
	var changes []Change
	for _, w := range want {
		changes = append(changes, p.group(w, byGroup[w.Group], now)...)
		delete(byGroup, w.Group)
	}
	rest := make([]GroupID, 0, len(byGroup))
	for id := range byGroup {
		rest = append(rest, id)
	}
	slices.Sort(rest)
	for _, id := range rest {
		changes = append(changes, p.group(Want{Group: id}, byGroup[id], now)...)
	}
	return changes
}

// Due returns when Plan will next restart something that it now leaves alone;
// zero when time alone changes nothing.
func (p Policy) Due(have []Instance, now time.Time) time.Time {
	var due time.Time
	for _, i := range have {
		var at time.Time
		switch i.State {
		case Crashed:
			at = p.restartAt(i)
		case Unhealthy:
			at = i.Since.Add(p.Unhealthy)
		}
		if at.After(now) && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return due
}

// group plans one group: first who holds each index, then what follows for all.
func (p Policy) group(w Want, have []Instance, now time.Time) []Change {
	holder := holders(have)
	change := func(act Act, i Instance, reason string) Change {
		return Change{Act: act, Group: w.Group, Index: i.Index, Instance: i.ID, Reason: reason}
	}

	have = slices.Clone(have)
	slices.SortFunc(have, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(b.Index, a.Index), cmp.Compare(a.ID, b.ID))
	})
	var out, starts []Change
	for _, i := range have {
		wanted := i.Index < w.Size && holder[i.Index] == i.ID
		switch {
		case i.State == Stopping, i.State == Draining && i.Drained, i.State == Lingering && i.Drained:
			out = append(out, change(Stop, i, "drained"))
		case i.State == Draining, i.State == Lingering:
			out = append(out, change(Drain, i, "draining"))
		case i.State == Crashed && !wanted, i.State == Pending && !wanted:
			out = append(out, change(Forget, i, "no longer wanted"))
		case i.State == Starting && !wanted:
			out = append(out, change(Stop, i, "no longer wanted"))
		case i.State.Live() && !wanted:
			out = append(out, change(Drain, i, "no longer wanted"))
		case i.State == Unhealthy && !now.Before(i.Since.Add(p.Unhealthy)):
			out = append(out, change(Drain, i, "unhealthy for "+p.Unhealthy.String()))
		case i.State == Crashed && !now.Before(p.restartAt(i)):
			starts = append(starts, change(Restart, i, "crashed"))
		}
	}
	for index := range w.Size {
		if _, taken := holder[index]; !taken {
			starts = append(starts, Change{Act: Start, Group: w.Group, Index: index, Reason: "missing"})
		}
	}
	slices.SortFunc(starts, func(a, b Change) int { return cmp.Compare(a.Index, b.Index) })
	return append(out, starts...)
}

// holders returns who holds each index: of several the one furthest on, so that
// a start that was done twice keeps the copy that serves.
func holders(have []Instance) map[int]InstanceID {
	rank := map[State]int{Healthy: 7, Unhealthy: 6, Starting: 5, Pending: 4, Draining: 3, Stopping: 2, Crashed: 1}
	best := map[int]Instance{}
	for _, i := range have {
		if rank[i.State] == 0 {
			continue
		}
		b, ok := best[i.Index]
		if !ok || rank[i.State] > rank[b.State] || rank[i.State] == rank[b.State] && i.ID > b.ID {
			best[i.Index] = i
		}
	}
	ids := map[int]InstanceID{}
	for index, i := range best {
		ids[index] = i.ID
	}
	return ids
}

// restartAt is when a crashed instance may be restarted. The jitter comes from
// its id, so that planning again gives the same answer.
func (p Policy) restartAt(i Instance) time.Time {
	h := fnv.New64a()
	h.Write([]byte(i.ID)) // never fails
	fraction := float64(h.Sum64()>>11) / (1 << 53)
	return i.Since.Add(p.Restart.Delay(max(i.Crashes-1, 0), func() float64 { return fraction }))
}
