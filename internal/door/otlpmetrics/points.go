package otlpmetrics

import (
	"math"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"

	"naru/internal/observe/metrics"
)

// translation is one request on its way to samples.
type translation struct {
	ours  []labels.Label // where all of it belongs
	now   time.Time
	first func(series uint64) bool

	points  []metrics.Point
	traced  []metrics.Exemplar
	told    map[string]metrics.Metadata
	taken   int            // data points that became samples
	refused map[string]int // data points that did not, by reason

	base *labels.Builder // the labels of the resource at hand
}

func newTranslation(ours []labels.Label, now time.Time, first func(uint64) bool) *translation {
	return &translation{
		ours: ours, now: now, first: first, told: map[string]metrics.Metadata{}, refused: map[string]int{},
		base: labels.NewBuilder(labels.EmptyLabels()),
	}
}

// delta is why counts since the last request are refused: without a memory of
// every series they make no counter, and a lost request would make it wrong.
const delta = "%s counts what is new since the last time (delta temporality); set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative"

// resource translates what one resource measured.
func (t *translation) resource(rm *otlp.ResourceMetrics) {
	of := rm.GetResource().GetAttributes()
	t.base.Reset(labels.EmptyLabels())
	identity(t.base, of)
	who := t.base.Labels()
	latest := int64(0)
	for _, sm := range rm.GetScopeMetrics() {
		for _, m := range sm.GetMetrics() {
			latest = max(latest, t.metric(who, m))
		}
	}
	t.target(who, of, latest)
}

// metric translates one metric, and returns the latest time of it in milliseconds.
func (t *translation) metric(who labels.Labels, m *otlp.Metric) (latest int64) {
	name, err := nameOf(m)
	if err != nil {
		t.refuse(size(m), "%v", err)
		return 0
	}
	if temporality(m) == otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA {
		t.refuse(size(m), delta, clip(m.GetName()))
		return 0
	}
	before := t.taken
	each := func(at uint64, err error) {
		if err != nil {
			t.refuse(1, "%s: %v", clip(m.GetName()), err)
			return
		}
		t.taken++
		latest = max(latest, t.millis(at))
	}
	switch d := m.GetData().(type) {
	case *otlp.Metric_Gauge:
		for _, p := range d.Gauge.GetDataPoints() {
			each(p.GetTimeUnixNano(), t.number(who, name, p, false))
		}
	case *otlp.Metric_Sum:
		for _, p := range d.Sum.GetDataPoints() {
			each(p.GetTimeUnixNano(), t.number(who, name, p, d.Sum.GetIsMonotonic()))
		}
	case *otlp.Metric_Histogram:
		for _, p := range d.Histogram.GetDataPoints() {
			each(p.GetTimeUnixNano(), t.histogram(who, name, p))
		}
	case *otlp.Metric_ExponentialHistogram:
		for _, p := range d.ExponentialHistogram.GetDataPoints() {
			each(p.GetTimeUnixNano(), t.native(who, name, p))
		}
	case *otlp.Metric_Summary:
		for _, p := range d.Summary.GetDataPoints() {
			each(p.GetTimeUnixNano(), t.summary(who, name, p))
		}
	}
	if t.taken > before {
		named, err := metrics.Foreign(nil, labels.FromStrings(model.MetricNameLabel, name))
		if err == nil {
			t.told[named.Get(model.MetricNameLabel)] = metrics.Metadata{Type: typeOf(m), Help: m.GetDescription(), Unit: m.GetUnit()}
		}
	}
	return latest
}

func temporality(m *otlp.Metric) otlp.AggregationTemporality {
	switch d := m.GetData().(type) {
	case *otlp.Metric_Sum:
		return d.Sum.GetAggregationTemporality()
	case *otlp.Metric_Histogram:
		return d.Histogram.GetAggregationTemporality()
	case *otlp.Metric_ExponentialHistogram:
		return d.ExponentialHistogram.GetAggregationTemporality()
	}
	return otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_UNSPECIFIED
}

// size is how many data points a metric has.
func size(m *otlp.Metric) int {
	return len(m.GetGauge().GetDataPoints()) + len(m.GetSum().GetDataPoints()) + len(m.GetHistogram().GetDataPoints()) +
		len(m.GetExponentialHistogram().GetDataPoints()) + len(m.GetSummary().GetDataPoints())
}

// nothing reports that a data point says that there is nothing any more.
func nothing(flags uint32) bool {
	return flags&uint32(otlp.DataPointFlags_DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK) != 0
}

// number translates a gauge, or a sum.
func (t *translation) number(who labels.Labels, name string, p *otlp.NumberDataPoint, counter bool) error {
	s, err := t.series(who, name, p.GetAttributes())
	if err != nil {
		return err
	}
	v := p.GetAsDouble()
	if i, whole := p.GetValue().(*otlp.NumberDataPoint_AsInt); whole {
		v = float64(i.AsInt)
	}
	born := uint64(0)
	if counter {
		born = p.GetStartTimeUnixNano()
	}
	t.add(s, p.GetTimeUnixNano(), born, v, p.GetFlags())
	if counter {
		t.exemplars(s, p.GetExemplars()...)
	}
	return nil
}

