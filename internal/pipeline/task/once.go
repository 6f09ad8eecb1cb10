package task

import (
	"context"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/release"
)

// Known is what Once needs beside a Store.
type Known interface {
	// TasksBefore lists an app's tasks, newest first, at most limit.
	TasksBefore(ctx context.Context, a app.ID, before, limit int) ([]Task, error)
	WatchApp(id app.ID) (changed <-chan struct{}, stop func())
}

// Once runs a command of a release at most once, however often it is asked, and
// returns when it has ended; began is told the task. The task goes on when ctx
// ends.
func (r *Runner) Once(ctx context.Context, known Known, by operation.Ask, rel release.Release, in New, began func(Task)) (Task, error) {
	changed, stop := known.WatchApp(rel.App)
	defer stop()
	t, err := r.found(ctx, known, rel, in.Name)
	if fault.Is(err, fault.NotFound) {
		t, err = r.Start(ctx, by, rel.App, in)
	}
	if err != nil {
		return t, err
	}
	began(t)
	for !t.State.Ended() {
		select {
		case <-ctx.Done():
			return t, ctx.Err()
		case <-changed:
		}
		if t, err = r.store.Task(ctx, t.ID); err != nil {
			return t, err
		}
	}
	return t, nil
}

// found is the task of a release by its name.
func (r *Runner) found(ctx context.Context, known Known, rel release.Release, name string) (Task, error) {
	all, err := known.TasksBefore(ctx, rel.App, 0, 100)
	if err != nil {
		return Task{}, err
	}
	for _, t := range all {
		if t.Release == rel.ID && t.Name == name {
			return t, nil
		}
	}
	return Task{}, fault.New(fault.NotFound, "task", "%s of %s was not run", name, rel.Name())
}
