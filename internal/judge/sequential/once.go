package sequential

import (
	"math"

	"naru/internal/route"
)

// Once compares counts of a time that is over, in one look: Fisher's exact test for
// "not worse than the baseline", which proves Worse, and the same test against
// "worse by what matters" (the noncentral hypergeometric distribution with Matters
// as its odds ratio; a share that is so many times as large has odds that are
// at least so many times as large), or a binomial one against the floor, each at
// half of Miss, which prove NotWorse. All are exact for requests that have nothing
// to do with each other, of whatever number.
//
// Where bad requests come together they vary from block to block by more than
// their number, on either side; then a clump counts as one, requests and all. An
// outage of both sides is a clump, too: that costs power and raises no alarm. Of a
// single block nobody knows, and lonely bad requests count as one.
//
// It must be looked at once, over a time that was not chosen for what came of it.
func Once(l Limits, blocks []Block) Look {
	l = l.Filled()
	var canary, baseline ladder
	out := Look{P: 1}
	for _, b := range blocks {
		canary.add(float64(b.Canary.Bad), float64(b.Canary.Requests))
		baseline.add(float64(b.Baseline.Bad), float64(b.Baseline.Requests))
		out.Canary, out.Baseline = sum(out.Canary, b.Canary), sum(out.Baseline, b.Baseline)
	}
	out.Clump = together(out.Canary, out.Baseline, &canary, &baseline)
	out.State = Unsure
	if out.Canary.Requests == 0 || out.Baseline.Requests == 0 {
		return out
	}
	o := once{l, out.Clump}
	out.P = o.p(out.Canary, out.Baseline)
	switch {
	case o.harmless(out.Canary, out.Baseline):
		out.State = NotWorse
	case out.P <= l.Alpha && out.Canary.Bad >= leastBad:
		out.State = Worse
	}
	out.Visible, out.Needed = o.visible(out.Canary, out.Baseline), o.needed(out.Canary, out.Baseline)
	return out
}

// lonely is how many bad requests count as one where a single block has them all.
const lonely = 8

// leastFree are the least degrees of freedom of batches of several blocks.
const leastFree = 4

// together is how many bad requests count as one, at least 1.
func together(a, b route.Tally, canary, baseline *ladder) float64 {
	size, known := 1.0, false
	for i := range lengths {
		rest, free, bad := 0.0, 0.0, 0.0
		for _, side := range []struct {
			*ladder
			all route.Tally
		}{{canary, a}, {baseline, b}} {
			if side.all.Bad == 0 {
				continue
			}
			share := side.all.Share()
			r, n := side.rest(i)
			if n == 0 {
				continue
			}
			free, bad = free+n, bad+float64(side.all.Bad)
			if share < 1 { // else all of them are bad in each block
				rest += r / share / (1 - share)
			}
		}
		if free == 0 || i > 0 && free < leastFree {
			break
		}
		known = true
		seen := rest / free
		// Of a few blocks chance may as well hide clumps as make some, and what is found is
		// all that is known.
		if free >= batches {
			seen = 1 + wary*(seen-noise*math.Sqrt(2/free+1/bad)-1)
		}
		size = max(size, seen)
	}
	if !known && a.Bad+b.Bad > 0 {
		return lonely
	}
	return size
}

// once are the tests of a look, with clumps of a size counted as one.
type once struct {
	Limits
	size float64
}

// fewer counts clumps: the bad requests of a tally are rounded by round.
func (o once) fewer(t route.Tally, round func(float64) float64) (bad, all float64) {
	if o.size == 1 {
		return float64(t.Bad), float64(t.Requests)
	}
	all = math.Max(1, math.Round(float64(t.Requests)/o.size))
	return math.Min(all, round(float64(t.Bad)/o.size)), all
}

// p is the chance that a canary like its baseline has as many of all bad requests.
func (o once) p(canary, baseline route.Tally) float64 {
	x, n := o.fewer(canary, math.Floor)
	y, m := o.fewer(baseline, math.Ceil)
	_, atLeast := split(x, x+y, n, m, 1)
	return atLeast
}

