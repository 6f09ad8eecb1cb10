package sequential

import "math"

const (
	levels  = 6  // lengths of time within which bad requests may come together, each twice the one before
	classes = 24 // of batches, by the number of bad requests, each up to twice the one before
	most    = 8  // bets
)

// bet is an alternative and the part of the capital laid on it.
type bet struct{ on, part float64 }

// gains are what bets gained, as logarithms, by the length of batches and by how
// many bad requests were in a batch, so that those of a batch can be counted as
// fewer when it is known how much they have to do with each other.
type gains [levels]struct {
	by     [classes]class
	all    class // of all classes
	wait   class // the batch that is being filled
	blocks int   // in it
}

type class struct {
	n, bad float64 // batches with something bad; bad requests in them
	sum    [most]float64
}

func (c *class) take(o *class, n float64) {
	c.n, c.bad = c.n+n, c.bad+o.bad
	for i := range c.sum {
		c.sum[i] += o.sum[i]
	}
}

// add takes what each bet gained in a block, and how many bad requests it had.
func (g *gains) add(sum [most]float64, bad float64) {
	block := class{bad: bad, sum: sum}
	for i := range g {
		l := &g[i]
		if bad > 0 {
			l.wait.take(&block, 0)
		}
		if l.blocks++; l.blocks < 1<<i {
			continue
		}
		if l.wait.bad > 0 {
			l.by[min(classes-1, int(math.Log2(max(1, l.wait.bad))))].take(&l.wait, 1)
			l.all.take(&l.wait, 1)
		}
		l.blocks, l.wait = 0, class{}
	}
}

// capital is the logarithm of the capital of all bets when size bad requests
// count as one, and a batch of a length as one, or as three times what batches
// have on average where that is more.
func (g *gains) capital(bets []bet, size float64, length int) float64 {
	l := &g[length]
	if l.all.n == 0 {
		return 0
	}
	once := max(1, 3*l.all.bad/l.all.n/size)
	sum := 0.0
	for i, b := range bets {
		gain := 0.0
		for k := range l.by {
			if c := &l.by[k]; c.n > 0 {
				gain += c.sum[i] * min(1/size, once*c.n/c.bad)
			}
		}
		sum += b.part * math.Exp(min(gain, 600))
	}
	return math.Log(sum)
}
