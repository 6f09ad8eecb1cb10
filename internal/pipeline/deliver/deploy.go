package deliver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/budget"
	"naru/internal/pipeline/operation"
	"naru/internal/release"
	"naru/internal/run"
)

// KindDeploy replaces what an app runs, and whatever rollout is on its way.
const KindDeploy operation.Kind = "deploy"

// Deployment is what is to run instead, and how it comes to that. What is zero is
// as the app has it.
type Deployment struct {
	Image     artifact.ID              `json:"image,omitempty"`
	Release   release.ID               `json:"release,omitempty"` // to go back to; then Image, Scale and Processes say nothing
	Strategy  app.Strategy             `json:"strategy,omitzero"`
	Scale     map[string]int           `json:"scale,omitempty"`
	Processes map[string]app.Overrides `json:"processes,omitempty"` // laid over those of the draft
	Reason    string                   `json:"reason"`
}

// Deploy replaces what an app runs. A rollout that is on its way goes back first,
// and a deployment that waits gives way: the last one asked for counts.
func (s *Service) Deploy(ctx context.Context, by operation.Ask, id app.ID, in Deployment) (operation.Operation, error) {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return operation.Operation{}, err
	}
	if err := s.checkDeployment(ctx, a, in); err != nil {
		return operation.Operation{}, err
	}
	if err := s.mayDeploy(ctx, a, in); err != nil {
		return operation.Operation{}, err
	}
	kind, err := s.deployKind(ctx, a, in)
	if err != nil {
		return operation.Operation{}, err
	}
	if _, _, err = s.permitted(ctx, by.Actor, a, kind, in.Strategy); err != nil {
		return operation.Operation{}, err
	}
	return s.submit(ctx, by, KindDeploy, a, in, func(ctx context.Context) error {
		return s.store.SupersedeRollout(ctx, a.ID, by.Actor)
	})
}

// checkDeployment refuses what cannot end well.
func (s *Service) checkDeployment(ctx context.Context, a app.App, in Deployment) error {
	if in.Release != "" {
		rel, err := s.store.Release(ctx, in.Release)
		if err == nil && rel.App != a.ID {
			err = fault.New(fault.NotFound, "release", "release %s is not one of %s", in.Release, a.Name).WithTry("naru releases %s", a.Name)
		}
		return err
	}
	image := artifact.ID(a.Image)
	if in.Image != "" {
		image = in.Image
	}
	img, err := s.store.Image(ctx, image)
	if err != nil {
		return err
	}
	if img.App != a.ID {
		return fault.New(fault.NotFound, "image", "image %s is not one of %s", image, a.Name).WithTry("naru releases %s", a.Name)
	}
	for _, process := range slices.Sorted(maps.Keys(in.Scale)) {
		if err := s.checkCount("processes."+process+".instances", in.Scale[process]); err != nil {
			return err
		}
	}
	for _, process := range slices.Sorted(maps.Keys(in.Processes)) {
		if err := s.checkMemory("processes."+process+".memory_mib", in.Processes[process].MemoryMiB); err != nil {
			return err
		}
	}
	return s.strategy(in.Strategy, a).Check("strategy")
}

// deployKind is what a deployment is to the gate.
func (s *Service) deployKind(ctx context.Context, a app.App, in Deployment) (budget.ChangeKind, error) {
	if in.Release != "" {
		return s.rollbackKind(ctx, a, in.Release)
	}
	if in.Image != "" {
		a.Image = string(in.Image)
	}
	return s.changeKind(ctx, a)
}

// deploy is the story of a deployment.
func (s *Service) deploy(ctx context.Context, w *operation.Work) (any, error) {
	var in Deployment
	if err := w.Bind(&in); err != nil {
		return nil, err
	}
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return nil, err
	}
	kind, err := s.deployKind(ctx, a, in)
	if err != nil {
		return nil, err
	}
	asked, err := s.admitted(ctx, w, a, kind, in.Strategy)
	if err != nil {
		return nil, err
	}
	c, err := operation.Step(ctx, w, "release", func(ctx context.Context) (cutting, operation.Outcome, error) {
		return s.roll(ctx, w, asked, func(ctx context.Context, a app.App, old *release.Release) (release.Release, error) {
			if in.Release != "" {
				return s.again(ctx, w, a, in.Release, in.Reason)
			}
			a, err := s.store.UpdateApp(ctx, a.ID, func(a *app.App) error { in.lay(a); return nil })
			if err != nil {
				return release.Release{}, err
			}
			return s.frozen(ctx, w.Actor, a, old, in.Reason, w.Kind == KindPush)
		})
	})
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, w, c)
}

// lay brings a deployment into an app.
func (in Deployment) lay(a *app.App) {
	if in.Image != "" {
		a.Image = string(in.Image)
	}
	if len(in.Scale) > 0 {
		a.Scale = scaled(*a, in.Scale)
	}
	for process, o := range in.Processes {
		a.Draft = a.Draft.WithProcess(process, a.Draft.Processes[process].With(o))
	}
}

// Halt stops an app at once, also where a rollout is on its way: it goes back
// first.
func (s *Service) Halt(ctx context.Context, by operation.Ask, id app.ID) (operation.Operation, error) {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return operation.Operation{}, err
	}
	return s.submit(ctx, by, KindStop, a, struct{}{}, func(ctx context.Context) error {
		return s.store.SupersedeRollout(ctx, a.ID, by.Actor)
	})
}

// RestartInstance has one instance of a process type leave; another one takes its
// index. What works drains first.
func (s *Service) RestartInstance(ctx context.Context, by operation.Ask, id app.ID, process string, index int) error {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return err
	}
	return s.store.Together(ctx, func(ctx context.Context) error {
		groups, err := s.store.Groups(ctx, id)
		if err != nil {
			return err
		}
		have, err := s.store.Instances(ctx, id)
		if err != nil {
			return err
		}
		n := 0
		for _, i := range have {
			of := slices.IndexFunc(groups, func(g run.Group) bool { return g.ID == i.Group && g.Process == process && !g.Retired })
			to, ok := leaving[i.State]
			if of < 0 || i.Index != index || index >= groups[of].Size || !ok {
				continue
			}
			if n++; to == i.State {
				continue
			}
			if _, err := s.store.UpdateInstance(ctx, i.ID, func(i run.Instance, now time.Time) (run.Instance, error) { return i.Move(to, now) }); err != nil {
				return err
			}
		}
		if n == 0 {
			return fault.New(fault.NotFound, "index", "%s has no instance %d of %s", a.Name, index, process).WithTry("naru app %s", a.Name)
		}
		return s.store.AppendEvents(ctx, event.Event{
			Kind: "instance.restarted", Actor: by.Actor, Space: string(a.Space), App: string(a.ID), Subject: fmt.Sprintf("%s %d", process, index),
			Detail: map[string]any{"app": a.Name},
		})
	})
}

// leaving is the state in which an instance leaves; one that is about to be started
// need not.
var leaving = map[run.State]run.State{
	run.Healthy: run.Draining, run.Unhealthy: run.Draining, run.Starting: run.Stopping, run.Crashed: run.Stopped, run.Pending: run.Pending,
}
