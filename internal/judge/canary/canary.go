// Package canary compares two sets of samples, of a canary and its baseline,
// metric by metric, and makes a score from 0 to 100 of them: the judge known from
// Netflix's Kayenta (NetflixACAJudge-v1.0), whose published cases are its tests.
//
// A metric fails when a Mann-Whitney interval of the shift between the two sets
// lies beyond a quarter of the shift itself and the effect is large enough. It is
// meant for one look at gauges of any kind, over any window, also a past one.
// For counts that are looked at again and again there is package sequential.
//
// # Where it differs from the original
//
//   - The interval is exact: a walk over the sorted differences instead of a root
//     finder with an absolute tolerance of 0.0001. Most samples being equal
//     (error counts that are nearly all 0), that one finds a shift of 0.00002
//     where there is none, and calls it High.
//   - Fewer points than Minimum are Nodata, whatever they say.
//   - Error counts where Nodata counts: a judgement of nothing but errors was 100.
//   - Noise for samples that are all one number is the same each time.
//   - A judgement for want of data is Unsure, with a score of 0, not Fail.
//   - Many metrics and many looks can be corrected for.
package canary

import (
	"fmt"
	"math"
)

// Direction is which way of a metric can fail.
type Direction string

// The directions.
const (
	Either   Direction = ""
	Increase Direction = "increase"
	Decrease Direction = "decrease"
)

// Measure is how the size of an effect is measured.
type Measure string

// The measures.
const (
	MeanRatio Measure = ""     // mean of the canary over mean of the baseline; 1 is no change
	CLES      Measure = "cles" // how often a sample of the canary is above one of the baseline; 0.5 is no change
)

// Effect says from which size on a change matters. Zero fields are filled with
// "no change", so that every change matters.
type Effect struct {
	Measure          Measure `json:"measure,omitempty"`
	AllowedIncrease  float64 `json:"allowed_increase,omitempty"`
	AllowedDecrease  float64 `json:"allowed_decrease,omitempty"`
	CriticalIncrease float64 `json:"critical_increase,omitempty"`
	CriticalDecrease float64 `json:"critical_decrease,omitempty"`
}

func (e Effect) filled() Effect {
	none := 1.0
	if e.Measure == CLES {
		none = 0.5
	}
	for _, field := range []*float64{&e.AllowedIncrease, &e.AllowedDecrease, &e.CriticalIncrease, &e.CriticalDecrease} {
		if *field == 0 {
			*field = none
		}
	}
	return e
}

// Metric is how one metric is judged.
type Metric struct {
	Name      string    `json:"name"`
	Groups    []string  `json:"groups,omitempty"` // what is in none has no part in the score, but may fail it when critical
	Direction Direction `json:"direction,omitempty"`
	NaNIsZero bool      `json:"nan_is_zero,omitempty"` // else NaNs are left out
	Critical  bool      `json:"critical,omitempty"`    // its failure makes the score 0
	MustHave  bool      `json:"must_have_data,omitempty"`
	Muted     bool      `json:"muted,omitempty"` // judged and shown, not scored
	Effect    Effect    `json:"effect,omitzero"`
	// Outliers is the factor of the interquartile range beyond which samples are
	// left out; 0 keeps all.
	Outliers float64 `json:"outliers,omitempty"`
}

// Config is how all metrics are judged. Zero fields take the defaults named.
type Config struct {
	Metrics    []Metric           `json:"metrics"`
	Weights    map[string]float64 `json:"weights,omitempty"`    // of groups, in percent; groups without one share what is left of 100
	Pass       float64            `json:"pass,omitempty"`       // score from which it passes: 90
	Marginal   float64            `json:"marginal,omitempty"`   // score from which it is marginal: 75
	Minimum    int                `json:"minimum,omitempty"`    // least samples of a side: 10
	Confidence float64            `json:"confidence,omitempty"` // of the interval of one metric: 0.98
	Tolerance  float64            `json:"tolerance,omitempty"`  // part of the shift that the interval must lie beyond: 0.25
	// Look is which look at the same rollout this is, from 1, and Correct asks for
	// the correction over all metrics and looks: all of them together then call a
	// canary that is like its baseline worse at most as often as one metric would.
	Look    int  `json:"look,omitempty"`
	Correct bool `json:"correct,omitempty"`
}