// histogram translates one with bounds of its own.
func (t *translation) histogram(who labels.Labels, name string, p *otlp.HistogramDataPoint) error {
	bounds, counts := p.GetExplicitBounds(), p.GetBucketCounts()
	if len(counts) != 0 && len(counts) != len(bounds)+1 {
		return errBuckets
	}
	for i := range bounds {
		if math.IsNaN(bounds[i]) || i > 0 && bounds[i] <= bounds[i-1] {
			return errBounds
		}
	}
	var all []sample
	below := uint64(0)
	for i, b := range bounds {
		if i < len(counts) {
			below += counts[i]
			all = append(all, sample{name + "_bucket", labels.BucketLabel, strconv.FormatFloat(b, 'f', -1, 64), float64(below)})
		}
	}
	count := float64(p.GetCount())
	all = append(all, sample{name + "_bucket", labels.BucketLabel, "+Inf", count}, sample{name: name + "_count", value: count})
	if p.Sum != nil {
		all = append(all, sample{name: name + "_sum", value: p.GetSum()})
	}
	made, err := t.family(who, p.GetAttributes(), p.GetTimeUnixNano(), p.GetStartTimeUnixNano(), p.GetFlags(), all)
	if err != nil {
		return err
	}
	for _, e := range p.GetExemplars() {
		at := 0 // its bucket; behind those with bounds is the one without
		for at < len(bounds) && len(counts) > 0 && measured(e) > bounds[at] {
			at++
		}
		t.exemplars(made[at], e)
	}
	return nil
}

// summary translates quantiles.
func (t *translation) summary(who labels.Labels, name string, p *otlp.SummaryDataPoint) error {
	all := []sample{{name: name + "_count", value: float64(p.GetCount())}, {name: name + "_sum", value: p.GetSum()}}
	for _, q := range p.GetQuantileValues() {
		all = append(all, sample{name, model.QuantileLabel, strconv.FormatFloat(q.GetQuantile(), 'f', -1, 64), q.GetValue()})
	}
	_, err := t.family(who, p.GetAttributes(), p.GetTimeUnixNano(), 0, p.GetFlags(), all)
	return err
}

// sample is one of the series that a data point becomes.
type sample struct {
	name        string
	label, says string // le or quantile; "": none
	value       float64
}

// family adds all series of a data point, or none.
func (t *translation) family(who labels.Labels, of []*common.KeyValue, at, born uint64, flags uint32, all []sample) ([]*metrics.Series, error) {
	made := make([]*metrics.Series, len(all))
	for i, s := range all {
		var err error
		if made[i], err = t.series(who, s.name, of, s.label, s.says); err != nil {
			return nil, err
		}
	}
	for i, s := range all {
		t.add(made[i], at, born, s.value, flags)
	}
	return made, nil
}

// series makes the series of a data point; more are a label and its value.
func (t *translation) series(who labels.Labels, name string, of []*common.KeyValue, more ...string) (*metrics.Series, error) {
	t.base.Reset(who)
	if err := attributes(t.base, of); err != nil {
		return nil, err
	}
	who.Range(func(l labels.Label) { t.base.Set(l.Name, l.Value) }) // not for attributes to say
	for i := 0; i+1 < len(more); i += 2 {
		if more[i] != "" {
			t.base.Set(more[i], more[i+1])
		}
	}
	t.base.Set(model.MetricNameLabel, name)
	l, err := metrics.Foreign(t.ours, t.base.Labels())
	if err != nil {
		return nil, err
	}
	return &metrics.Series{Labels: l}, nil
}

// millis is a time of a request; without one it is now.
func (t *translation) millis(nanos uint64) int64 {
	if nanos == 0 {
		return t.now.UnixMilli()
	}
	return int64(nanos / 1e6)
}

// add adds a sample. born is since when a counter counts; 0: not known, or none.
func (t *translation) add(s *metrics.Series, at, born uint64, v float64, flags uint32) {
	p := metrics.Point{Series: s, At: t.millis(at), Value: v, Born: t.born(s, born)}
	if nothing(flags) {
		p.Value = ended
	}
	t.points = append(t.points, p)
}

// oldest is how long a counter may have counted for its beginning to be written: what it
// counted before that is no news.
const oldest = 10 * time.Minute

func (t *translation) born(s *metrics.Series, nanos uint64) int64 {
	if nanos == 0 {
		return 0
	}
	ms := int64(nanos / 1e6)
	if t.now.UnixMilli()-ms > oldest.Milliseconds() || !t.first(s.Labels.Hash()) {
		return 0
	}
	return ms
}

// target says what a resource is, beyond its name: a series of its own that
// queries join.
func (t *translation) target(who labels.Labels, of []*common.KeyValue, latest int64) {
	if latest == 0 || who.IsEmpty() {
		return
	}
	t.base.Reset(labels.EmptyLabels())
	if err := attributes(t.base, of, serviceName, serviceNamespace, serviceInstance); err != nil || t.base.Labels().IsEmpty() {
		return // it would say nothing
	}
	who.Range(func(l labels.Label) { t.base.Set(l.Name, l.Value) })
	t.base.Set(model.MetricNameLabel, targetInfo)
	l, err := metrics.Foreign(t.ours, t.base.Labels())
	if err != nil {
		return
	}
	t.points = append(t.points, metrics.Point{Series: &metrics.Series{Labels: l}, At: latest, Value: 1})
	t.told[targetInfo] = metrics.Metadata{Type: "gauge", Help: "Target metadata"}
}

const targetInfo = "target_info"

// ended is the value of a series that is no more.
var ended = math.Float64frombits(value.StaleNaN)
