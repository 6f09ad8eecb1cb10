// Command traced is an app that reports spans, by OpenTelemetry's library or by
// Zipkin's, as its documentation says and with nothing but what its environment
// tells. It is a module of its own: naru does not need these libraries.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/openzipkin/zipkin-go"
	zipkinhttp "github.com/openzipkin/zipkin-go/middleware/http"
	reporter "github.com/openzipkin/zipkin-go/reporter/http"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

func main() {
	wrap, client := openTelemetry()
	if os.Getenv("LIBRARY") == "zipkin" {
		wrap, client = zipkins()
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("trace_id=%s path=%s\n", traceOf(r.Context()), r.URL.Path)
		if r.URL.Path == "/fail" {
			http.Error(w, "cannot", http.StatusInternalServerError)
			return
		}
		next := r.URL.Query().Get("next") // where the next app is
		if next == "" {
			_, _ = io.WriteString(w, "the end\n")
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, next, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		res, err := client.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = res.Body.Close() }()
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine\n") })
	mux.HandleFunc("/address", func(w http.ResponseWriter, r *http.Request) { // as other apps of the space reach it
		_, _ = fmt.Fprint(w, r.Context().Value(http.LocalAddrContextKey))
	})
	mux.Handle("/", wrap(app))
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), mux))
}

type doer interface {
	Do(r *http.Request) (*http.Response, error)
}

func traceOf(ctx context.Context) string {
	if s := zipkin.SpanFromContext(ctx); s != nil {
		return s.Context().TraceID.String()
	}
	return oteltrace.SpanContextFromContext(ctx).TraceID().String()
}

// openTelemetry reports over HTTP, or with PROTOCOL=grpc over gRPC.
func openTelemetry() (func(http.Handler) http.Handler, doer) {
	ctx := context.Background()
	var exporter *otlptrace.Exporter
	var err error
	if os.Getenv("PROTOCOL") == "grpc" {
		exporter, err = otlptracegrpc.New(ctx)
	} else {
		exporter, err = otlptracehttp.New(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithBatcher(exporter, trace.WithBatchTimeout(200*time.Millisecond))))
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader))))
	return func(h http.Handler) http.Handler { return otelhttp.NewHandler(h, "visit") },
		&http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
}

// zipkins reports to what ZIPKIN_ENDPOINT names.
func zipkins() (func(http.Handler) http.Handler, doer) {
	local, err := zipkin.NewEndpoint(os.Getenv("OTEL_SERVICE_NAME"), "")
	if err != nil {
		log.Fatal(err)
	}
	tracer, err := zipkin.NewTracer(reporter.NewReporter(os.Getenv("ZIPKIN_ENDPOINT"), reporter.BatchInterval(200*time.Millisecond)),
		zipkin.WithLocalEndpoint(local), zipkin.WithTraceID128Bit(true), zipkin.WithSharedSpans(os.Getenv("SHARED") != ""))
	if err != nil {
		log.Fatal(err)
	}
	client, err := zipkinhttp.NewClient(tracer, zipkinhttp.ClientTrace(true))
	if err != nil {
		log.Fatal(err)
	}
	return zipkinhttp.NewServerMiddleware(tracer, zipkinhttp.TagResponseSize(true)), client
}
