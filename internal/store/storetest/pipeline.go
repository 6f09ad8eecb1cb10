package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/pipeline/task"
	"naru/internal/route"
	"naru/internal/run"
	"naru/internal/store"
)

// newRollout starts a rollout of a fresh release in place of old groups.
func (w world) newRollout(t testing.TB, a app.App, old ...run.GroupID) rollout.Rollout {
	t.Helper()
	r, err := w.StartRollout(t.Context(), rollout.Rollout{
		ID: rollout.ID(id.New()), App: a.ID, Release: w.newRelease(t, a).ID, Spec: app.Strategy{Kind: app.Rolling}.Filled(),
		MaxInFlight: 1, State: rollout.Preparing, Old: old,
	}, happened("rollout.started", a.Name))
	must(t, err)
	return r
}

// rolloutWays lead from Preparing to every state.
var rolloutWays = map[rollout.State][]rollout.State{
	rollout.Preparing:  {},
	rollout.Releasing:  {rollout.Releasing},
	rollout.Shifting:   {rollout.Releasing, rollout.Shifting},
	rollout.Paused:     {rollout.Releasing, rollout.Shifting, rollout.Paused},
	rollout.Watching:   {rollout.Releasing, rollout.Shifting, rollout.Watching},
	rollout.Done:       {rollout.Releasing, rollout.Shifting, rollout.Done},
	rollout.Aborting:   {rollout.Aborting},
	rollout.RolledBack: {rollout.Aborting, rollout.RolledBack},
	rollout.Superseded: {rollout.Aborting, rollout.Superseded},
	rollout.Failed:     {rollout.Aborting, rollout.Failed},
}

func rollouts(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()

	t.Run("saved, read and moved on, from every state to every other", func(t *testing.T) {
		for _, from := range rollout.States() {
			for _, to := range rollout.States() {
				a := w.newApp(t, fmt.Sprintf("%s to %s", from, to))
				r := w.newRollout(t, a)
				for _, step := range rolloutWays[from] {
					var err error
					r, err = w.MoveRollout(ctx, r.ID, step, "because of "+string(step))
					must(t, err)
				}
				saved, err := w.Rollout(ctx, r.ID)
				must(t, err)
				if saved.State != from || !reflect.DeepEqual(saved, r) || saved.Ended.IsZero() == from.Ended() {
					t.Fatalf("read %+v, want %+v in state %s", saved, r, from)
				}
				_, err = w.MoveRollout(ctx, r.ID, to, "")
				if want := from == to || from.CanBecome(to); (err == nil) != want {
					t.Errorf("%s to %s: err = %v, want it to be possible: %v", from, to, err, want)
				} else if err != nil {
					mustBe(t, err, fault.Conflict)
				}
			}
		}
	})

	t.Run("one at a time for each app", func(t *testing.T) {
		r := w.newRollout(t, w.app)
		_, err := w.StartRollout(ctx, rollout.Rollout{ID: rollout.ID(id.New()), App: w.app.ID, State: rollout.Preparing})
		if f := mustBe(t, err, fault.Conflict); !strings.Contains(f.Message, `"shop"`) {
			t.Errorf("message = %q", f.Message)
		}
		_, err = w.MoveRollout(ctx, r.ID, rollout.Aborting, "canceled")
		must(t, err)
		_, err = w.MoveRollout(ctx, r.ID, rollout.RolledBack, "canceled")
		must(t, err)
		w.newRollout(t, w.app)
	})

	t.Run("groups come and go with it", func(t *testing.T) {
		a := w.newApp(t, "whole story")
		first := w.newRollout(t, a)
		first, err := w.PrepareRollout(ctx, first.ID, []string{"web", "worker"})
		must(t, err)
		again, err := w.PrepareRollout(ctx, first.ID, []string{"web", "worker"})
		must(t, err)
		if !reflect.DeepEqual(first, again) || len(first.New) != 2 || first.State != rollout.Releasing {
			t.Fatalf("prepared %+v, then %+v", first, again)
		}
		must(t, w.ShiftRollout(ctx, first.ID, []rollout.Resize{{Group: first.New[0], To: 2}}, nil))
		_, err = w.MoveRollout(ctx, first.ID, rollout.Shifting, "")
		must(t, err)
		if g, err := w.Group(ctx, first.New[0]); err != nil || g.Size != 2 || g.Release != first.Release {
			t.Errorf("group = %+v, %v", g, err)
		}
		_, err = w.MoveRollout(ctx, first.ID, rollout.Done, "")
		must(t, err)
		current, err := w.CurrentRelease(ctx, a.ID)
		if err != nil || current.ID != first.Release {
			t.Errorf("current = %+v, %v", current, err)
		}

		second := w.newRollout(t, a, first.New...)
		second, err = w.PrepareRollout(ctx, second.ID, []string{"web"})
		must(t, err)
		old, err := w.Group(ctx, first.New[0])
		must(t, err)
		i := w.newInstance(t, old, 0, run.Starting)
		_, err = w.MoveRollout(ctx, second.ID, rollout.Shifting, "")
		must(t, err)
		_, err = w.MoveRollout(ctx, second.ID, rollout.Done, "")
		mustBe(t, err, fault.Conflict) // an old group is not empty
		w.move(t, i.ID, run.Crashed)
		_, err = w.MoveRollout(ctx, second.ID, rollout.Done, "")
		must(t, err)
		groups, err := w.Groups(ctx, a.ID)
		must(t, err)
		if len(groups) != 1 || groups[0].ID != second.New[0] || groups[0].Name != "whole-story-v002" {
			t.Errorf("groups = %+v", groups)
		}

		third := w.newRollout(t, a, second.New...)
		third, err = w.PrepareRollout(ctx, third.ID, []string{"web"})
		must(t, err)
		_, err = w.MoveRollout(ctx, third.ID, rollout.Aborting, "exit 1")
		must(t, err)
		_, err = w.MoveRollout(ctx, third.ID, rollout.RolledBack, "exit 1")
		must(t, err)
		if current, err := w.CurrentRelease(ctx, a.ID); err != nil || current.ID != second.Release {
			t.Errorf("after going back the current release is %+v, %v", current, err)
		}
		if _, err := w.Group(ctx, third.New[0]); !fault.Is(err, fault.NotFound) {
			t.Errorf("the new group of what went back: %v", err)
		}
		all, err := w.Rollouts(ctx, a.ID, 2)
		must(t, err)
		if len(all) != 2 || all[0].ID != third.ID || all[0].Reason != "exit 1" {
			t.Errorf("rollouts = %+v", all)
		}
	})
}

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

