package storetest

import (
	"reflect"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/judge"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/rollout"
	"naru/internal/run"
	"naru/internal/store"
)

// verdicts: said again and again until they are final, with blocks that go when
// their step is over.
func verdicts(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	r := w.newRollout(t, w.app)
	at := time.Unix(1_800_000_000, 0).UTC()
	block := func(n uint64) *judge.Block {
		return &judge.Block{Canary: judge.Measured{Requests: n, Took: []uint64{n, 0}}, Baseline: judge.Measured{Requests: 9 * n}, Share: 0.1}
	}
	_, err := w.Verdict(ctx, r.ID, 0)
	mustBe(t, err, fault.NotFound)

	given := judging.Given{Rollout: r.ID, Step: 0, Began: at, At: at, Verdict: judge.Verdict{Outcome: judge.Unsure, Canary: "shop-v002 (v2)"}}
	must(t, w.GiveVerdict(ctx, given, nil))
	for n := range 3 {
		given.Blocks, given.At = n+1, at.Add(time.Duration(n)*time.Second)
		must(t, w.GiveVerdict(ctx, given, block(uint64(n+1))))
	}
	got, err := w.Verdict(ctx, r.ID, 0)
	must(t, err)
	if !reflect.DeepEqual(got, given) {
		t.Errorf("read %+v, want %+v", got, given)
	}
	blocks, err := w.VerdictBlocks(ctx, r.ID, 0)
	must(t, err)
	if want := []judge.Block{*block(1), *block(2), *block(3)}; !reflect.DeepEqual(blocks, want) {
		t.Errorf("read blocks %+v, want %+v", blocks, want)
	}
	must(t, w.DropBlocks(ctx))
	if blocks, err = w.VerdictBlocks(ctx, r.ID, 0); err != nil || len(blocks) != 3 {
		t.Errorf("%d blocks are left of a step that is being judged (%v), want 3", len(blocks), err)
	}

	given.Verdict.Outcome, given.Act = judge.Fail, judging.WentBack
	given.Verdict.Reasons = []judge.Reason{{Code: "errors.worse", Text: "5xx 12.4 % vs 0.3 %"}}
	must(t, w.GiveVerdict(ctx, given, block(4)))
	if blocks, err = w.VerdictBlocks(ctx, r.ID, 0); err != nil || len(blocks) != 0 {
		t.Errorf("%d blocks are left of a step with its verdict (%v), want none", len(blocks), err)
	}
	again := given
	again.Verdict.Outcome, again.Act = judge.Pass, judging.Passed
	must(t, w.GiveVerdict(ctx, again, nil))
	if got, err = w.Verdict(ctx, r.ID, 0); err != nil || got.Act != judging.WentBack {
		t.Errorf("a final verdict became %q (%v)", got.Act, err)
	}
	events, err := w.Events(ctx, store.EventFilter{Kinds: []event.Kind{"verdict.given"}})
	must(t, err)
	if len(events) != 1 || events[0].App != string(w.app.ID) || events[0].Detail["text"] != "5xx 12.4 % vs 0.3 %" || events[0].Detail["outcome"] != "fail" {
		t.Errorf("events %+v, want one verdict", events)
	}

	second := judging.Given{Rollout: r.ID, Step: 1, Began: at, At: at, Blocks: 1, Verdict: judge.Verdict{Outcome: judge.Unsure}}
	must(t, w.GiveVerdict(ctx, second, block(1)))
	all, err := w.Verdicts(ctx, r.ID, "nobody's")
	must(t, err)
	if len(all) != 2 || all[0].Step != 0 || all[1].Step != 1 {
		t.Errorf("verdicts %+v, want two in order", all)
	}
	must(t, w.DropBlocks(ctx)) // the rollout is at step 0
	if blocks, err = w.VerdictBlocks(ctx, r.ID, 1); err != nil || len(blocks) != 0 {
		t.Errorf("%d blocks are left of a step that the rollout is not at (%v)", len(blocks), err)
	}
	mustBe(t, w.GiveVerdict(ctx, judging.Given{Rollout: "nobody's"}, nil), fault.NotFound)

	_, err = w.MoveRollout(ctx, r.ID, rollout.Aborting, "")
	must(t, err)
	_, err = w.MoveRollout(ctx, r.ID, rollout.RolledBack, "")
	must(t, err)

	t.Run("a group beside is made with the new one and goes at the end", func(t *testing.T) {
		from := w.newRelease(t, w.app)
		old := w.newGroup(t, w.app, from.ID, app.Web, 2)
		for _, way := range [][]rollout.State{{rollout.Shifting, rollout.Done}, {rollout.Aborting, rollout.RolledBack}} {
			r, err := w.StartRollout(ctx, rollout.Rollout{
				ID: rollout.ID(id.New()), App: w.app.ID, Release: w.newRelease(t, w.app).ID, From: from.ID, State: rollout.Preparing, Old: []run.GroupID{old.ID},
				Spec: app.Strategy{Kind: app.Canary, Steps: []app.Step{{Weight: 50, Judge: true}}, Judge: app.Judging{Baseline: app.BaselineFresh}}.Filled(),
			})
			must(t, err)
			r, err = w.PrepareRollout(ctx, r.ID, []string{app.Web, "worker"})
			must(t, err)
			if len(r.New) != 2 || len(r.Beside) != 1 {
				t.Fatalf("%d new groups and %d beside, want 2 and 1", len(r.New), len(r.Beside))
			}
			g, err := w.Group(ctx, r.Beside[0])
			must(t, err)
			if g.Release != from.ID || g.Process != app.Web || !g.Disabled() || g.Size != 0 {
				t.Errorf("beside is %+v, want a group of %s without traffic", g, from.ID)
			}
			saved, err := w.Rollout(ctx, r.ID)
			must(t, err)
			if !reflect.DeepEqual(saved, r) {
				t.Errorf("read %+v, want %+v", saved, r)
			}
			for _, to := range way {
				_, err = w.MoveRollout(ctx, r.ID, to, "")
				must(t, err)
			}
			_, err = w.Group(ctx, r.Beside[0])
			mustBe(t, err, fault.NotFound)
		}
	})

	must(t, w.DeleteApp(ctx, w.app.ID))
	if all, err = w.Verdicts(ctx, r.ID); err != nil || len(all) != 0 {
		t.Errorf("%d verdicts are left of an app that is gone (%v)", len(all), err)
	}
}
