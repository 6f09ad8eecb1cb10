// Package otlpmetrics takes metrics in OpenTelemetry's protocol and has them kept
// under the names that a Prometheus server would give them.
package otlpmetrics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"

	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
)

// Sink keeps metrics; *metrics.Store is the real one.
type Sink interface {
	Write(ctx context.Context, at time.Time, points []metrics.Point) (metrics.Result, error)
	AppendExemplars(ctx context.Context, all []metrics.Exemplar) error
	Describe(space, name string, m metrics.Metadata)
}

// Receiver takes metrics.
type Receiver struct {
	sink Sink

	mu    sync.Mutex // guards known
	known map[uint64]struct{}
}

// New makes a receiver.
func New(sink Sink) *Receiver { return &Receiver{sink: sink, known: map[uint64]struct{}{}} }

// Take keeps the metrics of a request as those of a place, whatever the request
// says: a place without an app is a space, and more are labels that say which part
// of it. What cannot be kept is counted in the
// answer, with the reasons, and everything else is kept; an error means that
// nothing was.
func (r *Receiver) Take(ctx context.Context, of collect.Place, in *collector.ExportMetricsServiceRequest, more ...labels.Label) (*collector.ExportMetricsServiceResponse, error) {
	t := newTranslation(append(of.Labels(), more...), time.Now(), r.first)
	for _, rm := range in.GetResourceMetrics() {
		t.resource(rm)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	for name, m := range t.told {
		r.sink.Describe(of.SpaceID, name, m)
	}
	if len(t.points) > 0 {
		got, err := r.sink.Write(ctx, t.now, t.points)
		if err != nil {
			return nil, err
		}
		if len(t.traced) > 0 {
			slices.SortFunc(t.traced, func(a, b metrics.Exemplar) int { return a.At.Compare(b.At) })
			if err := r.sink.AppendExemplars(ctx, t.traced); err != nil {
				return nil, err
			}
		}
		t.refuseSamples(got.Refused, "of series over the limit (metrics.series_per_app, metrics.series): use fewer attributes, or such with fewer values")
		t.refuseSamples(got.Late, "too old, or of a time that has not come (metrics.out_of_order)")
	}
	return t.answer(), nil
}

// maxKnown bounds the series that are remembered as begun.
const maxKnown = 200_000

// first reports that a series was not seen before: then it begins with nought, so
// that its first increase is one.
func (r *Receiver) first(series uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.known[series]; known {
		return false
	}
	if len(r.known) >= maxKnown {
		clear(r.known)
	}
	r.known[series] = struct{}{}
	return true
}

// maxReasons bounds the reasons in an answer.
const maxReasons = 3

// refuse counts data points that cannot be kept.
func (t *translation) refuse(points int, format string, args ...any) {
	if points > 0 {
		t.refused[fmt.Sprintf(format, args...)] += points
	}
}

// refuseSamples counts samples that the store did not take: of a histogram each
// bucket is one, so they are at most all data points.
func (t *translation) refuseSamples(n int, why string) {
	if n > 0 {
		t.refused[fmt.Sprintf("%d samples are %s", n, why)] += min(n, t.taken)
	}
}

// answer says what was refused, the most frequent reasons first.
func (t *translation) answer() *collector.ExportMetricsServiceResponse {
	out := &collector.ExportMetricsServiceResponse{}
	if len(t.refused) == 0 {
		return out
	}
	total := 0
	reasons := slices.SortedFunc(maps.Keys(t.refused), func(a, b string) int {
		if d := t.refused[b] - t.refused[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, n := range t.refused {
		total += n
	}
	text := strings.Join(reasons[:min(len(reasons), maxReasons)], "; ")
	if more := len(reasons) - maxReasons; more > 0 {
		text += fmt.Sprintf("; and %d more reasons", more)
	}
	out.PartialSuccess = &collector.ExportMetricsPartialSuccess{RejectedDataPoints: int64(total), ErrorMessage: text}
	return out
}
