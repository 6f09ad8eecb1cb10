package server

import (
	"context"
	"errors"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/store"
)

// releases runs release commands as tasks, once per release.
type releases struct {
	tasks *task.Runner
	store *store.Store
	book  *logs.Book
}

// RunRelease runs the release command of a release, or finds the run that an
// earlier attempt began.
func (r *releases) RunRelease(ctx context.Context, rel release.Release, say func(string)) error {
	command, _ := rel.Process(app.ReleaseType)
	tell := func() {}
	t, err := r.tasks.Once(ctx, r.store, operation.Ask{Actor: rel.By}, rel, task.New{
		Name: app.ReleaseType + " " + rel.Name(), Command: command.Command, Release: rel, MemoryMiB: command.MemoryMiB, DiskMiB: command.DiskMiB,
	}, func(t task.Task) { tell = r.follow(ctx, t, say) })
	tell()
	if err != nil && errors.Is(context.Cause(ctx), rollout.ErrAborted) {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if _, stop := r.tasks.Cancel(short, operation.Ask{Actor: rel.By}, t.ID); stop != nil && !fault.Is(stop, fault.Conflict) {
			return errors.Join(err, stop)
		}
	}
	if err != nil {
		return err
	}
	if t.State != task.Succeeded {
		return fault.New(fault.Failed, "", "%s (task %d)", t.Reason, t.Number).WithTry("naru logs APP --source TASK")
	}
	return nil
}

// follow passes on what a task says while it runs; the function it returns waits
// until its last lines are there, or for a moment.
func (r *releases) follow(ctx context.Context, t task.Task, say func(string)) (end func()) {
	changed, stop := r.book.Changed(t.App)
	q := logs.Query{App: t.App, Source: logs.Task, Since: t.Created}
	read := func() {
		page, err := r.book.Read(ctx, q)
		if err != nil {
			return // it is in the log all the same
		}
		q.After = page.Next
		for _, l := range page.Lines {
			if l.Instance == string(t.Instance) {
				say(l.Text)
			}
		}
	}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-over:
				late := time.NewTimer(500 * time.Millisecond) // the spool is read every 200 ms
				defer late.Stop()
				for waiting := true; waiting; {
					select {
					case <-changed:
						read()
					case <-late.C:
						waiting = false
					}
				}
				return
			case <-changed:
				read()
			}
		}
	}()
	return func() { close(over); <-done }
}
