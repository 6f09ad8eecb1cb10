package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"

	"naru/internal/app"
	"naru/internal/observe/meter"
	"naru/internal/observe/metrics"
	"naru/internal/route"
	"naru/internal/run"
)

// world is a platform of which a test says what is there.
type world struct {
	groups []Group
	table  route.Table
	totals []route.Counter

	exemplars []meter.Exemplar
	journeys  []route.JourneyCounter
	used      map[run.InstanceID]run.Usage
	happened  []Happened
}

func (w *world) Observed(context.Context) ([]Group, error) { return w.groups, nil }

func (w *world) Directory(context.Context) (meter.Directory, error) {
	return meter.Listed(&w.table, func(app.ID) meter.Home { return meter.Home{Org: "o1", Space: "s1", Name: "default/dev"} }), nil
}

func (w *world) Totals() []route.Counter { return w.totals }

func (w *world) Exemplars() []meter.Exemplar { return w.exemplars }

func (w *world) JourneyTotals() []route.JourneyCounter { return w.journeys }

func (w *world) Apps(context.Context) (map[string]Place, error) {
	return map[string]Place{"a1": {Org: "default", Space: "dev", SpaceID: "s1", App: "shop"}}, nil
}

func (w *world) Load(_ context.Context, id run.InstanceID) (run.Usage, error) {
	u, ok := w.used[id]
	if !ok {
		return u, errors.New("does not run")
	}
	return u, nil
}

func (w *world) Happened(_ context.Context, after int64) ([]Happened, int64, error) {
	return w.happened[after:], int64(len(w.happened)), nil
}

// shop is a world with one app, a route, and a group with two instances.
func shop() *world {
	place := Place{Org: "default", Space: "dev", SpaceID: "s1", App: "shop"}
	return &world{
		groups: []Group{{
			Place: place, ID: "g1", Name: "shop-v001", Process: "web", Release: "v1",
			Instances: []run.Instance{{ID: "i0", Index: 0, State: run.Healthy, Restarts: 2}, {ID: "i1", Index: 1, State: run.Unhealthy}},
		}},
		table: route.Table{Routes: []route.Entry{{
			ID: "r1", Host: "shop.test", Path: "/", App: route.App{ID: "a1", Name: "shop"}, Groups: []route.Group{{ID: "g1", Name: "shop-v001"}},
		}}},
		used: map[run.InstanceID]run.Usage{"i0": {CPU: 3 * time.Second, MemoryBytes: 64 << 20, PIDs: 5, Received: 10, Sent: 20}, "i1": {CPU: time.Second}},
	}
}

// counted is what a pair counted, each request in 3 ms.
func counted(group string, ok, failed uint64) route.Counter {
	c := route.Counter{Route: "r1", Group: group, Took: time.Duration(ok+failed) * 3 * time.Millisecond, Sent: int64(ok) * 100}
	c.Classes[2], c.Classes[5] = ok, failed
	c.Latency[route.LatencyBucket(3*time.Millisecond)] = ok + failed
	return c
}

// rig is a collector on a real store. Its rounds are 15 seconds apart.
type rig struct {
	*Collector
	t     *testing.T
	store *metrics.Store
	at    time.Time
}

