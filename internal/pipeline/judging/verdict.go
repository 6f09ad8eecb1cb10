package judging

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"naru/internal/judge"
)

// verdict is what is known of a trial now.
func (t *trial) verdict(s sides, at time.Time) judge.Verdict {
	v := t.compared.Verdict()
	if t.own != nil {
		v = both(v, t.own.verdict)
	}
	v.Canary, v.Baseline, v.From, v.To = named(s.canary), named(s.baseline), t.given.Began, at
	return linked(tidy(v), s)
}

// both is the verdict of two judges: one that found something worse decides, and
// harmless is only what both call so.
func both(a, b judge.Verdict) judge.Verdict {
	switch {
	case a.Outcome == judge.Fail:
	case b.Outcome == judge.Fail, a.Outcome == judge.Pass:
		a.Outcome, b.Reasons, a.Reasons = b.Outcome, a.Reasons, b.Reasons
	}
	a.Reasons = append(slices.Clone(a.Reasons), b.Reasons...)
	if b.Score != nil {
		a.Score = b.Score
	}
	return a
}

// named is a side in words: "shop-v004 (v3)".
func named(s side) string {
	names := strings.Join(s.names(), ", ")
	switch {
	case names == "":
		return s.release
	case s.release == "":
		return names
	}
	return names + " (" + s.release + ")"
}

// tidy makes a verdict one that can be written: JSON has no infinity.
func tidy(v judge.Verdict) judge.Verdict {
	for i := range v.Reasons {
		r := &v.Reasons[i]
		for _, n := range []*float64{&r.P, &r.Visible, &r.Needed, &r.Canary.Value, &r.Baseline.Value} {
			if math.IsNaN(*n) || math.IsInf(*n, 0) {
				*n = 0
			}
		}
	}
	return v
}

// linked says where each figure comes from.
func linked(v judge.Verdict, s sides) judge.Verdict {
	for i := range v.Reasons {
		r := &v.Reasons[i]
		if query := source(r.Metric, selector(s)); query != "" {
			r.Links = append(r.Links, judge.Link{Rel: "metrics", Target: query})
		}
	}
	return v
}

// selector selects the series of both sides.
func selector(s sides) string {
	all := append(s.canary.names(), s.baseline.names()...)
	label := "group"
	if len(all) == 0 {
		all, label = []string{s.canary.release, s.baseline.release}, "release"
	}
	return fmt.Sprintf("app=%q,%s=~%q", s.app.Name, label, strings.Join(all, "|"))
}

// source is PromQL that shows a metric of both sides.
func source(metric, of string) string {
	slow := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (group, le) (rate(naru_gateway_request_duration_seconds_bucket{" + of + "}[1m])))"
	}
	switch metric {
	case "errors":
		return "sum by (group, class) (rate(naru_gateway_requests_total{" + of + "}[1m]))"
	case "latency_p50":
		return slow("0.5")
	case "latency_p95":
		return slow("0.95")
	case "latency_p99":
		return slow("0.99")
	case "cpu":
		return "sum by (group) (rate(naru_instance_cpu_seconds_total{" + of + "}[1m])) / sum by (group) (rate(naru_gateway_requests_total{" + of + "}[1m]))"
	case "memory":
		return "avg by (group) (naru_instance_memory_bytes{" + of + "})"
	case "restarts":
		return "sum by (group) (increase(naru_instance_restarts_total{" + of + "}[1m]))"
	}
	return ""
}
