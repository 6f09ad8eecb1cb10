package meter

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"naru/internal/route"
)

// ContentType is that of what Write writes, OpenMetricsType that of OpenMetrics,
// which has exemplars.
const (
	ContentType     = "text/plain; version=0.0.4; charset=utf-8"
	OpenMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

// WantsOpenMetrics reads the field Accept of a request.
func WantsOpenMetrics(accept string) bool {
	return strings.Contains(accept, "application/openmetrics-text")
}

// Reader is who asks for metrics.
type Reader struct {
	Sees func(Home) bool // which apps are shown
	All  bool            // also what belongs to no app: the gateways themselves, hosts nobody mapped

	OpenMetrics bool // reads that instead of the text format
}

// Write writes the metrics a reader may see, in the text format of Prometheus or
// in OpenMetrics, with the names that dir knows. Pairs that it does not know any more keep the
// names they had.
func (m *Meter) Write(w io.Writer, dir Directory, r Reader) error {
	all := m.snapshot(dir, r)
	for _, family := range all.families() {
		if len(family.Metric) == 0 {
			continue
		}
		var err error
		if r.OpenMetrics {
			_, err = expfmt.MetricFamilyToOpenMetrics(w, family)
		} else {
			_, err = expfmt.MetricFamilyToText(w, family)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", family.GetName(), err)
		}
	}
	if r.OpenMetrics {
		if _, err := expfmt.FinalizeOpenMetrics(w); err != nil {
			return fmt.Errorf("write end of metrics: %w", err)
		}
	}
	return nil
}

// snapshot is what one reader is told.
type snapshot struct {
	pairs                            []pair // by place
	groups                           []pair // the same without routes
	trips                            map[tripped]uint64
	all                              bool
	processes, open, upgraded        int64
	accepted, dropped, logLost, over uint64
	spans, spansLost                 uint64
}

type pair struct {
	place Place
	route.Counter
	stand *exemplars // of a group; nil: none
}

type tripped struct {
	place   Place
	measure route.Measure
}

func (m *Meter) snapshot(dir Directory, r Reader) snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := snapshot{
		all: r.All, trips: map[tripped]uint64{}, processes: int64(len(m.processes)),
		accepted: m.accepted, dropped: m.dropped, logLost: m.logLost, over: m.over, spans: m.spans, spansLost: m.spansLost,
	}
	for _, p := range m.processes {
		s.open += p.load.Connections
		s.upgraded += p.load.Upgraded
	}
	pairs, groups, places := map[Place]*route.Counter{}, map[Place]*route.Counter{}, map[string]Place{}
	stand := map[Place]*exemplars{}
	for k, one := range m.series {
		if k.compared() {
			continue
		}
		place, known := dir(k.route, k.group)
		switch {
		case known:
			one.place, one.named = place, true
		case one.named:
			place = one.place
		case one.said != "": // it was gone before we were there
			place.Group = one.said
		}
		sum(pairs, place, one.total)
		place.Route = ""
		if k.group != "" {
			places[k.group] = place
		}
		sum(groups, place, one.total)
		if one.exemplars != nil && r.OpenMetrics {
			if stand[place] == nil {
				stand[place] = &exemplars{}
			}
			stand[place].newer(one.exemplars)
		}
	}
	s.pairs, s.groups = sorted(pairs, r), sorted(groups, r)
	for i := range s.groups {
		s.groups[i].stand = stand[s.groups[i].place]
	}
	for t, measure := range m.trips {
		place, ok := places[t.group]
		if !ok {
			place = Place{Group: t.group}
		}
		if r.shows(place) {
			s.trips[tripped{place, measure}]++
		}
	}
	return s
}

func (r Reader) shows(p Place) bool { return r.All || p.App != "" && r.Sees != nil && r.Sees(p.In) }

func sum(into map[Place]*route.Counter, p Place, c route.Counter) {
	had := into[p]
	if had == nil {
		had = &route.Counter{}
		into[p] = had
	}
	add(had, c)
	had.Active += c.Active
}

func sorted(from map[Place]*route.Counter, r Reader) []pair {
	out := make([]pair, 0, len(from))
	for p, c := range from {
		if r.shows(p) {
			out = append(out, pair{place: p, Counter: *c})
		}
	}
	slices.SortFunc(out, func(a, b pair) int { return compare(a.place, b.place) })
	return out
}

func compare(a, b Place) int {
	return cmp.Or(
		strings.Compare(a.In.Name, b.In.Name), strings.Compare(a.App, b.App), strings.Compare(a.Route, b.Route), strings.Compare(a.Group, b.Group),
		strings.Compare(string(a.In.Space), string(b.In.Space)),
	)
}

