package admit

import (
	"context"
	"maps"
	"slices"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/run"
)

// standing is what is stored about everything that takes memory.
type standing struct {
	groups   map[app.ID][]run.Group
	rollouts map[app.ID]rollout.Rollout
	rolling  map[app.ID]app.App // the apps of rollouts
	tasks    []task.Task
	memory   map[release.ID]map[string]int // MiB by process type
}

// read reads it, and what further releases say.
func (d *Desk) read(ctx context.Context, further ...release.ID) (s standing, err error) {
	groups, err := d.store.AllGroups(ctx)
	if err != nil {
		return s, err
	}
	open, err := d.store.OpenRollouts(ctx)
	if err != nil {
		return s, err
	}
	if s.tasks, err = d.store.OpenTasks(ctx); err != nil {
		return s, err
	}
	releases := map[release.ID]bool{}
	for _, id := range further {
		releases[id] = true
	}
	s.groups, s.rollouts, s.rolling = map[app.ID][]run.Group{}, map[app.ID]rollout.Rollout{}, map[app.ID]app.App{}
	for _, g := range groups {
		s.groups[g.App] = append(s.groups[g.App], g)
		releases[g.Release] = true
	}
	var rolling []app.ID
	for _, r := range open {
		s.rollouts[r.App] = r
		releases[r.Release] = true
		rolling = append(rolling, r.App)
	}
	for _, t := range s.tasks {
		releases[t.Release] = true
	}
	if len(rolling) > 0 {
		apps, err := d.store.AppsByID(ctx, rolling...)
		if err != nil {
			return s, err
		}
		for _, a := range apps {
			s.rolling[a.ID] = a
		}
	}
	s.memory, err = d.memory(ctx, releases)
	return s, err
}

// all returns a claim for each app that has groups or a rollout, and for each
// open task.
func (s standing) all() []Claim {
	apps := map[app.ID]bool{}
	for a := range s.groups {
		apps[a] = true
	}
	for a := range s.rollouts {
		apps[a] = true
	}
	var out []Claim
	for _, a := range slices.Sorted(maps.Keys(apps)) {
		out = append(out, s.claim(a))
	}
	for _, t := range s.tasks {
		out = append(out, s.task(t))
	}
	return out
}

// claim is what an app has been promised: its groups as they are, or, while they
// are replaced, what they and their successors come to.
func (s standing) claim(id app.ID) Claim {
	c := Claim{App: id}
	for _, g := range s.groups[id] {
		c.Space = g.Space
		c.Parts = addPart(c.Parts, Part{g.Process, g.Size, s.mib(g.Release, g.Process)})
	}
	ro, under := s.rollouts[id]
	a, known := s.rolling[id]
	if !under || !known {
		return c
	}
	old := Claim{App: id, Space: a.Space}
	for _, g := range s.groups[id] {
		if slices.Contains(ro.Old, g.ID) {
			old.Parts = addPart(old.Parts, Part{g.Process, g.Size, s.mib(g.Release, g.Process)})
		}
	}
	var processes []app.Process
	for process, mib := range s.memory[ro.Release] {
		processes = append(processes, app.Process{Type: process, MemoryMiB: mib})
	}
	want, beside := replacement(a, old, processes)
	want.Extra = beside(ro.MaxInFlight)
	return want
}

func (s standing) mib(rel release.ID, process string) int {
	if mib, ok := s.memory[rel][process]; ok {
		return mib
	}
	return app.DefaultMemoryMiB
}

// task is the claim of a task: what it asked for, else what its release's web
// process has.
func (s standing) task(t task.Task) Claim {
	mib := t.MemoryMiB
	if mib == 0 {
		mib = s.mib(t.Release, app.Web)
	}
	return Claim{App: t.App, Task: true, Parts: []Part{{"task", 1, mib}}}
}

// replacement is the claim of an app whose old parts are replaced by processes,
// and what stands beside it on the way. Until the end an instance may be of
// either side, so the larger one counts. Routed processes move first, then the
// others one by one, so the larger of the two counts.
func replacement(a app.App, old Claim, processes []app.Process) (want Claim, beside func(inFlight int) int) {
	want = Claim{App: a.ID, Space: a.Space}
	for _, p := range old.Parts {
		want.Parts = addPart(want.Parts, Part{p.Process, a.Wanted(p.Process), p.MiB})
	}
	for _, p := range processes {
		want.Parts = addPart(want.Parts, Part{p.Type, a.Wanted(p.Type), p.MemoryMiB})
	}
	return want, func(inFlight int) int {
		routed, others := 0, 0
		for _, p := range want.Parts {
			replaced := slices.ContainsFunc(old.Parts, func(o Part) bool { return o.Process == p.Process && o.Count > 0 })
			switch {
			case !replaced:
			case p.Process == app.Web:
				routed = min(inFlight, p.Count) * p.MiB
			case p.Count > 0:
				others = max(others, p.MiB)
			}
		}
		return max(routed, others)
	}
}

// addPart joins parts of one process type: the larger number and the larger
// instance.
func addPart(parts []Part, p Part) []Part {
	for i, have := range parts {
		if have.Process == p.Process {
			parts[i].Count, parts[i].MiB = max(have.Count, p.Count), max(have.MiB, p.MiB)
			return parts
		}
	}
	return append(parts, p)
}
