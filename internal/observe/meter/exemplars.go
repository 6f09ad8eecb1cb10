package meter

import (
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"naru/internal/route"
)

// Exemplar is a request that stands for others: one that took as long as a bucket
// of the histogram says, with its trace.
type Exemplar struct {
	Route, Group string // ids
	Bucket       int    // of route.LatencyBounds
	Trace        string // 32 hexadecimal digits
	At           time.Time
	Took         time.Duration
}

// exemplars are the newest of a pair, by bucket.
type exemplars [len(route.LatencyBounds) + 1]struct {
	Exemplar
	fresh bool // nobody has taken it
}

// Spans takes the gateways' spans, of which each bucket keeps the newest as its
// exemplar, and how many were lost.
func (m *Meter) Spans(spans []route.Span, dropped uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spans += uint64(len(spans))
	m.spansLost += dropped
	for i := range spans {
		s := &spans[i]
		one := m.of(key{s.Route, s.Group})
		if one == m.series[others] {
			continue // they are of anybody
		}
		if one.exemplars == nil {
			one.exemplars = &exemplars{}
		}
		bucket := route.LatencyBucket(s.Took)
		at := s.Start.Add(s.Took)
		if e := &one.exemplars[bucket]; at.After(e.At) {
			e.Exemplar, e.fresh = Exemplar{s.Route, s.Group, bucket, s.Trace, at, s.Took}, true
		}
	}
}

// Exemplars returns those that are new since it was last asked.
func (m *Meter) Exemplars() []Exemplar {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Exemplar
	for _, s := range m.series {
		if s.exemplars == nil {
			continue
		}
		for i := range s.exemplars {
			if e := &s.exemplars[i]; e.fresh {
				e.fresh = false
				out = append(out, e.Exemplar)
			}
		}
	}
	return out
}

// newer takes over what is newer in other.
func (e *exemplars) newer(other *exemplars) {
	if other == nil {
		return
	}
	for i := range other {
		if other[i].At.After(e[i].At) {
			e[i] = other[i]
		}
	}
}

// shown puts exemplars into a histogram's buckets.
func (e *exemplars) shown(h *dto.Histogram) {
	for i := range e {
		if e[i].Trace == "" {
			continue
		}
		seconds := e[i].Took.Seconds()
		h.Bucket[i].Exemplar = &dto.Exemplar{
			Label: []*dto.LabelPair{label("trace_id", e[i].Trace)}, Value: &seconds, Timestamp: timestamppb.New(e[i].At),
		}
	}
}
