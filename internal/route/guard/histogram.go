package guard

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets an eighth of a power of two wide.
type histogram struct {
	counts [44 * 8]atomic.Uint32
	total  atomic.Uint32
}

// add counts a duration and returns how many there are.
func (h *histogram) add(d time.Duration) uint32 {
	h.counts[min(bucket(d), len(h.counts)-1)].Add(1)
	return h.total.Add(1)
}

// bucket numbers durations; the eight within a power of two are told apart by
// the three bits after the first.
func bucket(d time.Duration) int {
	n := uint64(max(d, 8))
	top := bits.Len64(n) - 1
	return (top-3)*8 + int(n>>(top-3)&7)
}

// below is a duration that a share of all are at most as long as.
func (h *histogram) below(share float64) time.Duration {
	want := uint32(share*float64(h.total.Load()) + 0.5)
	seen := uint32(0)
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= want {
			return time.Duration(uint64(8+i%8+1) << (i / 8))
		}
	}
	return time.Duration(1) << 47
}
