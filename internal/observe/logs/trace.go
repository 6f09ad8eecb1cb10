package logs

import (
	"strings"

	"naru/internal/observe/logs/search"
)

// traceFields are the names under which lines carry the id of their trace:
// OpenTelemetry's (trace_id, traceid), those of Zipkin's libraries (traceId, and
// X-B3-TraceId as the gateway writes it), of Datadog's, and W3C's traceparent.
var traceFields = []string{"trace_id", "traceId", "traceid", "traceID", "trace.id", "dd.trace_id", "traceparent", "x_b3_traceid", "trace"}

// Trace is the id of the trace a line belongs to, 32 lower-case hexadecimal
// digits; "" when it names none. Ids of 64 bits are filled up with zeros.
func (l *Line) Trace() string {
	for _, name := range traceFields {
		if v := search.Field([]byte(l.Text), name); v != "" {
			if id := traceID(v); id != "" {
				return id
			}
		}
	}
	return ""
}

func traceID(v string) string {
	if parts := strings.Split(v, "-"); len(parts) == 4 && len(parts[0]) == 2 { // traceparent
		v = parts[1]
	}
	v = strings.ToLower(v)
	if len(v) == 16 {
		v = strings.Repeat("0", 16) + v
	}
	if len(v) != 32 || strings.Trim(v, "0123456789abcdef") != "" || strings.Trim(v, "0") == "" {
		return ""
	}
	return v
}
