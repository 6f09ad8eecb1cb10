package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/judge"
	"naru/internal/judge/sequential"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

// sampled has metrics in which v2 fails ten times as often as others.
type sampled struct{}

func (sampled) Samples(_ context.Context, q judging.Query) (out []float64, err error) {
	if strings.Contains(q.Text, "unreadable") {
		return nil, fault.New(fault.Invalid, "query", "it is no PromQL").WithTry("sum(x)")
	}
	for i := range 40 {
		v := 1 + float64(i%7)
		if q.Labels["release"] == "v2" && strings.Contains(q.Text, "5xx") {
			v *= 10
		}
		out = append(out, v)
	}
	return out, nil
}

func (w *world) released(t *testing.T, a app.App) release.Release {
	t.Helper()
	img := artifact.Image{ID: artifact.ID(id.New()), App: a.ID, Processes: []app.Process{{Type: app.Web, Port: 3000}}}
	rel, err := w.store.CutRelease(t.Context(), a.ID, func(number int, now time.Time) (release.Release, error) {
		return release.Cut(a, img, number, "push", "ada", now)
	})
	must(t, err)
	return rel
}

func TestRolloutsShowTheirVerdict(t *testing.T) {
	w := newWorld(t, api.Config{})
	a := w.app("shop")
	w.user("ada", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	in := w.dev("ada").App(a.Name)
	from := w.released(t, a)
	ro, err := w.store.StartRollout(t.Context(), rollout.Rollout{
		ID: rollout.ID(id.New()), App: a.ID, Release: w.released(t, a).ID, From: from.ID, State: rollout.Preparing,
		Spec: app.Strategy{Kind: app.Canary, Steps: []app.Step{{Weight: 10, Judge: true}}}.Filled(),
	})
	must(t, err)
	if r, err := in.Rollout(t.Context(), "current"); err != nil || r.Verdict != nil {
		t.Fatalf("%+v (%v), want no verdict yet", r.Verdict, err)
	}
	given := judging.Given{Rollout: ro.ID, Began: time.Now(), At: time.Now(), Act: judging.WentBack, Verdict: judge.Verdict{Outcome: judge.Fail, Reasons: []judge.Reason{{
		Code: "errors.worse", Metric: "errors", State: sequential.Worse, Text: "5xx 12.4 % vs 0.3 % over 1,204 canary requests (p < 0.001)",
		Canary: judge.Figure{Value: 0.124, Of: 1204, Bad: 149}, Links: []judge.Link{{Rel: "metrics", Target: "up"}},
	}}}}
	must(t, w.store.GiveVerdict(t.Context(), given, nil))
	const want = "went back: 5xx 12.4 % vs 0.3 % over 1,204 canary requests (p < 0.001)"
	r, err := in.Rollout(t.Context(), "current")
	must(t, err)
	if v := r.Verdict; v == nil || v.Text != want || v.Act != "went_back" || len(v.Reasons) != 1 || v.Reasons[0].Canary.Of != 1204 || len(v.Reasons[0].Links) != 1 {
		t.Errorf("a rollout shows %+v, want %q with its reason", r.Verdict, want)
	}
	page, err := in.Rollouts(t.Context(), client.Page{})
	must(t, err)
	if v := page.Items[0].Verdict; v == nil || v.Text != want || len(v.Reasons) != 0 {
		t.Errorf("the list shows %+v, want %q alone", v, want)
	}
	all, err := in.Verdicts(t.Context(), "current")
	must(t, err)
	if len(all.Items) != 1 || all.Items[0].Text != want || len(all.Items[0].Reasons) != 1 {
		t.Errorf("the verdicts are %+v", all.Items)
	}
}

func TestThePastIsJudged(t *testing.T) {
	w := newWorld(t, api.Config{})
	a := w.app("shop")
	w.user("ada", auth.Grant{Role: auth.SpaceAuditor, Org: w.org.ID, Space: w.space.ID})
	in := w.dev("ada").App(a.Name)
	_, err := in.Judge(t.Context(), client.JudgeRequest{})
	if f := fault.Of(err); f.Field != "canary" || f.Try == "" {
		t.Errorf("an app without releases: %v", err)
	}
	from, to := w.released(t, a), w.released(t, a)
	_, err = w.store.StartRollout(t.Context(), rollout.Rollout{
		ID: rollout.ID(id.New()), App: a.ID, Release: to.ID, From: from.ID, State: rollout.Preparing, Spec: app.Strategy{}.Filled(),
	})
	must(t, err)
	for name, tc := range map[string]struct {
		q       client.JudgeRequest
		outcome string
	}{
		"what the rollout brought": {client.JudgeRequest{}, "fail"},
		"the same by name":         {client.JudgeRequest{Canary: "v2"}, "fail"},
		"the other way round":      {client.JudgeRequest{Canary: "v1", Baseline: "v2"}, "pass"},
		"groups that are gone":     {client.JudgeRequest{Canary: "shop-v007", Baseline: "shop-v006"}, "pass"},
		"one of one's own, alone":  {client.JudgeRequest{Metrics: []client.JudgedMetric{{Name: "queue", Query: "queue"}}, Only: true}, "pass"},
		"too few samples":          {client.JudgeRequest{Minimum: 50}, "unsure"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.q.From = new(time.Now().Add(-time.Hour))
			v, err := in.Judge(t.Context(), tc.q)
			must(t, err)
			if v.Outcome != tc.outcome || v.Score == nil || len(v.Reasons) < 2 || v.From.IsZero() {
				t.Errorf("%+v, want %s", v, tc.outcome)
			}
		})
	}
	// Without a time it is that of the rollout, which has only begun; of two that no
	// rollout brought together, an hour.
	for _, q := range []client.JudgeRequest{{}, {Canary: "v2"}, {Canary: "v2", Baseline: "v1"}} {
		v, err := in.Judge(t.Context(), q)
		must(t, err)
		if v.Outcome != "unsure" || v.To.Sub(v.From) > time.Minute || v.Canary != "v2" || v.Baseline != "v1" {
			t.Errorf("%s of %s against %s, %s to %s; want v2 against v1 since it began", v.Outcome, v.Canary, v.Baseline, v.From, v.To)
		}
	}
	v, err := in.Judge(t.Context(), client.JudgeRequest{Canary: "v1", Baseline: "v2"})
	must(t, err)
	if v.To.Sub(v.From) != time.Hour {
		t.Errorf("%s to %s, want an hour", v.From, v.To)
	}
	for want, q := range map[string]client.JudgeRequest{
		"release v9":     {Canary: "v9"},
		"is not a rel":   {Baseline: "../x"},
		"no PromQL":      {Metrics: []client.JudgedMetric{{Name: "queue", Query: "unreadable"}}},
		"with itself":    {Canary: "v1", Baseline: "1"},
		"has not come":   {From: new(time.Now().Add(time.Hour)), To: new(time.Now().Add(2 * time.Hour))},
		"marginal":       {Pass: 50, Marginal: 70},
		"not a name":     {Metrics: []client.JudgedMetric{{Name: "Queue!", Query: "x"}}},
		"no rollout":     {Canary: "v1"},
		"before it begi": {From: new(time.Now()), To: new(time.Now().Add(-time.Hour))},
	} {
		t.Run(want, func(t *testing.T) {
			if q.From == nil {
				q.From = new(time.Now().Add(-time.Hour))
			}
			if _, err := in.Judge(t.Context(), q); err == nil || !strings.Contains(err.Error(), want) || fault.Of(err).Try == "" {
				t.Errorf("%v (try %q), want it refused for %q with a way out", err, fault.Of(err).Try, want)
			}
		})
	}
}
