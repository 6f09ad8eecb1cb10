package api

import (
	"context"
	"maps"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/pipeline/operation"
	"naru/internal/secret"
)

func (s *server) listApps(ctx context.Context, in *SelectInput) (out client.List[client.App], err error) {
	name := func(a app.App) string { return a.Name }
	apps, size, written, err := labelledPage(ctx, s, *in, label.Apps, name, func(a app.App) string { return string(a.ID) },
		func(after string, limit int) ([]app.App, error) {
			return s.Apps.AppsAfter(ctx, at(ctx).space.ID, after, limit)
		})
	if err != nil {
		return out, err
	}
	seen, err := s.look(ctx, apps[:min(len(apps), size)]...)
	if err != nil {
		return out, err
	}
	return cut(apps, size, func(a app.App) client.App {
		shown := seen.summary(a)
		shown.Labels = written[string(a.ID)].Labels
		return shown
	}, name), nil
}

type newAppInput struct{ Body client.NewApp }

func (s *server) createApp(ctx context.Context, in *newAppInput) (client.AppDetail, error) {
	if err := app.CheckName("name", in.Body.Name); err != nil {
		return client.AppDetail{}, err
	}
	a, err := s.Drafts.CreateApp(ctx, requestOf(ctx).by(), at(ctx).space.ID, in.Body.Name)
	if err != nil {
		return client.AppDetail{}, err
	}
	return s.detail(ctx, a)
}

func (s *server) getApp(ctx context.Context, _ *nothing) (client.AppDetail, error) {
	return s.detail(ctx, at(ctx).app)
}

type appChangeInput struct{ Body client.AppChange }

func (s *server) changeApp(ctx context.Context, in *appChangeInput) (client.AppDetail, error) {
	processes := map[string]app.Overrides{}
	for process, settings := range in.Body.Processes {
		if err := app.CheckProcessType("processes", process); err != nil {
			return client.AppDetail{}, err
		}
		if err := checkHealth(process, settings); err != nil {
			return client.AppDetail{}, err
		}
		processes[process] = overridesOf(settings)
	}
	a, err := s.Drafts.SetProcesses(ctx, requestOf(ctx).by(), at(ctx).app.ID, processes)
	if err != nil {
		return client.AppDetail{}, err
	}
	return s.detail(ctx, a)
}

func (s *server) deleteApp(ctx context.Context, _ *nothing) (operation.Operation, error) {
	return s.Lifecycle.Delete(ctx, requestOf(ctx).by(), at(ctx).app.ID)
}

func (s *server) getEnv(ctx context.Context, _ *nothing) (client.Env, error) {
	return envOf(at(ctx).app.Draft), nil
}

type envInput struct{ Body client.EnvChange }

func (s *server) changeEnv(ctx context.Context, in *envInput) (out client.EnvChanged, err error) {
	change := app.EnvChange{Set: in.Body.Set, Secrets: map[string]secret.Secret{}, Unset: in.Body.Unset}
	for name, value := range in.Body.Secret {
		change.Secrets[name] = secret.New(value)
	}
	if err := change.Check(); err != nil {
		return out, err
	}
	a, op, err := s.Drafts.SetEnv(ctx, requestOf(ctx).by(), at(ctx).app.ID, change, in.Body.Restart)
	if err != nil {
		return out, err
	}
	if rq := requestOf(ctx); !auth.Can(rq.who, auth.EnvRead, rq.place.org.ID, rq.place.space.ID) { // who changes it may still not read it
		a.Draft = a.Draft.WithSecrets(slices.Sorted(maps.Keys(a.Draft.Env))...)
	}
	out.Env = envOf(a.Draft)
	if op != nil {
		wire := operationOf(*op)
		out.Operation = &wire
	}
	return out, nil
}

func (s *server) start(ctx context.Context, _ *nothing) (operation.Operation, error) {
	return s.Lifecycle.Start(ctx, requestOf(ctx).by(), at(ctx).app.ID)
}

func (s *server) stop(ctx context.Context, _ *nothing) (operation.Operation, error) {
	return s.Lifecycle.Stop(ctx, requestOf(ctx).by(), at(ctx).app.ID)
}

func (s *server) restart(ctx context.Context, _ *nothing) (operation.Operation, error) {
	return s.Lifecycle.Restart(ctx, requestOf(ctx).by(), at(ctx).app.ID)
}

type scaleInput struct{ Body client.Scale }

func (s *server) scale(ctx context.Context, in *scaleInput) (operation.Operation, error) {
	return s.Lifecycle.Scale(ctx, requestOf(ctx).by(), at(ctx).app.ID, in.Body.Processes)
}

type rollbackInput struct{ Body client.Rollback }

func (s *server) rollback(ctx context.Context, in *rollbackInput) (operation.Operation, error) {
	a := at(ctx).app
	if in.Body.Release == "" {
		return s.Lifecycle.Rollback(ctx, requestOf(ctx).by(), a.ID, "")
	}
	to, err := s.findRelease(ctx, a, in.Body.Release)
	if err != nil {
		return operation.Operation{}, err
	}
	return s.Lifecycle.Rollback(ctx, requestOf(ctx).by(), a.ID, to.ID)
}

func (s *server) stats(ctx context.Context, _ *nothing) (out client.List[client.Usage], err error) {
	a := at(ctx).app
	groups, err := s.Running.GroupsOfApps(ctx, a.ID)
	if err != nil {
		return out, err
	}
	out.Items = []client.Usage{}
	for _, g := range groups {
		instances, err := s.Running.InstancesIn(ctx, g.ID)
		if err != nil {
			return out, err
		}
		limit, err := s.memoryLimit(ctx, g)
		if err != nil {
			return out, err
		}
		for _, i := range instances {
			if i.Started.IsZero() || !i.State.Live() && !i.State.Leaving() {
				continue
			}
			u, err := s.Meter.Usage(ctx, i.ID)
			if err != nil {
				continue // it ended since it was listed
			}
			out.Items = append(out.Items, client.Usage{
				Instance: string(i.ID), Process: g.Process, Index: i.Index, MemoryBytes: u.MemoryBytes, MemoryLimit: limit,
				DiskBytes: u.DiskBytes, CPUSeconds: u.CPU.Seconds(), PIDs: u.PIDs, At: time.Now().UTC(),
			})
		}
	}
	return out, nil
}
