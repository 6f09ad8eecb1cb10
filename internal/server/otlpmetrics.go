//go:build linux

package server

import (
	"context"
	"strconv"
	"sync"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"

	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/door/otlpmetrics"
	"naru/internal/door/sender"
	timeseries "naru/internal/observe/metrics"
)

// measured is what instances and others measured themselves, and send in
// OpenTelemetry's protocol.
type measured struct {
	*observed
	receiver *otlpmetrics.Receiver

	mu     sync.Mutex // guards what follows
	of     map[string][]labels.Label
	looked time.Time
}

func newMeasured(o *observed) *measured {
	return &measured{observed: o, receiver: otlpmetrics.New(o.store)}
}

// take keeps metrics under the labels of the instance that sends them, as if it had
// been asked.
func (m *measured) take(ctx context.Context, from sender.Sender, in *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
	if from.Owner.Instance == "" {
		return m.receiver.Take(ctx, from.Place, in)
	}
	of, err := m.instance(ctx, string(from.Owner.Instance))
	if err != nil {
		return nil, err
	}
	return m.receiver.Take(ctx, from.Place, in, of...)
}

// lookAgain is how often the instances there are, are looked up: a new one sends
// its first metrics soon after its start.
const lookAgain = 2 * time.Second

// instance are the labels that tell an instance from others of its app. One that
// is gone has its id.
func (m *measured) instance(ctx context.Context, id string) ([]labels.Label, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if of, ok := m.of[id]; ok {
		return of, nil
	}
	if time.Since(m.looked) > lookAgain {
		groups, err := m.state.Observed(ctx)
		if err != nil {
			return nil, err
		}
		m.looked, m.of = time.Now(), map[string][]labels.Label{}
		for _, g := range groups {
			for _, i := range g.Instances {
				m.of[string(i.ID)] = append(g.Labels()[len(g.Place.Labels()):], labels.Label{Name: timeseries.LabelIndex, Value: strconv.Itoa(i.Index)})
			}
		}
	}
	if of, ok := m.of[id]; ok {
		return of, nil
	}
	return []labels.Label{{Name: timeseries.LabelIndex, Value: id}}, nil
}
