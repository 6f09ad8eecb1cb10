// Package judge says whether what was released is worse than what ran before:
// arithmetic on what was observed, with its reasons. It asks nobody and stores
// nothing; who has the observations hands them in, of the present or of any
// past window.
//
// A Comparison is told block after block what canary and baseline did, and has
// a Verdict at any time. Package sequential holds its tests, package canary
// the judge that scores gauges of any kind.
package judge

import (
	"math"
	"slices"
	"time"

	"naru/internal/judge/sequential"
	"naru/internal/route"
)

// Alpha is how often, at most, a canary that is like its baseline is taken back:
// over all metrics and all looks of a comparison.
const Alpha = 0.01

// Cold is how long a group does other than it will: blocks within it, from the
// first request of a new group on, are not to be added.
const Cold = 30 * time.Second

// Block is what both groups did in the same few seconds. Five are a good
// length: bad requests that come together do so within one, mostly.
type Block struct {
	Canary   Measured
	Baseline Measured
	// Share is the part of requests that was meant for the canary, 0 to 1; 0 where
	// nobody chose it.
	Share float64
}

// Measured is what one group did in a block. What was not measured is 0, and
// is not compared.
type Measured struct {
	Requests uint64   // that ended
	Failed   uint64   // of them by 5xx, or not at all because of the instance
	Took     []uint64 // requests with an answer by how long it took: up to each of the comparison's bounds, and beyond the last
	CPU      float64  // seconds
	Memory   float64  // bytes times seconds
	Ran      float64  // seconds, of all instances together
	Restarts uint64   // of instances
	Probes   uint64   `json:",omitempty"` // made of its instances, as many of each side
	Unwell   uint64   `json:",omitempty"` // of them without a good answer
	Copies   uint64   `json:",omitempty"` // of safe requests, that both sides were sent
	Broken   uint64   `json:",omitempty"` // of them by 5xx, or without an answer
	Waited   []uint64 `json:",omitempty"` // copies by how long their answer took, as Took
}

// served is all that instances did work for. What naru sends both sides alike is
// most of it where one of them has few visitors.
func (m Measured) served() float64 { return float64(m.Requests + m.Probes + m.Copies) }

// Comparison compares a canary with its baseline while they run. Make one with
// Compare, tell it all blocks in their order, and ask for the verdict whenever you
// like: it may err at rate alpha over all of them.
type Comparison struct {
	alpha  float64
	bounds []float64
	all    []*compared
	took   []uint64 // by the baseline, in all blocks before
	waited []uint64 // the same of copies
}

// compared is a metric with its test: one of the two.
type compared struct {
	Metric
	counts *sequential.Counts
	means  *sequential.Means
	at     int     // Slow, CopiedSlow: the bound from which a request is slow
	bound  float64 // the same in seconds; 0: not known yet
}

// Compare begins a comparison at a rate of false alarms (0: Alpha). Bounds are
// those of Measured.Took, in seconds, rising.
func Compare(metrics []Metric, bounds []float64, alpha float64) *Comparison {
	if alpha == 0 {
		alpha = Alpha
	}
	c := &Comparison{alpha: alpha, bounds: bounds, took: make([]uint64, len(bounds)+1), waited: make([]uint64, len(bounds)+1)}
	weights := 0.0
	for _, m := range metrics {
		weights += m.Weight
	}
	for _, m := range metrics {
		one := &compared{Metric: m}
		switch limits := m.limits(alpha, weights); m.Kind {
		case CPU, Memory:
			one.means = sequential.NewMeans(limits)
		default:
			one.counts = sequential.NewCounts(limits)
		}
		c.all = append(c.all, one)
	}
	return c
}

// Add takes the next block.
func (c *Comparison) Add(b Block) {
	for _, m := range c.all {
		m.add(c, b)
	}
	total(c.took, b.Baseline.Took)
	total(c.waited, b.Baseline.Waited)
}

func total(sum, more []uint64) {
	for i, n := range more {
		if i < len(sum) {
			sum[i] += n
		}
	}
}

