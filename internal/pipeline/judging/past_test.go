package judging

import (
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge"
)

var shop = app.App{ID: "a", Name: "shop", Space: "s"}

// series answers queries: the canary's errors are times as many, and all else is
// alike.
func series(times float64, samples int) func(q Query) ([]float64, error) {
	return func(q Query) (out []float64, err error) {
		for i := range samples {
			v := 1 + float64(i%7)/10
			if q.Labels["release"] == "v4" && strings.Contains(q.Text, "5xx") {
				v *= times
			}
			out = append(out, v)
		}
		return out, nil
	}
}

func TestPast(t *testing.T) {
	to := time.Now()
	for name, tc := range map[string]struct {
		times   float64
		samples int
		outcome judge.Outcome
		score   float64
		says    string
	}{
		"as good":  {1, 40, judge.Pass, 100, "score 100 of 100 (pass)"},
		"worse":    {3, 40, judge.Fail, 0, "errors is critical"},
		"too few":  {3, 5, judge.Unsure, 0, "samples"},
		"no data":  {1, 0, judge.Unsure, 0, "no samples"},
		"no worse": {1.2, 40, judge.Pass, 100, "score 100"}, // below what matters
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{samples: series(tc.times, tc.samples)}
			p := NewPast(w, nil, 15*time.Second)
			v, err := p.Judge(t.Context(), Question{App: shop, Canary: Side{Release: "v4"}, Baseline: Side{Release: "v3"}, From: to.Add(-time.Hour), To: to})
			if err != nil {
				t.Fatal(err)
			}
			if v.Outcome != tc.outcome || v.Score == nil || *v.Score != tc.score || !strings.Contains(v.Why(), tc.says) {
				t.Errorf("%s: %s; want %s, score %g and %q", v.Outcome, v.Why(), tc.outcome, tc.score, tc.says)
			}
			if len(v.Reasons) != len(judge.Defaults())+1 || v.Canary != "v4" || v.Baseline != "v3" {
				t.Errorf("%d reasons about %s and %s", len(v.Reasons), v.Canary, v.Baseline)
			}
			for _, q := range w.asked {
				if q.Step != time.Minute || q.Labels["app"] != "shop" || q.To.Sub(q.From) != time.Hour-time.Minute {
					t.Errorf("asked %+v", q)
				}
			}
		})
	}
}

func TestQueriesOfOnesOwn(t *testing.T) {
	w := &world{samples: series(1, 40)}
	to := time.Now()
	q := Question{
		App: shop, Canary: Side{Group: "shop-v004"}, Baseline: Side{Release: "v3"}, From: to.Add(-time.Hour), BaselineFrom: to.Add(-48 * time.Hour), To: to, Alone: true,
		Metrics: []app.JudgedMetric{{Name: "queue", Query: `sum(queue{release="$release",group=~"$group"}) + 0 * sum(up{app="$app"})`}, {Name: "depth", Query: "depth"}},
	}
	if _, err := NewPast(w, nil, time.Second).Judge(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if len(w.asked) != 4 {
		t.Fatalf("asked %d times, want 4", len(w.asked))
	}
	if got, want := w.asked[0].Text, `sum(queue{release="",group=~"shop-v004"}) + 0 * sum(up{app="shop"})`; got != want || w.asked[0].Labels != nil {
		t.Errorf("asked %q with %v, want %q as it is", got, w.asked[0].Labels, want)
	}
	if got := w.asked[2].Labels; got["group"] != "shop-v004" || got["release"] != "" {
		t.Errorf("asked for %v, want the group's", got)
	}
	if long := w.asked[0].From.Sub(w.asked[1].From); long != 47*time.Hour {
		t.Errorf("the baseline's time begins %s before, want 47h", long)
	}
}

func TestQuestionsThatCannotBeAnswered(t *testing.T) {
	to := time.Now()
	for want, change := range map[string]func(q *Question){
		"ends 1h0m0s before":      func(q *Question) { q.From, q.To = q.To, q.To.Add(-time.Hour) },
		"has not come":            func(q *Question) { q.From, q.To = to.Add(time.Hour), to.Add(2*time.Hour) },
		"more than 840h0m0s":      func(q *Question) { q.From = to.Add(-36 * 24 * time.Hour) },
		"with itself":             func(q *Question) { q.Baseline = q.Canary },
		"1000 samples":            func(q *Question) { q.Step = time.Second },
		"marginal <= pass":        func(q *Question) { q.Pass, q.Marginal = 50, 60 },
		"no metric":               func(q *Question) { q.Alone = true },
		"is what naru measures":   func(q *Question) { q.Metrics = []app.JudgedMetric{{Name: "errors", Query: "up"}} },
		"PromQL of at most":       func(q *Question) { q.Metrics = []app.JudgedMetric{{Name: "queue"}} },
		"not a way that is worse": func(q *Question) { q.Metrics = []app.JudgedMetric{{Name: "queue", Query: "up", Direction: "left"}} },
		"two metrics are named":   func(q *Question) { q.Metrics = []app.JudgedMetric{{Name: "q", Query: "up"}, {Name: "q", Query: "up"}} },
		"not above 1":             func(q *Question) { q.Metrics = []app.JudgedMetric{{Name: "q", Query: "up", Effect: 0.5}} },
	} {
		t.Run(want, func(t *testing.T) {
			q := Question{App: shop, Canary: Side{Release: "v4"}, Baseline: Side{Release: "v3"}, From: to.Add(-2 * time.Hour), To: to.Add(-time.Hour)}
			change(&q)
			_, err := NewPast(&world{samples: series(1, 40)}, nil, time.Minute).Judge(t.Context(), q)
			if f := fault.Of(err); f.Kind != fault.Invalid || !strings.Contains(f.Message, want) || f.Try == "" {
				t.Errorf("%v (%s; %q), want it invalid for %q with a way out", err, f.Kind, f.Try, want)
			}
		})
	}
}

func TestAQueryThatIsRefusedNamesItsMetric(t *testing.T) {
	to := time.Now()
	w := &world{samples: func(Query) ([]float64, error) {
		return nil, fault.New(fault.Invalid, "query", "it finds 3 series").WithTry("sum(x)")
	}}
	_, err := NewPast(w, nil, time.Second).Judge(t.Context(), Question{
		App: shop, Canary: Side{Release: "v4"}, Baseline: Side{Release: "v3"}, From: to.Add(-time.Hour), To: to, Alone: true, Metrics: []app.JudgedMetric{{Name: "queue", Query: "x"}},
	})
	if f := fault.Of(err); f.Field != "metric queue" || f.Try != "sum(x)" {
		t.Errorf("%v, want it to name the metric and the way out", err)
	}
}

func TestATimeShorterThanASample(t *testing.T) {
	to := time.Now()
	v, err := NewPast(&world{samples: series(3, 40)}, nil, 15*time.Second).Judge(t.Context(), Question{
		App: shop, Canary: Side{Release: "v4"}, Baseline: Side{Release: "v3"}, From: to.Add(-5 * time.Second), To: to,
	})
	if err != nil || v.Outcome != judge.Unsure {
		t.Errorf("%s: %s (%v), want it unsure", v.Outcome, v.Why(), err)
	}
}
