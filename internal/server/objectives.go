//go:build linux

package server

import (
	"context"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/config"
	"naru/internal/judge/attain"
	"naru/internal/observe/collect"
	timeseries "naru/internal/observe/metrics"
	"naru/internal/observe/probing"
	"naru/internal/pipeline/promise"
	"naru/internal/route"
	"naru/internal/store"
	"naru/internal/version"
)

// Apps returns the places of all apps by their ids.
func (o *observed) Apps(ctx context.Context) (map[string]collect.Place, error) {
	homes, err := o.homes(ctx)
	if err != nil {
		return nil, err
	}
	apps, err := o.state.Apps(ctx, store.AppFilter{})
	if err != nil {
		return nil, err
	}
	out := make(map[string]collect.Place, len(apps))
	for _, a := range apps {
		home := homes[a.ID]
		org, space, _ := strings.Cut(home.Name, "/")
		out[string(a.ID)] = collect.Place{Org: org, Space: space, SpaceID: string(home.Space), App: a.Name}
	}
	return out, nil
}

// promises are what apps promise, and where that is measured.
type promises struct {
	*promise.Service
	counts *attain.Counts // for whoever judges objectives himself
	series *lateSeries
}

// lateSeries is a store of metrics that is made after those who ask it.
type lateSeries struct{ *timeseries.Store }

func newPromises(cfg config.Config, st *store.Store) *promises {
	p := &promises{series: &lateSeries{}}
	p.counts = attain.New(p.series, func(ctx context.Context, id app.ID) (attain.Place, error) {
		a, err := st.App(ctx, id)
		return attain.Place{SpaceID: string(a.Space), App: a.Name}, err
	}, attain.Options{Settle: 4*cfg.Metrics.Interval + time.Minute})
	check := func(text string) error { return p.series.CheckQuery(text) }
	p.Service = promise.New(st, p.counts, check, promise.Limits{Journeys: cfg.Objectives.Journeys, Retention: cfg.Metrics.Retention}, time.Now)
	return p
}

// newProber makes the probes of all apps, through the gateway.
func newProber(cfg config.Config, o *observed) *probing.Prober {
	opts := probing.Options{Address: cfg.Listen.Apps, Version: version.Version, Interval: cfg.Metrics.Interval, AtOnce: cfg.Objectives.Probes, Targets: o.probes}
	if cfg.Listen.AppsTLS != "" {
		opts.Address, opts.Secure = cfg.Listen.AppsTLS, true
	}
	return probing.New(opts, o.store, o.log)
}

// probes are those of all apps that are started, with where each is asked.
func (o *observed) probes(ctx context.Context) ([]probing.Target, error) {
	all, err := o.state.AllProbes(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	places, err := o.Apps(ctx)
	if err != nil {
		return nil, err
	}
	var out []probing.Target
	for id, probes := range all {
		routes, err := o.state.RoutesOf(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, p := range probes {
			out = append(out, probing.Target{Place: places[string(id)], Host: probed(routes, p.Host), Probe: p})
		}
	}
	return out, nil
}

// probed is the host at which an app is asked: the one that is named, if it is the
// app's, else the first of its routes; "" where there is none.
func probed(routes []route.Route, host string) string {
	for _, r := range routes {
		wildcard := strings.HasPrefix(r.Host, "*.")
		switch {
		case r.TCP != nil:
		case host == "" && !wildcard, host != "" && strings.EqualFold(r.Host, host):
			return r.Host
		case wildcard && host != "" && route.Below(strings.ToLower(host), r.Host):
			return strings.ToLower(host)
		}
	}
	return ""
}
