package otlp

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"naru/internal/door/sender"
	"naru/internal/fault"
	"naru/internal/observe/traces"
)

type senders struct{}

func (senders) Sender(_ context.Context, a sender.Asked) (sender.Sender, error) {
	switch a.Token {
	case "shop":
		return sender.Sender{Owner: traces.Owner{Space: "space1", App: "shop", Instance: "i1"}}, nil
	case "":
		return sender.Sender{}, fault.New(fault.Unauthenticated, "", "a token is needed").WithTry("naru tokens create NAME")
	}
	return sender.Sender{}, fault.New(fault.Denied, "", "not yours")
}

// full is a store on a full disk.
type full struct{}

func (full) Append(context.Context, traces.Owner, []traces.Span) (traces.Taken, error) {
	return traces.Taken{}, fault.New(fault.Unavailable, "", "the disk is full")
}

type world struct {
	store   *traces.Store
	url     string
	metrics int
}

func newWorld(t *testing.T, spans Spans) *world {
	t.Helper()
	w := &world{}
	var err error
	w.store, err = traces.Open(traces.Options{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, w.store.Close()) })
	if spans == nil {
		spans = w.store
	}
	d := New(Config{BodyBytes: 1 << 20, Metrics: func(_ context.Context, from sender.Sender, in *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
		if from.Owner.App == "shop" {
			w.metrics += len(in.GetResourceMetrics())
		}
		return &metricspb.ExportMetricsServiceResponse{}, nil
	}}, senders{}, spans, slog.New(slog.DiscardHandler))
	srv := httptest.NewUnstartedServer(d)
	srv.Config.Protocols = &http.Protocols{}
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	traceID = []byte("0123456789abcdef")
	spanID  = []byte("01234567")
)

func word(v string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}}
}

func request(start time.Time) *tracepb.ExportTraceServiceRequest {
	ns := uint64(start.UnixNano())
	list := &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{
		word("a"), {Value: &common.AnyValue_IntValue{IntValue: 1}}, {Value: &common.AnyValue_BoolValue{BoolValue: true}},
	}}}}
	return &tracepb.ExportTraceServiceRequest{ResourceSpans: []*otlp.ResourceSpans{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{{Key: "service.name", Value: word("shop")}, {Key: "service.version", Value: word("v1")}}},
		ScopeSpans: []*otlp.ScopeSpans{{Scope: &common.InstrumentationScope{Name: "lib"}, Spans: []*otlp.Span{{
			TraceId: traceID, SpanId: spanID, ParentSpanId: []byte("76543210"), Name: "GET /", Kind: otlp.Span_SPAN_KIND_CLIENT,
			StartTimeUnixNano: ns, EndTimeUnixNano: ns + 5e6,
			Attributes: []*common.KeyValue{{Key: "server.address", Value: word("stock.example")}, {Key: "list", Value: list}, {Key: "none"},
				{Key: "half", Value: &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: 0.5}}}},
			Events: []*otlp.Span_Event{{TimeUnixNano: ns + 1e6, Name: "exception", Attributes: []*common.KeyValue{{Key: "exception.type", Value: word("boom")}}}},
			Links:  []*otlp.Span_Link{{TraceId: traceID, SpanId: spanID}, {TraceId: []byte("short")}},
			Status: &otlp.Status{Code: otlp.Status_STATUS_CODE_ERROR, Message: "no"},
		}}}},
	}}}
}

