//go:build linux

package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/config"
	"naru/internal/disk"
	"naru/internal/door/prometheus"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/observe/collect"
	"naru/internal/observe/forward"
	"naru/internal/observe/logs"
	"naru/internal/observe/meter"
	timeseries "naru/internal/observe/metrics"
	"naru/internal/observe/scrape"
	"naru/internal/observe/traces"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/store"
	"naru/internal/supervise/inherit"
	"naru/internal/version"
)

// observed is what is measured, where it is kept, and who may ask.
type observed struct {
	*metrics // what the gateways counted
	state    *store.Store
	driver   run.Driver
	book     *logs.Book
	log      *slog.Logger

	store  *timeseries.Store
	rounds *collect.Collector
	apps   *scrape.Scraper
	sent   *forward.Forwarder // nil: metrics stay here
	traces *traces.Store      // what naru's own metrics tell of, too

	mu    sync.Mutex                            // guards shown
	shown map[release.ID]map[string]app.Metrics // what the processes of releases show
}

func newObserved(cfg config.Config, st *store.Store, counts *metrics, driver run.Driver, book *logs.Book, reserve disk.Reserve, log *slog.Logger) *observed {
	o := &observed{metrics: counts, state: st, driver: driver, book: book, log: log}
	m := cfg.Metrics
	// What else waits for room has waited since the whole reserve was reached.
	half := disk.Reserve{Path: reserve.Path, Percent: (reserve.Percent + 1) / 2}
	o.store = timeseries.New(timeseries.Options{
		Dir: cfg.MetricsDir(), Retention: m.Retention, RetentionBytes: int64(m.Bytes), OutOfOrder: m.OutOfOrder,
		Series: m.Series, SeriesPerApp: m.SeriesPerApp, QuerySamples: m.QuerySamples, QueryTimeout: m.QueryTimeout, Queries: m.Queries,
		Full: func() bool { return half.Check("metrics") != nil }, Limited: o.limited, Lost: o.lost,
	}, log)
	o.rounds = collect.New(o, o.store, m.Interval, log)
	o.apps = newScraper(cfg, o)
	o.self = newSelf(cfg, o)
	return o
}

// Observed returns all groups with their instances.
func (o *observed) Observed(ctx context.Context) ([]collect.Group, error) {
	return o.state.Observed(ctx)
}

// Directory finds places of what the gateways counted.
func (o *observed) Directory(ctx context.Context) (meter.Directory, error) {
	return o.directory(ctx)
}

// Load returns what an instance uses.
func (o *observed) Load(ctx context.Context, id run.InstanceID) (run.Usage, error) {
	return o.driver.Load(ctx, id)
}

// marked are the events that are marks in metrics: what changed what runs. Those
// of rollouts come with every state that they reach.
var marked = []event.Kind{
	"release.cut", "app.scaled", "app.stopped", "env.changed", "group.weighed", "instance.crashed",
	"rollout.started", "rollout.shifting", "rollout.paused", "rollout.watching", "rollout.done", "rollout.aborting", "rollout.rolledback", "rollout.failed", "rollout.superseded",
}

// Happened returns the events behind a place that are marks; from the beginning,
// those of the last hour.
func (o *observed) Happened(ctx context.Context, after int64) ([]collect.Happened, int64, error) {
	f := store.EventFilter{After: after, Kinds: marked, Newest: after == 0}
	all, err := o.state.Events(ctx, f)
	if err != nil || len(all) == 0 {
		return nil, after, err
	}
	homes, err := o.homes(ctx)
	if err != nil {
		return nil, after, err
	}
	var out []collect.Happened
	next := after
	for _, e := range all {
		next = max(next, e.Seq)
		if e.App == "" || after == 0 && time.Since(e.Time) > time.Hour {
			continue
		}
		a, err := o.state.App(ctx, app.ID(e.App))
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, after, err
		}
		home := homes[a.ID]
		org, space, _ := strings.Cut(home.Name, "/")
		out = append(out, collect.Happened{
			Place: collect.Place{Org: org, Space: space, SpaceID: string(home.Space), App: a.Name}, At: e.Time, Kind: e.Kind,
		})
	}
	return out, next, nil
}

