package otlpmetrics

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"naru/internal/observe/metrics"
)

// BenchmarkTake takes requests of 1,000 counters with three attributes each, from
// bytes to the store.
func BenchmarkTake(b *testing.B) {
	s := metrics.New(metrics.Options{Dir: b.TempDir()}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	defer func() {
		stop()
		<-done
	}()
	now := time.Now().Add(-time.Hour)
	var all []*otlp.Metric
	for i := range 1000 {
		all = append(all, sum("http.server.requests", cumulative, now, now, 1, said("http.method", "GET"), said("http.route", fmt.Sprint("/", i)), said("status", "200")))
	}
	in := of(all...)
	r := New(s)
	for b.Loop() {
		now = now.Add(time.Millisecond)
		for _, m := range all {
			m.GetSum().DataPoints[0].TimeUnixNano = uint64(now.UnixNano())
		}
		b.StopTimer()
		raw, err := proto.Marshal(in)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		var got collector.ExportMetricsServiceRequest
		if err := proto.Unmarshal(raw, &got); err != nil {
			b.Fatal(err)
		}
		out, err := r.Take(ctx, shop, &got)
		if err != nil || out.PartialSuccess != nil {
			b.Fatal(err, out)
		}
	}
	b.ReportMetric(float64(b.N*len(all))/b.Elapsed().Seconds(), "points/s")
}
