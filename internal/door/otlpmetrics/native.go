package otlpmetrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"

	"naru/internal/observe/metrics"
)

var (
	errBuckets = errors.New("a histogram must have one bucket more than it has bounds")
	errCount   = errors.New("the buckets of a histogram have more than it counted")
	errBounds  = errors.New("the bounds of a histogram must rise")
)

// maxBuckets bounds the buckets of a native histogram, on each side of nought.
const maxBuckets = 1024

// zeroThreshold is what OpenTelemetry means where it says nothing: only nought is.
const zeroThreshold = 1e-128

// native translates an exponential histogram, which is Prometheus's native one
// with buckets that are numbered by their upper bound instead of their lower.
func (t *translation) native(who labels.Labels, name string, p *otlp.ExponentialHistogramDataPoint) error {
	scale := p.GetScale()
	if scale < histogram.ExponentialSchemaMin {
		return fmt.Errorf("its scale is %d, at least %d is kept", scale, histogram.ExponentialSchemaMin)
	}
	down := max(0, scale-histogram.ExponentialSchemaMax)
	h := &histogram.FloatHistogram{
		Schema: scale - down, ZeroThreshold: p.GetZeroThreshold(), ZeroCount: float64(p.GetZeroCount()), Count: float64(p.GetCount()), Sum: p.GetSum(),
	}
	if h.ZeroThreshold == 0 {
		h.ZeroThreshold = zeroThreshold
	}
	var err error
	if h.PositiveSpans, h.PositiveBuckets, err = buckets(p.GetPositive(), down); err != nil {
		return err
	}
	if h.NegativeSpans, h.NegativeBuckets, err = buckets(p.GetNegative(), down); err != nil {
		return err
	}
	if nothing(p.GetFlags()) {
		h = &histogram.FloatHistogram{Sum: ended}
	} else if err := check(h); err != nil {
		return err
	}
	s, err := t.series(who, name, p.GetAttributes())
	if err != nil {
		return err
	}
	t.points = append(t.points, metrics.Point{Series: s, At: t.millis(p.GetTimeUnixNano()), Histogram: h})
	t.exemplars(s, p.GetExemplars()...)
	return nil
}

func check(h *histogram.FloatHistogram) error {
	in := h.ZeroCount
	for _, n := range h.PositiveBuckets {
		in += n
	}
	for _, n := range h.NegativeBuckets {
		in += n
	}
	if in > h.Count {
		return errCount
	}
	return h.Validate()
}

// buckets turns counts into those that are not nought, with how far they are apart.
// down is by how many scales the buckets are put together, two at a time.
func buckets(b *otlp.ExponentialHistogramDataPoint_Buckets, down int32) ([]histogram.Span, []float64, error) {
	if n := len(b.GetBucketCounts()); n > maxBuckets<<min(down, 8) {
		return nil, nil, fmt.Errorf("it has %d buckets, at most %d are kept", n, maxBuckets)
	}
	var spans []histogram.Span
	var counts []float64
	last := int64(0) // bucket
	for i, n := range b.GetBucketCounts() {
		if n == 0 {
			continue
		}
		at := (int64(b.GetOffset())+int64(i))>>down + 1
		switch {
		case len(counts) > 0 && at == last:
			counts[len(counts)-1] += float64(n)
			continue
		case len(counts) > 0 && at == last+1:
			spans[len(spans)-1].Length++
		case len(counts) > 0:
			spans = append(spans, histogram.Span{Offset: int32(at - last - 1), Length: 1})
		default:
			spans = append(spans, histogram.Span{Offset: int32(at), Length: 1})
		}
		counts, last = append(counts, float64(n)), at
	}
	return spans, counts, nil
}
