package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/backoff"
	"naru/internal/fault"
	"naru/internal/release"
	"naru/internal/run"
)

// Store is what a rollout reads and writes. Each call is one transaction.
type Store interface {
	Rollout(ctx context.Context, id ID) (Rollout, error)
	// PrepareRollout moves a rollout from Preparing to Shifting and makes its new
	// groups, of size 0, one for each process type.
	PrepareRollout(ctx context.Context, id ID, processes []string) (Rollout, error)
	// ShiftRollout sets the sizes of groups of a rollout.
	ShiftRollout(ctx context.Context, id ID, sizes []Resize) error
	// MoveRollout moves a rollout to another state; reason says why. Moving to
	// Done removes the old groups and to RolledBack the new ones, all of which
	// must be empty.
	MoveRollout(ctx context.Context, id ID, to State, reason string) (Rollout, error)

	App(ctx context.Context, id app.ID) (app.App, error)
	Release(ctx context.Context, id release.ID) (release.Release, error)
	Groups(ctx context.Context, id app.ID) ([]run.Group, error)
	Instances(ctx context.Context, id app.ID) ([]run.Instance, error)
	// WatchApp returns a channel that gets a value after something of the app
	// was committed, and a function that ends that.
	WatchApp(id app.ID) (changed <-chan struct{}, stop func())
}

// Router brings the gateways' table up to date with the store.
type Router interface {
	Sync(ctx context.Context) error
}

// Runner carries rollouts out.
type Runner struct {
	store  Store
	router Router
	log    *slog.Logger
}

// NewRunner makes a runner.
func NewRunner(store Store, router Router, log *slog.Logger) *Runner {
	return &Runner{store, router, log}
}

// Listener hears how a rollout gets on; both may be called often.
type Listener interface {
	Moved(ctx context.Context, lanes []Lane)      // something changed
	Output(ctx context.Context, who, line string) // last lines of an instance that does not work
}

// unseen is how many failures in a row that are not the app's own (a runtime
// that restarts, a machine that rebooted) end a rollout.
const unseen = 5

// Run carries a rollout to its end, wherever it stands. It returns with ctx's
// error and goes on when called again, also by another process. Other errors of
// a move are tried again: a rollout that was left in the middle would be in the
// way of all that come after it. When abort is
// closed, it goes back. The rollout it returns is Done, or RolledBack or Failed
// with a reason.
func (r *Runner) Run(ctx context.Context, id ID, abort <-chan struct{}, hear Listener) (Rollout, error) {
	ro, err := r.store.Rollout(ctx, id)
	if err != nil {
		return ro, err
	}
	if ro.State == Preparing {
		rel, err := r.store.Release(ctx, ro.Release)
		if err != nil {
			return ro, err
		}
		if ro, err = r.store.PrepareRollout(ctx, id, app.Types(rel.Processes)); err != nil {
			return ro, err
		}
	}
	changed, stop := r.store.WatchApp(ro.App)
	defer stop()
	tick := time.NewTicker(5 * time.Second) // what a change did not announce is seen all the same
	defer tick.Stop()
	retry := backoff.Policy{First: 50 * time.Millisecond, Max: 5 * time.Second}
	for failures := 0; !ro.State.Ended(); {
		next, err := r.step(ctx, ro, hear)
		if err != nil {
			if ctx.Err() != nil {
				return ro, ctx.Err()
			}
			r.log.WarnContext(ctx, "move rollout", "rollout", id, "state", ro.State, "error", err)
			if retry.Wait(ctx, failures) != nil {
				return ro, ctx.Err()
			}
			failures++
			continue
		}
		if failures = 0; next.State != ro.State {
			ro = next
			continue // its next move need not wait for a change
		}
		select {
		case <-ctx.Done():
			return ro, ctx.Err()
		case <-abort:
			abort = nil
			if ro.State == Shifting {
				if ro, err = r.store.MoveRollout(ctx, id, Aborting, "canceled"); err != nil {
					return ro, fmt.Errorf("abort rollout: %w", err)
				}
			}
		case <-changed:
		case <-tick.C:
		}
	}
	return ro, nil
}

