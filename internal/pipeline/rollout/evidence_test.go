package rollout_test

import (
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
)

func TestATimedStepSaysThatItHadNoEvidence(t *testing.T) {
	for name, tc := range map[string]struct {
		had  rollout.Evidence
		note string
	}{
		"no request":     {rollout.Evidence{Counted: true, Enough: 10}, "step 1 of 2 goes on by its time, after 5m0s: the new release has had no request yet"},
		"a single one":   {rollout.Evidence{Counted: true, Requests: 1, Enough: 10}, "step 1 of 2 goes on by its time, after 5m0s: the new release has had 1 request"},
		"too few":        {rollout.Evidence{Counted: true, Requests: 9, Enough: 10}, "step 1 of 2 goes on by its time, after 5m0s: the new release has had 9 requests"},
		"enough":         {rollout.Evidence{Counted: true, Requests: 10, Enough: 10}, ""},
		"nobody counts":  {rollout.Evidence{}, ""},
		"not its matter": {rollout.Evidence{Requests: 3}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(app.Strategy{Kind: app.Canary, Steps: steps(t, "10%/5m")}, web(1))
			s.until(t)
			m := rollout.Plan(rollout.Situation{Rollout: s.ro, Lanes: s.lanes, Evidence: tc.had, Now: s.now.Add(5*time.Minute - time.Second)})
			if m.Next || m.Note != "" {
				t.Errorf("before its time: %+v", m)
			}
			m = rollout.Plan(rollout.Situation{Rollout: s.ro, Lanes: s.lanes, Evidence: tc.had, Now: s.now.Add(5 * time.Minute)})
			if !m.Next || m.Note != tc.note {
				t.Errorf("%+v, want the note %q", m, tc.note)
			}
		})
	}
}

func TestAJudgedStepSaysWhatItWaitsFor(t *testing.T) {
	s := newStage(app.Strategy{Kind: app.Canary, Steps: steps(t, "10%/judge")}, web(1))
	s.until(t)
	m := rollout.Plan(rollout.Situation{Rollout: s.ro, Lanes: s.lanes, Verdict: rollout.Verdict{Reason: "waits for 10 requests"}, Now: s.now.Add(time.Hour)})
	if m.Next || m.To != "" || m.Note != "step 1 of 2 waits for 10 requests" {
		t.Errorf("%+v", m)
	}
}

// Where there is no judge, a minute without a trip is enough only if there were
// requests that could have tripped the guard.
func TestAStepWithoutAJudgeWantsRequests(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	ro := rollout.Rollout{Reached: at}
	for name, tc := range map[string]struct {
		had   rollout.Evidence
		after time.Duration
		pass  bool
		says  string
	}{
		"at once":        {rollout.Evidence{Counted: true, Requests: 100, Enough: 10}, time.Second, false, "is looked at for 1m0s"},
		"after a minute": {rollout.Evidence{Counted: true, Requests: 10, Enough: 10}, time.Minute, true, ""},
		"too few":        {rollout.Evidence{Counted: true, Requests: 9, Enough: 10}, time.Hour, false, "waits for 10 requests: the new release has had 9 requests"},
		"nobody counts":  {rollout.Evidence{}, time.Minute, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := rollout.Unjudged(ro, tc.had, at.Add(tc.after))
			if (v.Outcome == rollout.Pass) != tc.pass || !strings.Contains(v.Reason, tc.says) || v.Outcome == rollout.Fail {
				t.Errorf("%+v", v)
			}
		})
	}
}
