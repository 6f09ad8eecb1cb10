package judge

import (
	"fmt"
	"slices"

	"naru/internal/judge/sequential"
	"naru/internal/route"
)

// Past is the verdict on a time that is over, by those metrics that are counts: one
// look at all blocks, by an exact test. It errs at rate alpha (0: Alpha) over all of
// them, if the time was not chosen for what came of it. Blocks may be of any
// length; bounds are those of Measured.Took.
//
// What counts as slow is a quantile of both sides together, which is the same
// whoever of two that are alike is the canary.
func Past(metrics []Metric, bounds []float64, blocks []Block, alpha float64) Verdict {
	if alpha == 0 {
		alpha = Alpha
	}
	v := Verdict{Outcome: Pass, Alpha: alpha}
	metrics = slices.DeleteFunc(slices.Clone(metrics), func(m Metric) bool { return m.Kind == CPU || m.Kind == Memory || m.Kind == Probes })
	weights, required := 0.0, 0
	for _, m := range metrics {
		weights += m.Weight
	}
	took := make([]uint64, len(bounds)+1)
	for _, b := range blocks {
		for i := range took {
			took[i] += part(b.Canary.Took, i) + part(b.Baseline.Took, i)
		}
	}
	for _, m := range metrics {
		one := &compared{Metric: m}
		if m.Kind == Slow {
			one.at, one.bound = nearest(bounds, took, m.Quantile)
		}
		look := sequential.Once(m.limits(alpha, weights), one.past(blocks))
		r := one.ofCounts(look)
		if r.Required = m.Required; r.Required {
			required++
		}
		switch {
		case r.State == sequential.Worse:
			v.Outcome = Fail
		case r.State == sequential.Unsure && r.Required && v.Outcome == Pass:
			v.Outcome = Unsure
		}
		if r.State == sequential.Unsure && look.Clump >= 2 && r.Canary.Value > r.Baseline.Value {
			r.Text += fmt.Sprintf(" (they came together: %.0f count as one)", look.Clump)
		}
		v.Reasons = append(v.Reasons, r)
	}
	if required == 0 && v.Outcome == Pass {
		v.Outcome = Unsure
	}
	slices.SortStableFunc(v.Reasons, byWeight(v.Outcome))
	return v
}

func part(took []uint64, i int) uint64 {
	if i < len(took) {
		return took[i]
	}
	return 0
}

// past are the blocks of one metric.
func (m *compared) past(blocks []Block) (out []sequential.Block) {
	for _, b := range blocks {
		var one sequential.Block
		for _, side := range []struct {
			to *route.Tally
			Measured
		}{{&one.Canary, b.Canary}, {&one.Baseline, b.Baseline}} {
			switch m.Kind {
			case Restarts:
				*side.to = route.Tally{Requests: uint64(side.Ran + 0.5), Bad: side.Restarts}
			case Slow:
				if m.bound > 0 {
					*side.to = over(side.Took, m.at)
				}
			default:
				*side.to = route.Tally{Requests: side.Requests, Bad: side.Failed}
			}
			// A restart may be counted in a time in which nobody saw the instance run.
			side.to.Bad = min(side.to.Bad, side.to.Requests)
		}
		out = append(out, one)
	}
	return out
}

// Beside is a verdict of counts with the score of the same time. A score that fails
// decides; a marginal one is unsure, and so is one that is not known where it is
// needed: because it has metrics that the counts know nothing of.
func (v Verdict) Beside(score Verdict, needed bool) Verdict {
	marginal := false
	counted := v.Reasons
	v.Reasons = slices.Clone(v.Reasons)
	for _, r := range score.Reasons {
		if r.Metric == "score" {
			marginal = r.Code == "score.marginal"
			r.Required = needed || score.Outcome != Unsure || marginal
		}
		if !slices.ContainsFunc(counted, func(c Reason) bool { return c.Metric == r.Metric }) {
			v.Reasons = append(v.Reasons, r)
		}
	}
	switch {
	case score.Outcome == Fail:
		v.Outcome = Fail
	case v.Outcome == Pass && score.Outcome == Unsure && (needed || marginal):
		v.Outcome = Unsure
	}
	v.Score = score.Score
	slices.SortStableFunc(v.Reasons, byWeight(v.Outcome))
	return v
}
