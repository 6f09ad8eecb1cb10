package rollout_test

import (
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/pipeline/rollout"
)

// beside finds the side of a stage's group beside.
func (s *stage) beside() *rollout.Side { return s.lanes[0].Beside }

func freshStage(t *testing.T, want int, text string) *stage {
	s := newStage(app.Strategy{Kind: app.Canary, Steps: steps(t, text), Judge: app.Judging{Baseline: app.BaselineFresh}}, web(want))
	s.lanes[0].Beside = &rollout.Side{Group: "beside"}
	s.ro.Beside = append(s.ro.Beside, "beside")
	return s
}

// plan plans with a verdict and does what the plan says; sum is what the weights
// that were given come to.
func (s *stage) plan(t *testing.T, v rollout.Verdict) rollout.Move {
	t.Helper()
	m := rollout.Plan(rollout.Situation{Rollout: s.ro, Lanes: s.lanes, Patience: time.Hour, Verdict: v, Now: s.now})
	s.apply(m.Resize)
	each(s.lanes, func(side *rollout.Side) {
		for _, w := range m.Weigh {
			if w.Group == side.Group {
				side.Weight = w.To
			}
		}
		side.Present, side.Healthy = side.Size, side.Size
	})
	switch {
	case m.To != "":
		s.ro.State = m.To
	case m.Reach:
		s.ro.Reached = s.now
	case m.Next:
		s.ro.Step, s.ro.Reached = s.ro.Step+1, time.Time{}
	}
	sum := max(0, s.lanes[0].New.Weight) + max(0, s.beside().Weight)
	if sum > 100 {
		t.Fatalf("the weights given come to %d after %+v", sum, m)
	}
	return m
}

func TestAGroupBesideComesAndGoesWithItsStep(t *testing.T) {
	s := freshStage(t, 10, "20%/0s,30%/judge,60%/judge,80%/0s")
	for range 10 {
		s.plan(t, rollout.Verdict{})
	}
	if b := s.beside(); s.ro.Step != 1 || s.ro.Reached.IsZero() || b.Size != 3 || b.Weight != 30 || s.lanes[0].New.Size != 3 {
		t.Fatalf("at step %d it is %+v beside %+v", s.ro.Step, b, s.lanes[0].New)
	}
	s.plan(t, rollout.Verdict{Outcome: rollout.Pass})
	for range 10 {
		s.plan(t, rollout.Verdict{})
	}
	if b := s.beside(); s.ro.Step != 2 || s.ro.Reached.IsZero() || b.Size != 6 || b.Weight != 40 {
		t.Fatalf("at step %d it is %+v", s.ro.Step, b)
	}
	s.plan(t, rollout.Verdict{Outcome: rollout.Pass})
	for s.ro.State == rollout.Shifting && s.ro.Step == 3 && s.ro.Reached.IsZero() {
		if m := s.plan(t, rollout.Verdict{}); m.Reach && (s.beside().Size > 0 || s.beside().Weight > 0) {
			t.Fatalf("a step without a judge has %+v", s.beside())
		}
	}
	for range 10 {
		s.plan(t, rollout.Verdict{})
	}
	if s.ro.State != rollout.Watching || s.lanes[0].New.Weight != 100 {
		t.Errorf("it is %s with %+v", s.ro.State, s.lanes[0].New)
	}
}

func TestAGroupBesideLeavesOnTheWayBack(t *testing.T) {
	s := freshStage(t, 4, "25%/judge")
	for range 6 {
		s.plan(t, rollout.Verdict{})
	}
	if s.beside().Weight != 25 {
		t.Fatalf("it is %+v", s.beside())
	}
	s.plan(t, rollout.Verdict{Outcome: rollout.Fail, Reason: "worse"})
	for range 6 {
		s.plan(t, rollout.Verdict{})
	}
	if b := s.beside(); s.ro.State != rollout.RolledBack || b.Size != 0 || b.Weight != 0 {
		t.Errorf("it is %s with %+v", s.ro.State, b)
	}
}

func TestAGroupBesideThatDoesNotStart(t *testing.T) {
	s := freshStage(t, 1, "50%/judge")
	s.lanes[0].New.Size, s.lanes[0].New.Present, s.lanes[0].New.Healthy = 1, 1, 1
	s.beside().Trouble = "web instance 0: exit 3"
	if m := s.plan(t, rollout.Verdict{}); m.To != rollout.Paused || m.Note == "" {
		t.Errorf("%+v, want it to ask a person", m)
	}
	s.ro.State, s.ro.Step = rollout.Shifting, 1 // promoted
	for range 6 {
		s.plan(t, rollout.Verdict{})
	}
	if s.ro.State != rollout.Watching || s.beside().Size != 0 {
		t.Errorf("it is %s with %+v", s.ro.State, s.beside())
	}
}

// While a judge is asked, a step that passes goes on and says so, and one that is
// to ask pauses.
func TestWhatVerdictsDo(t *testing.T) {
	for name, tc := range map[string]struct {
		v    rollout.Verdict
		next bool
		to   rollout.State
		says string
	}{
		"pass":   {rollout.Verdict{Outcome: rollout.Pass, Reason: "is as good"}, true, "", "step 1 of 2 is as good"},
		"fail":   {rollout.Verdict{Outcome: rollout.Fail, Reason: "5xx"}, false, rollout.Aborting, ""},
		"ask":    {rollout.Verdict{Outcome: rollout.Ask, Reason: "asks"}, false, rollout.Paused, "step 1 of 2 is unsure and waits for a person (naru rollout resume, or abort): asks"},
		"unsure": {rollout.Verdict{Reason: "is compared"}, false, "", "step 1 of 2 is compared"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(app.Strategy{Kind: app.Canary, Steps: steps(t, "10%/judge")}, web(1))
			s.lanes[0].New.Size, s.lanes[0].New.Present, s.lanes[0].New.Healthy, s.lanes[0].New.Weight = 1, 1, 1, 10
			s.ro.Reached = s.now
			m := rollout.Plan(rollout.Situation{Rollout: s.ro, Lanes: s.lanes, Patience: time.Hour, Verdict: tc.v, Now: s.now})
			if m.Next != tc.next || m.To != tc.to || m.Note != tc.says {
				t.Errorf("%+v, want next %v, to %q, saying %q", m, tc.next, tc.to, tc.says)
			}
		})
	}
}

// A person who pauses a judged step does not answer for the judge; one that it
// asked does.
func TestResumeOfAJudgedStep(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	for name, tc := range map[string]struct {
		step   string
		reason string
		next   int
	}{
		"it asked":                {"10%/judge", "5xx 0 % vs 0 %", 1},
		"a person paused it":      {"10%/judge", "", 0},
		"a step that holds":       {"10%/hold", "", 1},
		"a person paused a pause": {"10%/5m", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			ro := rollout.Rollout{State: rollout.Paused, Reached: at, Reason: tc.reason, Spec: app.Strategy{Kind: app.Canary, Steps: steps(t, tc.step)}}
			got, err := ro.Steer(rollout.Resume, "ada", at.Add(time.Hour))
			if err != nil || got.State != rollout.Shifting || got.Step != tc.next || got.Reason != "" {
				t.Errorf("it is %s at step %d for %q (%v), want step %d", got.State, got.Step, got.Reason, err, tc.next)
			}
			if stays := tc.step == "10%/judge" && tc.next == 0; stays && !got.Reached.Equal(at.Add(time.Hour)) {
				t.Errorf("its time began %s, want when it went on", got.Reached)
			}
		})
	}
}
