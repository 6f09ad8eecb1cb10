// Package otlp takes spans in OpenTelemetry's protocol, over HTTP and over gRPC,
// and passes metrics in it on.
package otlp

import (
	"context"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // what clients pack requests with
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"naru/internal/door/sender"
	"naru/internal/fault"
	"naru/internal/observe/traces"
)

// Spans keeps spans; *traces.Store does.
type Spans interface {
	Append(ctx context.Context, from traces.Owner, spans []traces.Span) (traces.Taken, error)
}

// Metrics takes metrics of a sender. What is refused is told in the answer.
type Metrics func(ctx context.Context, from sender.Sender, in *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error)

// Config says how the door answers. Zero fields take the defaults named beside
// them.
type Config struct {
	BodyBytes int64   // of a request, packed and unpacked: 16 MiB
	Metrics   Metrics // nil: there is no /v1/metrics
}

// Door answers requests of both kinds at one address; it is an http.Handler.
// gRPC needs HTTP/2.
type Door struct {
	cfg     Config
	senders sender.Senders
	spans   Spans
	log     *slog.Logger
	mux     *http.ServeMux
	grpc    *grpc.Server
}

// New makes a door.
func New(cfg Config, senders sender.Senders, spans Spans, log *slog.Logger) *Door {
	if cfg.BodyBytes <= 0 {
		cfg.BodyBytes = 16 << 20
	}
	d := &Door{cfg: cfg, senders: senders, spans: spans, log: log, mux: http.NewServeMux()}
	d.mux.HandleFunc("POST /v1/traces", serve(d, d.traces))
	d.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(int(cfg.BodyBytes)))
	tracepb.RegisterTraceServiceServer(d.grpc, traceService{d: d})
	if cfg.Metrics != nil {
		d.mux.HandleFunc("POST /v1/metrics", serve(d, d.cfg.Metrics))
		metricspb.RegisterMetricsServiceServer(d.grpc, metricsService{d: d})
	}
	d.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.refuse(w, r, fault.New(fault.NotFound, "", "there is no %s %s here", r.Method, r.URL.Path).WithTry("POST /v1/traces"))
	})
	return d
}

// ServeHTTP answers one request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		d.grpc.ServeHTTP(w, r)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	d.mux.ServeHTTP(w, r)
}

// traces keeps the spans of a request.
func (d *Door) traces(ctx context.Context, from sender.Sender, in *tracepb.ExportTraceServiceRequest) (*tracepb.ExportTraceServiceResponse, error) {
	taken, err := d.spans.Append(ctx, from.Owner, spansOf(in))
	if err != nil {
		return nil, err
	}
	out := &tracepb.ExportTraceServiceResponse{}
	if taken.Refused > 0 {
		out.PartialSuccess = &tracepb.ExportTracePartialSuccess{RejectedSpans: int64(taken.Refused), ErrorMessage: taken.Why}
	}
	return out, nil
}

// message is a request or an answer.
type message[T any] interface {
	proto.Message
	*T
}

// serve answers requests over HTTP, in the form in which they are asked.
func serve[I any, In message[I], Out proto.Message](d *Door, take func(context.Context, sender.Sender, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, err := d.senders.Sender(r.Context(), sender.Of(r.Header.Get, r.RemoteAddr))
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		in := In(new(I))
		if err := d.read(w, r, in); err != nil {
			d.refuse(w, r, err)
			return
		}
		out, err := take(r.Context(), from, in)
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		d.answer(w, r, http.StatusOK, out)
	}
}

// read decodes a request's body.
func (d *Door) read(w http.ResponseWriter, r *http.Request, in proto.Message) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-protobuf" && kind != "application/json" {
		return fault.New(fault.Unsupported, "Content-Type", "only application/x-protobuf and application/json are read here")
	}
	text, err := sender.Body(w, r, d.cfg.BodyBytes)
	if err != nil {
		return err
	}
	if kind == "application/json" {
		if err = (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, in); err == nil {
			err = hexadecimal(in)
		}
	} else {
		err = proto.Unmarshal(text, in)
	}
	if err != nil {
		return fault.New(fault.Invalid, "", "the body is no export request: %v", err).WithCause(err)
	}
	return nil
}

// answer writes in the form in which it was asked.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, code int, out proto.Message) {
	kind, encode := "application/x-protobuf", proto.Marshal
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		kind, encode = "application/json", protojson.Marshal
	}
	text, err := encode(out)
	if err != nil {
		d.log.ErrorContext(r.Context(), "encode answer", "error", err)
		code = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(code)
	_, _ = w.Write(text) // whether the client still reads is its own affair
}

// codesOf are the statuses of our kinds. What is Unavailable is sent again by
// clients.
var codesOf = map[fault.Kind]struct {
	http int
	grpc codes.Code
}{
	fault.Invalid:         {http.StatusBadRequest, codes.InvalidArgument},
	fault.NotFound:        {http.StatusNotFound, codes.NotFound},
	fault.Denied:          {http.StatusForbidden, codes.PermissionDenied},
	fault.Unauthenticated: {http.StatusUnauthorized, codes.Unauthenticated},
	fault.TooLarge:        {http.StatusRequestEntityTooLarge, codes.InvalidArgument},
	fault.Unavailable:     {http.StatusServiceUnavailable, codes.Unavailable},
	fault.Unsupported:     {http.StatusUnsupportedMediaType, codes.InvalidArgument},
	fault.Conflict:        {http.StatusConflict, codes.FailedPrecondition},
}

// statusOf is an error as clients are told.
func (d *Door) statusOf(ctx context.Context, err error) (int, *status.Status) {
	f := fault.Of(err)
	as, ok := codesOf[f.Kind]
	if !ok {
		as.http, as.grpc = http.StatusInternalServerError, codes.Internal
		if ctx.Err() == nil {
			d.log.ErrorContext(ctx, "telemetry request", "error", err)
		}
	}
	text := f.Message
	if f.Field != "" {
		text = f.Field + ": " + text
	}
	if f.Try != "" {
		text += "; try: " + f.Try
	}
	return as.http, status.New(as.grpc, text)
}

func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code, s := d.statusOf(r.Context(), err)
	switch code {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "10")
	}
	d.answer(w, r, code, s.Proto())
}

// call answers a request over gRPC.
func call[In any, Out any](ctx context.Context, d *Door, in In, take func(context.Context, sender.Sender, In) (Out, error)) (out Out, err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	remote := ""
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		remote = p.Addr.String()
	}
	from, err := d.senders.Sender(ctx, sender.Of(func(field string) string {
		if v := md.Get(field); len(v) > 0 {
			return v[0]
		}
		return ""
	}, remote))
	if err == nil {
		out, err = take(ctx, from, in)
	}
	if err != nil {
		_, s := d.statusOf(ctx, err)
		return out, s.Err()
	}
	return out, nil
}

type traceService struct {
	tracepb.UnimplementedTraceServiceServer
	d *Door
}

// Export takes spans.
func (s traceService) Export(ctx context.Context, in *tracepb.ExportTraceServiceRequest) (*tracepb.ExportTraceServiceResponse, error) {
	return call(ctx, s.d, in, s.d.traces)
}

type metricsService struct {
	metricspb.UnimplementedMetricsServiceServer
	d *Door
}

// Export passes metrics on.
func (s metricsService) Export(ctx context.Context, in *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
	return call(ctx, s.d, in, s.d.cfg.Metrics)
}
