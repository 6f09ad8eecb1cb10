// Package sequential says at any time, as often as somebody looks, whether a
// canary is worse than its baseline, harmless, or not known yet.
//
// # Counts
//
// What is compared is how often something bad happens: a failed request, one
// that is slower than most of the baseline's, a restart. Of all bad ones the
// canary has at most
//
//	q = r*s / (r*s + 1 - s)
//
// if its share of requests is s and it is bad at most r times as often as the
// baseline. Bets against that, at odds fixed before the outcome, have an expected
// capital of at most 1 whatever the base rate and however often it changes, so a
// capital of 1/alpha is ever seen with probability at most alpha (Ville 1939).
// This is the gateway's own brake, package guard, with bets on small effects and
// in both directions: against "not worse" (r = 1), which proves Worse, and against
// "worse by what matters" (r = Matters), which proves NotWorse. It is the count
// test of Lindon, Sanden and Shirikian ("Rapid Regression Detection in Software
// Deployments through Sequential Testing", KDD 2022, arXiv 2205.14762, section on
// Poisson counts) with a mixture over some alternatives instead of a
// conjugate prior; with requests as tries instead of counts of events it holds
// for bad shares of any size (then it is conservative).
//
// # What belongs together
//
// Requests are not independent: one stalled disk fails many. So bad requests are
// counted over time on each side, in batches of one block, two, four and so on. Where
// they vary by more than their number, they come together in clumps, for as long
// as the batches need to see all of it. Then a clump counts as one bad request, and
// so does a batch that is as long (see spread). What both sides have in common, an
// outage or a crowd, makes no difference between them, so with enough blocks the
// clumps are no larger than what the split between the sides shows. Before batches
// of four blocks are known (some 20 blocks) there is no verdict.
//
// With independent requests all of this costs nothing and alpha is a proof. With
// clumps it is an estimate; the simulations of this package measure what holds.
//
// # Means
//
// What has a size instead of a count (CPU time per request) is compared block by
// block: where canary and baseline are alike, the logarithm of the ratio is as
// often above 0 as below, by as much. See Means.
//
// # One look
//
// A time that is past is looked at once, and may be too short for all of this: see
// Once.
package sequential

import "math"

// State is what is known at a look.
type State string

// The states.
const (
	Worse    State = "worse"     // proven to be worse, and not proven harmless
	NotWorse State = "not_worse" // proven to be worse by less than what matters
	Unsure   State = "unsure"    // neither
)

// Limits are what a comparison may err and what it looks for. Zero fields take
// the defaults named.
type Limits struct {
	// Alpha is how often, at most, a canary that is like its baseline is ever
	// called Worse: 0.01.
	Alpha float64 `json:"alpha,omitempty"`
	// Miss is how often, at most, one that is worse by what matters is called
	// NotWorse before it is called Worse: 0.05.
	Miss float64 `json:"miss,omitempty"`
	// Matters is how many times the baseline's figure begins to matter: 1.5.
	Matters float64 `json:"matters,omitempty"`
	// Floor is a share of bad requests that is harmless whatever the baseline
	// does; 0 is none. Only for counts.
	Floor float64 `json:"floor,omitempty"`
}

// Filled returns the limits with their defaults in place of zero fields.
func (l Limits) Filled() Limits {
	for field, value := range map[*float64]float64{&l.Alpha: 0.01, &l.Miss: 0.05, &l.Matters: 1.5} {
		if *field == 0 {
			*field = value
		}
	}
	return l
}

// half is the logarithm of the mean of two capitals.
func half(a, b float64) float64 {
	top := max(a, b)
	if math.IsInf(top, -1) {
		return top
	}
	return top + math.Log((math.Exp(a-top)+math.Exp(b-top))/2)
}