// classes are the values of the label class; none is a request that its client
// left before there was an answer.
var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// families makes the metrics. Counts that are nought are left out where most are.
func (s snapshot) families() []*dto.MetricFamily {
	requests := family("naru_gateway_requests_total", dto.MetricType_COUNTER, "Requests that ended, by the class of their status; none: the client left before an answer.")
	times := family("naru_gateway_request_duration_seconds", dto.MetricType_HISTOGRAM, "From a request's header to the last byte of its answer, over all routes of a group.")
	received := family("naru_gateway_request_bytes_total", dto.MetricType_COUNTER, "Bytes of requests' bodies.")
	sent := family("naru_gateway_response_bytes_total", dto.MetricType_COUNTER, "Bytes of answers' bodies.")
	active := family("naru_gateway_active_requests", dto.MetricType_GAUGE, "Requests in flight, WebSockets among them.")
	retries := family("naru_gateway_retries_total", dto.MetricType_COUNTER, "Requests that were sent to another instance, or once more.")
	ejections := family("naru_gateway_ejections_total", dto.MetricType_COUNTER, "Connects that an instance did not accept, each of which ejects it for a while.")
	trips := family("naru_gateway_guard_trips_total", dto.MetricType_COUNTER, "Guards that took a group's weight away, by what they saw.")
	for i := range s.pairs {
		p := &s.pairs[i]
		labels := p.place.labels(true)
		for class, n := range p.Classes {
			if n > 0 {
				requests.Metric = append(requests.Metric, counter(float64(n), append(labels[:len(labels):len(labels)], label("class", classes[class]))))
			}
		}
		received.Metric = append(received.Metric, counter(float64(p.Received), labels))
		sent.Metric = append(sent.Metric, counter(float64(p.Sent), labels))
		active.Metric = append(active.Metric, &dto.Metric{Label: labels, Gauge: &dto.Gauge{Value: new(float64(max(p.Active, 0)))}})
		if p.Retries > 0 {
			retries.Metric = append(retries.Metric, counter(float64(p.Retries), labels))
		}
		if p.Ejections > 0 {
			ejections.Metric = append(ejections.Metric, counter(float64(p.Ejections), labels))
		}
	}
	for i := range s.groups {
		h := histogram(&s.groups[i].Counter)
		if stand := s.groups[i].stand; stand != nil {
			stand.shown(h)
		}
		times.Metric = append(times.Metric, &dto.Metric{Label: s.groups[i].place.labels(false), Histogram: h})
	}
	for t, n := range s.trips {
		trips.Metric = append(trips.Metric, counter(float64(n), append(t.place.labels(false), label("measure", string(t.measure)))))
	}
	slices.SortFunc(trips.Metric, func(a, b *dto.Metric) int { return strings.Compare(a.String(), b.String()) })
	out := []*dto.MetricFamily{requests, times, received, sent, active, retries, ejections, trips}
	if !s.all {
		return out
	}
	for _, own := range []struct {
		name, help string
		gauge      bool
		value      float64
	}{
		{"naru_gateway_processes", "Gateway processes that live, draining ones included.", true, float64(s.processes)},
		{"naru_gateway_connections", "Connections of clients that are open.", true, float64(s.open)},
		{"naru_gateway_upgraded_connections", "Connections that were switched to another protocol, WebSockets most of all.", true, float64(s.upgraded)},
		{"naru_gateway_connections_accepted_total", "Connections of clients.", false, float64(s.accepted)},
		{"naru_gateway_access_records_dropped_total", "Records of requests that never came to the apps' logs.", false, float64(s.dropped)},
		{"naru_gateway_access_log_dropped_total", "Lines that the gateways' own access log had no place for.", false, float64(s.logLost)},
		{"naru_gateway_spans_total", "Spans of the gateways' own that came.", false, float64(s.spans)},
		{"naru_gateway_spans_dropped_total", "Spans that the gateways had no place for, or that were lost on their way.", false, float64(s.spansLost)},
		{"naru_gateway_uncounted_pairs_total", "Times that a new pair of route and group was counted as \"other\", because there are too many.", false, float64(s.over)},
	} {
		kind, metric := dto.MetricType_COUNTER, counter(own.value, nil)
		if own.gauge {
			kind, metric = dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: &own.value}}
		}
		f := family(own.name, kind, own.help)
		f.Metric = []*dto.Metric{metric}
		out = append(out, f)
	}
	return out
}

func family(name string, kind dto.MetricType, help string) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Type: &kind, Help: &help}
}

func counter(value float64, labels []*dto.LabelPair) *dto.Metric {
	return &dto.Metric{Label: labels, Counter: &dto.Counter{Value: &value}}
}

func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// labels leaves out the space where there is none.
func (p Place) labels(withRoute bool) []*dto.LabelPair {
	out := make([]*dto.LabelPair, 0, 6)
	if p.In.Name != "" {
		out = append(out, label("space", p.In.Name))
	}
	out = append(out, label("app", p.App))
	if withRoute {
		out = append(out, label("route", p.Route))
	}
	return append(out, label("group", p.Group))
}

func histogram(c *route.Counter) *dto.Histogram {
	var all uint64
	seconds := c.Took.Seconds()
	h := &dto.Histogram{SampleSum: &seconds, Bucket: make([]*dto.Bucket, 0, len(c.Latency))}
	for i, n := range c.Latency {
		all += n
		bound := math.Inf(1)
		if i < len(route.LatencyBounds) {
			bound = route.LatencyBounds[i].Seconds()
		}
		upTo := all
		h.Bucket = append(h.Bucket, &dto.Bucket{CumulativeCount: &upTo, UpperBound: &bound})
	}
	h.SampleCount = &all
	return h
}