func (m *compared) add(c *Comparison, b Block) {
	switch m.Kind {
	case CPU:
		m.means.Add(sequential.Size{Used: b.Canary.CPU, For: b.Canary.served()}, sequential.Size{Used: b.Baseline.CPU, For: b.Baseline.served()})
	case Memory:
		m.means.Add(sequential.Size{Used: b.Canary.Memory, For: b.Canary.Ran}, sequential.Size{Used: b.Baseline.Memory, For: b.Baseline.Ran})
	case Restarts:
		m.counts.Add(sequential.Block{
			Canary:   route.Tally{Requests: uint64(b.Canary.Ran + 0.5), Bad: b.Canary.Restarts},
			Baseline: route.Tally{Requests: uint64(b.Baseline.Ran + 0.5), Bad: b.Baseline.Restarts},
		})
	case Probes:
		m.counts.Add(sequential.Block{
			Canary:   route.Tally{Requests: b.Canary.Probes, Bad: b.Canary.Unwell},
			Baseline: route.Tally{Requests: b.Baseline.Probes, Bad: b.Baseline.Unwell},
		})
	case Copied:
		m.counts.Add(sequential.Block{
			Canary:   route.Tally{Requests: b.Canary.Copies, Bad: b.Canary.Broken},
			Baseline: route.Tally{Requests: b.Baseline.Copies, Bad: b.Baseline.Broken},
		})
	case Slow:
		// The bound comes from blocks before: chosen from this one it would fit it.
		if m.bound == 0 {
			m.at, m.bound = nearest(c.bounds, c.took, m.Quantile)
		}
		if m.bound > 0 {
			m.counts.Add(sequential.Block{Canary: over(b.Canary.Took, m.at), Baseline: over(b.Baseline.Took, m.at), Share: b.Share})
		}
	case CopiedSlow:
		if m.bound == 0 {
			m.at, m.bound = nearest(c.bounds, c.waited, m.Quantile)
		}
		if m.bound > 0 {
			m.counts.Add(sequential.Block{Canary: over(b.Canary.Waited, m.at), Baseline: over(b.Baseline.Waited, m.at)})
		}
	default:
		m.counts.Add(sequential.Block{
			Canary:   route.Tally{Requests: b.Canary.Requests, Bad: b.Canary.Failed},
			Baseline: route.Tally{Requests: b.Baseline.Requests, Bad: b.Baseline.Failed},
			Share:    b.Share,
		})
	}
}

// A quantile is known from so many requests, and so many of them beyond it.
const (
	leastKnown  = 100
	leastBeyond = 10
)

// nearest is the bound that leaves a part of all requests below it most nearly,
// and its number; 0 while there are too few to say.
func nearest(bounds []float64, took []uint64, part float64) (at int, bound float64) {
	all, below := uint64(0), uint64(0)
	for _, n := range took {
		all += n
	}
	if all < leastKnown || float64(all)*(1-part) < leastBeyond-0.001 {
		return 0, 0
	}
	best := math.Inf(1)
	for i, b := range bounds {
		below += took[i]
		odds := float64(all-below) / float64(below) * part / (1 - part) // NaN or infinite where nothing is on a side
		if off := math.Abs(math.Log(odds)); off < best {
			best, at, bound = off, i, b
		}
	}
	return at, bound
}

// over counts requests that took longer than the i-th bound.
func over(took []uint64, i int) route.Tally {
	var t route.Tally
	for j, n := range took {
		if t.Requests += n; j > i {
			t.Bad += n
		}
	}
	return t
}

// Verdict is what is known now. Reasons begin with what decided.
func (c *Comparison) Verdict() Verdict {
	v := Verdict{Outcome: Pass, Alpha: c.alpha}
	required := 0
	for _, m := range c.all {
		r := m.reason()
		if r.Required = m.Required; r.Required {
			required++
		}
		switch {
		case r.State == sequential.Worse:
			v.Outcome = Fail
		case r.State == sequential.Unsure && r.Required && v.Outcome == Pass:
			v.Outcome = Unsure
		}
		v.Reasons = append(v.Reasons, r)
	}
	if required == 0 && v.Outcome == Pass {
		v.Outcome = Unsure
	}
	slices.SortStableFunc(v.Reasons, byWeight(v.Outcome))
	return v
}
