package cf_test

import (
	"context"
	"maps"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// What follows is what the pipeline does of a push, as far as the store shows it.

func (p *pipeline) Skeleton(ctx context.Context, _ operation.Ask, space app.SpaceID, name string, build app.Build) (app.App, error) {
	slug, err := app.Slug(name)
	if err != nil {
		return app.App{}, err
	}
	return p.store.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: space, Name: name, Slug: slug, State: app.Stopped, Build: build})
}

func (p *pipeline) Rename(ctx context.Context, _ operation.Ask, a app.ID, name string) (app.App, error) {
	if err := app.CheckName("name", name); err != nil {
		return app.App{}, err
	}
	return p.store.UpdateApp(ctx, a, func(a *app.App) error { a.Name = name; return nil })
}

func (p *pipeline) SetBuild(ctx context.Context, _ operation.Ask, a app.ID, build app.Build) (app.App, error) {
	return p.store.UpdateApp(ctx, a, func(a *app.App) error { a.Build = build; return nil })
}

func (p *pipeline) ApplyManifest(ctx context.Context, by operation.Ask, space app.SpaceID, all []deliver.Declaration) (operation.Operation, error) {
	op, err := p.store.AddOperation(ctx, operation.Operation{
		ID: operation.ID(id.New()), Kind: deliver.KindManifest, Space: space, Subject: id.New(), Actor: by.Actor, Request: []byte("{}"),
	})
	if err != nil {
		return op, err
	}
	if _, _, err := p.store.TakeOperation(ctx); err != nil {
		return op, err
	}
	for _, d := range all {
		if err := p.apply(ctx, d); err != nil {
			f := *fault.Of(err)
			f.Message = "For application '" + d.Name + "': " + f.Message
			return op, p.store.EndOperation(ctx, op.ID, operation.Failed, &f, nil, nil)
		}
	}
	return op, p.store.EndOperation(ctx, op.ID, operation.Done, nil, nil, nil)
}

func (p *pipeline) apply(ctx context.Context, d deliver.Declaration) error {
	if d.Env["REFUSED"] != "" {
		return fault.New(fault.Conflict, "", "it is refused")
	}
	if _, err := p.store.UpdateApp(ctx, d.App, func(a *app.App) error {
		a.Draft = a.Draft.WithEnv(d.Env)
		for process, o := range d.Processes {
			a.Draft = a.Draft.WithProcess(process, a.Draft.Processes[process].With(o))
		}
		if a.Scale == nil {
			a.Scale = map[string]int{}
		}
		maps.Copy(a.Scale, d.Scale)
		if d.Build != nil {
			a.Build = *d.Build
		}
		return nil
	}); err != nil {
		return err
	}
	hosts := []string{}
	for _, r := range d.Routes {
		hosts = append(hosts, r.Host)
	}
	if d.Host != "" {
		hosts = append(hosts, d.Host+".localhost")
	}
	a, err := p.store.App(ctx, d.App)
	for _, host := range hosts {
		r, err := route.New(a.Space, host, "/", time.Now())
		if err != nil {
			return err
		}
		if have, err := p.store.RoutesAt(ctx, r.Host, r.Path); err == nil && len(have) > 0 {
			r = have[0]
		}
		if r, err = r.With(route.NewDestination(a.ID, "", 0, 0)); err != nil {
			return err
		}
		if _, err := p.store.SetRoute(ctx, r); err != nil {
			return err
		}
	}
	return err
}

// Deploy begins a rollout that stands at its first step, or is done where it has
// none.
func (p *pipeline) Deploy(ctx context.Context, by operation.Ask, a app.ID, in deliver.Deployment) (operation.Operation, error) {
	return p.begin(ctx, by, deliver.KindDeploy, a, in)
}

func (p *pipeline) Halt(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.Stop(ctx, by, a)
}

func (p *pipeline) RestartInstance(ctx context.Context, _ operation.Ask, a app.ID, _ string, index int) error {
	all, err := p.store.Instances(ctx, a)
	for _, i := range all {
		if i.Index == index && i.State == run.Healthy {
			_, err := p.store.UpdateInstance(ctx, i.ID, func(i run.Instance, now time.Time) (run.Instance, error) { return i.Move(run.Draining, now) })
			return err
		}
	}
	return err
}

func (p *pipeline) begin(ctx context.Context, by operation.Ask, kind operation.Kind, of app.ID, in deliver.Deployment) (operation.Operation, error) {
	if err := p.store.SupersedeRollout(ctx, of, by.Actor); err != nil {
		return operation.Operation{}, err
	}
	if open, err := p.store.Rollouts(ctx, of, 1); err == nil && len(open) > 0 && open[0].State == rollout.Aborting {
		if _, err := p.store.MoveRollout(ctx, open[0].ID, rollout.Superseded, open[0].Reason); err != nil {
			return operation.Operation{}, err
		}
	}
	if in.Reason == "restart" {
		kind = "restart"
	}
	op, err := p.carry(ctx, by, kind, of, "release", func() error {
		_, err := p.store.UpdateApp(ctx, of, func(a *app.App) error {
			a.State = app.Started
			if in.Image != "" {
				a.Image = string(in.Image)
			}
			return nil
		})
		return err
	})
	if err != nil || in.Reason == "restart" {
		return op, err
	}
	rel, err := p.released(ctx, of, in)
	if err != nil {
		return op, err
	}
	ro, err := p.store.StartRollout(ctx, rollout.Rollout{ID: rollout.ID(op.ID), App: of, Release: rel.ID, Spec: in.Strategy.Filled(), State: rollout.Preparing})
	if err != nil {
		return op, err
	}
	if _, err := p.store.PrepareRollout(ctx, ro.ID, []string{"web"}); err != nil {
		return op, err
	}
	to := []rollout.State{rollout.Shifting}
	if in.Strategy.Kind == app.Canary {
		to = append(to, rollout.Paused)
	}
	for _, state := range to {
		if _, err := p.store.MoveRollout(ctx, ro.ID, state, ""); err != nil {
			return op, err
		}
	}
	return op, nil
}

// released is the release of a deployment: an old one, or one that is cut.
func (p *pipeline) released(ctx context.Context, of app.ID, in deliver.Deployment) (release.Release, error) {
	if in.Release != "" {
		return p.store.Release(ctx, in.Release)
	}
	a, err := p.store.App(ctx, of)
	if err != nil {
		return release.Release{}, err
	}
	images, err := p.store.Images(ctx, of)
	if err != nil || len(images) == 0 {
		return release.Release{}, err
	}
	return p.store.CutRelease(ctx, of, func(n int, now time.Time) (release.Release, error) {
		return release.Cut(a, images[0], n, "deployment", "admin", now)
	})
}

func operationsOf(a app.ID) operation.Filter { return operation.Filter{App: a, Limit: 10} }

// noServices is a space without any.
type noServices struct{}

func (noServices) ServiceNames(context.Context, app.SpaceID) ([]string, error) { return nil, nil }
func (noServices) BoundTo(context.Context, app.ID) ([]deliver.Binding, error)  { return nil, nil }
