package rollout_test

import (
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
)

// A step that holds and is judged waits for a person all the same, whatever is found
// harmless; what is found worse goes back without one.
func TestAHeldStepIsJudgedMeanwhile(t *testing.T) {
	ro := rollout.Rollout{
		State: rollout.Paused, Reached: time.Unix(1, 0), Spec: app.Strategy{Kind: app.Canary, Steps: []app.Step{{Weight: 20, Hold: true, Judge: true}}}.Filled(),
	}
	plan := func(o rollout.Outcome) rollout.Move {
		return rollout.Plan(rollout.Situation{Rollout: ro, Verdict: rollout.Verdict{Outcome: o, Reason: "more errors"}, Now: time.Unix(2, 0)})
	}
	if !ro.Judged() {
		t.Fatal("nobody judges it")
	}
	for _, o := range []rollout.Outcome{rollout.Unsure, rollout.Pass, rollout.Ask} {
		if m := plan(o); m.To != "" || m.Next {
			t.Errorf("outcome %d: got %+v", o, m)
		}
	}
	if m := plan(rollout.Fail); m.To != rollout.Aborting || m.Reason != "more errors" {
		t.Errorf("got %+v", m)
	}
	ro.Spec.Steps[0].Judge = false
	if m := plan(rollout.Fail); ro.Judged() || m.To != "" {
		t.Errorf("a step that is not judged goes back: %+v", m)
	}
	ro.Spec.Steps[0] = app.Step{Weight: 20, Judge: true} // a person paused it: what is seen meanwhile says little
	if m := plan(rollout.Fail); ro.Judged() || m.To != "" {
		t.Errorf("a step that somebody paused goes back: %+v", m)
	}
}
