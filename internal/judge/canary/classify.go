package canary

import (
	"fmt"
	"math"
	"slices"
)

// Class is what became of one metric.
type Class string

// The classes.
const (
	Pass       Class = "pass"
	High       Class = "high"
	Low        Class = "low"
	Nodata     Class = "nodata"
	NodataFail Class = "nodata_fail" // no data, and it must have some
	Error      Class = "error"       // cannot be compared; counts like Nodata
)

// Result is a metric with what was found.
type Result struct {
	Name     string   `json:"name"`
	Groups   []string `json:"groups,omitempty"`
	Class    Class    `json:"class"`
	Critical bool     `json:"critical,omitempty"` // decides alone: the score is 0
	Muted    bool     `json:"muted,omitempty"`
	Why      string   `json:"why,omitempty"` // for people, in all classes but Pass
	Baseline Stats    `json:"baseline"`
	Canary   Stats    `json:"canary"`
	// Low, High and Shift are how far the canary is from its baseline, in the
	// metric's unit; all 0 where it was not compared.
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Shift float64 `json:"shift"`
	// Effect is the size of the change in the metric's measure; nil where it has
	// none, the mean of a side being 0.
	Effect *float64 `json:"effect,omitempty"`
}

// Stats are of one side's samples as they were compared; Std is that of a sample.
type Stats struct {
	Count int     `json:"count"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Mean  float64 `json:"mean"`
	Std   float64 `json:"std"`
}

func stats(v []float64) Stats {
	s := Stats{Count: len(v)}
	if s.Count == 0 {
		return s
	}
	s.Min, s.Max, s.Mean = slices.Min(v), slices.Max(v), mean(v)
	if s.Count > 1 {
		sum := 0.0
		for _, f := range v {
			sum += (f - s.Mean) * (f - s.Mean)
		}
		s.Std = math.Sqrt(sum / float64(s.Count-1))
	}
	return s
}

// limits are what all metrics have in common.
type limits struct {
	level, tolerance float64
	minimum          int
}

// classify compares one metric.
func classify(m Metric, s Samples, l limits) Result {
	r := Result{Name: m.Name, Groups: m.Groups, Muted: m.Muted}
	x, y := clean(s.Canary, m.NaNIsZero), clean(s.Baseline, m.NaNIsZero)
	if m.Outliers > 0 {
		x, y = inliers(x, m.Outliers), inliers(y, m.Outliers)
	}
	r.Canary, r.Baseline = stats(x), stats(y)
	if len(x) == 0 || len(y) == 0 {
		return r.missing(m)
	}
	if len(x) < l.minimum || len(y) < l.minimum {
		r.Class, r.Critical = Nodata, m.Critical
		r.Why = fmt.Sprintf("%d and %d samples of canary and baseline, needs %d of each", len(x), len(y), l.minimum)
		return r
	}
	if alike(x, y) {
		r.Class = Pass
		return r
	}
	if one(x) && one(y) {
		x, y = noisy(x), noisy(y)
	}
	return r.compare(m, x, y, l)
}

// missing is the class of a metric that has no samples on one side.
func (r Result) missing(m Metric) Result {
	side := "canary"
	if r.Canary.Count > 0 {
		side = "baseline"
	}
	r.Why = "no samples of the " + side
	switch {
	case m.NaNIsZero:
		r.Class, r.Why = Pass, ""
	case m.MustHave && !m.Critical:
		r.Class = NodataFail
	default:
		r.Class, r.Critical = Nodata, m.Critical
	}
	return r
}

// alike reports that both sides are the same numbers, or all of them one number.
func alike(x, y []float64) bool {
	return slices.Equal(slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y))) || one(x) && one(y) && x[0] == y[0]
}

// compare decides by the interval and the size of the effect.
func (r Result) compare(m Metric, x, y []float64, l limits) Result {
	in, ok := shift(x, y, l.level)
	if !ok {
		r.Class, r.Why = Error, "too few different samples to compare"
		return r
	}
	r.Low, r.High, r.Shift = in.low, in.high, in.estimate
	effect := meanRatio(x, y)
	if m.Effect.Measure == CLES {
		effect = cles(x, y)
	}
	if !math.IsNaN(effect) {
		r.Effect = &effect
	}
	unknown, e, bound := math.IsNaN(effect), m.Effect.filled(), l.tolerance*math.Abs(in.estimate)
	switch {
	case m.Direction != Decrease && in.low > bound && (unknown || effect >= e.AllowedIncrease):
		r.Class, r.Critical = High, m.Critical && (unknown || effect >= e.CriticalIncrease)
	case m.Direction != Increase && in.high < -bound && (unknown || effect <= e.AllowedDecrease):
		r.Class, r.Critical = Low, m.Critical && (unknown || effect <= e.CriticalDecrease)
	default:
		r.Class = Pass
		return r
	}
	near, far, word := in.low, in.high, "more"
	if r.Class == Low {
		near, far, word = -in.high, -in.low, "less"
	}
	r.Why = fmt.Sprintf("%.4g on average, baseline %.4g: %.4g to %.4g %s", r.Canary.Mean, r.Baseline.Mean, near, far, word)
	return r
}
