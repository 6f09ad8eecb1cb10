package cf

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
)

// sight is what there is to see of some apps, fetched with few questions however
// many they are.
type sight struct {
	current   map[app.ID]release.Release
	groups    map[app.ID][]run.Group
	instances map[run.GroupID][]run.Instance
	steps     map[app.ID]bool // apps whose rollout has come to one of its steps
	beginning map[app.ID]bool // apps whose rollout has not made its groups yet
}

// released is a sight of what apps are to run, without what does.
func (d *Door) released(ctx context.Context, apps []app.App) (sight, error) {
	v := sight{map[app.ID]release.Release{}, map[app.ID][]run.Group{}, map[run.GroupID][]run.Instance{}, map[app.ID]bool{}, map[app.ID]bool{}}
	if len(apps) == 0 {
		return v, nil
	}
	var err error
	v.current, err = d.Releases.CurrentReleases(ctx, each(apps, func(a app.App) app.ID { return a.ID })...)
	return v, err
}

func (d *Door) look(ctx context.Context, apps ...app.App) (sight, error) {
	v, err := d.released(ctx, apps)
	if err != nil || len(apps) == 0 {
		return v, err
	}
	ids := each(apps, func(a app.App) app.ID { return a.ID })
	return v, d.running(ctx, v, ids)
}

// running adds what runs of apps to a sight.
func (d *Door) running(ctx context.Context, v sight, ids []app.ID) error {
	open, err := d.Rollouts.OpenRollouts(ctx) // before the groups: what has made them by then is seen with them
	if err != nil {
		return err
	}
	for _, r := range open {
		v.steps[r.App], v.beginning[r.App] = onStep(r), r.State == rollout.Preparing
	}
	groups, err := d.Running.GroupsOfApps(ctx, ids...)
	if err != nil || len(groups) == 0 {
		return err
	}
	for _, g := range groups {
		v.groups[g.App] = append(v.groups[g.App], g)
	}
	instances, err := d.Running.InstancesIn(ctx, each(groups, func(g run.Group) run.GroupID { return g.ID })...)
	for _, i := range instances {
		v.instances[i.Group] = append(v.instances[i.Group], i)
	}
	return err
}

// onStep reports that a rollout has given one of its steps the traffic that is due.
func onStep(r rollout.Rollout) bool {
	return !r.State.Ended() && !r.Reached.IsZero() && r.Step < len(r.Spec.Steps)
}

// process is a process type of an app as it is wanted.
type process struct {
	app.Process
	of      app.App
	created time.Time
}

func (p process) guid() string { return processGUID(string(p.of.ID), p.Type) }

// processes are those of an app's release with the draft's settings, which take
// effect at the next start; without a release there is web.
func (v sight) processes(a app.App) []process {
	rel := v.current[a.ID]
	types := app.Outline{Released: each(rel.Processes, func(p app.Process) string { return p.Type }), Drafted: slices.Sorted(maps.Keys(a.Draft.Processes))}.Types()
	return each(types, func(kind string) process { // what a manifest says of is there before it runs
		p := app.Process{Type: kind}
		if i := slices.IndexFunc(rel.Processes, func(p app.Process) bool { return p.Type == kind }); i >= 0 {
			p = rel.Processes[i]
		}
		return process{p.Resolve(a.Draft.Processes[kind]), a, a.Created}
	})
}

// spot is an index of a process type and what is there.
type spot struct {
	index int
	state string
	inst  run.Instance // zero: nothing yet
}

// spots tells of every index that is wanted. While an app is being replaced those
// of the newest group count, so that what was asked for last is what is seen;
// others stand in once one of the new ones is healthy. Until it has its group, none
// do: a client that looks at once would take the old ones for it.
func (v sight) spots(a app.App, process string) []spot {
	out := make([]spot, a.Count(process))
	for i := range out {
		out[i] = spot{index: i, state: "DOWN"}
		if a.State != app.Stopped && a.Image != "" {
			out[i].state = "STARTING"
		}
	}
	if a.State == app.Stopped || v.beginning[a.ID] {
		return out
	}
	var groups []run.Group
	for _, g := range v.groups[a.ID] {
		if g.Process == process && !g.Retired && !v.heldBack(g) {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(x, y run.Group) int { return cmp.Or(y.Created.Compare(x.Created), cmp.Compare(y.ID, x.ID)) })
	for n, g := range groups {
		up := false
		for _, i := range v.instances[g.ID] {
			if !i.State.Live() && i.State != run.Crashed || i.Index >= len(out) {
				continue
			}
			up = up || i.State == run.Healthy
			if at := &out[i.Index]; at.inst.ID == "" || i.Created.After(at.inst.Created) && at.inst.Group == g.ID {
				*at = spot{i.Index, stateOfInstance(i), i}
			}
		}
		if n == 0 && !up {
			break
		}
	}
	return out
}

// heldBack reports a group that wants no instances at a step of its rollout: a
// canary is of web alone, and the other processes run on as they did.
func (v sight) heldBack(g run.Group) bool { return v.steps[g.App] && v.behind(g) }

// behind reports a group that wants no instances while another one of its rollout
// has some.
func (v sight) behind(g run.Group) bool {
	return g.Size == 0 && !g.Retired && len(v.instances[g.ID]) == 0 && slices.ContainsFunc(v.groups[g.App], func(other run.Group) bool {
		return other.Process != g.Process && other.Release == g.Release && other.Size > 0 && !other.Retired && !other.Created.Before(g.Created)
	})
}

func stateOfInstance(i run.Instance) string {
	switch i.State {
	case run.Healthy, run.Unhealthy:
		return "RUNNING"
	case run.Crashed:
		return "CRASHED"
	case run.Pending:
		if i.Crashes > 0 { // it waits before it is tried again
			return "CRASHED"
		}
	}
	return "STARTING"
}

// usage is how many instances of spaces are wanted, and the memory they may take.
func (d *Door) usage(c *call, spaces map[app.SpaceID]app.Space) (instances, mib int, err error) {
	apps, err := d.appsIn(c.ctx(), spaces)
	if err != nil || len(apps) == 0 {
		return 0, 0, err
	}
	current, err := d.Releases.CurrentReleases(c.ctx(), each(apps, func(a app.App) app.ID { return a.ID })...)
	for _, a := range apps {
		for _, p := range current[a.ID].Processes {
			n := a.Wanted(p.Type)
			instances += n
			mib += n * p.MemoryMiB
		}
	}
	return instances, mib, err
}
