package deliver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/pipeline/operation"
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
	names := slices.Sorted(maps.Keys(change.Set))
	names = append(names, slices.Sorted(maps.Keys(change.Secrets))...)
	names = append(names, change.Unset...)
	var a app.App
	edit := func(ctx context.Context) (err error) {
		if err := s.secrets.SetSecrets(ctx, id, change); err != nil {
			return err
		}
		a, err = s.store.UpdateApp(ctx, id, func(a *app.App) error {
			a.Draft = a.Draft.WithEnv(change.Set).WithSecrets(slices.Sorted(maps.Keys(change.Secrets))...).WithoutEnv(change.Unset...)
			return nil
		}, event.Event{Kind: "env.changed", Actor: by.Actor, Detail: map[string]any{"names": names}})
		return err
	}
	now, err := s.store.App(ctx, id)
	if err != nil {
		return app.App{}, nil, err
	}
	groups, err := s.store.Groups(ctx, id)
	if err != nil {
		return app.App{}, nil, err
	}
	if !restart || now.State == app.Stopped || len(groups) == 0 {
		err := s.store.Together(ctx, edit)
		return a, nil, err
	}
	request := reasonRequest{Reason: fmt.Sprintf("set-env %s", strings.Join(names, " "))}
	if len(change.Set)+len(change.Secrets) == 0 {
		request.Reason = "unset-env " + strings.Join(names, " ")
	}
	op, err := s.submit(ctx, by, KindSetEnv, now, request, edit)
	if err != nil {
		return app.App{}, nil, err
	}
	return a, &op, nil
}

// SetProcesses replaces the draft's overrides of the named process types.
func (s *Service) SetProcesses(ctx context.Context, by operation.Ask, id app.ID, processes map[string]app.Overrides) (app.App, error) {
	for process, o := range processes {
		field := "processes." + process
		if err := errors.Join(app.CheckProcessType(field, process), s.checkMemory(field+".memory_mib", o.MemoryMiB)); err != nil {
			return app.App{}, err
		}
	}
	return s.store.UpdateApp(ctx, id, func(a *app.App) error {
		for process, o := range processes {
			a.Draft = a.Draft.WithProcess(process, o)
		}
		return nil
	}, event.Event{Kind: "app.configured", Actor: by.Actor, Detail: map[string]any{"processes": slices.Sorted(maps.Keys(processes))}})
}
