package otlp

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"naru/internal/observe/traces"
)

// spansOf are the spans of a request.
func spansOf(in *tracepb.ExportTraceServiceRequest) (out []traces.Span) {
	for _, rs := range in.GetResourceSpans() {
		service := "unknown_service"
		var resource []traces.Tag
		for _, kv := range rs.GetResource().GetAttributes() {
			if kv.GetKey() == "service.name" {
				service = cmp.Or(text(kv.GetValue()), service)
				continue
			}
			resource = append(resource, traces.Tag{Key: kv.GetKey(), Value: text(kv.GetValue())})
		}
		for _, ss := range rs.GetScopeSpans() {
			of := resource[:len(resource):len(resource)]
			if name := ss.GetScope().GetName(); name != "" {
				of = append(of, traces.Tag{Key: "otel.scope.name", Value: name})
			}
			for _, s := range ss.GetSpans() {
				out = append(out, spanOf(s, service, of))
			}
		}
	}
	return out
}

// kinds are our kinds of span.
var kinds = map[otlp.Span_SpanKind]traces.Kind{
	otlp.Span_SPAN_KIND_SERVER: traces.Server, otlp.Span_SPAN_KIND_CLIENT: traces.Client,
	otlp.Span_SPAN_KIND_PRODUCER: traces.Producer, otlp.Span_SPAN_KIND_CONSUMER: traces.Consumer,
}

func spanOf(s *otlp.Span, service string, resource []traces.Tag) traces.Span {
	out := traces.Span{
		Service: service, Name: s.GetName(), Kind: kinds[s.GetKind()], Start: instant(s.GetStartTimeUnixNano()),
		Error: s.GetStatus().GetCode() == otlp.Status_STATUS_CODE_ERROR, Message: s.GetStatus().GetMessage(),
	}
	// Ids of another length are none: the store refuses and counts such spans.
	if b := s.GetTraceId(); len(b) == len(out.Trace) {
		out.Trace = traces.ID(b)
	}
	if b := s.GetSpanId(); len(b) == len(out.ID) {
		out.ID = traces.SpanID(b)
	}
	if b := s.GetParentSpanId(); len(b) == len(out.Parent) {
		out.Parent = traces.SpanID(b)
	}
	out.Took = took(s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
	out.Tags = append(tags(s.GetAttributes()), resource...)
	if out.Kind == traces.Client || out.Kind == traces.Producer {
		out.Remote = remote(&out)
	} else {
		out.Remote = out.Tag("peer.service")
	}
	for _, e := range s.GetEvents() {
		out.Events = append(out.Events, traces.Event{Time: instant(e.GetTimeUnixNano()), Name: e.GetName(), Tags: tags(e.GetAttributes())})
	}
	for _, l := range s.GetLinks() {
		var one traces.Link
		if len(l.GetTraceId()) == len(one.Trace) && len(l.GetSpanId()) == len(one.Span) {
			one.Trace, one.Span = traces.ID(l.GetTraceId()), traces.SpanID(l.GetSpanId())
			out.Links = append(out.Links, one)
		}
	}
	return out
}

// remote is the service that a span calls, as far as it says it: by OpenTelemetry's
// words of today and of before.
func remote(s *traces.Span) string {
	name := cmp.Or(s.Tag("peer.service"), s.Tag("db.system.name"), s.Tag("db.system"), s.Tag("messaging.system"), s.Tag("server.address"), s.Tag("net.peer.name"))
	if net.ParseIP(name) != nil {
		return "" // an address says nothing for long
	}
	return name
}

// instant is a time in nanoseconds since 1970; one that is too large is the last
// there is, which the store refuses.
func instant(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(min(ns, math.MaxInt64))).UTC()
}

func took(start, end uint64) time.Duration {
	if end < start {
		return -1
	}
	return time.Duration(min(end-start, math.MaxInt64))
}

func tags(all []*common.KeyValue) []traces.Tag {
	out := make([]traces.Tag, 0, len(all)+8)
	for _, kv := range all {
		out = append(out, traces.Tag{Key: kv.GetKey(), Value: text(kv.GetValue())})
	}
	return out
}

// text is a value as people read it.
func text(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *common.AnyValue_BytesValue:
		return base64.StdEncoding.EncodeToString(v.BytesValue)
	case *common.AnyValue_ArrayValue, *common.AnyValue_KvlistValue:
	default:
		return "" // none, or one of a version to come
	}
	b, err := json.Marshal(plain(v, 0))
	if err != nil {
		return "" // a number that JSON has not
	}
	return string(b)
}

// deepest bounds lists in lists.
const deepest = 8

// plain is a value for JSON.
func plain(v *common.AnyValue, depth int) any {
	switch one := v.GetValue().(type) {
	case *common.AnyValue_ArrayValue:
		out := []any{}
		for _, e := range one.ArrayValue.GetValues() {
			if depth < deepest {
				out = append(out, plain(e, depth+1))
			}
		}
		return out
	case *common.AnyValue_KvlistValue:
		out := map[string]any{}
		for _, kv := range one.KvlistValue.GetValues() {
			if depth < deepest {
				out[kv.GetKey()] = plain(kv.GetValue(), depth+1)
			}
		}
		return out
	case *common.AnyValue_IntValue:
		return one.IntValue
	case *common.AnyValue_BoolValue:
		return one.BoolValue
	}
	return text(v)
}

// hexadecimal corrects ids of a request that was JSON: there they are
// hexadecimal, while protojson reads base64. What it made of them is made undone.
func hexadecimal(in proto.Message) error {
	var err error
	id := func(b *[]byte) {
		if err != nil || len(*b) == 0 {
			return
		}
		digits := base64.StdEncoding.EncodeToString(*b)
		if *b, err = hex.DecodeString(digits); err != nil {
			err = fmt.Errorf("%q is no id: %w", digits, err)
		}
	}
	exemplars := func(all []*metrics.Exemplar) {
		for _, e := range all {
			id(&e.TraceId)
			id(&e.SpanId)
		}
	}
	switch in := in.(type) {
	case *tracepb.ExportTraceServiceRequest:
		for _, rs := range in.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					id(&s.TraceId)
					id(&s.SpanId)
					id(&s.ParentSpanId)
					for _, l := range s.GetLinks() {
						id(&l.TraceId)
						id(&l.SpanId)
					}
				}
			}
		}
	case *metricspb.ExportMetricsServiceRequest:
		for _, rm := range in.GetResourceMetrics() {
			for _, sm := range rm.GetScopeMetrics() {
				for _, m := range sm.GetMetrics() {
					for _, p := range append(m.GetGauge().GetDataPoints(), m.GetSum().GetDataPoints()...) {
						exemplars(p.GetExemplars())
					}
					for _, p := range m.GetHistogram().GetDataPoints() {
						exemplars(p.GetExemplars())
					}
					for _, p := range m.GetExponentialHistogram().GetDataPoints() {
						exemplars(p.GetExemplars())
					}
				}
			}
		}
	}
	return err
}
