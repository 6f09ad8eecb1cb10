//go:build linux

package server

import (
	"context"
	"log/slog"
	"time"

	"naru/internal/config"
	"naru/internal/fault"
	timeseries "naru/internal/observe/metrics"
	"naru/internal/pipeline/judging"
	"naru/internal/run"
	"naru/internal/store"
)

// samples asks the metrics as somebody who sees one space.
type samples struct{ store *timeseries.Store }

// Samples returns what a query says between two times.
func (s samples) Samples(ctx context.Context, q judging.Query) ([]float64, error) {
	text, err := s.store.Narrow(q.Text, q.Labels)
	if err != nil {
		return nil, err
	}
	got, err := s.store.Samples(ctx, timeseries.Reader{Spaces: []string{string(q.Space)}}, timeseries.Query{
		Text: text, From: q.From, To: q.To, Step: q.Step, Lookback: max(q.Step, time.Minute),
	})
	if f := fault.Of(err); err != nil && f.Kind == fault.Invalid {
		return nil, fault.New(fault.Invalid, "query", "%s", f.Message).WithTry("%s", f.Try)
	}
	return got, err
}

// newJudge makes what judges rollouts; the metrics are opened later.
func newJudge(cfg config.Config, st *store.Store, counts *metrics, driver run.Driver, asked *lateSamples, log *slog.Logger) *judging.Watcher {
	return judging.New(st, counts, driver, judging.Options{Sampler: asked, Sample: cfg.Metrics.Interval}, log)
}

// lateSamples are samples of a store that is made after those who ask it.
type lateSamples struct{ judging.Sampler }
