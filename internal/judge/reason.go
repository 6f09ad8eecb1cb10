package judge

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"naru/internal/judge/canary"
	"naru/internal/judge/sequential"
)

// reason is what a metric says now.
func (m *compared) reason() Reason {
	if m.means != nil {
		return m.ofMeans(m.means.Look())
	}
	return m.ofCounts(m.counts.Look())
}

func (m *compared) ofCounts(l sequential.Look) Reason {
	r := Reason{
		Code: m.Name + "." + string(l.State), Metric: m.Name, State: l.State, Unit: "share", P: l.P, Visible: l.Visible, Needed: l.Needed, Matters: m.Matters,
		Canary:   Figure{Value: l.Canary.Share(), Of: l.Canary.Requests, Bad: l.Canary.Bad},
		Baseline: Figure{Value: l.Baseline.Share(), Of: l.Baseline.Requests, Bad: l.Baseline.Bad},
	}
	what, over, of := m.Name, count(l.Canary.Requests)+" canary requests", "canary requests"
	switch m.Kind {
	case Failed:
		what = "5xx"
	case Probes:
		what, over, of = "failed probes", count(l.Canary.Requests)+" of the canary", "probes of the canary"
	case Copied:
		what, over, of = "5xx of copies", count(l.Canary.Requests)+" sent to each", "copies"
	case CopiedSlow:
		what, over, of = fmt.Sprintf("copies slower than %g %% of the baseline's", 100*m.Quantile), count(l.Canary.Requests)+" sent to each", "copies"
		if r.Above = m.bound; m.bound > 0 {
			what = "copies slower than " + duration(m.bound)
		}
	case Slow:
		what = fmt.Sprintf("slower than %g %% of the baseline", 100*m.Quantile)
		if r.Above = m.bound; m.bound > 0 {
			what = "slower than " + duration(m.bound)
		}
	case Restarts:
		r.Unit, of = "restarts per second", "seconds of canary instances"
		ran := func(seconds uint64) string { return (time.Duration(seconds) * time.Second).String() }
		r.Text = fmt.Sprintf("%d restarts in %s of canary instances vs %d in %s", l.Canary.Bad, ran(l.Canary.Requests), l.Baseline.Bad, ran(l.Baseline.Requests))
	}
	if r.Text == "" {
		r.Text = fmt.Sprintf("%s %s vs %s over %s", what, percent(r.Canary.Value), percent(r.Baseline.Value), over)
	}
	switch l.State {
	case sequential.Worse:
		r.Text += " (" + chance(l.P) + ")"
	case sequential.NotWorse:
		r.Text += m.harmless(r)
	default:
		r.Text += unsure(r, of)
	}
	return r
}

// harmless says which of the two ways a metric is harmless in.
func (m *compared) harmless(r Reason) string {
	if m.Floor > 0 && r.Baseline.Value*m.Matters < m.Floor {
		return ", below " + percent(m.Floor)
	}
	return fmt.Sprintf(", less than %.3g times as bad", m.Matters)
}

func (m *compared) ofMeans(l sequential.MeanLook) Reason {
	r := Reason{
		Code: m.Name + "." + string(l.State), Metric: m.Name, State: l.State, Unit: "seconds", P: l.P, Visible: l.Visible, Matters: m.Matters,
		Canary: Figure{Value: l.Canary, Of: uint64(l.Blocks)}, Baseline: Figure{Value: l.Baseline, Of: uint64(l.Blocks)},
	}
	show, what := duration, "CPU per request"
	if m.Kind == Memory {
		r.Unit, show, what = "bytes", bytes, "memory per instance"
	}
	r.Text = fmt.Sprintf("%s %s vs %s", what, show(l.Canary), show(l.Baseline))
	switch l.State {
	case sequential.Worse:
		r.Text += " (" + chance(l.P) + ")"
	case sequential.NotWorse:
		r.Text += fmt.Sprintf(", less than %.3g times as much", m.Matters)
	default:
		r.Text += unsure(r, "blocks")
	}
	return r
}

// unsure says what could have been seen, and what it takes.
func unsure(r Reason, of string) string {
	if r.Canary.Of == 0 || r.Baseline.Of == 0 {
		return ": nothing to compare"
	}
	seen := "; with so few nothing would have shown"
	if r.Visible > 0 {
		seen = fmt.Sprintf("; only %.2g times as much would have shown by now", math.Max(1, r.Visible))
	}
	if r.Needed > 0 && r.Needed > float64(r.Canary.Of) {
		seen += fmt.Sprintf(", %.3g times takes about %s %s", r.Matters, count(round(r.Needed)), of)
	}
	return seen
}

func scored(j canary.Judgement, o Outcome) Reason {
	state := map[Outcome]sequential.State{Pass: sequential.NotWorse, Fail: sequential.Worse, Unsure: sequential.Unsure}[o]
	r := Reason{Code: "score." + string(j.Outcome), Metric: "score", State: state, Unit: "points", Canary: Figure{Value: j.Score}, Required: true}
	r.Text = fmt.Sprintf("score %s of 100 (%s)", strconv.FormatFloat(j.Score, 'f', -1, 64), j.Outcome)
	switch {
	case j.Outcome == canary.Unsure:
		r.Text = "no score: " + j.Why
	case j.Why != "":
		r.Text += ", " + j.Why
	}
	return r
}

func sampled(s canary.Result) Reason {
	r := Reason{
		Code: s.Name + "." + string(s.Class), Metric: s.Name, State: sequential.Unsure, Unit: "as measured", Text: s.Name + ": " + s.Why,
		Canary: Figure{Value: s.Canary.Mean, Of: uint64(s.Canary.Count)}, Baseline: Figure{Value: s.Baseline.Mean, Of: uint64(s.Baseline.Count)},
	}
	switch s.Class {
	case canary.Pass:
		r.State, r.Text = sequential.NotWorse, fmt.Sprintf("%s: %.4g vs %.4g on average", s.Name, s.Canary.Mean, s.Baseline.Mean)
	case canary.High, canary.Low, canary.NodataFail:
		r.State = sequential.Worse
	}
	return r
}

func chance(p float64) string {
	if p < 0.001 {
		return "p < 0.001"
	}
	return fmt.Sprintf("p = %.3f", p)
}

func percent(share float64) string {
	p := 100 * share
	digits := 1
	if p > 0 && p < 1 {
		digits = min(6, 1-int(math.Floor(math.Log10(p))))
	}
	s := strconv.FormatFloat(p, 'f', digits, 64)
	if p < 1 {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	if p == 0 {
		s = "0"
	}
	return s + " %"
}

func duration(seconds float64) string {
	unit, n := " µs", seconds*1e6
	switch {
	case seconds >= 10:
		unit, n = " s", seconds
	case seconds >= 0.001:
		unit, n = " ms", seconds*1e3
	}
	if n >= 100 {
		return fmt.Sprintf("%.0f%s", n, unit)
	}
	return fmt.Sprintf("%.3g%s", n, unit)
}

func bytes(n float64) string { return fmt.Sprintf("%.0f MiB", n/(1<<20)) }

// round keeps two digits, since it is an estimate.
func round(n float64) uint64 {
	unit := math.Pow(10, math.Max(0, math.Floor(math.Log10(n))-1))
	return uint64(math.Ceil(n/unit) * unit)
}

func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
