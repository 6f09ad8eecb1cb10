package otlpmetrics

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"

	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
)

var shop = collect.Place{Org: "acme", Space: "prod", SpaceID: "s1", App: "shop"}

// open is an open store.
func open(t *testing.T, o metrics.Options) *metrics.Store {
	t.Helper()
	o.Dir = t.TempDir()
	s := metrics.New(o, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
	return s
}

func ask(t *testing.T, s *metrics.Store, at time.Time, text string) string {
	t.Helper()
	a, err := s.Query(t.Context(), metrics.Reader{All: true}, metrics.Query{Text: text, To: at})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	return a.String()
}

// of is a request with metrics of one resource.
func of(all ...*otlp.Metric) *collector.ExportMetricsServiceRequest {
	return &collector.ExportMetricsServiceRequest{ResourceMetrics: []*otlp.ResourceMetrics{{
		Resource:     &resource.Resource{Attributes: []*commonKV{said("service.name", "till"), said("space_id", "s2"), said("app", "other")}},
		ScopeMetrics: []*otlp.ScopeMetrics{{Metrics: all}},
	}}}
}

func sum(name string, temporality otlp.AggregationTemporality, start, at time.Time, v int64, more ...*commonKV) *otlp.Metric {
	return &otlp.Metric{Name: name, Data: &otlp.Metric_Sum{Sum: &otlp.Sum{IsMonotonic: true, AggregationTemporality: temporality, DataPoints: []*otlp.NumberDataPoint{{
		StartTimeUnixNano: uint64(start.UnixNano()), TimeUnixNano: uint64(at.UnixNano()), Value: &otlp.NumberDataPoint_AsInt{AsInt: v}, Attributes: more,
	}}}}}
}

func take(t *testing.T, r *Receiver, in *collector.ExportMetricsServiceRequest) *collector.ExportMetricsPartialSuccess {
	t.Helper()
	out, err := r.Take(t.Context(), shop, in)
	if err != nil {
		t.Fatal(err)
	}
	return out.GetPartialSuccess()
}

const (
	cumulative = otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	fresh      = otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
)

func TestOwnersCannotBeForged(t *testing.T) {
	s := open(t, metrics.Options{})
	r, now := New(s), time.Now()
	if p := take(t, r, of(sum("orders", cumulative, now, now, 3, said("space_id", "s2"), said("org", "o2")), sum("naru.gateway.requests", cumulative, now, now, 3))); p != nil {
		t.Fatalf("refused: %v", p)
	}
	for _, want := range []string{
		`{__name__="orders_total", app="shop", exported_org="o2", exported_space_id="s2", job="till", org="acme", space="prod", space_id="s1"}`,
		`{__name__="exported_naru_gateway_requests_total", app="shop"`,
		`{__name__="target_info", app="shop", exported_app="other", exported_space_id="s2", job="till"`,
	} {
		if got := ask(t, s, now, `{__name__=~".+"}`); !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestTheFirstCountIsAnIncrease(t *testing.T) {
	s := open(t, metrics.Options{})
	r, now := New(s), time.Now().Truncate(time.Second)
	start := now.Add(-time.Minute)
	for i := range 3 {
		take(t, r, of(sum("orders", cumulative, start, now.Add(time.Duration(i-2)*15*time.Second), int64(10+i))))
	}
	if got := ask(t, s, now, `count_over_time(orders_total[5m])`); !strings.Contains(got, "=> 4 @") {
		t.Errorf("got %s, want three samples and the nought that they began with", got)
	}
	if got := ask(t, s, now, `orders_total - orders_total offset 1m`); !strings.Contains(got, "=> 12 @") {
		t.Errorf("got %s", got)
	}
}

func TestWhatCannotBeKeptIsSaid(t *testing.T) {
	now := time.Now()
	gauge := func(name string, at time.Time, more ...*commonKV) *otlp.Metric {
		return &otlp.Metric{Name: name, Data: &otlp.Metric_Gauge{Gauge: &otlp.Gauge{DataPoints: []*otlp.NumberDataPoint{{TimeUnixNano: uint64(at.UnixNano()), Attributes: more}}}}}
	}
	histogram := func(bounds []float64, counts ...uint64) *otlp.Metric {
		return &otlp.Metric{Name: "took", Data: &otlp.Metric_Histogram{Histogram: &otlp.Histogram{AggregationTemporality: cumulative, DataPoints: []*otlp.HistogramDataPoint{{
			TimeUnixNano: uint64(now.UnixNano()), ExplicitBounds: bounds, BucketCounts: counts,
		}}}}}
	}
	exponential := func(scale int32, buckets int) *otlp.Metric {
		return &otlp.Metric{Name: "took", Data: &otlp.Metric_ExponentialHistogram{ExponentialHistogram: &otlp.ExponentialHistogram{AggregationTemporality: cumulative, DataPoints: []*otlp.ExponentialHistogramDataPoint{{
			TimeUnixNano: uint64(now.UnixNano()), Scale: scale, Positive: &otlp.ExponentialHistogramDataPoint_Buckets{BucketCounts: make([]uint64, buckets)},
		}}}}}
	}
	for name, c := range map[string]struct {
		of   *otlp.Metric
		want string
	}{
		"delta":             {sum("orders", fresh, now, now, 1), "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative"},
		"no name":           {gauge("", now), "makes no name"},
		"no label":          {gauge("g", now, said("", "v")), "makes no label"},
		"long value":        {gauge("g", now, said("a", strings.Repeat("v", 5000))), "longer than 2048 bytes"},
		"far ahead":         {gauge("g", now.Add(time.Hour)), "a time that has not come"},
		"of last year":      {gauge("g", now.AddDate(-1, 0, 0)), "too old"},
		"buckets missing":   {histogram([]float64{1, 2}, 1), "one bucket more"},
		"bounds fall":       {histogram([]float64{2, 1}, 1, 1, 1), "must rise"},
		"scale too small":   {exponential(-9, 1), "its scale is -9"},
		"too many buckets":  {exponential(0, 5000), "at most 1024"},
		"more than counted": {histogramBeyond(now), "more than it counted"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, metrics.Options{})
			if name == "of last year" { // a database that is empty takes any time
				take(t, New(s), of(gauge("earlier", now)))
			}
			p := take(t, New(s), of(c.of, sum("good", cumulative, now, now, 1)))
			if p.GetRejectedDataPoints() == 0 || !strings.Contains(p.GetErrorMessage(), c.want) {
				t.Errorf("got %v, want a refusal with %q", p, c.want)
			}
			if got := ask(t, s, now, "good_total"); !strings.Contains(got, "=> 1 @") {
				t.Errorf("the others are not kept: %q", got)
			}
		})
	}
}

// histogramBeyond has more in its buckets than it counted.
func histogramBeyond(now time.Time) *otlp.Metric {
	return &otlp.Metric{Name: "took", Data: &otlp.Metric_ExponentialHistogram{ExponentialHistogram: &otlp.ExponentialHistogram{AggregationTemporality: cumulative, DataPoints: []*otlp.ExponentialHistogramDataPoint{{
		TimeUnixNano: uint64(now.UnixNano()), Count: 1, Positive: &otlp.ExponentialHistogramDataPoint_Buckets{BucketCounts: []uint64{7}},
	}}}}}
}

func TestAnAppHasItsLimitOfSeries(t *testing.T) {
	s := open(t, metrics.Options{SeriesPerApp: 5})
	now := time.Now()
	var all []*otlp.Metric
	for i := range 20 {
		all = append(all, sum(fmt.Sprint("orders", i), cumulative, now, now, 1))
	}
	p := take(t, New(s), of(all...))
	if p.GetRejectedDataPoints() == 0 || !strings.Contains(p.GetErrorMessage(), "metrics.series_per_app") {
		t.Errorf("got %v", p)
	}
	if got := ask(t, s, now, `count({app="shop"})`); !strings.Contains(got, "=> 5 @") {
		t.Errorf("got %s series", got)
	}
}

type commonKV = common.KeyValue

func said(key, value string) *commonKV {
	return attr(key, &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}})
}