// kept is what became of request.
func kept(start time.Time) traces.Span {
	return traces.Span{
		Trace: traces.ID(traceID), ID: traces.SpanID(spanID), Parent: traces.SpanID([]byte("76543210")), Owner: traces.Owner{Space: "space1", App: "shop", Instance: "i1"},
		Service: "shop", Name: "GET /", Kind: traces.Client, Remote: "stock.example", Start: start.UTC(), Took: 5 * time.Millisecond, Error: true, Message: "no",
		Tags: []traces.Tag{{Key: "server.address", Value: "stock.example"}, {Key: "list", Value: `["a",1,true]`}, {Key: "none"}, {Key: "half", Value: "0.5"},
			{Key: "service.version", Value: "v1"}, {Key: "otel.scope.name", Value: "lib"}},
		Events: []traces.Event{{Time: start.Add(time.Millisecond).UTC(), Name: "exception", Tags: []traces.Tag{{Key: "exception.type", Value: "boom"}}}},
		Links:  []traces.Link{{Trace: traces.ID(traceID), Span: traces.SpanID(spanID)}},
	}
}

func (w *world) spans(t *testing.T) []traces.Span {
	t.Helper()
	got, err := w.store.Traces(t.Context(), traces.Reader{All: true}, traces.ID(traceID))
	must(t, err)
	if len(got) != 1 {
		t.Fatalf("there are %d traces", len(got))
	}
	return got[0].Spans
}

func (w *world) post(t *testing.T, path, token, kind, encoding string, body []byte) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("X-Naru-Token", token)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	said, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(said)
}

