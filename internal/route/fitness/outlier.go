package fitness

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// An instance that fails far more often than its siblings is left alone for a
// while, even if it accepts connections. Those of groups of one are never touched,
// and of no group more than half: what all share is not an instance's fault.
const (
	lookBack      = 10_000 // milliseconds
	leastRequests = 20     // of the instance, and of its siblings, in that time
	leastFailed   = 0.5    // share of its requests
	mostSiblings  = 0.1    // share of theirs
	slowReturn    = 20_000 // milliseconds from the first request to its full share
)

// Saw counts a request that it answered, or failed to.
func (f *Fitness) Saw(failed bool, now int64) { f.seen.Count(failed, now, lookBack) }

// Outlier says why an instance that just failed is worse than its group, which it
// is one of; "" where it is not.
func (f *Fitness) Outlier(group iter.Seq[*Fitness], now int64) string {
	all, failed := f.seen.Sum(now, lookBack)
	if all < leastRequests || float64(failed) < leastFailed*float64(all) {
		return ""
	}
	var others, bad int64
	size, out := 1, 1 // with this one
	for o := range group {
		if o == f {
			continue
		}
		if size++; !o.Serving() {
			out++
		}
		n, m := o.seen.Sum(now, lookBack)
		others, bad = others+n, bad+m
	}
	if 2*out > size || others < leastRequests || float64(bad) > mostSiblings*float64(others) {
		return ""
	}
	return fmt.Sprintf("%d of %d requests failed, of its siblings' %d of %d", failed, all, bad, others)
}

// Expel leaves an outlier alone, the longer the more often it had to be. It reports
// whether that puts it out of service.
func (f *Fitness) Expel(now int64, terms Terms) (out bool) {
	f.since.Store(now)
	f.fails.Store(2 + min(f.expelled.Add(1), 16))
	return f.leave(terms)
}

// Recovering reports whether it has been expelled not long ago: only then has
// Returning anything to say.
func (f *Fitness) Recovering() bool { return f.full.Load() != 0 }

// Returning reports whether a request had better go elsewhere: an instance that
// comes back gets its share little by little.
func (f *Fitness) Returning(now int64) bool {
	full := f.full.Load()
	if full == 0 {
		return false
	}
	left := full - now
	if left <= 0 {
		f.full.CompareAndSwap(full, 0)
		f.expelled.Store(0)
		return false
	}
	return rand.Int64N(slowReturn) < left
}
