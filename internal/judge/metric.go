package judge

import (
	"fmt"
	"math"
	"slices"

	"naru/internal/judge/sequential"
)

// Kind is what is compared of a metric.
type Kind string

// The kinds.
const (
	Failed   Kind = "failed"   // requests that failed, of all
	Slow     Kind = "slow"     // requests that took longer than a part of the baseline's do, of those with an answer
	Restarts Kind = "restarts" // restarts of instances, by the time they ran
	CPU      Kind = "cpu"      // CPU time per request
	Memory   Kind = "memory"   // memory per instance
	Probes   Kind = "probes"   // probes that failed, of those that both sides were sent alike
	Copied   Kind = "copied"   // copies of requests that failed, of those that both sides were sent alike

	CopiedSlow Kind = "copied_slow" // of these, copies that took longer than a part of the baseline's do
)

// Metric is one thing that canary and baseline are compared by.
type Metric struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Quantile is, for Slow and CopiedSlow, the part of the baseline's requests that is faster
	// than what counts as slow, as nearly as the bounds of the histogram allow: 0.95.
	Quantile float64 `json:"quantile,omitempty"`
	// Weight is the metric's part of the false alarms that are allowed, over the
	// sum of all weights.
	Weight float64 `json:"weight"`
	// Matters is how many times the baseline's figure begins to matter, and Floor,
	// for Failed, Slow and Restarts, a share that is harmless in any case.
	Matters float64 `json:"matters"`
	Floor   float64 `json:"floor,omitempty"`
	// Required metrics must be known to be harmless before a canary passes; the
	// others only say when they are worse.
	Required bool `json:"required,omitempty"`
}

// Defaults are the metrics of an app that declares none. Half of all false
// alarms are left to what visitors notice most.
func Defaults() []Metric {
	return []Metric{
		{Name: "errors", Kind: Failed, Weight: 50, Matters: 1.5, Floor: 0.001, Required: true},
		{Name: "latency_p50", Kind: Slow, Quantile: 0.50, Weight: 5, Matters: 1.5},
		{Name: "latency_p95", Kind: Slow, Quantile: 0.95, Weight: 15, Matters: 2, Required: true},
		{Name: "latency_p99", Kind: Slow, Quantile: 0.99, Weight: 10, Matters: 2},
		{Name: "cpu", Kind: CPU, Weight: 5, Matters: 1.3},
		{Name: "memory", Kind: Memory, Weight: 5, Matters: 1.3},
		{Name: "restarts", Kind: Restarts, Weight: 10, Matters: 2},
	}
}

// OfProbes is the metric of an app that declares probes. It is not required: they
// ask for little of what visitors do, so a canary that answers them may still be
// worse, and one that does not is.
func OfProbes() Metric {
	return Metric{Name: "probes", Kind: Probes, Weight: 15, Matters: 2, Floor: 0.01}
}

// OfCopies are the metrics of an app whose safe requests may be copied. They are not
// required: nothing but GET and HEAD is copied, so a canary that answers these may
// still be worse at what visitors came for.
func OfCopies() []Metric {
	return []Metric{
		{Name: "mirrored", Kind: Copied, Weight: 15, Matters: 1.5, Floor: 0.001},
		{Name: "mirrored_p95", Kind: CopiedSlow, Quantile: 0.95, Weight: 5, Matters: 2},
	}
}

// Problems lists all that is wrong with metrics somebody declared, each with
// field, value and what is allowed.
func Problems(metrics []Metric) []string {
	var out []string
	names := map[string]bool{}
	for i, m := range metrics {
		bad := func(field string, value any, allowed string) {
			out = append(out, fmt.Sprintf("metrics[%d].%s %v: %s", i, field, value, allowed))
		}
		if m.Name == "" || names[m.Name] {
			bad("name", fmt.Sprintf("%q", m.Name), "needs to be there, once")
		}
		names[m.Name] = true
		if kinds := []Kind{Failed, Slow, Restarts, CPU, Memory, Probes, Copied, CopiedSlow}; !slices.Contains(kinds, m.Kind) {
			bad("kind", fmt.Sprintf("%q", m.Kind), fmt.Sprint("one of ", kinds))
		}
		if (m.Kind == Slow || m.Kind == CopiedSlow) && !(m.Quantile > 0 && m.Quantile < 1) {
			bad("quantile", m.Quantile, "above 0 and below 1")
		}
		if !(m.Weight > 0) || math.IsInf(m.Weight, 0) {
			bad("weight", m.Weight, "above 0")
		}
		if !(m.Matters > 1) || math.IsInf(m.Matters, 0) {
			bad("matters", m.Matters, "above 1: as good as the baseline would be too bad")
		}
		if !(m.Floor >= 0 && m.Floor < 1) {
			bad("floor", m.Floor, "at least 0 and below 1")
		}
	}
	return out
}

// limits of a metric when all metrics together may call a canary that is like
// its baseline worse at rate alpha, at all looks: each has its part of it, which
// holds whatever the metrics have to do with each other (Bonferroni, weighted).
// That one is called harmless by mistake needs no sharing out: all that are
// required must be harmless for a canary to pass.
func (m Metric) limits(alpha, weights float64) sequential.Limits {
	return sequential.Limits{Alpha: alpha * m.Weight / weights, Matters: m.Matters, Floor: m.Floor}
}
