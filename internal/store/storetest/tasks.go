package storetest

import (
	"reflect"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/task"
	"naru/internal/run"
	"naru/internal/store"
)

// tasks: a one-off command has a record that survives whoever runs it.
func tasks(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	states := []task.State{task.Pending, task.Running, task.Succeeded, task.Failed, task.Canceled}
	ways := map[task.State][]task.State{
		task.Pending: {}, task.Running: {task.Running}, task.Succeeded: {task.Running, task.Succeeded},
		task.Failed: {task.Failed}, task.Canceled: {task.Canceled},
	}
	number := 0
	for _, from := range states {
		for _, to := range states {
			number++
			k, err := w.CreateTask(ctx, task.Task{
				ID: task.ID(id.New()), App: w.app.ID, Release: "r", Name: "migrate", Command: []string{"rake", "db:migrate"},
				MemoryMiB: 64, Instance: run.InstanceID(id.New()), State: task.Pending, By: "ada",
			})
			must(t, err)
			for _, step := range ways[from] {
				k, err = w.UpdateTask(ctx, k.ID, func(k *task.Task, now time.Time) error {
					k.State, k.Started, k.ExitCode, k.Reason = step, now, 3, "exit 3"
					return nil
				})
				must(t, err)
			}
			saved, err := w.TaskNumbered(ctx, w.app.ID, number)
			must(t, err)
			if saved.State != from || !reflect.DeepEqual(saved, k) || saved.Ended.IsZero() == from.Ended() {
				t.Fatalf("read %+v, want %+v in state %s", saved, k, from)
			}
			if yes, err := w.HasInstance(ctx, k.Instance); err != nil || yes == from.Ended() {
				t.Errorf("%s: HasInstance = %v, %v", from, yes, err)
			}
			_, err = w.UpdateTask(ctx, k.ID, func(k *task.Task, _ time.Time) error { k.State = to; return nil })
			if want := from == to || from.CanBecome(to); (err == nil) != want {
				t.Errorf("%s to %s: err = %v, want it to be possible: %v", from, to, err, want)
			}
		}
	}
	page, err := w.TasksBefore(ctx, w.app.ID, 5, 2)
	must(t, err)
	if len(page) != 2 || page[0].Number != 4 || page[1].Number != 3 {
		t.Errorf("page = %+v", page)
	}
	open2, err := w.OpenTasks(ctx)
	must(t, err)
	for _, k := range open2 {
		if k.State.Ended() {
			t.Errorf("task %d is %s and counts as open", k.Number, k.State)
		}
	}
	_, err = w.TaskNumbered(ctx, w.app.ID, 99)
	mustBe(t, err, fault.NotFound)
}