// step looks once and makes one move.
func (r *Runner) step(ctx context.Context, ro Rollout, hear Listener) (Rollout, error) {
	lanes, sick, err := r.look(ctx, ro)
	if err != nil {
		return ro, err
	}
	// What counts as healthy must be what the gateways know, or an old instance
	// would leave before visitors can reach the new one.
	if err := r.router.Sync(ctx); err != nil {
		return ro, fmt.Errorf("bring the gateways up to date: %w", err)
	}
	hear.Moved(ctx, lanes)
	move := Forward(lanes, ro.MaxInFlight)
	if ro.State == Aborting {
		move = Back(lanes)
	}
	switch {
	case move.Trouble != "":
		for _, line := range sick.lines {
			hear.Output(ctx, sick.who, line)
		}
		return r.store.MoveRollout(ctx, ro.ID, Aborting, move.Trouble)
	case move.Finished && ro.State == Aborting:
		return r.store.MoveRollout(ctx, ro.ID, RolledBack, ro.Reason)
	case move.Finished:
		return r.store.MoveRollout(ctx, ro.ID, Done, "")
	case ro.State == Aborting && sick.old != "":
		return r.store.MoveRollout(ctx, ro.ID, Failed, ro.Reason+"; and what ran before does not work any more: "+sick.old)
	case len(move.Resize) > 0:
		return ro, r.store.ShiftRollout(ctx, ro.ID, move.Resize)
	}
	return ro, nil
}

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
	slices.SortFunc(groups, func(x, y run.Group) int { return y.Sequence - x.Sequence }) // the newest first
	byProcess := map[string]*Lane{}
	lane := func(process string) *Lane {
		if byProcess[process] == nil {
			byProcess[process] = &Lane{Process: process, Routed: process == app.Web, Want: a.Wanted(process)}
		}
		return byProcess[process]
	}
	for _, g := range groups {
		side, ill := sideOf(g, have)
		l := lane(g.Process)
		switch {
		case slices.Contains(ro.New, g.ID):
			l.New = &side
			if ill.who != "" && sick.who == "" {
				sick.who, sick.lines = ill.who, ill.lines
			}
		case slices.Contains(ro.Old, g.ID):
			l.Old = append(l.Old, side)
			if side.Trouble != "" && side.Healthy == 0 {
				sick.old = side.Trouble
			}
		}
	}
	var lanes []Lane
	for _, l := range byProcess {
		if l.New == nil && ro.State == Shifting {
			l.Want = 0 // the release has no such process
		}
		lanes = append(lanes, *l)
	}
	slices.SortFunc(lanes, func(x, y Lane) int {
		order := app.Types([]app.Process{{Type: x.Process}, {Type: y.Process}})
		return slices.Index(order, x.Process) - slices.Index(order, y.Process)
	})
	return lanes, sick, nil
}

// sideOf counts a group's instances and finds the first that does not work.
func sideOf(g run.Group, have []run.Instance) (Side, illness) {
	side := Side{Group: g.ID, Size: g.Size}
	var ill illness
	for _, i := range have {
		if i.Group != g.ID {
			continue
		}
		if i.State != run.Crashed {
			side.Present++
		}
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

// Err is the rollout's end as an error for people: nil when it is done.
func (ro Rollout) Err(a app.App, rel release.Release) error {
	switch {
	case ro.State == Done:
		return nil
	case ro.State == Failed:
		return fault.New(fault.Failed, "", "%s %s did not work (%s)", a.Name, rel.Name(), ro.Reason).
			WithTry("naru app %s; naru logs %s", a.Name, a.Name)
	case ro.From == "":
		return fault.New(fault.Failed, "", "%s %s did not work: %s", a.Name, rel.Name(), ro.Reason).
			WithTry("naru logs %s", a.Name)
	case ro.State == RolledBack:
		return fault.New(fault.Failed, "", "%s %s did not work, what ran before keeps running: %s", a.Name, rel.Name(), ro.Reason).
			WithTry("naru logs %s", a.Name)
	}
	return errors.New("the rollout has not ended")
}
