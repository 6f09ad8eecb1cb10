package judging

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge"
	"naru/internal/judge/canary"
	"naru/internal/judge/sequential"
)

// Sampler asks the metrics store.
type Sampler interface {
	// Samples returns what a query says between two times, a value each step, as
	// somebody sees it who may see the app's space. Series that do not say so
	// themselves are those with the labels. A query of several series is refused.
	Samples(ctx context.Context, q Query) ([]float64, error)
}

// Query asks for the samples of one metric of one side.
type Query struct {
	Space    app.SpaceID
	Text     string            // PromQL
	Labels   map[string]string // of all series that are selected; values of several groups as a|b
	From, To time.Time
	Step     time.Duration
}

// own is a query of an app's own metric for a side.
func own(s sides, of side, m app.JudgedMetric) Query {
	q := Query{Space: s.app.Space, Text: m.Query}
	group := strings.Join(of.names(), "|")
	if !strings.Contains(m.Query, "$release") && !strings.Contains(m.Query, "$group") {
		q.Labels = selected(s.app, of)
		return q
	}
	q.Text = strings.NewReplacer("$release", of.release, "$group", group, "$app", s.app.Name).Replace(m.Query)
	return q
}

// config is how metrics of an app's own are judged, each with its weight.
func config(metrics []app.JudgedMetric) canary.Config {
	c := canary.Config{Weights: map[string]float64{}}
	sum := 0.0
	for _, m := range metrics {
		sum += weight(m)
	}
	for _, m := range metrics {
		one := canary.Metric{Name: m.Name, Groups: []string{m.Name}, Critical: m.Critical}
		switch m.Direction {
		case "up":
			one.Direction = canary.Increase
		case "down":
			one.Direction = canary.Decrease
		}
		if m.Effect > 1 {
			one.Effect = canary.Effect{AllowedIncrease: m.Effect, AllowedDecrease: 1 / m.Effect, CriticalIncrease: m.Effect, CriticalDecrease: 1 / m.Effect}
		}
		c.Metrics = append(c.Metrics, one)
		c.Weights[m.Name] = 100 * weight(m) / sum
	}
	return c
}

func weight(m app.JudgedMetric) float64 {
	if m.Weight == 0 {
		return 1
	}
	return m.Weight
}

// sampled compares the metrics of an app's own while a step is judged: at first
// when there are samples enough, then each time their number has doubled. All
// looks together have their part of the false alarms.
type sampled struct {
	config  canary.Config
	metrics []app.JudgedMetric
	every   time.Duration
	began   time.Time
	looks   int
	verdict judge.Verdict // of the last look
}

func newSampled(metrics []app.JudgedMetric, alpha float64, every time.Duration) *sampled {
	s := &sampled{config: config(metrics), metrics: metrics, every: every, verdict: judge.Verdict{Outcome: judge.Unsure, Reasons: []judge.Reason{{
		Code: "score.unsure", Metric: "score", State: sequential.Unsure, Required: true, Text: "there are too few samples of the app's own metrics yet",
	}}}}
	s.config.Correct, s.config.Confidence = true, 1-alpha
	return s
}

// look samples when it is time to.
func (s *sampled) look(ctx context.Context, from Sampler, of sides, at time.Time) error {
	if s.began.IsZero() {
		s.began = at
	}
	least := time.Duration(s.config.Filled().Minimum+2) * s.every
	if at.Sub(s.began) < least<<s.looks {
		return nil
	}
	s.looks++
	s.config.Look = s.looks
	samples, err := gather(ctx, from, of, s.metrics, span{s.began, at, s.began, s.every})
	if err != nil {
		return err
	}
	s.verdict = judge.OfScore(canary.Judge(s.config, samples))
	return nil
}

// span is the time of samples; the baseline's may be another one of the same length.
type span struct {
	from, to time.Time
	baseline time.Time // from
	step     time.Duration
}

// gather asks for the samples of both sides.
func gather(ctx context.Context, from Sampler, of sides, metrics []app.JudgedMetric, t span) (map[string]canary.Samples, error) {
	out := map[string]canary.Samples{}
	ask := func(m app.JudgedMetric, s side, begin time.Time) ([]float64, error) {
		q := own(of, s, m)
		q.From, q.To, q.Step = begin, begin.Add(t.to.Sub(t.from)), t.step
		if q.To.Before(q.From) {
			return nil, nil // shorter than a step: there is not one sample
		}
		values, err := from.Samples(ctx, q)
		if err != nil {
			f := fault.Of(err)
			if f.Kind == fault.Invalid || f.Kind == fault.TooLarge {
				return nil, fault.New(f.Kind, "metric "+m.Name, "%s", f.Message).WithTry("%s", f.Try)
			}
			return nil, fmt.Errorf("sample %s: %w", m.Name, err)
		}
		kept := values[:0]
		for _, v := range values {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				kept = append(kept, v)
			}
		}
		return kept, nil
	}
	for _, m := range metrics {
		var s canary.Samples
		var err error
		if s.Canary, err = ask(m, of.canary, t.from); err != nil {
			return nil, err
		}
		if s.Baseline, err = ask(m, of.baseline, t.baseline); err != nil {
			return nil, err
		}
		out[m.Name] = s
	}
	return out, nil
}
