package sequential

import (
	"math"

	"naru/internal/route"
	"naru/internal/route/guard"
)

// Look is what a comparison of counts says at one time.
type Look struct {
	State    State       `json:"state"`
	Canary   route.Tally `json:"canary"`
	Baseline route.Tally `json:"baseline"`
	// P is how often, at most, a canary that is like its baseline ever looks as bad
	// as this one; 1 where nothing speaks against it.
	P float64 `json:"p"`
	// Clump is how many bad requests were counted as one, at least 1.
	Clump float64 `json:"clump"`
	// Visible is the smallest number of times the baseline's share that would have
	// been found in half of all cases by now; 0: none would.
	Visible float64 `json:"visible,omitempty"`
	// Needed is the number of canary requests, from the first, by which what
	// matters is found in half of all cases; 0: not known, the baseline had no requests.
	Needed float64 `json:"needed,omitempty"`
}

// Look returns what is known now.
func (c *Counts) Look() Look {
	alike, _ := c.against()
	size, _, _ := c.clump()
	out := Look{State: c.State(), Canary: c.canary, Baseline: c.baseline, P: min(1, math.Exp(-alike)), Clump: size}
	if c.canary.Requests == 0 || c.baseline.Requests == 0 {
		return out
	}
	p := plan{
		limits: c.limits, clump: size, base: (float64(c.baseline.Bad) + 0.5) / (float64(c.baseline.Requests) + 1),
		share: float64(c.canary.Requests) / float64(c.canary.Requests+c.baseline.Requests),
	}
	out.Visible, out.Needed = p.visible(float64(c.canary.Requests)), p.needed()
	return out
}

// plan is what can be said of traffic before it comes.
type plan struct {
	limits             Limits
	clump, base, share float64 // base: the baseline's share of bad requests; share: the canary's of requests
}

// Needed is the number of canary requests by which a canary that is worse by
// what matters is found in half of all cases, where the baseline's share of bad
// requests is base and the canary gets a share of all requests. Bad requests that
// come together make it more.
func Needed(l Limits, base, share float64) float64 {
	return plan{limits: l.Filled(), clump: 1, base: base, share: share}.needed()
}

// Visible is the smallest number of times the baseline's share of bad requests
// that so many canary requests show in half of all cases; 0: none.
func Visible(l Limits, base, share, requests float64) float64 {
	return plan{limits: l.Filled(), clump: 1, base: base, share: share}.visible(requests)
}

// finds reports that so many canary requests, of which the expected number is
// bad, are enough for Worse.
func (p plan) finds(requests, times float64) bool {
	own := requests * min(1, p.base*times)
	all := own + requests*(1-p.share)/p.share*p.base
	if own < leastBad {
		return false
	}
	sum := 0.0
	for _, bet := range worse {
		sum += bet.part * math.Exp(min(600, guard.Gain(bet.on, p.share/(1-p.share), own, all)/p.clump))
	}
	return sum >= 1/p.limits.Alpha
}

func (p plan) visible(requests float64) float64 {
	if p.share <= 0 || p.share >= 1 || p.base <= 0 || !p.finds(requests, 1/p.base) {
		return 0
	}
	return least(1, 1/p.base, func(times float64) bool { return p.finds(requests, times) })
}

func (p plan) needed() float64 {
	const most = 1e12
	if p.share <= 0 || p.share >= 1 || p.base <= 0 || !p.finds(most, p.limits.Matters) {
		return 0
	}
	return math.Ceil(least(1, most, func(n float64) bool { return p.finds(n, p.limits.Matters) }))
}

// least is where enough becomes true between low and high, to a thousandth.
func least(low, high float64, enough func(float64) bool) float64 {
	for high > low*1.001 {
		if mid := math.Sqrt(low * high); enough(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}
