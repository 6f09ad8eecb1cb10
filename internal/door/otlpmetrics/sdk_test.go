package otlpmetrics

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	api "go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"

	"naru/internal/door/otlp"
	"naru/internal/door/sender"
	"naru/internal/fault"
	"naru/internal/observe/metrics"
)

// till is who has the token of the shop's instance.
type till struct{}

func (till) Sender(_ context.Context, a sender.Asked) (sender.Sender, error) {
	if a.Token != "good" {
		return sender.Sender{}, fault.New(fault.Unauthenticated, "", "the token is not valid")
	}
	return sender.Sender{Place: shop}, nil
}

// serve is the door to a store.
func serve(t *testing.T, s *metrics.Store) *httptest.Server {
	t.Helper()
	r := New(s)
	d := otlp.New(otlp.Config{Metrics: func(ctx context.Context, from sender.Sender, in *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
		return r.Take(ctx, from.Place, in)
	}}, till{}, nil, slog.New(slog.DiscardHandler))
	srv := httptest.NewUnstartedServer(d)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv.Config.Protocols = protocols
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

// TestTheSDKOfOpenTelemetry lets an app that is instrumented with OpenTelemetry's
// own Go SDK send, over HTTP and over gRPC.
func TestTheSDKOfOpenTelemetry(t *testing.T) {
	s := open(t, metrics.Options{})
	srv := serve(t, s)
	address, token := strings.TrimPrefix(srv.URL, "http://"), map[string]string{"x-naru-token": "good"}
	overHTTP, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpoint(address), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithHeaders(token), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	if err != nil {
		t.Fatal(err)
	}
	overGRPC, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithEndpoint(address), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithHeaders(token))
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]sdk.Exporter{"http": overHTTP, "grpc": overGRPC} {
		t.Run(name, func(t *testing.T) {
			measure(t, e, name)
			now := time.Now()
			for query, want := range map[string]string{
				`orders_total{app="shop",space_id="s1"}`:                               `kind="book"`,
				`queue_length{app="shop"}`:                                             "=> 7 @",
				`request_duration_seconds_count{app="shop"}`:                           "=> 2 @",
				`histogram_quantile(0.5, request_duration_seconds_bucket{app="shop"})`: "=> ",
				`histogram_count(request_size_bytes{app="shop"})`:                      "=> 3 @",
				`histogram_quantile(1, request_size_bytes{app="shop"}) > 900 < 1100`:   "=> 1",
				`target_info{app="shop"}`:                                              `host_name="h1"`,
			} {
				query = strings.Replace(query, `app="shop"`, `app="shop",job="till-`+name+`"`, 1)
				if got := ask(t, s, now, query); !strings.Contains(got, want) {
					t.Errorf("%s: got %q, want %s", query, got, want)
				}
			}
			found, err := s.Exemplars(t.Context(), metrics.Reader{All: true}, `request_duration_seconds_bucket{job="till-`+name+`"}`, now.Add(-time.Minute), now.Add(time.Minute))
			if err != nil || len(found) != 1 || found[0].SeriesLabels.Get("le") != "5" || found[0].Exemplars[0].Labels.Get("trace_id") != traceID.String() {
				t.Errorf("exemplars: %v, %+v", err, found)
			}
		})
	}
}

// traceID is that of the first request that was timed.
var traceID = trace.TraceID{0xab, 15: 1}

// measure counts, gauges and times, and sends it all.
func measure(t *testing.T, e sdk.Exporter, name string) {
	t.Helper()
	reader := sdk.NewPeriodicReader(e, sdk.WithInterval(time.Hour))
	res := resource.NewSchemaless(attribute.String("service.name", "till-"+name), attribute.String("host.name", "h1"))
	exponential := sdk.NewView(sdk.Instrument{Name: "request.size"}, sdk.Stream{Aggregation: sdk.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}})
	provider := sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithResource(res), sdk.WithView(exponential))
	m := provider.Meter("test")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	orders, err := m.Int64Counter("orders", api.WithDescription("what was ordered"))
	must(err)
	queue, err := m.Int64Gauge("queue.length")
	must(err)
	took, err := m.Float64Histogram("request.duration", api.WithUnit("s"))
	must(err)
	size, err := m.Float64Histogram("request.size", api.WithUnit("By"))
	must(err)
	ctx := t.Context()
	orders.Add(ctx, 3, api.WithAttributes(attribute.String("kind", "book")))
	queue.Record(ctx, 7)
	took.Record(trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})), 0.2)
	took.Record(ctx, 0.4)
	for _, v := range []float64{0, 10, 1000} {
		size.Record(ctx, v)
	}
	must(provider.ForceFlush(ctx))
	must(provider.Shutdown(ctx))
}

func TestTheSDKIsToldWhatIsWrong(t *testing.T) {
	s := open(t, metrics.Options{})
	srv := serve(t, s)
	address := strings.TrimPrefix(srv.URL, "http://")
	e, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpoint(address), otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithHeaders(map[string]string{"x-naru-token": "good"}), otlpmetrichttp.WithTemporalitySelector(func(sdk.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }))
	if err != nil {
		t.Fatal(err)
	}
	reader := sdk.NewManualReader(sdk.WithTemporalitySelector(e.Temporality))
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	c, err := provider.Meter("test").Int64Counter("orders")
	if err != nil {
		t.Fatal(err)
	}
	c.Add(t.Context(), 1)
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	if err := e.Export(t.Context(), &all); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative") {
		t.Errorf("told: %v", err)
	}
}

func TestJSONAndBadRequests(t *testing.T) {
	s := open(t, metrics.Options{})
	srv := serve(t, s)
	for name, c := range map[string]struct {
		token, kind, body string
		status            int
	}{
		"json":          {"good", "application/json", `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","gauge":{"dataPoints":[{"asInt":"5","exemplars":[{"traceId":"5b8efff798038103d269b633813fc60c"}]}]}}]}],"new":1}]}`, 200},
		"nobody":        {"", "application/json", `{}`, 401},
		"no protobuf":   {"good", "application/x-protobuf", "\xff\xff\xff", 400},
		"no json":       {"good", "application/json", `{"resourceMetrics":7}`, 400},
		"another kind":  {"good", "text/plain", "x", 415},
		"empty is fine": {"good", "application/x-protobuf", "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/v1/metrics", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", c.kind)
			req.Header.Set("X-Naru-Token", c.token)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != c.status {
				t.Errorf("status %d, want %d", res.StatusCode, c.status)
			}
		})
	}
	if got := ask(t, s, time.Now(), `g{app="shop"}`); !strings.Contains(got, "=> 5 @") {
		t.Errorf("got %q", got)
	}
}
