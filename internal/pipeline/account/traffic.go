package account

import (
	"math"
	"time"

	"naru/internal/route"
)

// Traffic is what came of an app's requests in a time.
type Traffic struct {
	Length   time.Duration
	Requests float64
	Failed   float64                               // answered with 5xx
	latency  [len(route.LatencyBounds) + 1]float64 // by bucket; the last: slower
}

// Rate is requests per second.
func (t Traffic) Rate() float64 {
	if t.Length <= 0 {
		return 0
	}
	return t.Requests / t.Length.Seconds()
}

// Errors is the share of requests that failed; ok is false where there was none.
func (t Traffic) Errors() (share float64, ok bool) {
	if t.Requests <= 0 {
		return 0, false
	}
	return min(t.Failed/t.Requests, 1), true
}

// Quantile is the time in which a share q of the requests was answered, as
// PromQL's histogram_quantile reckons it; ok is false where there was none.
func (t Traffic) Quantile(q float64) (took time.Duration, ok bool) {
	all := 0.0
	for _, n := range t.latency {
		all += n
	}
	if all <= 0 {
		return 0, false
	}
	rank, below := q*all, 0.0
	for i, n := range t.latency {
		if n > 0 && below+n >= rank {
			if i == len(route.LatencyBounds) {
				break
			}
			lower := time.Duration(0)
			if i > 0 {
				lower = route.LatencyBounds[i-1]
			}
			return lower + time.Duration(float64(route.LatencyBounds[i]-lower)*(rank-below)/n), true
		}
		below += n
	}
	return route.LatencyBounds[len(route.LatencyBounds)-1], true // that is all that is known of it
}

// over is how many requests took longer than the upper bound of the bucket in
// which the quantile q lies.
func (t Traffic) over(bucket int) (slow, all float64) {
	for i, n := range t.latency {
		all += n
		if i > bucket {
			slow += n
		}
	}
	return slow, all
}

// bucketOf is the bucket in which the quantile q lies.
func (t Traffic) bucketOf(q float64) int {
	took, _ := t.Quantile(q)
	return route.LatencyBucket(took)
}

func (t Traffic) plus(o Traffic, share float64) Traffic {
	t.Length += time.Duration(share * float64(o.Length))
	t.Requests += share * o.Requests
	t.Failed += share * o.Failed
	for i, n := range o.latency {
		t.latency[i] += share * n
	}
	return t
}

// Course is traffic over a time, slot by slot.
type Course struct {
	From  time.Time
	Step  time.Duration
	Slots []Traffic
}

// To is the end of the last slot.
func (c Course) To() time.Time { return c.From.Add(time.Duration(len(c.Slots)) * c.Step) }

// Between adds up what was between two moments. Of a slot that lies in it partly
// that part is taken, as if its requests had come evenly.
func (c Course) Between(from, to time.Time) (t Traffic) {
	for i, slot := range c.Slots {
		begin := c.From.Add(time.Duration(i) * c.Step)
		end := begin.Add(c.Step)
		first, last := later(begin, from), earlier(end, to)
		if last.After(first) {
			t = t.plus(slot, float64(last.Sub(first))/float64(c.Step))
		}
	}
	return t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// evidence is how much speaks for a share having become larger: the signed root of
// twice the log of the likelihoods' ratio, which is about as many standard
// deviations. Below 0: it has become smaller.
func evidence(bad1, n1, bad2, n2 float64) float64 {
	if n1 <= 0 || n2 <= 0 {
		return 0
	}
	p1, p2, p := bad1/n1, bad2/n2, (bad1+bad2)/(n1+n2)
	g := 2 * (loglik(bad1, n1, p1) + loglik(bad2, n2, p2) - loglik(bad1, n1, p) - loglik(bad2, n2, p))
	root := math.Sqrt(max(g, 0))
	if p2 < p1 {
		return -root
	}
	return root
}

func loglik(bad, n, p float64) (out float64) {
	if bad > 0 {
		out += bad * math.Log(p)
	}
	if n-bad > 0 && p < 1 {
		out += (n - bad) * math.Log(1-p)
	}
	return out
}
