package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/rollout"
	"naru/internal/route"
	"naru/internal/run"
	"naru/internal/store"
)

// strategies: what steps, steering and trips leave behind.
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

	t.Run("a judged step that may copy requests has a pair, and no other", func(t *testing.T) {
		yes := true
		for name, tc := range map[string]struct {
			how    app.Judging
			move   rollout.State
			paired bool
		}{
			"allowed": {app.Judging{Mirror: &yes}, rollout.Shifting, true},
			"paused":  {app.Judging{Mirror: &yes}, rollout.Paused, false},
			"not":     {app.Judging{}, rollout.Shifting, false},
			"fresh":   {app.Judging{Mirror: &yes, Baseline: app.BaselineFresh}, rollout.Shifting, true},
		} {
			a := w.newApp(t, "pairs-"+name)
			old := w.newGroup(t, a, w.newRelease(t, a).ID, app.Web, 1)
			empty := w.newGroup(t, a, w.newRelease(t, a).ID, app.Web, 0) // younger, and scaled to nothing
			w.newInstance(t, old, 0, run.Starting, run.Healthy)
			r, err := w.StartRollout(ctx, rollout.Rollout{
				ID: rollout.ID(id.New()), App: a.ID, Release: w.newRelease(t, a).ID, From: old.Release, State: rollout.Preparing, Old: []run.GroupID{old.ID, empty.ID},
				Spec: app.Strategy{Kind: app.Canary, Steps: []app.Step{{Weight: 10, Judge: true}, {Weight: 50}}, Judge: tc.how}.Filled(),
			})
			must(t, err)
			r, err = w.PrepareRollout(ctx, r.ID, []string{app.Web, "worker"})
			must(t, err)
			pair := func() (out []string) {
				in, err := w.RoutingInput(ctx)
				must(t, err)
				for _, g := range in.Groups {
					if g.App == a.ID && g.Pair != "" {
						out = append(out, g.ID, g.Pair)
					}
				}
				return out
			}
			for _, to := range []rollout.State{rollout.Shifting, tc.move} {
				if to != r.State {
					r, err = w.MoveRollout(ctx, r.ID, to, "")
					must(t, err)
				}
			}
			want := []string{string(r.New[0]), string(old.ID)}
			for _, id := range r.Beside {
				beside, err := w.Group(ctx, id)
				must(t, err)
				w.newInstance(t, beside, 0, run.Starting, run.Healthy)
				want[1] = string(id)
			}
			if got := pair(); tc.paired && !slices.Equal(got, want) || !tc.paired && got != nil {
				t.Errorf("%s: paired as %v, want %v: %v", name, got, want, tc.paired)
			}
			if tc.move == rollout.Shifting {
				_, err = w.StepRollout(ctx, r.ID, 1, false)
				must(t, err)
				if got := pair(); got != nil {
					t.Errorf("%s: paired as %v at a step that is not judged", name, got)
				}
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