func start(t *testing.T, w *world) *rig {
	t.Helper()
	r := &rig{t: t, at: time.Now().Add(-time.Hour).Truncate(time.Second)}
	r.store = metrics.New(metrics.Options{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.store.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-r.store.Ready()
	r.Collector = New(w, r.store, time.Hour, slog.New(slog.DiscardHandler))
	r.gateways.before = r.at.Add(-time.Second)
	r.Collector.journeys.before = r.gateways.before
	return r
}

func (r *rig) next() {
	r.round(r.t.Context(), r.at)
	r.at = r.at.Add(15 * time.Second)
}

// ask answers a query as of the last round: one line for each series, with the
// labels that are asked for by the query alone.
func (r *rig) ask(text string) string {
	r.t.Helper()
	a, err := r.store.Query(r.t.Context(), metrics.Reader{All: true}, metrics.Query{Text: text, To: r.at.Add(-15 * time.Second)})
	if err != nil {
		r.t.Fatalf("%s: %v", text, err)
	}
	defer a.Close()
	var lines []string
	for _, s := range a.Value.(promql.Vector) {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %.6g", s.Metric, s.F)))
	}
	slices.Sort(lines) // an answer has no order
	return strings.Join(lines, "\n")
}

func (r *rig) want(query, want string) {
	r.t.Helper()
	if got := r.ask(query); got != want {
		r.t.Errorf("%s\n got %s\nwant %s", query, got, want)
	}
}

func TestSeriesOfAnApp(t *testing.T) {
	w := shop()
	r := start(t, w)
	w.totals = []route.Counter{counted("g1", 90, 10), {Route: "", Group: "", Classes: [6]uint64{4: 7}}}
	r.next()
	const where = `app="shop", %sorg="default", process="web", release="v1", %sspace="dev", space_id="s1"`
	labels := func(metric, front, back string) string { return "{" + metric + fmt.Sprintf(where, front, back) + "}" }
	group := `group="shop-v001", `
	r.want(`naru_gateway_requests_total{class="5xx"}`, labels(`__name__="naru_gateway_requests_total", `, `class="5xx", `+group, `route="shop.test", `)+" 10")
	r.want(`naru_gateway_response_bytes_total{app="shop"}`, labels(`__name__="naru_gateway_response_bytes_total", `, group, `route="shop.test", `)+" 9000")
	r.want(`naru_gateway_request_duration_seconds_count{app="shop"}`, labels(`__name__="naru_gateway_request_duration_seconds_count", `, group, ``)+" 100")
	r.want(`naru_instance_cpu_seconds_total{instance="0"}`, labels(`__name__="naru_instance_cpu_seconds_total", `, group+`instance="0", `, ``)+" 3")
	r.want(`sum by (instance) (naru_instance_healthy)`, "{instance=\"0\"} 1\n{instance=\"1\"} 0")
	r.want(`sum(naru_instance_restarts_total)`, "{} 2")
	r.want(`count(naru_instance_sent_bytes_total)`, "{} 1")
	r.want(`sum by (class) (naru_gateway_requests_total{space_id=""})`, `{class="4xx"} 7`)
	r.want(`histogram_quantile(0.5, sum by (le) (naru_gateway_request_duration_seconds_bucket{app="shop"}))`, "{} 0.003")
	if about := r.store.Metadata(metrics.Reader{}); len(about) != 0 {
		t.Errorf("before Run: %v", about)
	}
}

// TestIncreasesAreExact lets every change that a table and counters make pass by,
// and compares what PromQL says with what was counted.
func TestIncreasesAreExact(t *testing.T) {
	w := shop()
	r := start(t, w)
	all := func(want string) {
		t.Helper()
		// What was counted between the first sample and the last, resets left out.
		r.want(`sum(max_over_time(naru_gateway_requests_total{class="5xx"}[1h]))`, want)
	}
	r.next()
	w.totals = []route.Counter{counted("g1", 5, 0)}
	r.next()
	w.totals = []route.Counter{counted("g1", 5, 1)} // the first error
	r.next()
	r.want(`sum(max_over_time(naru_gateway_requests_total{class="5xx"}[16s]) - min_over_time(naru_gateway_requests_total{class="5xx"}[16s]))`, "{} 1")
	all("{} 1")

	// A second group comes with errors of its own, and goes.
	w.groups = append(w.groups, Group{Place: w.groups[0].Place, ID: "g2", Name: "shop-v002", Process: "web", Release: "v2"})
	w.table.Routes[0].Groups = append(w.table.Routes[0].Groups, route.Group{ID: "g2", Name: "shop-v002"})
	w.totals = []route.Counter{counted("g1", 5, 1), counted("g2", 3, 2)}
	r.next()
	r.want(`sum by (release) (naru_gateway_requests_total{class="5xx"})`, "{release=\"v1\"} 1\n{release=\"v2\"} 2")
	w.groups, w.table.Routes[0].Groups = w.groups[:1], w.table.Routes[0].Groups[:1]
	w.totals = []route.Counter{counted("g1", 5, 1), counted("g2", 3, 4)} // its last requests ended behind it
	r.next()
	r.want(`naru_gateway_requests_total{class="5xx", release="v2"} * 1`, `{app="shop", class="5xx", group="shop-v002", org="default", process="web", release="v2", route="shop.test", space="dev", space_id="s1"} 4`)
	for range int(linger/(15*time.Second)) + 2 {
		r.next()
	}
	r.want(`count by (release) (naru_gateway_requests_total{class="5xx"})`, `{release="v1"} 1`)
	w.totals = w.totals[:1] // the meter forgot it
	r.next()
	all("{} 5")
	r.want(`naru_gateway_request_duration_seconds_count{release="v1"} + 0`, `{app="shop", group="shop-v001", org="default", process="web", release="v1", space="dev", space_id="s1"} 6`)
}

func TestARestartedInstanceGoesOn(t *testing.T) {
	w := shop()
	r := start(t, w)
	r.next()
	w.groups[0].Instances = []run.Instance{
		{ID: "i0", Index: 0, State: run.Lingering}, {ID: "i9", Index: 0, State: run.Healthy, Restarts: 3}, {ID: "i1", Index: 1, State: run.Healthy},
	}
	w.used["i9"] = run.Usage{CPU: time.Second}
	r.next()
	r.want(`naru_instance_restarts_total{instance="0"} + 0`, `{app="shop", group="shop-v001", instance="0", org="default", process="web", release="v1", space="dev", space_id="s1"} 3`)
	r.want(`count(naru_instance_cpu_seconds_total)`, "{} 2")
	w.groups[0].Instances = w.groups[0].Instances[:2]
	r.next()
	r.want(`count(naru_instance_cpu_seconds_total)`, "{} 1")
}

func TestWhatHappenedIsMarked(t *testing.T) {
	w := shop()
	r := start(t, w)
	w.happened = []Happened{{Place: w.groups[0].Place, At: r.at.Add(-3 * time.Second), Kind: "rollout.done"}}
	r.next()
	r.next()
	r.want(`timestamp(naru_event{kind="rollout.done"}) - `+fmt.Sprint(r.at.Add(-33*time.Second).Unix()), `{app="shop", kind="rollout.done", org="default", space="dev", space_id="s1"} 0`)
	r.want(`count_over_time(naru_event[1h]) + 0`, `{app="shop", kind="rollout.done", org="default", space="dev", space_id="s1"} 1`)
}
