package storetest

import (
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/rollout"
	"naru/internal/pipeline/task"
	"naru/internal/run"
	"naru/internal/store"
)

// forgetting is what upkeep may remove of an app that does not run.
func forgetting(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()

	t.Run("the release of a stopped app stays, however old", func(t *testing.T) {
		a := w.newApp(t, "stopped")
		r := w.newRollout(t, a)
		for _, to := range rolloutWays[rollout.Done] {
			_, err := w.MoveRollout(ctx, r.ID, to, "")
			must(t, err)
		}
		for range 5 { // pushes that went back
			r := w.newRollout(t, a)
			for _, to := range rolloutWays[rollout.RolledBack] {
				_, err := w.MoveRollout(ctx, r.ID, to, "exit 3")
				must(t, err)
			}
		}
		if n, err := w.ForgetReleases(ctx, a.ID, 2); err != nil || n != 3 {
			t.Errorf("ForgetReleases = %d, %v, want 3: of six the newest two stay, and the one that ran", n, err)
		}
		if got, err := w.CurrentRelease(ctx, a.ID); err != nil || got.ID != r.Release {
			t.Errorf("current = %s, %v, want %s", got.Name(), err, r.Release)
		}
	})

	t.Run("the image of a draft stays", func(t *testing.T) {
		a := w.newApp(t, "unstarted")
		img, err := w.AddImage(ctx, artifact.Image{ID: artifact.ID(id.New()), App: a.ID, Ref: ref("default/dev/unstarted", '9')})
		must(t, err)
		_, err = w.UpdateApp(ctx, a.ID, func(a *app.App) error { a.Image = string(img.ID); return nil })
		must(t, err)
		_, err = w.ForgetImages(ctx, time.Now().Add(time.Hour))
		must(t, err)
		if _, err := w.Image(ctx, img.ID); err != nil {
			t.Errorf("the image that the next release would be cut from: %v", err)
		}
		_, err = w.UpdateApp(ctx, a.ID, func(a *app.App) error { a.Image = ""; return nil })
		must(t, err)
		_, err = w.ForgetImages(ctx, time.Now().Add(time.Hour))
		must(t, err)
		_, err = w.Image(ctx, img.ID)
		mustBe(t, err, fault.NotFound)
	})

	t.Run("all apps are known, also those without a group", func(t *testing.T) {
		all, err := w.AppIDs(ctx)
		must(t, err)
		if len(all) != 3 {
			t.Errorf("AppIDs = %v, want three", all)
		}
	})
}

// taskEvents tell of the app, and which of its tasks it is.
func taskEvents(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	k, err := w.CreateTask(ctx, task.Task{
		ID: task.ID(id.New()), App: w.app.ID, Release: "r", Name: "rake", Command: []string{"rake", "--password=hunter2"},
		Instance: run.InstanceID(id.New()), State: task.Pending, By: "ada",
	}, event.Event{Kind: "task.created", Actor: "ada"})
	must(t, err)
	_, err = w.UpdateTask(ctx, k.ID, func(k *task.Task, _ time.Time) error { k.State = task.Canceled; return nil },
		event.Event{Kind: "task.canceled", Actor: "bob", Detail: map[string]any{"why": "late"}})
	must(t, err)
	got, err := w.Events(ctx, store.EventFilter{Kinds: []event.Kind{"task.created", "task.canceled"}})
	must(t, err)
	if len(got) != 2 {
		t.Fatalf("events = %+v, want two", got)
	}
	for _, ev := range got {
		if ev.Subject != "shop" || ev.App != string(w.app.ID) || ev.Detail["task"] != float64(1) || ev.Detail["name"] != "rake" {
			t.Errorf("%s is about %q (%v), want shop and its task 1, rake", ev.Kind, ev.Subject, ev.Detail)
		}
	}
	if got[1].Detail["why"] != "late" {
		t.Errorf("detail = %v, want the one that was given too", got[1].Detail)
	}
	_, err = w.UpdateApp(ctx, w.app.ID, func(*app.App) error { return nil }, event.Event{Kind: "env.changed", Actor: "ada"})
	must(t, err)
	got, err = w.Events(ctx, store.EventFilter{Kinds: []event.Kind{"env.changed"}})
	must(t, err)
	if len(got) != 1 || got[0].Subject != "shop" {
		t.Errorf("events = %+v, want one about shop", got)
	}
}
