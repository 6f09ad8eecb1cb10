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

// linked says where each figure comes from, and where to look further.
func linked(v judge.Verdict, s sides) judge.Verdict {
	for i := range v.Reasons {
		r := &v.Reasons[i]
		if query := source(r.Metric, selector(s)); query != "" {
			r.Links = append(r.Links, judge.Link{Rel: "metrics", Target: query})
		}
		r.Links = append(r.Links, further(*r, s, v.From, v.To)...)
	}
	return v
}

// further are the commands that show what the canary's requests and instances said
// in the time of a verdict.
func further(r judge.Reason, s sides, from, to time.Time) []judge.Link {
	if from.IsZero() || to.IsZero() {
		return nil
	}
	within := fmt.Sprintf(" --since %s --until %s", from.UTC().Truncate(time.Second).Format(time.RFC3339), to.UTC().Add(time.Second-1).Truncate(time.Second).Format(time.RFC3339))
	logs := func(what string) judge.Link {
		return judge.Link{Rel: "logs", Target: "naru logs " + s.app.Name + within + what}
	}
	traces := func(what string) judge.Link {
		if names := s.canary.names(); len(names) == 1 {
			what += " --tag naru.group=" + names[0]
		}
		return judge.Link{Rel: "traces", Target: "naru traces " + s.app.Name + within + what}
	}
	switch {
	case r.Metric == "errors":
		return []judge.Link{logs(" --source RTR --search 'status>=500'"), traces(" --error")}
	case strings.HasPrefix(r.Metric, "latency_") && r.Above > 0:
		return []judge.Link{
			logs(fmt.Sprintf(" --source RTR --search 'duration>%g'", r.Above)),
			traces(fmt.Sprintf(" --min-duration %s", time.Duration(r.Above*float64(time.Second)).Round(time.Microsecond))),
		}
	case r.Metric == "restarts":
		return []judge.Link{logs(" --source NARU"), logs(" --source APP")}
	case r.Metric == "probes":
		return []judge.Link{logs(" --source APP")}
	}
	return nil
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