func packed(b []byte) []byte {
	var out bytes.Buffer
	z := stdgzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

// spanJSON is what exporters of JSON send: ids in hexadecimal, numbers as text,
// kinds as numbers, and fields of versions to come.
const spanJSON = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}],"entityRefs":[]},"scopeSpans":[{"spans":[{
	"traceId":"30313233343536373839616263646566","spanId":"3031323334353637","parentSpanId":"","name":"GET /","kind":2,"tomorrow":true,
	"startTimeUnixNano":"%s","endTimeUnixNano":"%s","status":{"code":2},"links":[{"traceId":"30313233343536373839616263646566","spanId":"3031323334353637"}]}]}]}]}`

func TestOverHTTP(t *testing.T) {
	now := time.Now()
	body, err := proto.Marshal(request(now))
	must(t, err)
	for name, encoding := range map[string]string{"plain": "", "packed": "gzip"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			sent := body
			if encoding != "" {
				sent = packed(body)
			}
			res, said := w.post(t, "/v1/traces", "shop", "application/x-protobuf", encoding, sent)
			var out tracepb.ExportTraceServiceResponse
			must(t, proto.Unmarshal([]byte(said), &out))
			if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/x-protobuf" || out.GetPartialSuccess().GetRejectedSpans() != 0 {
				t.Errorf("%s, %q", res.Status, said)
			}
			want := kept(now)
			if got := w.spans(t); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
				t.Errorf("kept %+v\nwant %+v", got, want)
			}
		})
	}
	t.Run("JSON", func(t *testing.T) {
		w := newWorld(t, nil)
		ns := func(at time.Time) string { return strconv.FormatInt(at.UnixNano(), 10) }
		res, said := w.post(t, "/v1/traces", "shop", "application/json; charset=utf-8", "", []byte(strings.Replace(strings.Replace(spanJSON, "%s", ns(now), 1), "%s", ns(now.Add(time.Second)), 1)))
		if res.StatusCode != http.StatusOK || said != "{}" {
			t.Errorf("%s, %q", res.Status, said)
		}
		got := w.spans(t)
		if len(got) != 1 || got[0].Kind != traces.Server || got[0].Took != time.Second || !got[0].Error || len(got[0].Links) != 1 || got[0].ID != traces.SpanID(spanID) {
			t.Errorf("kept %+v", got)
		}
	})
	t.Run("metrics", func(t *testing.T) {
		w := newWorld(t, nil)
		if res, said := w.post(t, "/v1/metrics", "shop", "application/json", "", []byte(`{"resourceMetrics":[{}]}`)); res.StatusCode != http.StatusOK || w.metrics != 1 {
			t.Errorf("%s, %q; %d", res.Status, said, w.metrics)
		}
	})
}

func TestWhatIsRefused(t *testing.T) {
	late := request(time.Now().AddDate(-1, 0, 0))
	good, err := proto.Marshal(request(time.Now()))
	must(t, err)
	old, err := proto.Marshal(late)
	must(t, err)
	for name, tc := range map[string]struct {
		path, token, kind string
		body              []byte
		spans             Spans
		status            int
		says              string
	}{
		"no token":        {"/v1/traces", "", "application/json", []byte("{}"), nil, 401, "a token is needed; try: naru tokens create NAME"},
		"another's token": {"/v1/traces", "stock", "application/json", []byte("{}"), nil, 403, "not yours"},
		"no span at all":  {"/v1/traces", "shop", "application/json", []byte("{}"), nil, 200, "{}"},
		"no JSON":         {"/v1/traces", "shop", "application/json", []byte("{"), nil, 400, "no export request"},
		"no hexadecimal":  {"/v1/traces", "shop", "application/json", []byte(strings.ReplaceAll(spanJSON, "3031323334353637", "xyzxyzxyzxyzxyzx")), nil, 400, "no export request"},
		"no protobuf":     {"/v1/traces", "shop", "application/x-protobuf", []byte("hello"), nil, 400, "no export request"},
		"another kind":    {"/v1/traces", "shop", "text/plain", []byte("hello"), nil, 415, "application/json"},
		"too large":       {"/v1/traces", "shop", "application/json", make([]byte, 2<<20), nil, 413, "more than"},
		"a full disk":     {"/v1/traces", "shop", "application/x-protobuf", good, full{}, 503, "the disk is full"},
		"of last year":    {"/v1/traces", "shop", "application/x-protobuf", old, nil, 200, "traces.days"},
		"no such path":    {"/v1/logs", "shop", "application/json", []byte("{}"), nil, 404, "POST /v1/traces"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.spans)
			res, said := w.post(t, tc.path, tc.token, tc.kind, "", tc.body)
			if res.StatusCode != tc.status || !strings.Contains(said, tc.says) {
				t.Errorf("%s, %q; want %d, %q", res.Status, said, tc.status, tc.says)
			}
			if tc.status == 503 && res.Header.Get("Retry-After") == "" {
				t.Error("it does not say when to try again")
			}
		})
	}
}

func TestOverGRPC(t *testing.T) {
	now := time.Now()
	w := newWorld(t, nil)
	conn, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(w.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer func() { _ = conn.Close() }()
	c := tracepb.NewTraceServiceClient(conn)
	as := func(token string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "x-naru-token", token)
	}
	if _, err := c.Export(as("shop"), request(now), grpc.UseCompressor(gzip.Name)); err != nil {
		t.Fatal(err)
	}
	if got, want := w.spans(t), kept(now); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("kept %+v\nwant %+v", got, want)
	}
	out, err := c.Export(as("shop"), request(now.AddDate(-1, 0, 0)))
	if err != nil || out.GetPartialSuccess().GetRejectedSpans() != 1 || !strings.Contains(out.GetPartialSuccess().GetErrorMessage(), "traces.days") {
		t.Errorf("of last year: %v, %v", out, err)
	}
	if _, err := c.Export(as(""), request(now)); status.Code(err) != codes.Unauthenticated {
		t.Errorf("no token: %v", err)
	}
	if _, err := c.Export(as("stock"), request(now)); status.Code(err) != codes.PermissionDenied {
		t.Errorf("another's: %v", err)
	}
	large := request(now)
	large.ResourceSpans[0].ScopeSpans[0].Spans[0].Name = strings.Repeat("x", 2<<20)
	if _, err := c.Export(as("shop"), large, grpc.UseCompressor(gzip.Name)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v", err)
	}
	if _, err := metricspb.NewMetricsServiceClient(conn).Export(as("shop"), &metricspb.ExportMetricsServiceRequest{}); err != nil {
		t.Errorf("metrics: %v", err)
	}
}
