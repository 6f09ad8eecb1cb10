package guard

import "math"

// bets are how many times worse than allowed a group may be, and the capital
// laid on each. Most of it is on terrible ones: those must leave at once.
var bets = [...]struct{ times, part float64 }{{200, 0.4}, {20, 0.25}, {5, 0.2}, {2, 0.15}}

// lostBelow is the capital, as a logarithm, from which a test begins anew.
var lostBelow = math.Log(0.01)

// test is a mixture of bets against "not worse than ratio times the baseline".
type test struct {
	alpha float64 // probability that a group that is not worse is ever called so
	ratio float64
	runs  int                // times it began anew
	logs  [len(bets)]float64 // capital of each bet, as a logarithm
	moved bool
}

func newTest(alpha, ratio float64) test {
	t := test{alpha: alpha, ratio: ratio}
	t.deal()
	return t
}

func (t *test) deal() {
	for i, b := range bets {
		t.logs[i] = math.Log(b.part)
	}
	t.moved = false
}

// fresh reports that it has seen nothing since it began.
func (t *test) fresh() bool { return !t.moved }

func (t *test) restart() {
	t.runs++
	t.deal()
}

// pair bets on whose a bad request is, own being 1 for the group's and 0 for the
// baseline's; share is the group's share of requests. Of several bad requests
// that have one cause, own is the part that is the group's: the mean of their
// bets, as logarithms, is worth no more than a single one, whatever they have to
// do with each other.
func (t *test) pair(own, share float64) {
	share = min(max(share, 1e-6), 1-1e-6)
	t.bet(t.ratio*share/(1-share), own, 1)
}

// alone bets on bad requests of the group among good ones, where at most limit
// of its requests are allowed to be bad. Requests that have to do with each other
// are told as parts of one.
func (t *test) alone(limit, bad, good float64) {
	t.bet(limit/(1-limit), bad, good+bad)
}

func (t *test) bet(odds, own, all float64) {
	for i, b := range bets {
		t.logs[i] += Gain(b.times, odds, own, all)
	}
	t.moved = true
}

// Gain is the logarithm of what a bet gains by own hits among all tries, each a
// hit at the given odds at most (times above 1) or at least (times below 1). The
// bet says that the odds are times as high: the likelihood of odds/(1+odds)
// against that of times*odds/(1+times*odds). Numbers may be parts.
func Gain(times, odds, own, all float64) float64 {
	return own*math.Log(times) + all*math.Log((1+odds)/(1+times*odds))
}

// capital is the logarithm of what all bets have together.
func (t *test) capital() float64 {
	top := t.logs[0]
	for _, l := range t.logs {
		top = max(top, l)
	}
	sum := 0.0
	for _, l := range t.logs {
		sum += math.Exp(l - top)
	}
	return top + math.Log(sum)
}

func (t *test) lost() bool { return t.capital() < lostBelow }

// proven reports enough evidence that the group is worse. Beginning n gets
// 1/(n(n+1)) of alpha, which sums to all of it.
func (t *test) proven() bool {
	n := float64(t.runs + 1)
	return t.capital() >= math.Log(n*(n+1)/t.alpha)
}
