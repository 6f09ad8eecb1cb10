package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/release"
	"naru/internal/run"
)

// unseen is how many failures in a row that are not the app's own (a runtime
// that restarts, a machine that rebooted) end a rollout.
const unseen = 5

// illness is what instances that do not work said last.
type illness struct {
	who   string // "web 0"
	lines []string
	old   string // why an instance of what ran before does not work
}

// look reads the lanes as they are now.
func (r *Runner) look(ctx context.Context, ro Rollout) ([]Lane, illness, error) {
	var sick illness
	a, err := r.store.App(ctx, ro.App)
	if err != nil {
		return nil, sick, err
	}
	groups, err := r.store.Groups(ctx, ro.App)
	if err != nil {
		return nil, sick, err
	}
	have, err := r.store.Instances(ctx, ro.App)
	if err != nil {
		return nil, sick, err
	}
	lanes, sick := lanesOf(ro, a, groups, have)
	return lanes, sick, nil
}

// lanesOf sorts groups and instances into lanes, web first.
func lanesOf(ro Rollout, a app.App, groups []run.Group, have []run.Instance) (lanes []Lane, sick illness) {
	groups = slices.Clone(groups)
	slices.SortFunc(groups, func(x, y run.Group) int { return y.Created.Compare(x.Created) }) // the newest first
	byProcess := map[string]*Lane{}
	lane := func(process string) *Lane {
		if byProcess[process] == nil {
			byProcess[process] = &Lane{Process: process, Routed: process == app.Web, Want: a.Wanted(process)}
		}
		return byProcess[process]
	}
	for _, g := range groups {
		// What must not run twice has to be gone altogether.
		side, ill := sideOf(g, have, ro.Spec.Kind == app.Recreate)
		l := lane(g.Process)
		switch {
		case slices.Contains(ro.New, g.ID):
			l.New = &side
			if ill.who != "" && sick.who == "" {
				sick.who, sick.lines = ill.who, ill.lines
			}
		case slices.Contains(ro.Beside, g.ID):
			l.Beside = &side
		case slices.Contains(ro.Old, g.ID):
			l.Old = append(l.Old, side)
			if side.Trouble != "" && side.Healthy == 0 {
				sick.old = side.Trouble
			}
		}
	}
	for _, l := range byProcess {
		if l.New == nil && ro.State != Aborting {
			l.Want = 0 // the release has no such process
		}
		lanes = append(lanes, *l)
	}
	slices.SortFunc(lanes, func(x, y Lane) int {
		order := app.Types([]app.Process{{Type: x.Process}, {Type: y.Process}})
		return slices.Index(order, x.Process) - slices.Index(order, y.Process)
	})
	return lanes, sick
}

// sideOf counts a group's instances, those that linger only where alone says so,
// and finds the first that does not work.
func sideOf(g run.Group, have []run.Instance, alone bool) (Side, illness) {
	side := Side{Group: g.ID, Size: g.Size, Weight: Auto}
	if g.Weight != nil {
		side.Weight = *g.Weight
	}
	var ill illness
	for _, i := range have {
		if i.Group != g.ID || i.State == run.Lingering && !alone {
			continue
		}
		side.Present++ // a crashed one, too: its record must outlive what it leaves on the machine
		if i.State == run.Healthy {
			side.Healthy++
		}
		if why := trouble(i); why != "" && side.Trouble == "" {
			ill.who = fmt.Sprintf("%s %d", g.Process, i.Index)
			ill.lines = i.LastExit.LastLines
			side.Trouble = fmt.Sprintf("%s instance %d: %s", g.Process, i.Index, why)
		}
	}
	return side, ill
}

// trouble says why an instance shows that its release does not work; "" when it
// does not show that.
func trouble(i run.Instance) string {
	failed := i.State == run.Crashed || i.Restarts > 0
	if !failed || i.LastExit == nil || i.LastExit.Code == -1 && i.Crashes < unseen {
		return ""
	}
	return i.LastExit.Reason
}

// Err is the rollout's end as an error for people: nil when it is done, or only
// watched any more.
func (ro Rollout) Err(a app.App, rel release.Release) error {
	switch {
	case ro.State == Done || ro.State == Watching:
		return nil
	case ro.State == Failed:
		return fault.New(fault.Failed, "", "%s %s did not work (%s)", a.Name, rel.Name(), ro.Reason).
			WithTry("naru rollout %s; naru groups %s; naru logs %s", a.Name, a.Name, a.Name)
	case ro.State == Superseded:
		return fault.New(fault.Conflict, "", "%s %s gave way to a later one: %s", a.Name, rel.Name(), ro.Reason).
			WithTry("naru rollouts %s", a.Name)
	case ro.From == "":
		return fault.New(fault.Failed, "", "%s %s did not work: %s", a.Name, rel.Name(), ro.Reason).
			WithTry("naru why %s; naru logs %s", a.Name, a.Name)
	case ro.State == RolledBack:
		return fault.New(fault.Failed, "", "%s %s did not work, what ran before keeps running: %s", a.Name, rel.Name(), ro.Reason).
			WithTry("naru why %s; naru logs %s", a.Name, a.Name)
	}
	return errors.New("the rollout has not ended")
}
