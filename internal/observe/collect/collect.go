// Package collect asks all that can be measured, round by round, and has it kept
// as metrics: what the gateways counted, what instances use, what happened.
package collect

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/event"
	"naru/internal/observe/meter"
	"naru/internal/observe/metrics"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// Place is an app as labels name it. The zero Place is the platform itself.
type Place struct{ Org, Space, SpaceID, App string }

// Group is a server group with the instances that run.
type Group struct {
	Place
	ID        run.GroupID
	Name      string
	Process   string
	ReleaseID release.ID
	Release   string // v42
	Instances []run.Instance
}

// Labels are those of a group's series.
func (g Group) Labels() []labels.Label {
	return append(g.Place.Labels(),
		labels.Label{Name: metrics.LabelProcess, Value: g.Process},
		labels.Label{Name: metrics.LabelRelease, Value: g.Release},
		labels.Label{Name: metrics.LabelGroup, Value: g.Name})
}

// Labels are those of an app's series; none for the platform's own.
func (p Place) Labels() []labels.Label {
	all := []labels.Label{
		{Name: metrics.LabelOrg, Value: p.Org}, {Name: metrics.LabelSpace, Value: p.Space},
		{Name: metrics.LabelSpaceID, Value: p.SpaceID}, {Name: metrics.LabelApp, Value: p.App},
	}
	out := all[:0]
	for _, l := range all {
		if l.Value != "" {
			out = append(out, l)
		}
	}
	return out
}

// series makes a series of a metric.
func series(name string, of []labels.Label, more ...string) *metrics.Series {
	b := labels.NewBuilder(labels.FromStrings(append(more, model.MetricNameLabel, name)...))
	for _, l := range of {
		b.Set(l.Name, l.Value)
	}
	return &metrics.Series{Labels: b.Labels()}
}

// Happened is an event as a marker in metrics: a line in a dashboard.
type Happened struct {
	Place
	At   time.Time
	Kind event.Kind
}

// World is what is asked.
type World interface {
	// Observed returns all groups with their instances.
	Observed(ctx context.Context) ([]Group, error)
	// Directory finds places of what the gateways counted.
	Directory(ctx context.Context) (meter.Directory, error)
	// Totals returns what the gateways counted.
	Totals() []route.Counter
	// Exemplars returns requests that stand for others, those that are new.
	Exemplars() []meter.Exemplar
	// JourneyTotals returns what they counted of journeys.
	JourneyTotals() []route.JourneyCounter
	// Apps returns the places of all apps by their ids.
	Apps(ctx context.Context) (map[string]Place, error)
	// Load returns what an instance uses.
	Load(ctx context.Context, id run.InstanceID) (run.Usage, error)
	// Happened returns what happened after a place in the event log, and the next
	// place.
	Happened(ctx context.Context, after int64) ([]Happened, int64, error)
}

// Sink keeps metrics; *metrics.Store is the real one.
type Sink interface {
	Source() *metrics.Source
	Write(ctx context.Context, at time.Time, points []metrics.Point) (metrics.Result, error)
	AppendExemplars(ctx context.Context, all []metrics.Exemplar) error
	Describe(space, name string, m metrics.Metadata)
	Ready() <-chan struct{}
}

// Collector makes the rounds.
type Collector struct {
	world    World
	sink     Sink
	interval time.Duration
	log      *slog.Logger

	source    *metrics.Source
	gateways  *gateways
	journeys  *journeys
	instances *instances
	seen      int64 // events
}

// New makes a collector; Run does the work.
func New(world World, sink Sink, interval time.Duration, log *slog.Logger) *Collector {
	return &Collector{
		world: world, sink: sink, interval: interval, log: log,
		source: sink.Source(), gateways: newGateways(time.Now()), journeys: newJourneys(time.Now()), instances: newInstances(),
	}
}

// Run makes a round each interval until ctx ends, and a last one then: what the
// gateways counted since is not lost.
func (c *Collector) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.sink.Ready():
	}
	c.describe()
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	for {
		c.round(ctx, time.Now())
		select {
		case <-ctx.Done():
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), lastRound)
			defer stop()
			c.round(last, time.Now())
			return nil
		case <-tick.C:
		}
	}
}

// lastRound is the time for the round at the end.
const lastRound = 5 * time.Second

