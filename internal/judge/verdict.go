package judge

import (
	"fmt"
	"strings"
	"time"

	"naru/internal/judge/canary"
	"naru/internal/judge/sequential"
)

// Outcome is what a verdict comes to.
type Outcome string

// The outcomes. Too little traffic is Unsure, never Pass.
const (
	Pass   Outcome = "pass"
	Fail   Outcome = "fail"
	Unsure Outcome = "unsure"
)

// Verdict is an outcome with its reasons. It is a value: it can be stored, shown
// and compared, and never changes.
type Verdict struct {
	Outcome  Outcome   `json:"outcome"`
	Reasons  []Reason  `json:"reasons"` // what decided comes first
	Canary   string    `json:"canary,omitempty"`
	Baseline string    `json:"baseline,omitempty"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
	Alpha    float64   `json:"alpha,omitempty"` // rate of false alarms it was made at, over all metrics and looks
	Score    *float64  `json:"score,omitempty"` // 0 to 100, where samples were scored
}

// Reason is what one metric says.
type Reason struct {
	// Code is for programs and does not change: the metric's name and state, as
	// in errors.worse, latency_p95.not_worse, cpu.unsure.
	Code     string           `json:"code"`
	Metric   string           `json:"metric"`
	State    sequential.State `json:"state"`
	Text     string           `json:"text"` // for people, one sentence without a full stop
	Canary   Figure           `json:"canary"`
	Baseline Figure           `json:"baseline"`
	Unit     string           `json:"unit"` // of the figures: share, seconds, bytes, or that of the metric
	// P is how often, at most, a canary that is like its baseline ever looks as bad.
	P float64 `json:"p,omitempty"`
	// Visible is how many times the baseline's figure would have been found by now
	// in half of all cases, 0: no number; Needed the canary requests, from
	// the first, for what matters, 0: not known.
	Visible float64 `json:"visible,omitempty"`
	Needed  float64 `json:"needed,omitempty"`
	Matters float64 `json:"matters,omitempty"` // times the baseline's figure that began to matter
	Above   float64 `json:"above,omitempty"`   // of latency: seconds from which a request was slow; 0: not known
	Links   []Link  `json:"links,omitempty"`   // where the figures come from, and where to look further
	// Required: the canary passes only when this is known to be harmless.
	Required bool `json:"required,omitempty"`
}

// decides reports that an outcome is because of it.
func (r Reason) decides(o Outcome) bool {
	switch o {
	case Fail:
		return r.State == sequential.Worse
	case Unsure:
		return r.Required && r.State == sequential.Unsure
	}
	return r.Required
}

// Figure is what a side did.
type Figure struct {
	Value float64 `json:"value"`
	Of    uint64  `json:"of,omitempty"`  // requests, seconds, blocks or samples
	Bad   uint64  `json:"bad,omitempty"` // of them
}

// Link leads to what a reason was made of, or to what may explain it.
type Link struct {
	Rel    string `json:"rel"`    // metrics, logs, traces
	Target string `json:"target"` // metrics: PromQL; else the command that shows them
}

// Why says in one sentence what decided.
func (v Verdict) Why() string {
	var texts []string
	for _, r := range v.Reasons {
		if len(texts) == 0 || r.decides(v.Outcome) {
			texts = append(texts, r.Text)
		}
	}
	switch most := 2; {
	case v.Outcome == Unsure && len(texts) > 0:
		texts = texts[:1] // what is missing is said once
	case len(texts) > most:
		texts = append(texts[:most], fmt.Sprintf("and %d more", len(texts)-most))
	}
	if len(texts) == 0 {
		return "nothing was compared"
	}
	return strings.Join(texts, "; ")
}

// Sentence is Why after what was done about it ("went back"), or when that is
// empty, after the outcome.
func (v Verdict) Sentence(done string) string {
	if done == "" {
		done = map[Outcome]string{Pass: "as good as before", Fail: "worse than before", Unsure: "not known yet"}[v.Outcome]
	}
	return done + ": " + v.Why()
}

// byWeight orders reasons: what decided the outcome first.
func byWeight(o Outcome) func(a, b Reason) int {
	rank := func(r Reason) int {
		if r.decides(o) {
			return 0
		}
		return 1
	}
	return func(a, b Reason) int { return rank(a) - rank(b) }
}

// OfScore is the verdict of a scored judgement. A marginal score is Unsure: it
// decides nothing by itself.
func OfScore(j canary.Judgement) Verdict {
	score := j.Score
	v := Verdict{Outcome: Unsure, Score: &score}
	switch j.Outcome {
	case canary.Passed:
		v.Outcome = Pass
	case canary.Failed:
		v.Outcome = Fail
	}
	v.Reasons = append(v.Reasons, scored(j, v.Outcome))
	for _, r := range j.Results {
		v.Reasons = append(v.Reasons, sampled(r))
	}
	return v
}
