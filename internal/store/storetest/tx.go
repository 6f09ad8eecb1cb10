package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/store"
)

func transactions(t *testing.T, open Opener) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("east", 3600))
	var commits []int64
	w := newWorld(t, open, store.Options{
		Clock: func() time.Time { return now }, AfterCommit: func(n int64) { commits = append(commits, n) },
	})
	ctx := t.Context()

	t.Run("times are UTC to the nanosecond", func(t *testing.T) {
		a, err := w.App(ctx, w.app.ID)
		must(t, err)
		if !a.Created.Equal(now) || a.Created.Location() != time.UTC {
			t.Errorf("created %v, want %v in UTC", a.Created, now)
		}
	})

	t.Run("every commit is counted once", func(t *testing.T) {
		if want := []int64{1, 2}; !slices.Equal(commits, want) { // the bootstrap, the app
			t.Errorf("commits %v, want %v", commits, want)
		}
		before := len(commits)
		mustBe(t, w.DeleteApp(ctx, "nobody"), fault.NotFound)
		if len(commits) != before {
			t.Error("a write that failed was counted")
		}
	})

	t.Run("events are numbered and belong to their write", func(t *testing.T) {
		events, err := w.Events(ctx, store.EventFilter{})
		must(t, err)
		for i, ev := range events {
			if ev.Seq != int64(i+1) || !ev.Time.Equal(now) {
				t.Errorf("event %d has seq %d, time %v", i, ev.Seq, ev.Time)
			}
		}
		last := events[len(events)-1]
		if last.Kind != "app.created" || last.App != string(w.app.ID) || last.Space != string(w.space.ID) || last.Actor != "ada" {
			t.Errorf("event = %+v", last)
		}
		if n, err := w.LastEvent(ctx); err != nil || n != last.Seq {
			t.Errorf("LastEvent = %d, %v", n, err)
		}
		if err := w.AppendEvents(ctx, event.Event{Kind: "no.actor"}); err == nil {
			t.Error("an event without actor was taken")
		}
		must(t, w.AppendEvents(ctx, event.Event{
			Kind: "odd", Actor: "a\x00b", Subject: "\xff", Detail: map[string]any{"after": map[string]any{"x": "y\x00"}},
		}))
		newest, err := w.EventsBefore(ctx, "", "", "odd", 0, 1)
		must(t, err)
		if len(newest) != 1 || newest[0].Actor != "ab" || newest[0].Detail["after"].(map[string]any)["x"] != "y\x00" {
			t.Errorf("events = %+v", newest)
		}
	})

	t.Run("together is all or nothing, and sees itself", func(t *testing.T) {
		before := len(commits)
		refused := errors.New("refused")
		err := w.Together(ctx, func(ctx context.Context) error {
			if _, err := w.UpdateApp(ctx, w.app.ID, func(a *app.App) error { a.State = app.Stopped; return nil }, happened("app.stopped", "shop")); err != nil {
				return err
			}
			inside, err := w.App(ctx, w.app.ID)
			if err != nil || inside.State != app.Stopped {
				t.Errorf("inside: %s, %v", inside.State, err)
			}
			outside, err := w.App(t.Context(), w.app.ID)
			if err != nil || outside.State != app.Started {
				t.Errorf("outside: %s, %v, want it not to be seen yet", outside.State, err)
			}
			return refused
		})
		if !errors.Is(err, refused) || len(commits) != before {
			t.Errorf("err = %v, %d commits more", err, len(commits)-before)
		}
		if a, err := w.App(ctx, w.app.ID); err != nil || a.State != app.Started {
			t.Errorf("state = %s, %v", a.State, err)
		}
		if slices.Contains(kinds(t, w.Store), "app.stopped") {
			t.Error("the event of what did not happen stayed")
		}
	})

	t.Run("an error that is swallowed still undoes all", func(t *testing.T) {
		err := w.Together(ctx, func(ctx context.Context) error {
			must(t, w.SetSetting(ctx, "half", "done"))
			_, err := w.CreateOrg(ctx, app.DefaultOrg)
			mustBe(t, err, fault.Conflict)
			return nil
		})
		mustBe(t, err, fault.Conflict)
		_, err = w.Setting(ctx, "half")
		mustBe(t, err, fault.NotFound)
	})

	t.Run("a panic leaves the store usable", func(t *testing.T) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = w.Together(ctx, func(ctx context.Context) error {
				must(t, w.SetSetting(ctx, "half", "done"))
				panic("defect")
			})
		}()
		must(t, w.SetSetting(ctx, "after", "all"))
		_, err := w.Setting(ctx, "half")
		mustBe(t, err, fault.NotFound)
	})

	t.Run("who cannot wait does not write", func(t *testing.T) {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := w.SetSetting(gone, "late", "x"); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want canceled", err)
		}
		must(t, w.SetSetting(ctx, "late", "y"))
	})
}

func wakeups(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	other := w.newApp(t, "other")
	rel := w.newRelease(t, w.app)

	mine := w.Listen(store.AppTopic(w.app.ID))
	all := w.Listen(store.Apps, store.Routes)
	defer all.Close()
	apps, stop := w.Subscribe()

	for range 3 { // three changes, one wake-up
		w.newGroup(t, w.app, rel.ID, "web", 1)
	}
	_, err := w.UpdateApp(ctx, other.ID, func(*app.App) error { return nil })
	must(t, err)
	<-mine.C
	if got := mine.Take(); !slices.Equal(got, []store.Topic{store.AppTopic(w.app.ID)}) {
		t.Errorf("mine = %v", got)
	}
	<-all.C
	want := []store.Topic{store.AppTopic(w.app.ID), store.AppTopic(other.ID)}
	slices.Sort(want)
	if got := all.Take(); !slices.Equal(got, want) {
		t.Errorf("all = %v, want %v", got, want)
	}
	select {
	case <-mine.C:
		t.Error("woken twice for changes that were taken together")
	default:
	}
	seen := map[app.ID]bool{}
	for len(seen) < 2 {
		seen[<-apps] = true
	}
	if !seen[w.app.ID] || !seen[other.ID] {
		t.Errorf("apps = %v", seen)
	}

	err = w.Together(ctx, func(ctx context.Context) error {
		must(t, w.SetSecrets(ctx, w.app.ID, map[string]string{"A": id.New()}))
		return errors.New("not after all")
	})
	if err == nil {
		t.Fatal("no error")
	}
	mine.Close()
	w.newGroup(t, w.app, rel.ID, "web", 1)
	select {
	case <-mine.C:
		t.Error("woken by what did not happen, or after Close")
	default:
	}
	stop() // returns although nobody reads any more
	stop()
}
