package gateway

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/route"
	"naru/internal/route/trace"
	"naru/internal/route/wire"
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
	if x.g.reports.spans == nil {
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

// stint is a span on its way to the control plane. Its strings are in its own
// memory, and it is used again once it was sent.
type stint struct {
	span route.Span
	text texts
}

var stints = sync.Pool{New: func() any { return new(stint) }}

// span makes a span of an exchange that has ended; too many are dropped.
func (r *reports) span(x *exchange, took time.Duration) {
	if len(r.spans) == cap(r.spans) {
		r.spansLost.Add(1)
		return
	}
	s, _ := stints.Get().(*stint)
	s.text.buf = s.text.buf[:0]
	x.describeSpan(&s.span, &s.text, took)
	select {
	case r.spans <- s:
		r.filled(len(r.spans))
	default:
		r.spansLost.Add(1)
		stints.Put(s)
	}
}

// describeSpan fills a span. Its strings are made of text's memory.
func (x *exchange) describeSpan(s *route.Span, text *texts, took time.Duration) {
	*s = route.Span{
		Trace: text.of(x.trace.ID(x.req)), ID: text.of(x.trace.Span()), Start: x.start, Took: took,
		App: x.entry.spec.App, Route: x.entry.spec.ID,
		Method: text.of(x.req.Method), Host: text.of([]byte(x.host)), Path: text.of(x.req.Path),
		Status: x.status, Error: x.problem, Retries: max(0, x.attempts-1),
	}
	if parent := x.trace.Parent(); parent != nil {
		s.Parent = text.of(parent)
	}
	if x.group != nil {
		in := &x.back.instance
		s.App, s.Group, s.Instance, s.Index = x.group.app, x.group.id, in.ID, in.Index
	}
}

// spanned puts up to most waiting spans into a message, and returns how many, and
// how many were lost before.
func (r *reports) spanned(b *wire.Batch, most int) (n int, dropped uint64) {
	for b.Len() < most {
		select {
		case one := <-r.spans:
			b.Span(&one.span)
			stints.Put(one)
			continue
		default:
		}
		break
	}
	return b.Len(), r.spansLost.Swap(0)
}
