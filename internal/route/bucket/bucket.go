// Package bucket counts requests against a rate: token buckets, one for all of
// them or one for each key.
package bucket

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Buckets of one rate. A bucket is the time at which it will be full again,
// nanoseconds of a clock that is never set: it may be so far ahead as a burst
// takes, and each request moves it by one interval.
type Buckets struct {
	interval int64        // between two tokens
	slack    int64        // how far ahead a bucket may be and still give a token
	all      atomic.Int64 // the bucket of whatever has no key
	seed     maphash.Seed
	shards   []shard // of keys; none until there is one
}

// Keys of one rate. A key that is not known shares a bucket with others like it
// while its shard is full of ones that are not full: nobody's bucket is forgotten
// to make room, so that nobody gets rid of their own by inventing keys.
const (
	shardsOf   = 64
	shardKeys  = 1024
	shardSweep = int64(100 * time.Millisecond) // between two attempts to make room
)

type shard struct {
	mu    sync.Mutex // guards what follows; held for one look at a map
	full  map[uint64]int64
	crowd int64 // the bucket of those there is no room for
	swept int64
	_     [24]byte // each its own cache line
}

// New makes full buckets for a number of tokens in each per, at most burst of them
// at once after a pause; 0 is the number, at least 1. keyed: some have a key.
func New(tokens float64, per time.Duration, burst int, keyed bool) *Buckets {
	most := float64(burst)
	if burst == 0 {
		most = max(1, math.Floor(tokens))
	}
	every := min(float64(per)/tokens, math.MaxInt64/4)
	b := &Buckets{interval: max(1, int64(every)), slack: int64(min(every*(most-1), math.MaxInt64/4))}
	if keyed {
		b.seed, b.shards = maphash.MakeSeed(), make([]shard, shardsOf)
	}
	return b
}

// Take takes a token of what has no key, or says how long it takes until there is
// one.
func (b *Buckets) Take(now int64) time.Duration {
	for {
		old := b.all.Load()
		next, wait := b.next(old, now)
		if wait > 0 || b.all.CompareAndSwap(old, next) {
			return wait
		}
	}
}

// TakeOf is Take for a key. The buckets must have been made for some.
func (b *Buckets) TakeOf(key []byte, now int64) time.Duration {
	hash := maphash.Bytes(b.seed, key)
	s := &b.shards[hash%shardsOf]
	s.mu.Lock()
	defer s.mu.Unlock()
	full, known := s.full[hash]
	if !known && len(s.full) >= shardKeys && !s.sweep(now) {
		next, wait := b.next(s.crowd, now)
		s.crowd = next
		return wait
	}
	next, wait := b.next(full, now)
	if wait == 0 {
		if s.full == nil {
			s.full = map[uint64]int64{}
		}
		s.full[hash] = next
	}
	return wait
}

// next is a bucket with a token less, or how long it takes until it has one.
func (b *Buckets) next(full, now int64) (int64, time.Duration) {
	if full = max(full, now); full-now > b.slack {
		return full, time.Duration(full - now - b.slack)
	}
	return full + b.interval, 0
}

// sweep forgets the buckets that are full: a new one is the same. It reports
// whether there is room now.
func (s *shard) sweep(now int64) bool {
	if s.swept != 0 && now-s.swept < shardSweep {
		return false
	}
	s.swept = now
	for key, full := range s.full {
		if full <= now {
			delete(s.full, key)
		}
	}
	return len(s.full) < shardKeys
}