func (o once) harmless(canary, baseline route.Tally) bool {
	x, n := o.fewer(canary, math.Ceil)
	y, m := o.fewer(baseline, math.Floor)
	if atMost, _ := split(x, x+y, n, m, o.Matters); x+y > 0 && atMost <= o.Miss/2 {
		return true
	}
	return o.Floor > 0 && rarely(x, n, o.Floor) <= o.Miss/2
}

// visible is the smallest number of times the baseline's share that these numbers
// of requests would have shown; 0: none.
func (o once) visible(canary, baseline route.Tally) float64 {
	bad := least(1, float64(canary.Requests), func(bad float64) bool {
		c := route.Tally{Requests: canary.Requests, Bad: uint64(math.Ceil(bad))}
		return c.Bad >= leastBad && o.p(c, baseline) <= o.Alpha
	})
	c := route.Tally{Requests: canary.Requests, Bad: uint64(math.Ceil(bad))}
	if c.Bad < leastBad || o.p(c, baseline) > o.Alpha {
		return 0
	}
	return c.Share() / guessed(baseline)
}

// needed is the number of canary requests with which what matters is found in
// half of all cases, while both sides have the shares of requests they have; 0: not
// known.
func (o once) needed(canary, baseline route.Tally) float64 {
	const most = 1e12
	base := guessed(baseline)
	if base*o.Matters >= 1 {
		return 0
	}
	times := float64(baseline.Requests) / float64(canary.Requests)
	enough := func(n float64) bool {
		c := route.Tally{Requests: uint64(n), Bad: uint64(math.Round(n * base * o.Matters))}
		b := route.Tally{Requests: uint64(n * times), Bad: uint64(math.Round(n * times * base))}
		return c.Bad >= leastBad && o.p(c, b) <= o.Alpha
	}
	high := 16.0
	for !enough(high) {
		if high *= 2; high > most {
			return 0
		}
	}
	return math.Ceil(least(high/2, high, enough))
}

// guessed is a share that is never 0.
func guessed(t route.Tally) float64 { return (float64(t.Bad) + 0.5) / (float64(t.Requests) + 1) }

// tiny is the least chance that is told apart from none.
const tiny = 1e-15

// split says how likely it is that of all bad requests at most, and at least, x
// are among n instead of among the m others, where the odds of being bad are
// times as large among the n (Fisher's noncentral hypergeometric distribution).
func split(x, all, n, m, times float64) (atMost, atLeast float64) {
	low, high := math.Max(0, all-m), math.Min(n, all)
	if low >= high {
		return 1, 1
	}
	// Terms are reckoned from the largest on, each from the one beside it, until they
	// are nothing beside the sum.
	ratio := func(k float64) float64 { return times * (n - k + 1) / k * (all - k + 1) / (m - all + k) } // term k over term k-1
	from, to := low, high
	for to-from > 0.5 { // the last k whose ratio is at least 1
		mid := math.Ceil((from + to) / 2)
		if ratio(mid) >= 1 {
			from = mid
		} else {
			to = mid - 1
		}
	}
	mode := from
	total, below, above := 0.0, 0.0, 0.0
	take := func(k, term float64) bool {
		total += term
		if k <= x {
			below += term
		}
		if k >= x {
			above += term
		}
		return term > tiny*1e-3*total
	}
	take(mode, 1)
	for k, term := mode, 1.0; k > low; k-- {
		if term /= ratio(k); !take(k-1, term) {
			break
		}
	}
	for k, term := mode+1, 1.0; k <= high; k++ {
		if term *= ratio(k); !take(k, term) {
			break
		}
	}
	return math.Min(1, math.Max(tiny, below/total)), math.Min(1, math.Max(tiny, above/total))
}

// rarely is the chance of at most x bad ones of n where a share is bad.
func rarely(x, n, share float64) float64 {
	term := n * math.Log1p(-share) // of none, as a logarithm
	total := 0.0
	for k := 0.0; k <= x; k++ {
		if k > 0 {
			term += math.Log((n - k + 1) / k * share / (1 - share))
		}
		total += math.Exp(term)
	}
	return math.Min(1, total)
}
