package judging

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge"
	"naru/internal/judge/canary"
	"naru/internal/run"
)

// Question asks how two sides compare over a time that is past.
type Question struct {
	App              app.App
	Canary, Baseline Side
	From, To         time.Time
	BaselineFrom     time.Time          // zero: From; the baseline's time is as long
	Together         bool               // only of From to To, and a little after it, when both sides had requests
	Metrics          []app.JudgedMetric // beside those that naru measures itself
	Alone            bool               // only Metrics
	Pass, Marginal   float64            // scores; 0: 90 and 75
	Minimum          int                // least samples of a side; 0: 10
	Correct          bool               // all metrics together err no more often than one would
	Step             time.Duration      // between two samples; 0: as the length of time and the interval of the metrics allow
}

// Side is a release, or one group.
type Side struct {
	Release string // "v4"
	Group   string // name; "": all of the release
}

// Bounds of questions.
const (
	MaxPast    = 35 * 24 * time.Hour
	MaxSamples = 1000 // of a metric and a side
)

// Past judges what is past.
type Past struct {
	sampler  Sampler
	counters Counters
	interval time.Duration // of the metrics
}

// NewPast makes a judge of what a sampler and counters know, whose series have a value
// each interval. Counters may be nil: then there is the score alone.
func NewPast(s Sampler, c Counters, interval time.Duration) *Past { return &Past{s, c, interval} }

// Judge answers. What cannot be answered is Invalid; too little data is an Unsure
// verdict. What is counted is compared as it was counted, and decides; the score of
// samples is beside it, and alone where only metrics of somebody's own are asked for.
func (p *Past) Judge(ctx context.Context, q Question) (judge.Verdict, error) {
	now := time.Now()
	same := q.BaselineFrom.IsZero()
	if same {
		q.BaselineFrom = q.From
	}
	if err := q.check(now); err != nil {
		return judge.Verdict{}, err
	}
	s := sides{app: q.App, canary: q.Canary.side(), baseline: q.Baseline.side()}
	var counted *judge.Verdict
	if p.counters != nil && !q.Alone {
		if q.Together { // what was counted at the end is written a little later
			q.To = earlier(now, q.To.Add(2*p.interval))
		}
		done, err := p.count(ctx, s, q.From, q.To, q.BaselineFrom)
		if err != nil {
			return judge.Verdict{}, err
		}
		if first, end, ok := done.together(); ok && q.Together && same {
			from := q.From
			q.From, q.To = from.Add(time.Duration(first)*done.length), earlier(q.To, from.Add(time.Duration(end)*done.length))
			q.BaselineFrom, done.blocks = q.From, done.blocks[first:end]
		}
		v := judge.Past(judge.Defaults(), bounds, done.blocks, 0)
		counted = &v
	}
	v, err := p.score(ctx, q, s)
	if err != nil {
		return judge.Verdict{}, err
	}
	if counted != nil {
		v = counted.Beside(v, len(q.Metrics) > 0)
	}
	v.Canary, v.Baseline, v.From, v.To = named(s.canary), named(s.baseline), q.From, q.To
	return linked(tidy(v), s), nil
}

// score is the verdict by samples.
func (p *Past) score(ctx context.Context, q Question, s sides) (judge.Verdict, error) {
	long := q.To.Sub(q.From)
	step := q.Step
	if step == 0 {
		// Two values of a counter make a rate, and four of them survive a gap.
		step = max(4*p.interval, (long / (MaxSamples / 2)).Round(time.Second))
	}
	metrics := slices.Clone(q.Metrics)
	if !q.Alone {
		metrics = append(measured(step), metrics...)
	}
	c := config(metrics)
	c.Pass, c.Marginal, c.Minimum, c.Correct = q.Pass, q.Marginal, q.Minimum, q.Correct
	// The first sample looks back a step.
	samples, err := gather(ctx, p.sampler, s, metrics, span{q.From.Add(step), q.To, q.BaselineFrom.Add(step), step})
	if err != nil {
		return judge.Verdict{}, err
	}
	return judge.OfScore(canary.Judge(c, samples)), nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (s Side) side() side {
	out := side{release: s.Release}
	if s.Group != "" {
		out.groups = []run.Group{{Name: s.Group}}
	}
	return out
}

func (q Question) check(now time.Time) error {
	bad := func(field, try, format string, args ...any) error {
		return fault.New(fault.Invalid, field, format, args...).WithTry("%s", try)
	}
	long := q.To.Sub(q.From)
	c := canary.Config{Pass: q.Pass, Marginal: q.Marginal, Minimum: q.Minimum}
	switch {
	case !q.From.Before(q.To):
		return bad("from", "--since 2h --until 1h", "the time ends %s before it begins", (-long).Round(time.Second))
	case q.From.After(now):
		return bad("from", "--since 1h", "%s has not come yet", q.From.UTC().Format(time.RFC3339))
	case long > MaxPast:
		return bad("from", "a shorter time", "%s are more than %s", long.Round(time.Hour), MaxPast)
	case q.Canary == q.Baseline && q.From.Equal(q.BaselineFrom):
		return bad("baseline", "--baseline v3 --canary v4", "it would be compared with itself")
	case q.Step < 0 || q.Step > 0 && long/q.Step > MaxSamples:
		return bad("step", "a longer step", "there would be more than %d samples of each metric", MaxSamples)
	case len(c.Problems()) > 0:
		return bad("pass", "--pass 90 --marginal 75", "%s", strings.Join(c.Problems(), "; "))
	case q.Alone && len(q.Metrics) == 0:
		return bad("metrics", "--metric 'queue=sum(queue_depth),direction=up'", "there is no metric to judge by")
	}
	var wrong error
	app.Judging{Metrics: q.Metrics}.Check(func(key, try, format string, args ...any) {
		if wrong == nil {
			wrong = bad(strings.TrimPrefix(key, "."), try, format, args...)
		}
	})
	return wrong
}

// measured are the metrics that naru measures itself, over a step each. What
// begins to matter, and the weights, are those of the judge of rollouts.
func measured(step time.Duration) []app.JudgedMetric {
	within := fmt.Sprintf("[%ds]", max(1, int(step.Seconds())))
	slow := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (le) (rate(naru_gateway_request_duration_seconds_bucket" + within + ")))"
	}
	requests := "sum(rate(naru_gateway_requests_total" + within + "))"
	query := map[string]string{
		"errors":      `(sum(rate(naru_gateway_requests_total{class="5xx"}` + within + `)) or ` + requests + ` * 0) / ` + requests,
		"latency_p50": slow("0.5"),
		"latency_p95": slow("0.95"),
		"latency_p99": slow("0.99"),
		"cpu":         "sum(rate(naru_instance_cpu_seconds_total" + within + ")) / " + requests,
		"memory":      "avg(naru_instance_memory_bytes)",
		"restarts":    "sum(increase(naru_instance_restarts_total" + within + "))",
	}
	var out []app.JudgedMetric
	for _, m := range judge.Defaults() {
		out = append(out, app.JudgedMetric{
			Name: m.Name, Query: query[m.Name], Direction: "up", Weight: m.Weight, Effect: m.Matters, Critical: m.Kind == judge.Failed,
		})
	}
	return out
}
