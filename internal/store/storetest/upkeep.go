package storetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/store"
)

// together runs do so often at once and returns the errors.
func together(n int, do func(i int) error) []error {
	errs := make([]error, n)
	var work sync.WaitGroup
	for i := range n {
		work.Go(func() { errs[i] = do(i) })
	}
	work.Wait()
	return errs
}

func atOnce(t *testing.T, open Opener) {
	const n = 20
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()

	t.Run("an operation is taken once", func(t *testing.T) {
		want := map[operation.ID]bool{}
		for i := range n {
			want[w.newOperation(t, fmt.Sprint("subject ", i%10), "").ID] = true
		}
		var mu sync.Mutex
		taken := map[operation.ID]int{}
		errs := together(n, func(int) error {
			op, ok, err := w.TakeOperation(ctx)
			if ok {
				mu.Lock()
				defer mu.Unlock()
				taken[op.ID]++
			}
			return err
		})
		for _, err := range errs {
			must(t, err)
		}
		if len(taken) != 10 {
			t.Errorf("%d operations were taken, want one for each of 10 subjects", len(taken))
		}
		for op, times := range taken {
			if times != 1 || !want[op] {
				t.Errorf("operation %s was taken %d times", op, times)
			}
		}
	})

	t.Run("the same request at once is one operation", func(t *testing.T) {
		ids := make([]operation.ID, n)
		for _, err := range together(n, func(i int) error {
			op, err := w.AddOperation(ctx, operation.Operation{ID: operation.ID(id.New()), Kind: "scale", Subject: "s", Actor: "ada", Key: "same"})
			ids[i] = op.ID
			return err
		}) {
			must(t, err)
		}
		slices.Sort(ids)
		if len(slices.Compact(ids)) != 1 {
			t.Error("one key made several operations")
		}
	})

	t.Run("one rollout starts", func(t *testing.T) {
		started := 0
		for _, err := range together(n, func(int) error {
			_, err := w.StartRollout(ctx, rollout.Rollout{ID: rollout.ID(id.New()), App: w.app.ID, State: rollout.Preparing})
			return err
		}) {
			if err == nil {
				started++
			} else {
				mustBe(t, err, fault.Conflict)
			}
		}
		if started != 1 {
			t.Errorf("%d rollouts started", started)
		}
	})

	t.Run("numbers have no gap and no twin", func(t *testing.T) {
		var mu sync.Mutex
		got := map[string][]int{}
		for _, err := range together(n, func(i int) error {
			g, err := w.CreateGroup(ctx, run.Group{App: w.app.ID, Process: []string{"web", "worker"}[i%2]})
			if err != nil {
				return err
			}
			rel, err := w.CutRelease(ctx, w.app.ID, func(number int, now time.Time) (release.Release, error) {
				return release.Release{ID: release.ID(id.New()), App: w.app.ID, Number: number, Created: now}, nil
			}, happened("release.cut", "shop"))
			mu.Lock()
			defer mu.Unlock()
			got[g.Process], got["release"] = append(got[g.Process], g.Sequence), append(got["release"], rel.Number)
			return err
		}) {
			must(t, err)
		}
		for name, numbers := range got {
			slices.Sort(numbers)
			for i, number := range numbers {
				if number != i+1 {
					t.Errorf("%s: numbers %v", name, numbers)
					break
				}
			}
		}
		var seqs []int64
		events, err := w.Events(ctx, store.EventFilter{})
		must(t, err)
		for i, ev := range events {
			seqs = append(seqs, ev.Seq)
			if ev.Seq != int64(i+1) {
				t.Fatalf("events are numbered %v", seqs)
			}
		}
	})

	t.Run("nobody's change is lost", func(t *testing.T) {
		for _, err := range together(n, func(i int) error {
			_, err := w.UpdateApp(ctx, w.app.ID, func(a *app.App) error {
				a.Draft = a.Draft.WithEnv(map[string]string{fmt.Sprint("E", i): "x"})
				return nil
			})
			return err
		}) {
			must(t, err)
		}
		if a, err := w.App(ctx, w.app.ID); err != nil || len(a.Draft.Env) != n {
			t.Errorf("%d settings, %v, want %d", len(a.Draft.Env), err, n)
		}
	})

	t.Run("an app name is had once", func(t *testing.T) {
		made := 0
		for _, err := range together(n, func(int) error {
			_, err := w.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: w.space.ID, Name: "rush", Slug: "rush"})
			return err
		}) {
			if err == nil {
				made++
			} else {
				mustBe(t, err, fault.Conflict)
			}
		}
		if made != 1 {
			t.Errorf("%d apps of one name", made)
		}
	})
}

