package gateway

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"naru/internal/route"
	"naru/internal/route/trace"
)

// sampler decides which requests have a span, where clients leave that to us. A
// few of each second have one whatever the share is, so that routes which are seldom
// asked have traces, too.
type sampler struct {
	first int64        // requests of each second
	left  atomic.Int64 // of this one
	until atomic.Int64 // when it ends, as now tells it
}

// sampling is what an entry's requests are decided by.
type sampling struct {
	below uint32   // of 1<<32-1: a request whose draw is not above is recorded; 0: none
	first *sampler // nil: the share is all
}

// newSampling is the platform's, or the route's own.
// before is the same entry in the table before; it may be nil.
func newSampling(own *route.Tracing, cfg *Config, before *entry) sampling {
	if own != nil {
		return sampling{below: threshold(own.Sample)}
	}
	s := sampling{below: threshold(cfg.TraceShare)}
	if cfg.TraceShare < 0 || cfg.TraceFirst <= 0 {
		return s
	}
	if before != nil {
		s.first = before.sampling.first
	}
	if s.first == nil {
		s.first = &sampler{first: int64(cfg.TraceFirst)}
	}
	return s
}

func threshold(share float64) uint32 {
	return uint32(max(0, min(1, share)) * math.MaxUint32)
}

// take draws for a request that began at now.
func (s *sampling) take(now int64) bool {
	if s.first != nil && s.first.take(now) {
		return true
	}
	return s.below > 0 && rand.Uint32() <= s.below
}

func (s *sampler) take(now int64) bool {
	if until := s.until.Load(); now >= until {
		if !s.until.CompareAndSwap(until, now+time.Second.Milliseconds()) {
			return false
		}
		s.left.Store(s.first)
	}
	return s.left.Load() > 0 && s.left.Add(-1) >= 0
}

// traced decides whether the request has a span of ours, of which what comes behind
// us is then a part.
func (x *exchange) traced() {
	if x.g.reports.spans.most == 0 {
		return // nobody takes spans: clients' parents go on
	}
	switch x.trace.Decision() {
	case trace.Yes:
		x.trace.Record(x.req)
	case trace.Undecided:
		if x.entry.sampling.take(x.now) {
			x.trace.Record(x.req)
		} else {
			x.trace.Skip()
		}
	}
}

// span makes a span of an exchange that has ended.
func (r *reports) span(x *exchange, took time.Duration) {
	s := route.Span{
		Trace: stringOf(x.trace.ID(x.req)), ID: stringOf(x.trace.Span()), Parent: stringOf(x.trace.Parent()), Start: x.start, Took: took,
		App: x.entry.spec.App, Route: x.entry.spec.ID,
		Method: clip(x.req.Method), Host: x.host[:min(len(x.host), maxText)], Path: clip(x.req.Path),
		Status: x.status, Error: x.problem, Retries: max(0, x.attempts-1),
	}
	if x.group != nil {
		in := &x.back.instance
		s.App, s.Group, s.Instance, s.Index = x.group.app, x.group.id, in.ID, in.Index
	}
	r.spans.span(&s)
}
