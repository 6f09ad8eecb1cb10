package sequential

import "math"

// sizes are bets on how much further above 0 than below a logarithm of a ratio
// is, in one over the unit: for blocks that vary by half, by a tenth, by a hundredth.
var sizes = []bet{{1, 0.2}, {4, 0.2}, {12, 0.2}, {40, 0.2}, {120, 0.2}}

// Means compares sizes, block by block: CPU time per request, memory per
// request. Where canary and baseline are alike, the logarithm d of their ratio in
// a block is as likely d as -d, whatever its distribution, and a bet of
// 2/(1+exp(-2*k*d)) is worth 1 on average (a bounded form of the bound for
// symmetric variables: de la Peña 1999, "A general class of exponential
// inequalities for martingales and ratios"), and less where the canary is
// better. So one block, however odd, never more than doubles the capital. Blocks
// should be long against what lasts; how much longer things last is learned and
// counted as for Counts.
//
// An instance that got a slower core is worse, and no statistic knows why:
// compare groups of several instances where that matters.
type Means struct {
	limits   Limits
	split    ladder
	blocks   int
	last     float64 // d of the last block
	steps    float64 // sum of squares of its changes
	up, down [most]float64
	canary   mean
	baseline mean
}

type mean struct{ sum, weight float64 }

func (m mean) value() float64 {
	if m.weight == 0 {
		return 0
	}
	return m.sum / m.weight
}

// NewMeans begins a comparison. Matters is how many times the baseline's size
// begins to matter; a Floor is not used.
func NewMeans(l Limits) *Means { return &Means{limits: l.Filled()} }

// Size is what one side used in a block, and for how much: 3.2 seconds of CPU
// for 410 requests.
type Size struct{ Used, For float64 }

// Add takes the next block. One in which a side used nothing, or for nothing,
// says nothing.
func (m *Means) Add(canary, baseline Size) {
	if !(canary.Used > 0 && canary.For > 0 && baseline.Used > 0 && baseline.For > 0) {
		return
	}
	m.canary, m.baseline = mean{m.canary.sum + canary.Used, m.canary.weight + canary.For}, mean{m.baseline.sum + baseline.Used, m.baseline.weight + baseline.For}
	d := math.Log(canary.Used / canary.For / (baseline.Used / baseline.For))
	if math.IsNaN(d) || math.IsInf(d, 0) {
		return
	}
	if m.blocks > 0 {
		m.steps += (d - m.last) * (d - m.last)
	}
	m.blocks++
	m.last = d
	m.split.add(d, 1)
	allowed := math.Log(m.limits.Matters)
	for i, bet := range sizes {
		m.up[i] += double(bet.on * d)
		m.down[i] += double(bet.on * (allowed - d))
	}
}

// double is the logarithm of 2/(1+exp(-2x)).
func double(x float64) float64 {
	if x < -300 {
		return math.Ln2 + 2*x
	}
	return math.Ln2 - math.Log1p(math.Exp(-2*x))
}

// fewBlocks are too few to say how long things last.
const fewBlocks = 16

// clump is how many blocks count as one; not ok while there are too few to say.
// It is the larger of what neighbours have to do with each other (as of a first
// order autoregression; von Neumann 1941 for the ratio) and of how much more longer
// batches vary.
func (m *Means) clump() (size float64, ok bool) {
	rest, free := m.split.rest(0)
	if m.blocks < fewBlocks {
		return 1, false
	}
	if rest <= 0 {
		return 1, true
	}
	n := float64(m.blocks)
	like := 1 - m.steps/(n-1)/(2*rest/free)
	like = min(0.95, like+(1+3*max(0, like))/n) // it seems smaller than it is in few blocks
	size = max(1, (1+like)/(1-like))
	for i := 1; i < lengths; i++ {
		sum, n := m.split.rest(i)
		if n < batches {
			break
		}
		size = max(size, sum/n/(rest/free))
	}
	return 1 + wary*(size-1), true
}

// MeanLook is what a comparison of sizes says at one time.
type MeanLook struct {
	State    State   `json:"state"`
	Canary   float64 `json:"canary"` // used for one
	Baseline float64 `json:"baseline"`
	Blocks   int     `json:"blocks"`
	P        float64 `json:"p"` // as in Look
	// Visible is the smallest number of times the baseline's size that blocks as
	// these would have shown by now; 0: none, there are too few.
	Visible float64 `json:"visible,omitempty"`
}

// Look returns what is known now.
func (m *Means) Look() MeanLook {
	clump, ok := m.clump()
	alike, matters := 0.0, 0.0
	if ok {
		alike, matters = stake(m.up, clump), stake(m.down, clump)
	}
	out := MeanLook{State: Unsure, Canary: m.canary.value(), Baseline: m.baseline.value(), Blocks: m.blocks, P: min(1, math.Exp(-alike))}
	switch {
	case matters >= -math.Log(m.limits.Miss):
		out.State = NotWorse
	case alike >= -math.Log(m.limits.Alpha):
		out.State = Worse
	}
	out.Visible = m.visible(clump)
	return out
}

func stake(gains [most]float64, clump float64) float64 {
	sum := 0.0
	for i, bet := range sizes {
		sum += bet.part * math.Exp(min(600, gains[i]/clump))
	}
	return math.Log(sum)
}

// visible is found as if every block were d, give or take what they vary by.
func (m *Means) visible(clump float64) float64 {
	rest, free := m.split.rest(0)
	if free < 1 {
		return 0
	}
	spread := math.Sqrt(rest / free)
	finds := func(times float64) bool {
		var gains [most]float64
		for i, bet := range sizes {
			for _, off := range []float64{-1, 1} {
				gains[i] += float64(m.blocks) / 2 * double(bet.on*(math.Log(times)+off*spread))
			}
		}
		return stake(gains, clump) >= -math.Log(m.limits.Alpha)
	}
	if !finds(1000) {
		return 0
	}
	return least(1, 1000, finds)
}
