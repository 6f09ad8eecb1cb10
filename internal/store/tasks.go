package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/run"
)

type taskRow struct {
	bun.BaseModel `bun:"table:tasks"`

	ID        task.ID        `bun:"id,pk"`
	App       app.ID         `bun:"app_id"`
	Release   release.ID     `bun:"release_id"`
	Number    int            `bun:"number"`
	Name      string         `bun:"name"`
	Command   doc[[]string]  `bun:"command"`
	MemoryMiB int            `bun:"memory_mib"`
	DiskMiB   int            `bun:"disk_mib"`
	Attach    bool           `bun:"attach"`
	TTY       bool           `bun:"tty"`
	Instance  run.InstanceID `bun:"instance"`
	State     task.State     `bun:"state"`
	ExitCode  int            `bun:"exit_code"`
	Reason    string         `bun:"reason"`
	By        string         `bun:"run_by"`
	Created   stamp          `bun:"created"`
	Started   stamp          `bun:"started"`
	Ended     stamp          `bun:"ended"`
}

func taskRowOf(t task.Task) *taskRow {
	return &taskRow{
		ID: t.ID, App: t.App, Release: t.Release, Number: t.Number, Name: t.Name,
		Command: doc[[]string]{t.Command}, MemoryMiB: t.MemoryMiB, DiskMiB: t.DiskMiB,
		Attach: t.Attach, TTY: t.TTY, Instance: t.Instance, State: t.State, ExitCode: t.ExitCode, Reason: clean(t.Reason), By: t.By,
		Created: stamp{t.Created}, Started: stamp{t.Started}, Ended: stamp{t.Ended},
	}
}

func (r taskRow) task() task.Task {
	return task.Task{
		ID: r.ID, App: r.App, Release: r.Release, Number: r.Number, Name: r.Name,
		Command: r.Command.V, MemoryMiB: r.MemoryMiB, DiskMiB: r.DiskMiB,
		Attach: r.Attach, TTY: r.TTY, Instance: r.Instance, State: r.State, ExitCode: r.ExitCode, Reason: r.Reason, By: r.By,
		Created: r.Created.Time, Started: r.Started.Time, Ended: r.Ended.Time,
	}
}

func noTask(name string) *fault.Error {
	return fault.New(fault.NotFound, "task", "task %s does not exist", name).WithTry("naru tasks APP")
}

// CreateTask stores a task before it is started; its number and Created are
// filled in. Its events tell of the app, and which of its tasks it is.
func (s *Store) CreateTask(ctx context.Context, k task.Task, evs ...event.Event) (task.Task, error) {
	err := s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, k.App)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		number, err := t.next(ctx, string(k.App), "task")
		if err != nil {
			return err
		}
		k.Number, k.Created = int(number), t.Now
		if _, err := t.NewInsert().Model(taskRowOf(k)).Exec(ctx); err != nil {
			return fmt.Errorf("create task of %s: %w", owner.Name, err)
		}
		return t.append(ctx, ofTask(k, owner, evs))
	})
	return k, err
}

// ofTask completes events of a task. The command is not told: people write
// passwords into it.
func ofTask(k task.Task, owner app.App, evs []event.Event) []event.Event {
	out := slices.Clone(evs)
	for i, ev := range out {
		detail := map[string]any{"task": k.Number, "name": k.Name}
		maps.Copy(detail, ev.Detail)
		out[i].Subject, out[i].Detail = owner.Name, detail
	}
	return out
}

// UpdateTask changes a task as change does, which is told the time of the
// transaction; an illegal move of its state is a Conflict. Ended is filled in
// when it ends.
func (s *Store) UpdateTask(ctx context.Context, id task.ID, change func(*task.Task, time.Time) error, evs ...event.Event) (out task.Task, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		have, err := s.Task(ctx, id)
		if err != nil {
			return err
		}
		owner, err := s.App(ctx, have.App)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		out = have
		if err := change(&out, t.Now); err != nil {
			return err
		}
		if out.ID != have.ID || out.App != have.App || out.Number != have.Number {
			return errors.New("update task: its id, app and number stay")
		}
		if err := checkMove(fmt.Sprintf("task %d", have.Number), have.State, out.State); err != nil {
			return err
		}
		if out.State.Ended() && out.Ended.IsZero() {
			out.Ended = t.Now
		}
		if _, err := t.NewUpdate().Model(taskRowOf(out)).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("update task %d of %s: %w", out.Number, owner.Name, err)
		}
		return t.append(ctx, ofTask(out, owner, evs))
	})
	return out, err
}

// Task returns a task by id.
func (s *Store) Task(ctx context.Context, id task.ID) (task.Task, error) {
	var row taskRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	return row.task(), found(err, noTask(string(id)), "find task")
}

// TaskNumbered returns a task of an app by its number.
func (s *Store) TaskNumbered(ctx context.Context, a app.ID, number int) (task.Task, error) {
	var row taskRow
	err := s.read(ctx).NewSelect().Model(&row).Where("app_id = ? AND number = ?", a, number).Scan(ctx)
	return row.task(), found(err, noTask(fmt.Sprint(number)), "find task")
}

// TasksBefore lists at most limit tasks of an app with a number below before
// (0: all), newest first.
func (s *Store) TasksBefore(ctx context.Context, a app.ID, before, limit int) ([]task.Task, error) {
	var rows []taskRow
	q := s.read(ctx).NewSelect().Model(&rows).Where("app_id = ?", a).Order("number DESC").Limit(int64(limit))
	if before > 0 {
		q.Where("number < ?", before)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	return each(rows, taskRow.task), nil
}

// OpenTasks lists the tasks of all apps that have not ended, oldest first: what
// must be looked after when naru starts.
func (s *Store) OpenTasks(ctx context.Context) ([]task.Task, error) {
	var rows []taskRow
	err := s.read(ctx).NewSelect().Model(&rows).Where("state IN (?)", in([]task.State{task.Pending, task.Running})).
		Order("created", "id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list open tasks: %w", err)
	}
	return each(rows, taskRow.task), nil
}
