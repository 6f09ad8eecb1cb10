package account

import (
	"math"
	"slices"
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

// Course is traffic over a time, slot by slot; and in finer pieces where it was cut
// at more moments.
type Course struct {
	From   time.Time
	Step   time.Duration
	Slots  []Traffic
	cuts   []int64 // milliseconds, growing: piece i is after cut i, up to cut i+1
	pieces []Traffic
}

// cutCourse cuts the time up to a moment into slots, the first of which may begin
// before from, and these at the moments that lie in it.
func cutCourse(from, to time.Time, step time.Duration, moments []time.Time) Course {
	n := max(1, int((to.Sub(from)+step-1)/step))
	c := Course{From: to.Add(-time.Duration(n) * step), Step: step, Slots: make([]Traffic, n)}
	for i := range n + 1 {
		c.cuts = append(c.cuts, c.edge(i))
	}
	for _, m := range moments {
		if at := m.UnixMilli(); at > c.cuts[0] && at < c.cuts[n] {
			c.cuts = append(c.cuts, at)
		}
	}
	slices.Sort(c.cuts)
	c.cuts = slices.Compact(c.cuts)
	c.pieces = make([]Traffic, len(c.cuts)-1)
	for i := range c.pieces {
		c.pieces[i].Length = time.Duration(c.cuts[i+1]-c.cuts[i]) * time.Millisecond
	}
	c.fill()
	return c
}

// edge is where slot i begins.
func (c *Course) edge(i int) int64 { return c.From.Add(time.Duration(i) * c.Step).UnixMilli() }

// fill adds the pieces up to slots.
func (c *Course) fill() {
	p := 0
	for i := range c.Slots {
		c.Slots[i] = Traffic{}
		for ; p < len(c.pieces) && c.cuts[p] < c.edge(i+1); p++ {
			c.Slots[i] = c.Slots[i].plus(c.pieces[p], 1)
		}
	}
}

// To is the end of the last slot.
func (c Course) To() time.Time { return c.From.Add(time.Duration(len(c.Slots)) * c.Step) }

// Between adds up what was between two moments. Of a piece that lies in it partly
// that part is taken, as if its requests had come evenly.
func (c Course) Between(from, to time.Time) (t Traffic) {
	begin, end := from.UnixMilli(), to.UnixMilli()
	for i, piece := range c.pieces {
		first, last := max(c.cuts[i], begin), min(c.cuts[i+1], end)
		if last > first {
			t = t.plus(piece, float64(last-first)/float64(c.cuts[i+1]-c.cuts[i]))
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
