package sequential

import (
	"math"
	"math/rand/v2"

	"naru/internal/route"
)

// world draws seconds of traffic to a canary and its baseline.
type world struct {
	*rand.Rand
	rate   float64 // requests a second, of both
	share  float64
	base   float64 // share of bad requests
	times  float64 // the canary's is so many times as large
	nature nature

	second int
	state  [2]float64 // nature's own, by side
	left   [2]int
	busy   bool
}

// nature says how bad requests have to do with each other. The share of bad
// ones is the same over a long time.
type nature struct {
	name    string
	bursts  float64 // mean number of bad requests that come together on one side, within a second; 0: one
	lasting float64 // and the seconds over which they are spread; 0: the same one
	wander  float64 // standard deviation of the logarithm of a side's share of bad requests
	memory  float64 // seconds until that is forgotten
	crowds  bool    // requests come in crowds, ten times as many for a few seconds
	outages bool    // now and then both sides are bad at once
	cold    float64 // the canary is so many times as bad in its first 20 seconds
}

var natures = []nature{
	{name: "steady"},
	{name: "crowds and common outages", crowds: true, outages: true},
	{name: "bursts of 8 bad ones within a second", crowds: true, bursts: 8},
	{name: "bursts of 8 bad ones over 3 seconds", bursts: 8, lasting: 3},
	{name: "each side's share wanders", wander: 0.7, memory: 5},
	{name: "cold start", cold: 10},
}

func (w *world) poisson(mean float64) int {
	if mean > 50 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*w.NormFloat64())))
	}
	limit, product, n := math.Exp(-mean), w.Float64(), 0
	for product > limit {
		product *= w.Float64()
		n++
	}
	return n
}

func (w *world) binomial(n int, p float64) int {
	if p <= 0 || n == 0 {
		return 0
	}
	if mean := float64(n) * p; mean > 30 && float64(n)*(1-p) > 30 {
		return min(n, max(0, int(math.Round(mean+math.Sqrt(mean*(1-p))*w.NormFloat64()))))
	}
	if p > 0.2 {
		hits := 0
		for range n {
			if w.Float64() < p {
				hits++
			}
		}
		return hits
	}
	hits, log := 0, math.Log1p(-p) // by the gaps between them
	for at := 0; ; hits++ {
		if at += 1 + int(math.Log(1-w.Float64())/log); at > n {
			return hits
		}
	}
}

// next draws a second.
func (w *world) next() Block {
	rate := w.rate
	if w.nature.crowds {
		if w.busy = w.busy && w.Float64() < 0.7 || w.Float64() < 0.02; w.busy {
			rate *= 10
		}
	}
	all := w.poisson(rate)
	own := w.binomial(all, w.share)
	p := [2]float64{w.base, w.base * w.times}
	if w.nature.outages && w.second%120 >= 117 {
		p[0], p[1] = max(p[0], 0.5), max(p[1], 0.5)
	}
	if w.second < 20 && w.nature.cold > 0 {
		p[1] = min(1, p[1]*w.nature.cold)
	}
	w.second++
	n := [2]int{all - own, own}
	var out [2]route.Tally
	for side := range out {
		out[side] = route.Tally{Requests: uint64(n[side]), Bad: uint64(w.bad(side, n[side], p[side]))}
	}
	return Block{Baseline: out[0], Canary: out[1], Share: w.share}
}

// bad draws how many of n requests of a side are bad.
func (w *world) bad(side, n int, p float64) int {
	t := w.nature
	if t.wander > 0 {
		keep := math.Exp(-1 / t.memory)
		if w.second == 1 {
			keep = 0
		}
		w.state[side] = keep*w.state[side] + math.Sqrt(1-keep*keep)*w.NormFloat64()
		p *= math.Exp(t.wander*w.state[side] - t.wander*t.wander/2)
	}
	if t.bursts == 0 {
		return w.binomial(n, min(1, p))
	}
	for range w.poisson(float64(n) * p / t.bursts) { // bursts that begin
		w.left[side] += 1 + int(math.Log(1-w.Float64())/math.Log(1-1/t.bursts))
	}
	now := w.left[side]
	if t.lasting > 0 {
		now = w.binomial(now, 1-math.Exp(-1/t.lasting))
	}
	now = min(now, n)
	w.left[side] -= now
	return now
}

// block draws some seconds.
func (w *world) block(seconds int) Block {
	b := w.next()
	for range seconds - 1 {
		more := w.next()
		b.Canary, b.Baseline = sum(b.Canary, more.Canary), sum(b.Baseline, more.Baseline)
	}
	return b
}
