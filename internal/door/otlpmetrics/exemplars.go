package otlpmetrics

import (
	"encoding/hex"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"

	"naru/internal/observe/metrics"
)

// traceBytes is the size of a trace's id.
const traceBytes = 16

// exemplars keeps those requests that stand for others and have a trace.
func (t *translation) exemplars(s *metrics.Series, all ...*otlp.Exemplar) {
	for _, e := range all {
		if len(e.GetTraceId()) != traceBytes || e.GetTimeUnixNano() == 0 {
			continue
		}
		t.traced = append(t.traced, metrics.Exemplar{
			Series: s, Trace: hex.EncodeToString(e.GetTraceId()), At: time.UnixMilli(int64(e.GetTimeUnixNano() / 1e6)), Value: measured(e),
		})
	}
}

// measured is what an exemplar measured.
func measured(e *otlp.Exemplar) float64 {
	if i, whole := e.GetValue().(*otlp.Exemplar_AsInt); whole {
		return float64(i.AsInt)
	}
	return e.GetAsDouble()
}
