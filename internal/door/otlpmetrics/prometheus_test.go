package otlpmetrics

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

func line(l labels.Labels, at int64, v float64, h *histogram.FloatHistogram) string {
	if h != nil {
		h = h.Copy().Compact(0)
		return fmt.Sprintf("%s %d schema %d zero %g %g: %s", l, at, h.Schema, h.ZeroThreshold, h.ZeroCount, h)
	}
	return fmt.Sprintf("%s %d %x", l, at, math.Float64bits(v))
}

// TestSamplesAreThoseOfPrometheus compares with what Prometheus 3.11's own
// translation (prometheusremotewrite, with the suffixes of units and types) made
// of the same requests, which are made by chance.
func TestSamplesAreThoseOfPrometheus(t *testing.T) {
	raw, err := os.ReadFile("testdata/prometheus.txt")
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Split(strings.TrimPrefix(string(raw), "# 0\n"), "\n# ")
	for seed, want := range wanted {
		if seed > 0 {
			_, want, _ = strings.Cut(want, "\n")
		}
		tr := newTranslation(nil, time.Now(), func(uint64) bool { return true })
		for _, rm := range request(rand.New(rand.NewPCG(uint64(seed), 1))).ResourceMetrics {
			tr.resource(rm)
		}
		var got []string
		for _, p := range tr.points {
			got = append(got, line(p.Labels, p.At, p.Value, p.Histogram))
		}
		if len(tr.refused) > 0 {
			t.Fatalf("request %d: refused %v", seed, tr.refused)
		}
		slices.Sort(got)
		if text := strings.Join(got, "\n"); text != strings.TrimSuffix(want, "\n") {
			t.Errorf("request %d:\n%s\nPrometheus has\n%s", seed, text, want)
		}
	}
	if len(wanted) != 24 {
		t.Errorf("%d requests were compared", len(wanted))
	}
}

// TestBucketsPutTogether adds the counts of finer buckets up by hand.
func TestBucketsPutTogether(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		in, down := side(r), int32(r.IntN(5))
		want, got := map[int64]float64{}, map[int64]float64{}
		for i, n := range in.BucketCounts {
			if n > 0 {
				want[int64(math.Floor(float64(int(in.Offset)+i)/float64(int(1)<<down)))+1] += float64(n)
			}
		}
		spans, counts, err := buckets(in, down)
		if err != nil {
			t.Fatal(err)
		}
		at, n := int64(0), 0
		for _, s := range spans {
			at += int64(s.Offset)
			for range s.Length {
				got[at] = counts[n]
				at, n = at+1, n+1
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("%v by %d: got %v, want %v", in, down, got, want)
		}
	}
}

// request makes one by chance.
func request(r *rand.Rand) *collector.ExportMetricsServiceRequest {
	out := &collector.ExportMetricsServiceRequest{}
	for n := range 1 + r.IntN(2) {
		rm := &otlp.ResourceMetrics{Resource: &resource.Resource{Attributes: attrs(r, "service.name", fmt.Sprint("shop", n), "service.instance.id", "i", "host.name", "h")}}
		sm := &otlp.ScopeMetrics{}
		for i := range 1 + r.IntN(4) {
			sm.Metrics = append(sm.Metrics, metric(r, i))
		}
		rm.ScopeMetrics = append(rm.ScopeMetrics, sm)
		out.ResourceMetrics = append(out.ResourceMetrics, rm)
	}
	return out
}

func attrs(r *rand.Rand, pairs ...string) (out []*common.KeyValue) {
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, attr(pairs[i], &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: pairs[i+1]}}))
	}
	more := []*common.KeyValue{
		attr("http.method", &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "GET"}}),
		attr("http_method", &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "POST"}}), // the same label
		attr("_private", &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}),
		attr("9lives", &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: 9}}),
		attr("ratio", &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: 0.25}}),
		attr("größe", &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "groß"}}),
		attr("list", &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{{Value: &common.AnyValue_IntValue{IntValue: 1}}, {Value: &common.AnyValue_StringValue{StringValue: "b"}}}}}}),
		attr("job", &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "forged"}}),
	}
	for _, kv := range more {
		if r.IntN(3) == 0 {
			out = append(out, kv)
		}
	}
	return out
}

func attr(key string, v *common.AnyValue) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: v}
}

const at = 1_700_000_000_000_000_000

// metric makes one of each kind.
func metric(r *rand.Rand, i int) *otlp.Metric {
	units := []string{"", "1", "s", "By", "{request}", "m/s", "%"}
	m := &otlp.Metric{Name: fmt.Sprintf("http.server/request%d", i), Unit: units[r.IntN(len(units))], Description: "d"}
	of := attrs(r, "point", "p")
	when := uint64(at + r.IntN(1_000_000_000))
	flags := uint32(0)
	if r.IntN(8) == 0 {
		flags = 1
	}
	cumulative := otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	number := []*otlp.NumberDataPoint{{Attributes: of, TimeUnixNano: when, Flags: flags, Value: &otlp.NumberDataPoint_AsDouble{AsDouble: r.Float64()}}}
	if r.IntN(2) == 0 {
		number[0].Value = &otlp.NumberDataPoint_AsInt{AsInt: r.Int64N(1000)}
	}
	switch r.IntN(5) {
	case 0:
		m.Data = &otlp.Metric_Gauge{Gauge: &otlp.Gauge{DataPoints: number}}
	case 1:
		m.Data = &otlp.Metric_Sum{Sum: &otlp.Sum{DataPoints: number, IsMonotonic: r.IntN(2) == 0, AggregationTemporality: cumulative}}
	case 2:
		p := &otlp.HistogramDataPoint{Attributes: of, TimeUnixNano: when, Flags: flags, ExplicitBounds: []float64{0.005, 1, 2.5}, BucketCounts: []uint64{1, 2, 0, 4}, Count: 7}
		if r.IntN(2) == 0 {
			p.Sum = proto.Float64(12.5)
		}
		m.Data = &otlp.Metric_Histogram{Histogram: &otlp.Histogram{DataPoints: []*otlp.HistogramDataPoint{p}, AggregationTemporality: cumulative}}
	case 3:
		p := &otlp.ExponentialHistogramDataPoint{
			Attributes: of, TimeUnixNano: when, Scale: int32(r.IntN(13) - 4), ZeroCount: 2,
			Positive: side(r), Negative: side(r), Sum: proto.Float64(3.5),
		}
		p.Count = p.ZeroCount
		for _, n := range append(slices.Clone(p.Positive.BucketCounts), p.Negative.BucketCounts...) {
			p.Count += n
		}
		m.Data = &otlp.Metric_ExponentialHistogram{ExponentialHistogram: &otlp.ExponentialHistogram{DataPoints: []*otlp.ExponentialHistogramDataPoint{p}, AggregationTemporality: cumulative}}
	case 4:
		m.Data = &otlp.Metric_Summary{Summary: &otlp.Summary{DataPoints: []*otlp.SummaryDataPoint{{
			Attributes: of, TimeUnixNano: when, Flags: flags, Count: 4, Sum: 8,
			QuantileValues: []*otlp.SummaryDataPoint_ValueAtQuantile{{Quantile: 0.5, Value: 2}, {Quantile: 0.99, Value: 3}},
		}}}}
	}
	return m
}

func side(r *rand.Rand) *otlp.ExponentialHistogramDataPoint_Buckets {
	b := &otlp.ExponentialHistogramDataPoint_Buckets{Offset: int32(r.IntN(200) - 100)}
	for range r.IntN(40) {
		b.BucketCounts = append(b.BucketCounts, uint64(r.IntN(3)))
	}
	return b
}
