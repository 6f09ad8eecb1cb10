//go:build linux

package server

import (
	"context"
	"fmt"
	"time"

	"naru/internal/app"
	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/observe/collect"
	"naru/internal/observe/logs"
	"naru/internal/observe/scrape"
	"naru/internal/release"
	"naru/internal/run"
)

// newScraper asks the instances of apps that say where they show metrics.
func newScraper(cfg config.Config, o *observed) *scrape.Scraper {
	o.shown = map[release.ID]map[string]app.Metrics{}
	return scrape.New(scrape.Options{
		Interval: cfg.Metrics.Interval, Bytes: int64(cfg.Metrics.ScrapeBytes), Targets: o.targets, Failing: o.unreadable,
	}, o.store, o.log)
}

// targets are the instances that show metrics.
func (o *observed) targets(ctx context.Context) ([]scrape.Target, error) {
	groups, err := o.state.Observed(ctx)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.shown
	o.shown = make(map[release.ID]map[string]app.Metrics, len(known))
	var out []scrape.Target
	for _, g := range groups {
		shown, ok := known[g.ReleaseID]
		if !ok {
			if shown, err = o.shownBy(ctx, g); err != nil {
				return nil, err
			}
		}
		o.shown[g.ReleaseID] = shown
		m, ok := shown[g.Process]
		if !ok {
			continue
		}
		for _, i := range g.Instances {
			if i.Addr != "" && (i.State == run.Healthy || i.State == run.Unhealthy || i.State == run.Draining) {
				out = append(out, scrape.Target{Group: g, Instance: i, Metrics: m})
			}
		}
	}
	return out, nil
}

// shownBy reads what the processes of a group's release show.
func (o *observed) shownBy(ctx context.Context, g collect.Group) (map[string]app.Metrics, error) {
	rel, err := o.state.Release(ctx, g.ReleaseID)
	if fault.Is(err, fault.NotFound) { // it went meanwhile
		return nil, nil //nolint:nilnil // it shows nothing
	}
	if err != nil {
		return nil, err
	}
	out := map[string]app.Metrics{}
	for _, p := range rel.Processes {
		if p.Metrics.Path != "" {
			out[p.Type] = p.Metrics
		}
	}
	return out, nil
}

// unreadable tells an app, in its log, that an instance cannot be asked.
func (o *observed) unreadable(ctx context.Context, t scrape.Target, cause error) {
	a, err := o.state.AppNamed(ctx, app.SpaceID(t.SpaceID), t.App)
	if err == nil {
		err = o.book.Append(ctx, []logs.Line{{
			Time: time.Now().UTC(), App: a.ID, Source: logs.Platform, Process: t.Process, Index: t.Instance.Index, Instance: string(t.Instance.ID), Stream: "stderr",
			Text: fmt.Sprintf("metrics of %s instance %d cannot be read: %v", t.Name, t.Instance.Index, cause),
		}}, nil)
	}
	if err != nil && ctx.Err() == nil && !fault.Is(err, fault.NotFound) {
		o.log.WarnContext(ctx, "tell app of its metrics", "app", t.App, "error", err)
	}
}
