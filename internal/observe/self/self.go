// Package self measures naru itself: what its control plane uses, what it keeps,
// and what is waiting in it.
package self

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/proto"

	"naru/internal/observe/metrics"
)

// Value is a measure: of a metric that is in About, with the values of its labels.
type Value struct {
	Name   string
	Labels []string
	V      float64
}

// Part measures one part of naru. One that fails leaves a gap in its own metrics
// only.
type Part struct {
	Name    string
	Measure func(ctx context.Context) ([]Value, error)
}

// Self measures.
type Self struct {
	parts   []Part
	process *prometheus.Registry
	log     *slog.Logger
	series  map[string]*metrics.Series
}

// New makes a measurer of parts.
func New(parts []Part, log *slog.Logger) *Self {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	return &Self{parts: parts, process: r, log: log, series: map[string]*metrics.Series{}}
}

// Write writes everything in Prometheus's text format.
func (s *Self) Write(ctx context.Context, w io.Writer) error {
	for _, f := range s.gather(ctx) {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return fmt.Errorf("write %s: %w", f.GetName(), err)
		}
	}
	return nil
}

// gather measures everything; families are in the order of their names.
func (s *Self) gather(ctx context.Context) []*dto.MetricFamily {
	families, err := s.process.Gather()
	if err != nil {
		s.log.WarnContext(ctx, "measure this process", "error", err)
	}
	by := map[string]*dto.MetricFamily{}
	for _, p := range s.parts {
		values, err := p.Measure(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.log.WarnContext(ctx, "measure naru itself", "part", p.Name, "error", err)
			}
			continue
		}
		for _, v := range values {
			add(by, v)
		}
	}
	families = slices.AppendSeq(families, maps.Values(by))
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return families
}

// add adds a value to its family.
func add(by map[string]*dto.MetricFamily, v Value) {
	of, ok := About[v.Name]
	if !ok || len(of.Labels) != len(v.Labels) {
		panic("measured what is not in About: " + v.Name)
	}
	f := by[v.Name]
	if f == nil {
		kind := dto.MetricType_GAUGE
		if of.Counter {
			kind = dto.MetricType_COUNTER
		}
		f = &dto.MetricFamily{Name: proto.String(v.Name), Help: proto.String(of.Help), Type: kind.Enum()}
		by[v.Name] = f
	}
	m := &dto.Metric{}
	for i, name := range of.Labels {
		m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(name), Value: proto.String(v.Labels[i])})
	}
	if of.Counter {
		m.Counter = &dto.Counter{Value: proto.Float64(v.V)}
	} else {
		m.Gauge = &dto.Gauge{Value: proto.Float64(v.V)}
	}
	f.Metric = append(f.Metric, m)
}

// Store keeps series; *metrics.Store is the real one.
type Store interface {
	Source() *metrics.Source
	Describe(space, name string, m metrics.Metadata)
	Ready() <-chan struct{}
}

// Run keeps what is measured as series of the platform, each interval, until ctx
// ends.
func (s *Self) Run(ctx context.Context, into Store, interval time.Duration) error {
	select {
	case <-ctx.Done():
		return nil
	case <-into.Ready():
	}
	source := into.Source()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		families := s.gather(ctx)
		for _, f := range families {
			into.Describe("", f.GetName(), metrics.Metadata{Type: strings.ToLower(f.GetType().String()), Help: f.GetHelp()})
		}
		if _, err := source.Write(ctx, time.Now(), s.points(families)); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "keep what naru measures of itself", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// job is the label by which series of a process are known as naru's.
const job = "naru"

// points are the samples of families; what only Go's own developers ask for is
// left out.
func (s *Self) points(families []*dto.MetricFamily) (out []metrics.Point) {
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "go_") {
			continue
		}
		for _, m := range f.GetMetric() {
			value := m.GetGauge().GetValue()
			if m.Counter != nil {
				value = m.GetCounter().GetValue()
			}
			b := labels.NewBuilder(labels.FromStrings(model.MetricNameLabel, f.GetName(), model.JobLabel, job))
			for _, l := range m.GetLabel() {
				b.Set(l.GetName(), l.GetValue())
			}
			l := b.Labels()
			key := l.String()
			one := s.series[key]
			if one == nil {
				one = &metrics.Series{Labels: l}
				s.series[key] = one
			}
			out = append(out, metrics.Point{Series: one, Value: value})
		}
	}
	return out
}
