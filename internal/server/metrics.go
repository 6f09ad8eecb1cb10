package server

import (
	"context"
	"io"
	"time"

	"naru/internal/app"
	"naru/internal/observe/meter"
	"naru/internal/observe/self"
	"naru/internal/route"
	"naru/internal/route/hub"
	"naru/internal/store"
)

// metrics knows the names that belong to what the gateways counted.
type metrics struct {
	*meter.Meter
	gateways *hub.Hub
	store    *store.Store
	self     *self.Self // what naru measures of itself
}

// WriteMetrics writes what a reader may see.
func (m *metrics) WriteMetrics(ctx context.Context, w io.Writer, r meter.Reader) error {
	dir, err := m.directory(ctx)
	if err != nil {
		return err
	}
	m.living()
	if err := m.Write(w, dir, r); err != nil || !r.All {
		return err
	}
	return m.self.Write(ctx, w)
}

// spanned has spans stand as exemplars for what they took, beside what is done with
// them.
func (m *metrics) spanned(next hub.Spans) hub.Spans {
	return func(gateway string, spans []route.Span, dropped uint64) {
		m.Spans(spans, dropped)
		next(gateway, spans, dropped)
	}
}

// Breakers returns the breakers that are not closed, by group.
func (m *metrics) Breakers() map[string]route.BreakerState {
	out := map[string]route.BreakerState{}
	for _, b := range m.gateways.Breakers() {
		if out[b.Group] != route.BreakerOpen {
			out[b.Group] = b.State
		}
	}
	return out
}

// Run lets go of what is gone, until ctx ends.
func (m *metrics) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		m.living()
		if table, ok := m.gateways.Latest(); ok {
			m.Forget(meter.Listed(&table, nil))
		}
	}
}

// living tells which gateway processes there are.
func (m *metrics) living() {
	var names []string
	for _, g := range m.gateways.Gateways() {
		names = append(names, g.Generation)
	}
	m.Living(names...)
}

func (m *metrics) directory(ctx context.Context) (meter.Directory, error) {
	homes, err := m.homes(ctx)
	if err != nil {
		return nil, err
	}
	table, _ := m.gateways.Latest()
	return meter.Listed(&table, func(a app.ID) meter.Home { return homes[a] }), nil
}

// homes are the spaces of all apps.
func (m *metrics) homes(ctx context.Context) (map[app.ID]meter.Home, error) {
	orgs, err := m.store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	spaces, err := m.store.Spaces(ctx, "")
	if err != nil {
		return nil, err
	}
	of, err := m.store.SpacesOfApps(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[app.OrgID]string, len(orgs))
	for _, o := range orgs {
		names[o.ID] = o.Name
	}
	places := make(map[app.SpaceID]meter.Home, len(spaces))
	for _, s := range spaces {
		places[s.ID] = meter.Home{Org: s.Org, Space: s.ID, Name: names[s.Org] + "/" + s.Name}
	}
	out := make(map[app.ID]meter.Home, len(of))
	for a, s := range of {
		out[a] = places[s]
	}
	return out, nil
}

// tripped counts trips on their way to whoever acts on them.
func (m *metrics) tripped(act hub.Tripped) hub.Tripped {
	return func(ctx context.Context, trips []route.Trip) error {
		m.Tripped(trips)
		return act(ctx, trips)
	}
}
