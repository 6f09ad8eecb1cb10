package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/rollout"
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

// rollouts: groups and states move together, by legal moves only.
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
