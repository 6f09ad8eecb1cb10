package config

import (
	"fmt"
	"path/filepath"
	"time"
)

// Traces bounds which requests are traced, and what is kept of traces.
type Traces struct {
	Sample        float64       `key:"sample" doc:"share of the requests that have a trace, from 0 to 1, where neither visitors nor routes say; 0 traces what visitors say and nothing else"`
	First         int           `key:"first" doc:"requests of each route and second that have one whatever traces.sample is, so that apps which are seldom asked have traces, too; not where that is 0"`
	Days          int           `key:"days" doc:"days for which spans are kept, today included"`
	Bytes         Bytes         `key:"bytes" doc:"disk that all kept spans may take; the oldest day goes first, whatever traces.days says"`
	Rate          int           `key:"rate" doc:"spans a second of one app; ten seconds' worth may come at once, more are refused, and its log says so"`
	SpanBytes     Bytes         `key:"span_bytes" doc:"largest span; a larger one is refused"`
	Attributes    int           `key:"attributes" doc:"attributes, events and links that are kept of a span; more are cut off"`
	ValueBytes    Bytes         `key:"value_bytes" doc:"longest value of an attribute; a longer one is cut"`
	SpansPerTrace int           `key:"spans_per_trace" doc:"spans of one trace; more are refused"`
	Ahead         time.Duration `key:"ahead" doc:"how far in the future a span may start; what is further is refused, as what is older than traces.days"`
	Search        Bytes         `key:"search" doc:"packed spans that one search looks through; it says where it stopped"`
	BodyBytes     Bytes         `key:"body_bytes" doc:"largest request with spans or metrics, packed and unpacked"`
	Port          int           `key:"port" doc:"port of the bridge's address at which instances send spans and metrics, by OTLP over HTTP and gRPC and as Zipkin; their environment names it; 0: none, and they cannot reach the platform"`
}

func (t Traces) complaints() []error {
	list := []error{
		factor("traces.sample", t.Sample, 1), within("traces.first", t.First, 0, 1_000_000),
		within("traces.days", t.Days, 1, 3650), notBelow("traces.bytes", t.Bytes, 16*MiB), within("traces.rate", t.Rate, 1, 10_000_000),
		notBelow("traces.span_bytes", t.SpanBytes, KiB), notAbove("traces.span_bytes", t.SpanBytes, MiB), within("traces.attributes", t.Attributes, 1, 10_000),
		notBelow("traces.value_bytes", t.ValueBytes, 16), notAbove("traces.value_bytes", t.ValueBytes, MiB), within("traces.spans_per_trace", t.SpansPerTrace, 1, 1_000_000),
		notBelow("traces.search", t.Search, MiB), notBelow("traces.body_bytes", t.BodyBytes, 64*KiB), notAbove("traces.body_bytes", t.BodyBytes, GiB), within("traces.port", t.Port, 0, 65535),
	}
	if t.Ahead < 0 {
		list = append(list, fmt.Errorf("traces.ahead: must not be below 0 (got %s)", t.Ahead))
	}
	return list
}

// TracesDir has the spans, one file a day.
func (c Config) TracesDir() string { return filepath.Join(c.DataDir, "traces") }
