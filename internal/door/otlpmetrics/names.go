package otlpmetrics

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/model/labels"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// The attributes of a resource that say whose series they are, and the labels
// that Prometheus knows for that.
const (
	serviceName      = "service.name"
	serviceNamespace = "service.namespace"
	serviceInstance  = "service.instance.id"
)

// nameOf is what Prometheus calls a metric, unit and _total at its end.
func nameOf(m *otlp.Metric) (string, error) {
	namer := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	name, err := namer.Build(otlptranslator.Metric{Name: m.GetName(), Unit: m.GetUnit(), Type: kindOf(m)})
	if err != nil {
		return "", fmt.Errorf("a metric is called %q, which makes no name", clip(m.GetName()))
	}
	return name, nil
}

func kindOf(m *otlp.Metric) otlptranslator.MetricType {
	switch d := m.GetData().(type) {
	case *otlp.Metric_Gauge:
		return otlptranslator.MetricTypeGauge
	case *otlp.Metric_Sum:
		if d.Sum.GetIsMonotonic() {
			return otlptranslator.MetricTypeMonotonicCounter
		}
		return otlptranslator.MetricTypeNonMonotonicCounter
	case *otlp.Metric_Histogram:
		return otlptranslator.MetricTypeHistogram
	case *otlp.Metric_ExponentialHistogram:
		return otlptranslator.MetricTypeExponentialHistogram
	case *otlp.Metric_Summary:
		return otlptranslator.MetricTypeSummary
	}
	return otlptranslator.MetricTypeUnknown
}

// typeOf is Prometheus's word for what a metric is.
func typeOf(m *otlp.Metric) string {
	switch d := m.GetData().(type) {
	case *otlp.Metric_Sum:
		if d.Sum.GetIsMonotonic() {
			return "counter"
		}
		return "gauge"
	case *otlp.Metric_Gauge:
		return "gauge"
	case *otlp.Metric_Histogram, *otlp.Metric_ExponentialHistogram:
		return "histogram"
	case *otlp.Metric_Summary:
		return "summary"
	}
	return "unknown"
}

// label is what an attribute is called as a label.
func label(attribute string) (string, error) {
	namer := otlptranslator.LabelNamer{}
	name, err := namer.Build(attribute)
	if err != nil || strings.HasPrefix(name, "__") {
		return "", fmt.Errorf("the attribute %q makes no label", clip(attribute))
	}
	if strings.HasPrefix(name, "_") {
		name = "key" + name
	}
	return name, nil
}

// attributes sets labels from attributes. Two attributes that are one label have
// their values joined, in the order of their names.
func attributes(b *labels.Builder, all []*common.KeyValue, except ...string) error {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b *common.KeyValue) int { return strings.Compare(a.GetKey(), b.GetKey()) })
	seen := map[string]bool{}
	for _, kv := range sorted {
		if slices.Contains(except, kv.GetKey()) {
			continue
		}
		name, err := label(kv.GetKey())
		if err != nil {
			return err
		}
		value := text(kv.GetValue())
		if seen[name] {
			value = b.Get(name) + ";" + value
		}
		seen[name] = true
		b.Set(name, value)
	}
	return nil
}

// identity sets job and instance, which say what a resource is.
func identity(b *labels.Builder, all []*common.KeyValue) {
	name, space, instance := "", "", ""
	for _, kv := range all {
		switch kv.GetKey() {
		case serviceName:
			name = text(kv.GetValue())
		case serviceNamespace:
			space = text(kv.GetValue())
		case serviceInstance:
			instance = text(kv.GetValue())
		}
	}
	if name != "" && space != "" {
		name = space + "/" + name
	}
	b.Set(model.JobLabel, name)
	b.Set(model.InstanceLabel, instance)
}

// ServiceName is what a resource calls its service; "" where it does not say.
func ServiceName(all []*common.KeyValue) string {
	for _, kv := range all {
		if kv.GetKey() == serviceName {
			return text(kv.GetValue())
		}
	}
	return ""
}

// text is an attribute's value as a label has it.
func text(v *common.AnyValue) string {
	switch plain := plain(v).(type) {
	case nil:
		return ""
	case string:
		return plain
	default:
		written, err := json.Marshal(plain)
		if err != nil {
			return "" // a number that is none
		}
		return string(written)
	}
}

// plain is a value as encoding/json knows it.
func plain(v *common.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_DoubleValue:
		if math.IsNaN(v.DoubleValue) || math.IsInf(v.DoubleValue, 0) {
			return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
		}
		return v.DoubleValue
	case *common.AnyValue_BytesValue:
		return base64.StdEncoding.EncodeToString(v.BytesValue)
	case *common.AnyValue_ArrayValue:
		out := []any{}
		for _, e := range v.ArrayValue.GetValues() {
			out = append(out, plain(e))
		}
		return out
	case *common.AnyValue_KvlistValue:
		out := map[string]any{}
		for _, e := range v.KvlistValue.GetValues() {
			out[e.GetKey()] = plain(e.GetValue())
		}
		return out
	}
	return nil
}

func clip(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
