package api

import (
	"context"
	"regexp"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

// Verdicts tells what was said of rollouts.
type Verdicts interface {
	// Verdicts returns what is said of the steps of rollouts, in their order.
	Verdicts(ctx context.Context, rollouts ...rollout.ID) ([]judging.Given, error)
}

// PastJudge judges what is past.
type PastJudge interface {
	Judge(ctx context.Context, q judging.Question) (judge.Verdict, error)
}

func (s *server) listVerdicts(ctx context.Context, in *rolloutPath) (client.List[client.Verdict], error) {
	ro, err := s.findRollout(ctx, in.Rollout)
	if err != nil {
		return client.List[client.Verdict]{}, err
	}
	all, err := s.Verdicts.Verdicts(ctx, ro.ID)
	return whole(all, func(g judging.Given) client.Verdict { return givenOf(g) }), err
}

// judged fills in the last verdict of rollouts, with its reasons where asked for.
func (s *server) judged(ctx context.Context, reasons bool, out ...*client.Rollout) error {
	ids := make([]rollout.ID, len(out))
	for i, r := range out {
		ids[i] = rollout.ID(r.ID)
	}
	all, err := s.Verdicts.Verdicts(ctx, ids...)
	if err != nil {
		return err
	}
	for _, g := range all { // of a rollout the last comes last
		i := slices.Index(ids, g.Rollout)
		v := givenOf(g)
		if !reasons {
			v.Reasons = nil
		}
		out[i].Verdict = &v
	}
	return nil
}

type judgeInput struct{ Body client.JudgeRequest }

func (s *server) judge(ctx context.Context, in *judgeInput) (out client.Verdict, err error) {
	a, b := at(ctx).app, in.Body
	q := judging.Question{
		App: a, To: time.Now(), Alone: b.Only, Pass: b.Pass, Marginal: b.Marginal, Minimum: b.Minimum, Correct: b.Correct,
	}
	if b.Step != nil {
		q.Step = time.Duration(*b.Step)
	}
	if b.To != nil {
		q.To = *b.To
	}
	if b.From != nil {
		q.From = *b.From
	}
	if b.BaselineFrom != nil {
		q.BaselineFrom = *b.BaselineFrom
	}
	asked := each(b.Metrics, judgedMetricOf)
	for _, m := range a.Strategy.Judge.Metrics {
		if !b.Only && !slices.ContainsFunc(asked, func(o app.JudgedMetric) bool { return o.Name == m.Name }) {
			q.Metrics = append(q.Metrics, m)
		}
	}
	q.Metrics = append(q.Metrics, asked...)
	ro, err := s.meant(ctx, &q, b)
	if err != nil {
		return out, err
	}
	switch {
	case b.From == nil && b.To == nil && ro.ID != "": // while both ran
		q.From, q.Together = ro.Created, true
		if !ro.Ended.IsZero() {
			q.To = ro.Ended
		}
	case b.From == nil:
		q.From = q.To.Add(-time.Hour)
	}
	v, err := s.PastJudge.Judge(ctx, q)
	return verdictOf(v), err
}

func judgedMetricOf(m client.JudgedMetric) app.JudgedMetric {
	return app.JudgedMetric{Name: m.Name, Query: m.Query, Direction: m.Direction, Weight: m.Weight, Critical: m.Critical, Effect: m.Effect}
}

// groupName is a group's, as it is in metrics: also of one that is gone.
var groupName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,120}[a-z0-9])?-v[0-9]{3,6}$`)

// meant fills in the sides of a question: those that are named, else what the
// newest rollout brought, or the newest that brought the canary, against what it
// took the place of. It returns the newest rollout of the two, where there is one.
func (s *server) meant(ctx context.Context, q *judging.Question, in client.JudgeRequest) (ro rollout.Rollout, err error) {
	if in.Canary != "" {
		if q.Canary, err = s.side(ctx, "canary", in.Canary); err != nil {
			return ro, err
		}
	}
	if in.Baseline != "" {
		if q.Baseline, err = s.side(ctx, "baseline", in.Baseline); err != nil {
			return ro, err
		}
	}
	a := at(ctx).app
	all, err := s.Rollouts.Rollouts(ctx, a.ID, 0)
	if err != nil {
		return ro, err
	}
	name := func(id release.ID) string {
		rel, err := s.Releases.Release(ctx, id)
		if err != nil {
			return ""
		}
		return rel.Name()
	}
	for _, ro := range all {
		if ro.From == "" || ro.From == ro.Release || in.Canary != "" && name(ro.Release) != q.Canary.Release ||
			in.Canary != "" && in.Baseline != "" && name(ro.From) != q.Baseline.Release {
			continue
		}
		if in.Canary == "" {
			q.Canary.Release = name(ro.Release)
		}
		if in.Baseline == "" {
			q.Baseline.Release = name(ro.From)
		}
		if q.Canary != (judging.Side{}) && q.Baseline != (judging.Side{}) {
			return ro, nil
		}
	}
	if in.Canary != "" && in.Baseline != "" {
		return rollout.Rollout{}, nil
	}
	field := "canary"
	if in.Canary != "" {
		field = "baseline"
	}
	return ro, fault.New(fault.Invalid, field, "there is no rollout that would say which release is meant").WithTry("naru judge %s --baseline v3 --canary v4", a.Name)
}

// side finds what a name of a side means: a release of the app, or a group.
func (s *server) side(ctx context.Context, field, name string) (judging.Side, error) {
	if groupName.MatchString(name) {
		return judging.Side{Group: name}, nil
	}
	rel, err := s.findRelease(ctx, at(ctx).app, name)
	if err != nil {
		f := fault.Of(err)
		return judging.Side{}, fault.New(f.Kind, field, "%s", f.Message).WithTry("%s, or the name of a group: shop-v004", f.Try)
	}
	return judging.Side{Release: rel.Name()}, nil
}

// acted are the words before the sentence of a verdict that is final.
var acted = map[judging.Act]string{judging.WentBack: "went back", judging.WentOn: "went on unsure", judging.Asked: "asks"}

func givenOf(g judging.Given) client.Verdict {
	out := verdictOf(g.Verdict)
	out.Step, out.Act, out.Blocks, out.Text = g.Step, string(g.Act), g.Blocks, g.Verdict.Sentence(acted[g.Act])
	return out
}

func verdictOf(v judge.Verdict) client.Verdict {
	figure := func(f judge.Figure) client.VerdictFigure {
		return client.VerdictFigure{Value: f.Value, Of: f.Of, Bad: f.Bad}
	}
	return client.Verdict{
		Outcome: string(v.Outcome), Text: v.Sentence(""), Score: v.Score, Canary: v.Canary, Baseline: v.Baseline, From: v.From, To: v.To, Alpha: v.Alpha,
		Reasons: each(v.Reasons, func(r judge.Reason) client.VerdictReason {
			return client.VerdictReason{
				Code: r.Code, Metric: r.Metric, State: string(r.State), Text: r.Text, Canary: figure(r.Canary), Baseline: figure(r.Baseline), Unit: r.Unit,
				P: r.P, Visible: r.Visible, Needed: r.Needed, Matters: r.Matters, Required: r.Required,
				Links: each(r.Links, func(l judge.Link) client.VerdictLink { return client.VerdictLink{Rel: l.Rel, Target: l.Target} }),
			}
		}),
	}
}
