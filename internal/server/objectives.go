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
	"naru/internal/pipeline/promise"
	"naru/internal/store"
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
