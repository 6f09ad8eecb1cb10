// Command measured is an app that is instrumented: it shows metrics at /metrics,
// and sends others with OpenTelemetry's SDK, which finds in its environment where to.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

func main() {
	orders, err := instrument()
	if err != nil {
		log.Fatal(err)
	}
	var visits atomic.Int64
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE visits_total counter\nvisits_total %d\n", visits.Load())
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		orders.Add(r.Context(), 2)
		fmt.Fprintln(w, "measured", os.Getenv("RELEASE"))
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}

func instrument() (metric.Int64Counter, error) {
	e, err := otlpmetrichttp.New(context.Background())
	if err != nil {
		return nil, err
	}
	p := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(e, sdk.WithInterval(500*time.Millisecond))))
	return p.Meter("measured").Int64Counter("orders")
}
