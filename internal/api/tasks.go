package api

import (
	"context"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/run"
)

func (s *server) listTasks(ctx context.Context, in *PageInput) (out client.List[client.Task], err error) {
	size, err := s.size(*in)
	if err != nil {
		return out, err
	}
	before, err := in.number()
	if err != nil {
		return out, err
	}
	tasks, err := s.Tasks.TasksBefore(ctx, at(ctx).app.ID, int(before), size+1)
	if err != nil {
		return out, err
	}
	numbers := map[release.ID]int{}
	for _, t := range tasks {
		if _, known := numbers[t.Release]; !known {
			if numbers[t.Release], err = s.releaseNumber(ctx, t.Release); err != nil {
				return out, err
			}
		}
	}
	return cut(tasks, size, func(t task.Task) client.Task { return taskOf(t, numbers[t.Release]) },
		func(t task.Task) string { return itoa(int64(t.Number)) }), nil
}

// releaseNumber is the number of a release; 0 for one that is forgotten.
func (s *server) releaseNumber(ctx context.Context, r release.ID) (int, error) {
	rel, err := s.Releases.Release(ctx, r)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	return rel.Number, err
}

func (s *server) task(ctx context.Context, t task.Task, err error) (client.Task, error) {
	if err != nil {
		return client.Task{}, err
	}
	number, err := s.releaseNumber(ctx, t.Release)
	return taskOf(t, number), err
}

type newTaskInput struct{ Body client.NewTask }

func (s *server) runTask(ctx context.Context, in *newTaskInput) (client.Task, error) {
	if in.Body.TTY && !in.Body.Attach {
		return client.Task{}, fault.New(fault.Invalid, "tty", "a terminal needs somebody in front of it").WithTry("set attach too")
	}
	t, err := s.TaskRunner.RunTask(ctx, requestOf(ctx).by(), at(ctx).app.ID, in.Body)
	return s.task(ctx, t, err)
}

type taskPath struct {
	Task string `path:"task" maxLength:"64" doc:"number or id"`
}

func (s *server) getTask(ctx context.Context, in *taskPath) (client.Task, error) {
	t, err := s.findTask(ctx, at(ctx).app, in.Task)
	return s.task(ctx, t, err)
}

func (s *server) cancelTask(ctx context.Context, in *taskPath) (client.Task, error) {
	t, err := s.findTask(ctx, at(ctx).app, in.Task)
	if err != nil {
		return client.Task{}, err
	}
	t, err = s.TaskRunner.CancelTask(ctx, requestOf(ctx).by(), t.ID)
	return s.task(ctx, t, err)
}

func (s *server) findTask(ctx context.Context, a app.App, name string) (task.Task, error) {
	missing := func(err error) error {
		return hidden(err, "task", quoted("task", name)+" of "+a.Name, "naru tasks "+a.Name)
	}
	if id.Valid(name) {
		t, err := s.Tasks.Task(ctx, task.ID(name))
		if err != nil || t.App != a.ID {
			return task.Task{}, missing(err)
		}
		return t, nil
	}
	n := numbered(name)
	if n == 0 {
		return task.Task{}, missing(nil)
	}
	t, err := s.Tasks.TaskNumbered(ctx, a.ID, n)
	if err != nil {
		return task.Task{}, missing(err)
	}
	return t, nil
}

func (s *server) attachTask(ctx context.Context, in *taskPath) (command, error) {
	t, err := s.findTask(ctx, at(ctx).app, in.Task)
	if err != nil {
		return nil, err
	}
	if t.State != task.Pending {
		return nil, fault.New(fault.Conflict, "task", "task %d is %s; only one that waits for it can be attached to", t.Number, t.State).
			WithTry("run it again: naru run")
	}
	by := requestOf(ctx).by()
	return func(ctx context.Context, std run.IO) (int, error) { return s.TaskRunner.AttachTask(ctx, by, t.ID, std) }, nil
}

type execInput struct {
	Process string   `query:"process" maxLength:"30" doc:"process type; absent: web"`
	Index   int      `query:"index" minimum:"0" doc:"of the instance"`
	TTY     bool     `query:"tty" doc:"give the command a terminal"`
	Command []string `query:"command,explode" maxItems:"4096" doc:"argv, one parameter for each word; absent: a shell"`
}

func (s *server) exec(ctx context.Context, in *execInput) (command, error) {
	by, a := requestOf(ctx).by(), at(ctx).app
	argv := in.Command
	if len(argv) == 0 {
		argv = []string{"/bin/sh"}
	}
	return func(ctx context.Context, std run.IO) (int, error) {
		std.TTY = in.TTY
		return s.TaskRunner.Exec(ctx, by, a.ID, cmpOr(in.Process, app.Web), in.Index, run.ExecSpec{Argv: argv, IO: std})
	}, nil
}