func routes(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	other := w.newApp(t, "other")
	api := route.Route{ID: route.ID(id.New()), Space: w.space.ID, Host: "shop.example", Path: "/api", Destinations: []route.Destination{
		route.NewDestination(other.ID, "web", 9000, 30), route.NewDestination(w.app.ID, "worker", 0, 70),
	}}
	api.Destinations[0].Protocol = route.HTTP2
	api, err := w.SetRoute(ctx, api, happened("route.mapped", api.Name()))
	must(t, err)
	root := w.newRoute(t, "shop.example", w.app.ID)
	for _, find := range []func() (route.Route, error){
		func() (route.Route, error) { return w.Route(ctx, api.ID) },
		func() (route.Route, error) { return w.RouteNamed(ctx, "shop.example", "/api") },
	} {
		if got, err := find(); err != nil || !reflect.DeepEqual(got, api) {
			t.Errorf("read %+v, %v, want %+v", got, err, api)
		}
	}

	t.Run("a host and path is had once on the platform", func(t *testing.T) {
		fresh := route.Route{ID: route.ID(id.New()), Space: w.space.ID, Host: "shop.example", Path: "/"}
		_, err := w.SetRoute(ctx, fresh)
		if f := mustBe(t, err, fault.Conflict); f.Message != "the route shop.example exists already in this space" {
			t.Errorf("message = %q", f.Message)
		}
		elsewhere, err := w.CreateSpace(ctx, w.org.ID, "hidden")
		must(t, err)
		fresh.Space = elsewhere.ID
		_, err = w.SetRoute(ctx, fresh)
		if f := mustBe(t, err, fault.Conflict); f.Message != "the route shop.example belongs to another space" || strings.Contains(f.Error(), "dev") {
			t.Errorf("message = %q", f.Message)
		}
		fresh.Host = "free.example"
		fresh.Destinations = []route.Destination{route.NewDestination(w.app.ID, "web", 0, 0)}
		_, err = w.SetRoute(ctx, fresh)
		mustBe(t, err, fault.NotFound) // the app of another space does not exist here
	})

	t.Run("lists", func(t *testing.T) {
		for name, tc := range map[string]struct {
			list func() ([]route.Route, error)
			want []string
		}{
			"of a space":      {func() ([]route.Route, error) { return w.RoutesAfter(ctx, w.space.ID, "", 10) }, []string{"shop.example", "shop.example/api"}},
			"the second page": {func() ([]route.Route, error) { return w.RoutesAfter(ctx, w.space.ID, "shop.example", 1) }, []string{"shop.example/api"}},
			"of an app":       {func() ([]route.Route, error) { return w.RoutesOf(ctx, other.ID) }, []string{"shop.example/api"}},
			"of no app":       {func() ([]route.Route, error) { return w.RoutesOf(ctx) }, nil},
			"all":             {func() ([]route.Route, error) { return w.RoutesAll(ctx) }, []string{"shop.example", "shop.example/api"}},
		} {
			got, err := tc.list()
			must(t, err)
			var names []string
			for _, r := range got {
				names = append(names, r.Name())
			}
			if !slices.Equal(names, tc.want) {
				t.Errorf("%s: %q, want %q", name, names, tc.want)
			}
		}
	})

	t.Run("changed and deleted", func(t *testing.T) {
		left, gone := api.Without(other.ID)
		if !gone {
			t.Fatal("nothing left out")
		}
		kept, err := w.SetRoute(ctx, left)
		must(t, err)
		if got, err := w.Route(ctx, api.ID); err != nil || !reflect.DeepEqual(got, kept) || !got.Created.Equal(api.Created) {
			t.Errorf("read %+v, %v, want %+v", got, err, kept)
		}
		must(t, w.DeleteRoute(ctx, root.ID))
		mustBe(t, w.DeleteRoute(ctx, root.ID), fault.NotFound)
	})
}

