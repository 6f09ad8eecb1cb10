package sequential

import (
	"math"

	"naru/internal/route"
	"naru/internal/route/guard"
)

// Block is what ended within one slot of time. Five seconds are a good one: most
// of what has one cause ends within it. A verdict takes some twenty of them at least.
type Block struct {
	Canary   route.Tally
	Baseline route.Tally
	// Share is the part of requests that was meant for the canary, 0 to 1; 0: as
	// the block's own requests say, which is right where nobody chose it, and says
	// nothing about a block in which only one side had requests.
	Share float64
}

// worse are bets on how many times as bad as the baseline a canary is; harmless,
// on how many times as bad as the baseline it is when it is not worse by what
// matters.
var (
	worse    = []bet{{1.25, 0.08}, {1.5, 0.2}, {2, 0.2}, {3, 0.15}, {5, 0.25}, {20, 0.08}, {100, 0.04}}
	harmless = []bet{{1, 0.6}, {0.7, 0.2}, {0.4, 0.1}, {0.1, 0.1}}
	few      = []bet{{0.7, 0.2}, {0.3, 0.3}, {0.1, 0.3}, {0.01, 0.2}} // times the floor
)

// leastBad is the number of bad requests of a canary that must have been seen,
// whatever the odds: nobody believes in a verdict of one or two.
const leastBad = 3

// Counts compares how often something bad happens. Make one with NewCounts, tell
// it all blocks in their order, and look whenever you like.
type Counts struct {
	limits Limits
	spread spread

	canary, baseline route.Tally
	own, all         float64 // bad requests in blocks that say something
	expected         float64 // of own, if both are alike
	up, down         gains
	rare             [most]float64 // what bets against the floor gained

	share           float64 // last one meant
	since, sinceOwn float64 // requests, and of the canary, while it was meant
}

// NewCounts begins a comparison.
func NewCounts(l Limits) *Counts {
	return &Counts{limits: l.Filled()}
}

// Add takes the next block.
func (c *Counts) Add(b Block) {
	c.spread.side[0].add(float64(b.Baseline.Bad), float64(b.Baseline.Requests))
	c.spread.side[1].add(float64(b.Canary.Bad), float64(b.Canary.Requests))
	c.canary, c.baseline = sum(c.canary, b.Canary), sum(c.baseline, b.Baseline)
	c.below(b.Canary)
	low, high := c.shares(b)
	own, all := float64(b.Canary.Bad), float64(b.Canary.Bad+b.Baseline.Bad)
	if low <= 0 || high >= 1 {
		own, all = 0, 0 // only one side had requests
	}
	share := (low + high) / 2
	c.own, c.all, c.expected = c.own+own, c.all+all, c.expected+all*share
	c.spread.split.add(own-all*share, all*share*(1-share))
	var up, down [most]float64
	if all > 0 {
		for i, bet := range worse {
			up[i] = guard.Gain(bet.on, high/(1-high), own, all)
		}
		for i, bet := range harmless {
			down[i] = guard.Gain(bet.on/c.limits.Matters, c.limits.Matters*low/(1-low), own, all)
		}
	}
	c.up.add(up, all)
	c.down.add(down, all)
}

// below lays bets that the canary's share of bad requests is below the floor.
func (c *Counts) below(t route.Tally) {
	if floor := c.limits.Floor; floor > 0 {
		for i, bet := range few {
			c.rare[i] += guard.Gain(bet.on, floor/(1-floor), float64(t.Bad), float64(t.Requests))
		}
	}
}

// floor is the logarithm of the capital of those bets.
func (c *Counts) floor(size float64) float64 {
	sum := 0.0
	for i, bet := range few {
		sum += bet.part * math.Exp(min(c.rare[i]/size, 600))
	}
	return math.Log(sum)
}

func sum(a, b route.Tally) route.Tally {
	return route.Tally{Requests: a.Requests + b.Requests, Bad: a.Bad + b.Bad}
}

// shares bound the canary's part of requests. It is what was meant; where sticky
// visitors or matched requests made something else of it, by more than chance
// does, both bounds hold it, which only makes the bets more careful.
func (c *Counts) shares(b Block) (low, high float64) {
	own, all := float64(b.Canary.Requests), float64(b.Canary.Requests+b.Baseline.Requests)
	if !(b.Share > 0 && b.Share < 1) {
		return own / max(1, all), own / max(1, all)
	}
	if b.Share != c.share {
		c.share, c.since, c.sinceOwn = b.Share, 0, 0
	}
	c.since, c.sinceOwn = c.since+all, c.sinceOwn+own
	seen := c.sinceOwn / max(1, c.since)
	if math.Abs(seen-b.Share) <= 3.5*math.Sqrt(b.Share*(1-b.Share)/max(1, c.since)) {
		seen = b.Share
	}
	return min(seen, b.Share), max(seen, b.Share)
}

// clump is how many bad requests count as one, and the length of time within
// which they do.
func (c *Counts) clump() (size float64, length int, ok bool) {
	variance := 1.0
	if c.all > 0 {
		part, alike := (c.own+0.5)/(c.all+1), c.expected/c.all
		variance = part * (1 - part) / (alike * (1 - alike))
	}
	return c.spread.clump(variance)
}

// against is the evidence against "not worse than the baseline", and that
// against "worse by what matters", as logarithms of odds.
func (c *Counts) against() (alike, matters float64) {
	size, length, ok := c.clump()
	if !ok {
		return 0, 0
	}
	alike, matters = c.up.capital(worse, size, length), c.down.capital(harmless, size, length)
	if c.limits.Floor > 0 {
		matters = half(matters, c.floor(size))
	}
	return alike, matters
}

// State is what is known now.
func (c *Counts) State() State {
	alike, matters := c.against()
	switch {
	case matters >= -math.Log(c.limits.Miss):
		return NotWorse
	case alike >= -math.Log(c.limits.Alpha) && c.canary.Bad >= leastBad:
		return Worse
	}
	return Unsure
}
