package gateway

import (
	"hash/maphash"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/h1"
)

// rate is a token bucket, or one for each key. A bucket is the time at which it
// will be full again, nanoseconds of the clock that starts with the process: it
// may be so far ahead as a burst takes, and each request moves it by one
// interval.
type rate struct {
	spec     route.Rate
	interval int64 // between two tokens
	slack    int64 // how far ahead a bucket may be and still give a token
	name     string
	of       func(r *rate, x *exchange) []byte // the key of a request
	all      atomic.Int64                      // the bucket of all; of no key
	seed     maphash.Seed
	shards   []shard // of keys; none: all together
}

// Keys of one rate. A value that is not known shares a bucket with others like
// it while its shard is full of ones that are not full: nobody's bucket is
// forgotten to make room, so that nobody gets rid of their own by inventing
// values.
const (
	rateShards = 64
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

func newRate(spec route.Rate) *rate {
	per := spec.Per.Std()
	if per == 0 {
		per = time.Second
	}
	burst := float64(spec.Burst)
	if burst == 0 {
		burst = max(1, math.Floor(spec.Requests))
	}
	every := min(float64(per)/spec.Requests, math.MaxInt64/4)
	r := &rate{spec: spec, interval: max(1, int64(every)), slack: int64(min(every*(burst-1), math.MaxInt64/4)), seed: maphash.MakeSeed()}
	kind, name, _ := strings.Cut(spec.By, ":")
	r.name = name
	switch kind {
	case "client":
		r.of = (*rate).client
	case "header":
		r.of = (*rate).header
	case "cookie":
		r.of = (*rate).cookie
	}
	return r
}

// ready makes the buckets of one that is to be used.
func (r *rate) ready() *rate {
	if r.of != nil && r.shards == nil {
		r.shards = make([]shard, rateShards)
	}
	return r
}

func (r *rate) rule() any { return r.spec }

// pass answers 429 where there is no token.
func (r *rate) pass(x *exchange) (*page, error) {
	wait := r.take(x, x.start.Sub(began).Nanoseconds())
	if wait == 0 {
		return nil, nil
	}
	x.problem = "over the rate"
	return &page{
		status: http.StatusTooManyRequests, kind: fault.TooLarge, title: "Too many requests",
		message: "There were too many requests. Ask again a little later.", retry: seconds(wait),
	}, nil
}

// seconds is what Retry-After says for a wait: whole ones, at least one.
func seconds(wait time.Duration) int {
	return int(max(1, (wait+time.Second-1)/time.Second))
}

// take takes a token for a request, or says how long it takes until there is one.
func (r *rate) take(x *exchange, now int64) time.Duration {
	if r.of != nil {
		if key := r.of(r, x); len(key) > 0 {
			return r.keyed(maphash.Bytes(r.seed, key), now)
		}
	}
	for {
		old := r.all.Load()
		next, wait := r.next(old, now)
		if wait > 0 || r.all.CompareAndSwap(old, next) {
			return wait
		}
	}
}

// next is a bucket with a token less, or how long it takes until it has one.
func (r *rate) next(full, now int64) (int64, time.Duration) {
	if full = max(full, now); full-now > r.slack {
		return full, time.Duration(full - now - r.slack)
	}
	return full + r.interval, 0
}

func (r *rate) keyed(key uint64, now int64) time.Duration {
	s := &r.shards[key%rateShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	full, known := s.full[key]
	if !known && len(s.full) >= shardKeys && !s.sweep(now) {
		next, wait := r.next(s.crowd, now)
		s.crowd = next
		return wait
	}
	next, wait := r.next(full, now)
	if wait == 0 {
		if s.full == nil {
			s.full = map[uint64]int64{}
		}
		s.full[key] = next
	}
	return wait
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

// client is the visitor's address. Whoever has one of IPv6 has the whole /64.
func (r *rate) client(x *exchange) []byte {
	addr := x.visitor()
	if !addr.IsValid() {
		return nil
	}
	if addr.Is4() {
		four := addr.As4()
		return append(x.key[:0], four[:]...)
	}
	sixteen := addr.As16()
	return append(x.key[:0], sixteen[:8]...)
}

func (r *rate) header(x *exchange) []byte { return headerOf(x.req, r.name) }

func (r *rate) cookie(x *exchange) []byte { return cookieOf(x.req, r.name) }

// headerOf is the first value of a header field; nil where there is none.
func headerOf(req *h1.Request, name string) []byte {
	for i := range req.Fields {
		if f := &req.Fields[i]; equalFold(req.Name(f), name) {
			return req.Value(f)
		}
	}
	return nil
}

// cookieOf is the first value of a cookie; nil where there is none.
func cookieOf(req *h1.Request, name string) (value []byte) {
	cookiesOf(req, name, func(v []byte) bool {
		value = v
		return false
	})
	return value
}

// cookiesOf calls yield for the values of a cookie until that returns false: one
// name may come from several paths.
func cookiesOf(req *h1.Request, name string, yield func(value []byte) bool) {
	for i := range req.Fields {
		f := &req.Fields[i]
		if !equalFold(req.Name(f), "Cookie") {
			continue
		}
		for list := req.Value(f); len(list) > 0; {
			one := list
			end := 0
			for end < len(list) && list[end] != ';' {
				end++
			}
			if one, list = list[:end], list[min(end+1, len(list)):]; len(one) == 0 {
				continue
			}
			for len(one) > 0 && one[0] == ' ' {
				one = one[1:]
			}
			if len(one) > len(name) && one[len(name)] == '=' && string(one[:len(name)]) == name && !yield(one[len(name)+1:]) {
				return
			}
		}
	}
}