// newOperation queues an operation.
func (w world) newOperation(t testing.TB, subject, key string) operation.Operation {
	t.Helper()
	op, err := w.AddOperation(t.Context(), operation.Operation{
		ID: operation.ID(id.New()), Kind: "push", Space: w.space.ID, App: w.app.ID, Subject: subject, Actor: "ada", Key: key,
		Request: json.RawMessage(`{"a": 1, "b": [2]}`),
	}, happened("push.asked", subject))
	must(t, err)
	return op
}

func operations(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	take := func() (operation.Operation, bool) {
		t.Helper()
		op, ok, err := w.TakeOperation(ctx)
		must(t, err)
		return op, ok
	}
	end := func(op operation.Operation, to operation.State) {
		t.Helper()
		must(t, w.EndOperation(ctx, op.ID, to, nil, nil, nil))
	}

	t.Run("one at a time for each subject, oldest first", func(t *testing.T) {
		one, two, three := w.newOperation(t, "x", ""), w.newOperation(t, "x", ""), w.newOperation(t, "y", "")
		first, _ := take()
		second, _ := take()
		if first.ID != one.ID || second.ID != three.ID || first.State != operation.Running || first.Attempts != 1 {
			t.Fatalf("took %+v and %+v", first, second)
		}
		if op, ok := take(); ok {
			t.Fatalf("took %+v beside another of its subject", op)
		}
		end(first, operation.Done)
		if op, ok := take(); !ok || op.ID != two.ID {
			t.Fatalf("took %+v, %v, want the second of x", op, ok)
		}
		left, err := w.RetakeOperations(ctx)
		must(t, err)
		if len(left) != 2 || left[0].ID != two.ID || left[0].Attempts != 2 {
			t.Errorf("left = %+v", left)
		}
		end(two, operation.Failed)
		end(three, operation.Canceled)
	})

	t.Run("asking twice is asking once", func(t *testing.T) {
		op := w.newOperation(t, "idem", "key")
		before := len(kinds(t, w.Store))
		same := op
		same.ID, same.Request = operation.ID(id.New()), json.RawMessage(`{"b":[2],"a":1}`)
		got, err := w.AddOperation(ctx, same, happened("push.asked", "idem"))
		if err != nil || got.ID != op.ID || len(kinds(t, w.Store)) != before {
			t.Errorf("asked again: %+v, %v", got, err)
		}
		same.Request = json.RawMessage(`{"a":2}`)
		_, err = w.AddOperation(ctx, same)
		if f := mustBe(t, err, fault.Conflict); f.Field != "Idempotency-Key" {
			t.Errorf("err = %v", f)
		}
		same.Actor = "bob"
		if _, err := w.AddOperation(ctx, same); err != nil {
			t.Errorf("another's key: %v", err)
		}
	})

	t.Run("progress is numbered and memory kept", func(t *testing.T) {
		for { // what earlier parts left
			op, ok := take()
			if !ok {
				break
			}
			end(op, operation.Done)
		}
		queued := w.newOperation(t, "z", "")
		op, _ := take()
		lines := []operation.Progress{
			{Step: "build", Status: operation.StepStarted, Text: "node \x00\xff", Took: app.Duration(time.Second), Data: json.RawMessage(`{"n":1}`)},
			{Step: "build", Status: operation.StepDone},
		}
		must(t, w.ReportOperation(ctx, op.ID, json.RawMessage(`{"built":true}`), lines))
		must(t, w.ReportOperation(ctx, op.ID, nil, lines[:1]))
		got, err := w.Progress(ctx, op.ID, 1, 10)
		must(t, err)
		if len(got) != 2 || got[0].Seq != 2 || got[1].Seq != 3 || got[1].Text != "node \uFFFD" || string(got[1].Data) != `{"n":1}` || got[1].Time.IsZero() {
			t.Errorf("progress = %+v", got)
		}
		why := fault.New(fault.Failed, "build", "npm ended with 1").WithTry("look above").WithCause(errors.New("secret cause"))
		must(t, w.EndOperation(ctx, op.ID, operation.Failed, why, json.RawMessage(`{}`), lines[1:]))
		must(t, w.EndOperation(ctx, op.ID, operation.Failed, why, json.RawMessage(`{}`), lines[1:])) // the answer was lost
		saved, err := w.Operation(ctx, queued.ID)
		must(t, err)
		if string(saved.Memory) != `{"built":true}` || saved.Error.Message != "npm ended with 1" || saved.Error.Err != nil || saved.Ended.IsZero() {
			t.Errorf("saved %+v", saved)
		}
		if got, err := w.Progress(ctx, op.ID, 0, 10); err != nil || len(got) != 4 {
			t.Errorf("%d lines, %v, want 4", len(got), err)
		}
		mustBe(t, w.ReportOperation(ctx, op.ID, nil, lines), fault.Conflict)
		mustBe(t, w.EndOperation(ctx, op.ID, operation.Done, nil, nil, nil), fault.Conflict)
		must(t, w.AwaitProgress(ctx, op.ID, 99)) // it has ended
	})

	t.Run("waiting for progress", func(t *testing.T) {
		op := w.newOperation(t, "wait", "")
		done := make(chan error, 1)
		go func() { done <- w.AwaitProgress(context.WithoutCancel(ctx), op.ID, 0) }()
		must(t, w.ReportOperation(ctx, op.ID, nil, []operation.Progress{{Step: "source"}}))
		must(t, <-done)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := w.AwaitProgress(gone, op.ID, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	})

	t.Run("canceling", func(t *testing.T) {
		by := operation.Ask{Actor: "bob"}
		queued := w.newOperation(t, "c", "")
		op, err := w.CancelOperation(ctx, by, queued.ID)
		if err != nil || op.State != operation.Canceled || op.Ended.IsZero() {
			t.Errorf("canceled %+v, %v", op, err)
		}
		_, err = w.CancelOperation(ctx, by, queued.ID)
		mustBe(t, err, fault.Conflict)
		last, err := w.EventsBefore(ctx, "", "", "operation.cancel", 0, 1)
		if err != nil || len(last) != 1 || last[0].Actor != "bob" {
			t.Errorf("events = %+v, %v", last, err)
		}
	})

	t.Run("saved, read and moved on, from every state to every other", func(t *testing.T) { operationStates(t, w) })

	t.Run("pages", func(t *testing.T) {
		all, err := w.Operations(ctx, operation.Filter{App: w.app.ID})
		must(t, err)
		page, err := w.Operations(ctx, operation.Filter{Space: w.space.ID, Before: all[1].ID, Limit: 2})
		must(t, err)
		if len(page) != 2 || page[0].ID != all[2].ID || page[1].ID != all[3].ID {
			t.Errorf("page = %v", page)
		}
		ended, err := w.Events(ctx, store.EventFilter{Kinds: []event.Kind{"operation.failed"}})
		if err != nil || len(ended) == 0 || ended[0].App != string(w.app.ID) {
			t.Errorf("events = %+v, %v", ended, err)
		}
	})
}

func operationStates(t *testing.T, w world) {
	ctx := t.Context()
	for _, from := range []operation.State{operation.Queued, operation.Running, operation.Done, operation.Failed, operation.Canceled} {
		for _, to := range []operation.State{operation.Done, operation.Failed, operation.Canceled} {
			op := w.newOperation(t, "states "+id.New(), "")
			if from != operation.Queued {
				for ok := true; ok; { // others may be queued before it
					taken, more, err := w.TakeOperation(ctx)
					must(t, err)
					ok = more && taken.ID != op.ID
				}
				if from != operation.Running {
					must(t, w.EndOperation(ctx, op.ID, from, nil, nil, nil))
				}
			}
			if saved, err := w.Operation(ctx, op.ID); err != nil || saved.State != from {
				t.Fatalf("read %+v, %v, want state %s", saved, err, from)
			}
			err := w.EndOperation(ctx, op.ID, to, nil, nil, nil)
			if want := from == to || from.CanBecome(to); (err == nil) != want {
				t.Errorf("%s to %s: err = %v, want it to be possible: %v", from, to, err, want)
			}
		}
	}
}

func strategies(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	canary := func(t *testing.T, name string, old ...run.GroupID) rollout.Rollout {
		t.Helper()
		a := w.newApp(t, name)
		if len(old) == 0 {
			old = []run.GroupID{w.newGroup(t, a, w.newRelease(t, a).ID, "web", 1).ID}
		}
		r, err := w.StartRollout(ctx, rollout.Rollout{
			ID: rollout.ID(id.New()), App: a.ID, Release: w.newRelease(t, a).ID, Spec: app.Strategy{Kind: app.Canary}.Filled(),
			MaxInFlight: 1, State: rollout.Preparing, Old: old,
		})
		must(t, err)
		r, err = w.PrepareRollout(ctx, r.ID, []string{"web", "worker"})
		must(t, err)
		r, err = w.MoveRollout(ctx, r.ID, rollout.Shifting, "")
		must(t, err)
		return r
	}

	t.Run("the new web group begins without traffic, and loses its weight in the end", func(t *testing.T) {
		r := canary(t, "weights")
		weight := func() *int {
			g, err := w.Group(ctx, r.New[0])
			must(t, err)
			return g.Weight
		}
		if got := weight(); got == nil || *got != 0 {
			t.Errorf("weight %v at first", got)
		}
		if g, err := w.Group(ctx, r.New[1]); err != nil || g.Weight != nil {
			t.Errorf("worker %+v, %v", g, err)
		}
		must(t, w.ShiftRollout(ctx, r.ID, nil, []rollout.Weigh{{Group: r.New[0], To: 25}}))
		if got := weight(); got == nil || *got != 25 {
			t.Errorf("weight %v after it was set", got)
		}
		if err := w.ShiftRollout(ctx, r.ID, nil, []rollout.Weigh{{Group: r.New[0], To: 101}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("101 percent: %v", err)
		}
		in, err := w.RoutingInput(ctx)
		must(t, err)
		for _, g := range in.Groups {
			if g.ID == string(r.New[0]) && (g.Weight != 25 || g.Guard == nil || g.Guard.Key != string(r.ID) || g.Guard.Baseline != string(r.Old[0])) {
				t.Errorf("routed as %+v, guard %+v", g, g.Guard)
			}
			if g.ID == string(r.Old[0]) && (g.Weight != 75 || g.Guard != nil) {
				t.Errorf("the old group is routed as %+v", g)
			}
		}
		_, err = w.MoveRollout(ctx, r.ID, rollout.Done, "")
		must(t, err)
		if got := weight(); got != nil {
			t.Errorf("weight %d in the end", *got)
		}
	})

	t.Run("what goes back is guarded as long as it has traffic", func(t *testing.T) {
		r := canary(t, "goes-back")
		must(t, w.ShiftRollout(ctx, r.ID, nil, []rollout.Weigh{{Group: r.New[0], To: 25}}))
		_, err := w.MoveRollout(ctx, r.ID, rollout.Aborting, "for a reason")
		must(t, err)
		in, err := w.RoutingInput(ctx)
		must(t, err)
		for _, g := range in.Groups {
			if g.ID == string(r.New[0]) && (g.Weight != 25 || g.Guard == nil || g.Guard.Key != string(r.ID) || g.Match != nil) {
				t.Errorf("routed as %+v, guard %+v: a guard that tripped would be forgotten", g, g.Guard)
			}
		}
	})

	t.Run("steps are taken once", func(t *testing.T) {
		r := canary(t, "steps")
		for range 2 { // whoever comes second changes nothing
			_, err := w.StepRollout(ctx, r.ID, 0, true)
			must(t, err)
		}
		for range 2 {
			_, err := w.StepRollout(ctx, r.ID, 1, false)
			must(t, err)
		}
		got, err := w.Rollout(ctx, r.ID)
		if err != nil || got.Step != 1 || !got.Reached.IsZero() {
			t.Errorf("step %d, reached %s, %v", got.Step, got.Reached, err)
		}
		_, err = w.SteerRollout(ctx, r.ID, rollout.Pause, "ada")
		must(t, err)
		if got, err = w.StepRollout(ctx, r.ID, 2, false); err != nil || got.Step != 1 || got.State != rollout.Paused {
			t.Errorf("paused, and yet %+v, %v", got, err)
		}
		_, err = w.SteerRollout(ctx, r.ID, rollout.Abort, "ada")
		must(t, err)
		_, err = w.SteerRollout(ctx, r.ID, rollout.Resume, "ada")
		mustBe(t, err, fault.Conflict)
	})

	t.Run("a trip is stored once and named", func(t *testing.T) {
		r := canary(t, "trips")
		trip := route.Trip{Key: string(r.ID), Group: string(r.New[0]), Measure: route.Errors, Canary: route.Tally{Requests: 20, Bad: 10}, Allowed: 1.5}
		must(t, w.TripRollouts(ctx, []route.Trip{{Key: "of nobody"}, trip}))
		got, err := w.Rollout(ctx, r.ID)
		if err != nil || got.State != rollout.Aborting || got.Trip == nil || got.Trip.Canary != trip.Canary || !strings.Contains(got.Reason, "10 of 20") {
			t.Errorf("%+v, %v", got, err)
		}
		_, err = w.MoveRollout(ctx, r.ID, rollout.RolledBack, got.Reason)
		must(t, err)
		must(t, w.TripRollouts(ctx, []route.Trip{trip}))
	})

	t.Run("a later rollout supersedes", func(t *testing.T) {
		r := canary(t, "later")
		must(t, w.SupersedeRollout(ctx, r.App, "ada"))
		must(t, w.SupersedeRollout(ctx, r.App, "ada"))
		got, err := w.Rollout(ctx, r.ID)
		if err != nil || got.State != rollout.Aborting || !got.Superseded {
			t.Errorf("%+v, %v", got, err)
		}
		_, err = w.MoveRollout(ctx, r.ID, rollout.Superseded, got.Reason)
		must(t, err)
		must(t, w.SupersedeRollout(ctx, r.App, "ada")) // nothing is on its way
		must(t, w.SupersedeRollout(ctx, w.app.ID, "ada"))
	})

	t.Run("sequences begin again, and pass over those that are taken", func(t *testing.T) {
		a := w.newApp(t, "old app")
		rel := w.newRelease(t, a).ID
		first := w.newGroup(t, a, rel, "web", 0)
		must(t, w.Together(ctx, func(ctx context.Context) error {
			for range run.MaxSequence {
				g, err := w.CreateGroup(ctx, run.Group{App: a.ID, Process: "web", Release: rel})
				if err != nil {
					return err
				}
				if err := w.DeleteGroup(ctx, g.ID); err != nil {
					return err
				}
			}
			return nil
		}))
		g := w.newGroup(t, a, rel, "web", 0)
		if first.Sequence != 1 || g.Sequence != 2 || g.Name != "old-app-v002" {
			t.Errorf("the first is %s, a thousand later %s", first.Name, g.Name)
		}
	})
}