// round asks everything once. What cannot be asked leaves a gap in its own
// series only.
func (c *Collector) round(ctx context.Context, at time.Time) {
	groups, err := c.world.Observed(ctx)
	if err != nil {
		c.failed(ctx, "list groups for metrics", err)
		return
	}
	dir, err := c.world.Directory(ctx)
	if err != nil {
		c.failed(ctx, "name routes for metrics", err)
		return
	}
	points := c.gateways.round(at, c.world.Totals(), dir, groups)
	points = append(points, c.walked(ctx, at, groups)...)
	points = append(points, c.instances.round(ctx, groups, c.world.Load)...)
	if _, err := c.source.Write(ctx, at, points); err != nil {
		c.failed(ctx, "keep metrics", err)
	} else if stand := c.gateways.exemplars(c.world.Exemplars()); len(stand) > 0 {
		if err := c.sink.AppendExemplars(ctx, stand); err != nil {
			c.failed(ctx, "keep exemplars", err)
		}
	}
	c.markers(ctx, at)
}

// walked makes the points of journeys.
func (c *Collector) walked(ctx context.Context, at time.Time, groups []Group) []metrics.Point {
	totals := c.world.JourneyTotals()
	if len(totals) == 0 && len(c.journeys.cells) == 0 {
		c.journeys.before = at
		return nil
	}
	apps, err := c.world.Apps(ctx)
	if err != nil {
		c.failed(ctx, "name apps for metrics", err) // what they counted is counted in the next round
		return nil
	}
	return c.journeys.round(at, totals, groups, apps)
}

// markers writes what happened since the last round.
func (c *Collector) markers(ctx context.Context, at time.Time) {
	happened, next, err := c.world.Happened(ctx, c.seen)
	if err != nil {
		c.failed(ctx, "read events for metrics", err)
		return
	}
	var points []metrics.Point
	for _, h := range happened {
		points = append(points, metrics.Point{Series: series("naru_event", h.Place.Labels(), "kind", string(h.Kind)), At: h.At.UnixMilli(), Value: 1})
	}
	if _, err := c.sink.Write(ctx, at, points); err != nil {
		c.failed(ctx, "keep events as metrics", err)
		return
	}
	c.seen = next
}

func (c *Collector) failed(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		c.log.WarnContext(ctx, what, "error", err)
	}
}

// about says what the metrics are.
var about = map[string]metrics.Metadata{
	"naru_gateway_requests_total":           {Type: "counter", Help: "Requests that ended, by the class of their status; none: the client left before an answer."},
	"naru_gateway_request_duration_seconds": {Type: "histogram", Help: "From a request's header to the last byte of its answer, over all routes of a group."},
	JourneyRequests:                         {Type: "counter", Help: "Requests of a journey that ended, by status: a class, a status that an objective names, or none."},
	JourneyWithin:                           {Type: "counter", Help: "Those that took no longer than le, in seconds."},
	"naru_gateway_request_bytes_total":      {Type: "counter", Help: "Bytes of requests' bodies."},
	"naru_gateway_response_bytes_total":     {Type: "counter", Help: "Bytes of answers' bodies."},
	"naru_gateway_active_requests":          {Type: "gauge", Help: "Requests in flight, WebSockets among them."},
	"naru_gateway_retries_total":            {Type: "counter", Help: "Requests that were sent to another instance, or once more."},
	"naru_gateway_ejections_total":          {Type: "counter", Help: "Connects that an instance did not accept, each of which ejects it for a while."},
	"naru_instance_cpu_seconds_total":       {Type: "counter", Help: "Processor time of an instance since its start."},
	"naru_instance_memory_bytes":            {Type: "gauge", Help: "Memory of an instance, without the file cache that can be dropped."},
	"naru_instance_processes":               {Type: "gauge", Help: "Processes and threads of an instance."},
	"naru_instance_restarts_total":          {Type: "counter", Help: "How often the instance at a place in its group was restarted."},
	"naru_instance_healthy":                 {Type: "gauge", Help: "1 while the instance's check passes, else 0."},
	"naru_instance_received_bytes_total":    {Type: "counter", Help: "Bytes an instance took from its network."},
	"naru_instance_sent_bytes_total":        {Type: "counter", Help: "Bytes an instance sent to its network."},
	"naru_event":                            {Type: "gauge", Help: "1 at the time of an event that changed what runs: for marks in a dashboard."},
}

func (c *Collector) describe() {
	for name, m := range about {
		c.sink.Describe("", name, m)
	}
}