func upkeep(t *testing.T, open Opener) {
	t.Run("settings", func(t *testing.T) {
		st, ctx := open(t, store.Options{}), t.Context()
		must(t, st.SetSetting(ctx, "a", "1"))
		must(t, st.SetSetting(ctx, "a", "2"))
		must(t, st.SetSetting(ctx, "b", ""))
		if all, err := st.Settings(ctx); err != nil || len(all) != 2 || all["a"] != "2" {
			t.Errorf("settings = %v, %v", all, err)
		}
		must(t, st.DeleteSetting(ctx, "a"))
		must(t, st.DeleteSetting(ctx, "a"))
		_, err := st.Setting(ctx, "a")
		mustBe(t, err, fault.NotFound)
		must(t, st.Ping(ctx))
	})

	t.Run("log offsets never go back", func(t *testing.T) {
		st, ctx := open(t, store.Options{}), t.Context()
		for _, n := range []int64{10, 1 << 40, 5} {
			must(t, st.SetLogOffset(ctx, "i", n))
		}
		must(t, st.SetLogOffset(ctx, "j", 0))
		if got, err := st.LogOffsets(ctx); err != nil || got["i"] != 1<<40 || len(got) != 2 {
			t.Errorf("offsets = %v, %v", got, err)
		}
		must(t, st.ForgetLogOffset(ctx, "i"))
		if got, err := st.LogOffsets(ctx); err != nil || len(got) != 1 {
			t.Errorf("offsets = %v, %v", got, err)
		}
	})

	t.Run("what is over is forgotten in time", func(t *testing.T) { prune(t, open) })
	t.Run("a backup is a store", func(t *testing.T) { backup(t, open) })
}

func prune(t *testing.T, open Opener) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	w := newWorld(t, open, store.Options{Clock: func() time.Time { return now }})
	ctx := t.Context()
	u := newUser(t, w.Store, "ada")
	must(t, w.AddLoginCode(ctx, auth.LoginCode{Hash: "h", User: u.ID, Expires: now.Add(time.Minute)}))
	_, err := w.AddAPIToken(ctx, auth.APIToken{ID: "forever", Hash: "f", User: u.ID, Name: "forever"})
	must(t, err)
	for range 2 {
		r := w.newRollout(t, w.app)
		for _, to := range []rollout.State{rollout.Releasing, rollout.Shifting, rollout.Done} {
			_, err := w.MoveRollout(ctx, r.ID, to, "")
			must(t, err)
		}
	}
	over, under := w.newOperation(t, "x", ""), w.newOperation(t, "y", "")
	for range 2 {
		_, _, err := w.TakeOperation(ctx)
		must(t, err)
	}
	must(t, w.ReportOperation(ctx, over.ID, nil, []operation.Progress{{Text: "line"}}))
	must(t, w.EndOperation(ctx, over.ID, operation.Done, nil, nil, nil))
	g := w.newGroup(t, w.app, "r", "web", 1)
	w.newInstance(t, g, 0, run.Stopped)
	running := w.newInstance(t, g, 1, run.Starting)

	keep := store.DefaultRetention()
	if got, err := w.Prune(ctx, keep); err != nil || got != (store.Pruned{}) {
		t.Errorf("pruned %+v, %v at once, want nothing", got, err)
	}
	now = now.Add(400 * 24 * time.Hour)
	got, err := w.Prune(ctx, keep)
	must(t, err)
	if want := (store.Pruned{Operations: 1, Instances: 1, Rollouts: 1, Tokens: 1}); got != want {
		t.Errorf("pruned %+v, want %+v", got, want)
	}
	if _, err := w.CurrentRelease(ctx, w.app.ID); err != nil {
		t.Errorf("the rollout that made what runs is gone: %v", err)
	}
	if lines, err := w.Progress(ctx, over.ID, 0, 10); err != nil || len(lines) != 0 {
		t.Errorf("progress of a forgotten operation: %v, %v", lines, err)
	}
	if _, err := w.Operation(ctx, under.ID); err != nil {
		t.Errorf("an operation that runs is gone: %v", err)
	}
	if _, err := w.Instance(ctx, running.ID); err != nil {
		t.Errorf("an instance that runs is gone: %v", err)
	}
	before := len(kinds(t, w.Store))
	keep.Events = 24 * time.Hour
	if got, err := w.Prune(ctx, keep); err != nil || got.Events != int64(before) {
		t.Errorf("pruned %+v, %v, want all %d events", got, err, before)
	}
	must(t, w.AppendEvents(ctx, event.Event{Kind: "later", Actor: "naru"}))
	if last, err := w.LastEvent(ctx); err != nil || last != int64(before+1) {
		t.Errorf("the next event has seq %d, %v, want %d", last, err, before+1)
	}
}

func backup(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	var copied bytes.Buffer
	err := w.Backup(t.Context(), &copied)
	if w.Engine() != "sqlite" {
		if f := mustBe(t, err, fault.Unsupported); f.Try == "" {
			t.Errorf("err = %v, want the way out", f)
		}
		return
	}
	must(t, err)
	after := w.newApp(t, "after the backup")
	path := filepath.Join(t.TempDir(), "restored.db")
	must(t, os.WriteFile(path, copied.Bytes(), 0o600))
	restored := OpenAt(t, path, store.Options{})
	if got, err := restored.AppNamed(context.WithoutCancel(t.Context()), w.space.ID, "shop"); err != nil || got.ID != w.app.ID {
		t.Errorf("restored app = %+v, %v", got, err)
	}
	_, err = restored.App(t.Context(), after.ID)
	mustBe(t, err, fault.NotFound)
}