// limited tells an app, in its log and among its events, that it makes too many
// series.
func (o *observed) limited(ctx context.Context, l timeseries.Limited) {
	text := fmt.Sprintf("metrics: new series are refused, for there are %d already (%s); fewer label values make fewer series", l.Limit, l.Setting)
	ev := event.Event{
		Kind: "metrics.limited", Actor: event.System, Space: l.Owner.Space, Subject: l.Owner.App,
		Detail: map[string]any{"limit": l.Limit, "setting": l.Setting},
	}
	if l.Owner.App != "" {
		a, err := o.state.AppNamed(ctx, app.SpaceID(l.Owner.Space), l.Owner.App)
		if err == nil {
			ev.App = string(a.ID)
			err = o.book.Append(ctx, []logs.Line{{Time: time.Now().UTC(), App: a.ID, Source: logs.Platform, Stream: "stderr", Text: text}}, nil)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			o.log.WarnContext(ctx, "tell app of its series", "app", l.Owner.App, "error", err)
		}
	}
	if err := o.state.AppendEvents(ctx, ev); err != nil {
		o.log.WarnContext(ctx, "record limit of series", "error", err)
	}
}

// lost records which metrics are gone.
func (o *observed) lost(ctx context.Context, l timeseries.Lost) {
	err := o.state.AppendEvents(ctx, event.Event{
		Kind: "metrics.lost", Actor: event.System, Subject: l.What,
		Detail: map[string]any{"from": l.From, "to": l.To, "kept": l.Aside, "cause": l.Cause},
	})
	if err != nil {
		o.log.WarnContext(ctx, "record lost metrics", "error", err)
	}
}

// Reader is what somebody may read: the spaces that exist for them, and everything
// for who manages the platform.
func (o *observed) Reader(ctx context.Context, who auth.Identity) (timeseries.Reader, error) {
	if auth.Can(who, auth.PlatformAudit, "", "") {
		return timeseries.Reader{All: true}, nil
	}
	spaces, err := o.state.Spaces(ctx, "")
	if err != nil {
		return timeseries.Reader{}, err
	}
	var r timeseries.Reader
	for _, s := range spaces {
		if auth.Sees(who, s.Org, s.ID) {
			r.Spaces = append(r.Spaces, string(s.ID))
		}
	}
	return r, nil
}

// Writable is a space whose apps somebody may push.
func (o *observed) Writable(ctx context.Context, who auth.Identity, name string) (collect.Place, error) {
	spaces, err := o.state.Spaces(ctx, "")
	if err != nil {
		return collect.Place{}, err
	}
	orgs, err := o.state.Orgs(ctx)
	if err != nil {
		return collect.Place{}, err
	}
	names := map[app.OrgID]string{}
	for _, org := range orgs {
		names[org.ID] = org.Name
	}
	var all []collect.Place
	var seen []string
	for _, s := range spaces {
		p := collect.Place{Org: names[s.Org], Space: s.Name, SpaceID: string(s.ID)}
		full := p.Org + "/" + p.Space
		if name == full {
			return p, auth.Check(who, auth.AppWrite, s.Org, s.ID, fmt.Sprintf("space %q", name))
		}
		if auth.Can(who, auth.AppWrite, s.Org, s.ID) {
			all, seen = append(all, p), append(seen, full)
		}
	}
	switch {
	case name != "":
		return collect.Place{}, auth.Hidden(fmt.Sprintf("space %q", name))
	case len(all) == 1:
		return all[0], nil
	case len(all) == 0:
		return collect.Place{}, fault.New(fault.Denied, "space", "%s may not write metrics of any space", who.Name).
			WithTry("ask an admin for the role space_developer")
	}
	return collect.Place{}, fault.New(fault.Invalid, "space", "there are several: %s", strings.Join(seen, ", ")).
		WithTry("/api/v1/write?space=%s", seen[0])
}

// door is the HTTP API of a Prometheus server.
func (o *observed) door(cfg config.Config, people *auth.Service, via string) http.Handler {
	return prometheus.New(prometheus.Config{
		Version: version.Version, Retention: cfg.Metrics.Retention, Via: via, ViaField: viaField,
	}, people, o, o.store, o.log)
}

// listen takes the door's own address, where it has one.
func (*observed) listen(ctx context.Context, cfg config.Config, sockets *inherit.Sockets) (net.Listener, error) {
	if cfg.Listen.Metrics == "" {
		return nil, nil //nolint:nilnil // none is asked for
	}
	return sockets.Listen(ctx, "prometheus", cfg.Listen.Metrics)
}

// served serves a door at an address of its own; nil has none.
func served(ln net.Listener, h http.Handler) func(context.Context) error {
	if ln != nil {
		return web(ln, h, time.Second)
	}
	return func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}
}

// named gives requests for the door's name to it, and all others to the API.
func named(cfg config.Config, door, others http.Handler) http.Handler {
	name := "prometheus." + strings.ToLower(cfg.PlatformDomain())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if strings.EqualFold(strings.TrimSuffix(host, "."), name) {
			door.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}
