package deliver

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/pipeline/operation"
	"naru/internal/run"
)

// CreateApp makes an app without source.
func (s *Service) CreateApp(ctx context.Context, by operation.Ask, space app.SpaceID, name string) (app.App, error) {
	a, err := newApp(space, name)
	if err != nil {
		return a, err
	}
	return s.store.CreateApp(ctx, a, event.Event{Kind: "app.created", Actor: by.Actor, Subject: a.Name})
}

// SetEnv changes the draft's environment. With restart, and where the app runs,
// it also starts the operation that brings the change to the instances.
func (s *Service) SetEnv(ctx context.Context, by operation.Ask, id app.ID, change app.EnvChange, restart bool) (app.App, *operation.Operation, error) {
	if err := change.Check(); err != nil {
		return app.App{}, nil, err
	}
	if restart {
		if err := s.mayRunImage(ctx, id, ""); err != nil {
			return app.App{}, nil, err
		}
		if err := s.mayRestart(ctx, by.Actor, id); err != nil {
			return app.App{}, nil, err
		}
	}
	names := slices.Sorted(maps.Keys(change.Set))
	names = append(names, slices.Sorted(maps.Keys(change.Secrets))...)
	names = append(names, change.Unset...)
	reason := "set-env " + strings.Join(names, " ")
	if len(change.Set)+len(change.Secrets) == 0 {
		reason = "unset-env " + strings.Join(names, " ")
	}
	var a app.App
	var op *operation.Operation
	err := s.store.Together(ctx, func(ctx context.Context) (err error) {
		if err := s.secrets.SetSecrets(ctx, id, change); err != nil {
			return err
		}
		a, err = s.store.UpdateApp(ctx, id, func(a *app.App) error {
			a.Draft = a.Draft.WithEnv(change.Set).WithSecrets(slices.Sorted(maps.Keys(change.Secrets))...).WithoutEnv(change.Unset...)
			return nil
		}, event.Event{Kind: "env.changed", Actor: by.Actor, Detail: map[string]any{"names": names}})
		if err != nil || !restart {
			return err
		}
		if runs, err := s.runs(ctx, a); err != nil || !runs {
			return err
		}
		queued, err := s.queue(ctx, by, KindSetEnv, a, reasonRequest{Reason: reason})
		op = &queued
		return err
	})
	if err != nil {
		return app.App{}, nil, err
	}
	if op != nil {
		s.wake()
	}
	return a, op, nil
}

// runs reports that a release of an app runs or is about to: what is changed in
// the draft from here on would not be in it.
func (s *Service) runs(ctx context.Context, a app.App) (bool, error) {
	if a.State == app.Stopped {
		return false, nil
	}
	groups, err := s.store.Groups(ctx, a.ID)
	if err != nil || slices.ContainsFunc(groups, func(g run.Group) bool { return !g.Retired }) {
		return err == nil, err
	}
	newest, err := s.store.Rollouts(ctx, a.ID, 1)
	return len(newest) > 0 && !newest[0].State.Ended(), err
}

// changed brings a change of the draft to the instances, unless the app was
// stopped before the change had its turn: it must not start it again.
func (s *Service) changed(ctx context.Context, w *operation.Work) (any, error) {
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return nil, err
	}
	if a.State == app.Stopped {
		w.Info(ctx, "release", "%s is stopped: naru start %s runs it with the change", a.Name, a.Name)
		return client.ReleaseResult{App: a.Name, URLs: []string{}, Took: client.Duration(time.Since(w.Created))}, nil
	}
	return s.restart(ctx, w)
}

// SetProcesses replaces the draft's overrides of the named process types.
func (s *Service) SetProcesses(ctx context.Context, by operation.Ask, id app.ID, processes map[string]app.Overrides) (app.App, error) {
	for process, o := range processes {
		field := "processes." + process
		if err := errors.Join(app.CheckProcessType(field, process), s.checkMemory(field+".memory_mib", o.MemoryMiB), o.Metrics.Check(field+".metrics")); err != nil {
			return app.App{}, err
		}
	}
	return s.store.UpdateApp(ctx, id, func(a *app.App) error {
		if err := mayScale(ctx, *a, nil, processes); err != nil {
			return err
		}
		for process, o := range processes {
			a.Draft = a.Draft.WithProcess(process, o)
		}
		return nil
	}, event.Event{Kind: "app.configured", Actor: by.Actor, Detail: map[string]any{"processes": slices.Sorted(maps.Keys(processes))}})
}