// Filled returns the configuration with its defaults in place of zero fields.
func (c Config) Filled() Config {
	for field, value := range map[*float64]float64{&c.Pass: 90, &c.Marginal: 75, &c.Confidence: 0.98, &c.Tolerance: 0.25} {
		if *field == 0 {
			*field = value
		}
	}
	if c.Minimum == 0 {
		c.Minimum = 10
	}
	if c.Look == 0 {
		c.Look = 1
	}
	return c
}

// Problems lists all that is wrong, each with field, value and what is allowed.
func (c Config) Problems() []string {
	var out []string
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	f := c.Filled()
	if f.Pass < f.Marginal || f.Pass > 100 || f.Marginal < 0 {
		bad("pass %g, marginal %g: needs 0 <= marginal <= pass <= 100", f.Pass, f.Marginal)
	}
	if f.Confidence <= 0.5 || f.Confidence >= 1 {
		bad("confidence %g: needs to be above 0.5 and below 1", f.Confidence)
	}
	if f.Tolerance < 0 || f.Tolerance > 1 {
		bad("tolerance %g: needs to be between 0 and 1", f.Tolerance)
	}
	if f.Minimum < 1 || f.Look < 1 {
		bad("minimum %d, look %d: need to be at least 1", f.Minimum, f.Look)
	}
	sum := 0.0
	for group, w := range c.Weights {
		if sum += w; w < 0 || math.IsNaN(w) {
			bad("weights.%s %g: needs to be between 0 and 100", group, w)
		}
	}
	if sum > 100 {
		bad("weights sum to %g: at most 100", sum)
	}
	names := map[string]bool{}
	for i, m := range c.Metrics {
		switch {
		case m.Name == "":
			bad("metrics[%d].name: is missing", i)
		case names[m.Name]:
			bad("metrics[%d].name %q: is there twice", i, m.Name)
		}
		names[m.Name] = true
		if m.Direction != Either && m.Direction != Increase && m.Direction != Decrease {
			bad("metrics[%d].direction %q: increase, decrease, or nothing for either", i, m.Direction)
		}
		if m.Effect.Measure != MeanRatio && m.Effect.Measure != CLES {
			bad("metrics[%d].effect.measure %q: cles, or nothing for the ratio of means", i, m.Effect.Measure)
		}
		if m.Outliers < 0 {
			bad("metrics[%d].outliers %g: needs to be 0 or more", i, m.Outliers)
		}
	}
	return out
}

// Samples are what was measured of one metric, in no order.
type Samples struct {
	Baseline []float64
	Canary   []float64
}

// Judge compares all metrics of a configuration and scores them. Metrics
// without samples have no data.
func Judge(c Config, samples map[string]Samples) Judgement {
	c = c.Filled()
	level := c.Confidence
	if c.Correct {
		level = corrected(level, len(c.Metrics), c.Look)
	}
	results := make([]Result, len(c.Metrics))
	for i, m := range c.Metrics {
		s := samples[m.Name]
		results[i] = classify(m, s, limits{level: level, tolerance: c.Tolerance, minimum: c.Minimum})
	}
	return score(c, results)
}

// corrected is the level of one metric at one look so that all metrics at all
// looks together keep the error of the one asked for: Bonferroni over the
// metrics, and 1/(k(k+1)) of the error for the k-th look, which sums to 1 over
// looks without end.
func corrected(level float64, metrics, look int) float64 {
	return 1 - (1-level)/(float64(max(1, metrics))*float64(look)*float64(look+1))
}
