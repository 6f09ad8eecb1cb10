package otlp

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"naru/internal/observe/traces"
)

// BenchmarkExport takes requests of 512 spans with twelve attributes, as
// OpenTelemetry's exporters send them, from their bytes to the disk.
func BenchmarkExport(b *testing.B) {
	st, err := traces.Open(traces.Options{Dir: b.TempDir(), Rate: 1 << 30, Bytes: 1 << 40}, slog.New(slog.DiscardHandler))
	must(b, err)
	b.Cleanup(func() { must(b, st.Close()) })
	d := New(Config{}, senders{}, st, slog.New(slog.DiscardHandler))
	r := rand.New(rand.NewPCG(1, 2))
	const batch = 512
	var bodies [][]byte
	for range 64 {
		rs := &otlp.ResourceSpans{Resource: &resource.Resource{Attributes: []*common.KeyValue{
			{Key: "service.name", Value: word("shop")}, {Key: "service.version", Value: word("v42")}, {Key: "service.instance.id", Value: word("i-1")},
		}}}
		ss := &otlp.ScopeSpans{Scope: &common.InstrumentationScope{Name: "otelhttp"}}
		var trace []byte
		var last []byte
		for i := range batch {
			if i%5 == 0 {
				trace = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.Uint64()), r.Uint64())
				last = nil
			}
			s := &otlp.Span{TraceId: trace, SpanId: binary.BigEndian.AppendUint64(nil, r.Uint64()), ParentSpanId: last, Name: "GET /things/{id}/" + strconv.Itoa(r.IntN(20)), Kind: otlp.Span_SPAN_KIND_SERVER}
			last = s.SpanId
			s.StartTimeUnixNano = uint64(time.Now().Add(-time.Duration(r.IntN(5000)) * time.Millisecond).UnixNano())
			s.EndTimeUnixNano = s.StartTimeUnixNano + uint64(r.ExpFloat64()*20e6)
			for _, kv := range [][2]string{
				{"http.request.method", "GET"}, {"url.scheme", "http"}, {"server.address", "10.64.3.7"}, {"server.port", "8080"}, {"network.peer.address", "10.64.0.1"},
				{"user_agent.original", "Go-http-client/1.1"}, {"http.route", "/things/{id}"}, {"url.path", "/things/" + strconv.Itoa(r.IntN(100_000))},
				{"http.response.status_code", "200"}, {"customer", strconv.Itoa(r.IntN(5000))},
			} {
				s.Attributes = append(s.Attributes, &common.KeyValue{Key: kv[0], Value: word(kv[1])})
			}
			ss.Spans = append(ss.Spans, s)
		}
		rs.ScopeSpans = []*otlp.ScopeSpans{ss}
		body, err := proto.Marshal(&tracepb.ExportTraceServiceRequest{ResourceSpans: []*otlp.ResourceSpans{rs}})
		must(b, err)
		bodies = append(bodies, body)
	}
	b.ResetTimer()
	n := 0
	for i := 0; b.Loop(); i++ {
		req := httptest.NewRequest(http.MethodPost, "/v1/traces", bytes.NewReader(bodies[i%len(bodies)]))
		req.Header.Set("Content-Type", "application/x-protobuf")
		req.Header.Set("X-Naru-Token", "shop")
		rec := httptest.NewRecorder()
		d.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK || rec.Body.Len() > 0 {
			b.Fatal(rec.Code, rec.Body)
		}
		n += batch
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "spans/s")
}
