//go:build linux

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/app"
	"naru/internal/config"
	"naru/internal/fault"
	timeseries "naru/internal/observe/metrics"
	"naru/internal/pipeline/judging"
	"naru/internal/route"
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

// Increases tells what counters grew by, as they were written.
func (s samples) Increases(ctx context.Context, q judging.Count, tell func(judging.Increase)) error {
	c := timeseries.Counters{Matchers: []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, q.Metric),
		labels.MustNewMatcher(labels.MatchNotRegexp, timeseries.LabelGroup, ".*"+route.Copies),
	}}
	for name, value := range q.Labels {
		parts := strings.Split(value, "|")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		m, err := labels.NewMatcher(labels.MatchRegexp, name, strings.Join(parts, "|"))
		if err != nil {
			return fmt.Errorf("select %s: %w", name, err)
		}
		c.Matchers = append(c.Matchers, m)
	}
	of := s.store.As(timeseries.Reader{Spaces: []string{string(q.Space)}})
	return timeseries.Increases(ctx, of, c, q.From, q.To, func(l labels.Labels, at int64, by float64) {
		tell(judging.Increase{Of: l.Get(q.By), At: time.UnixMilli(at), By: by})
	})
}

// newJudge makes what judges rollouts; the metrics are opened later.
func newJudge(cfg config.Config, st *store.Store, counts *metrics, driver run.Driver, asked *lateSamples, log *slog.Logger) *judging.Watcher {
	return judging.New(st, counts, driver, judging.Options{Sampler: asked, Sample: cfg.Metrics.Interval, Prober: newSideProber(cfg, st)}, log)
}

// lateSamples are samples of a store that is made after those who ask it.
type lateSamples struct{ samples }

// sideProber makes declared probes of single instances, past the gateway, which would
// choose one itself.
type sideProber struct {
	*store.Store
	domain string // of apps' own hosts
	client *http.Client
}

func newSideProber(cfg config.Config, st *store.Store) sideProber {
	return sideProber{st, cfg.AppsDomain, &http.Client{
		Transport:     &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// mostOfAnswer bounds what is read of an answer, so that its connection can be used
// again.
const mostOfAnswer = 64 << 10

// Probe makes one probe of the instance at an address.
func (p sideProber) Probe(ctx context.Context, a app.App, what app.Probe, addr string) bool {
	req, err := http.NewRequestWithContext(ctx, what.Method, "http://"+addr+what.Path, http.NoBody)
	if err != nil {
		return false
	}
	req.Host = what.Host
	if req.Host == "" {
		req.Host = a.Slug + "." + p.domain
	}
	req.Header.Set("User-Agent", "naru-probe")
	req.Header.Set("X-Forwarded-Proto", "http")
	res, err := p.client.Do(req)
	if err != nil {
		return what.IsGood(0)
	}
	_, err = io.CopyN(io.Discard, res.Body, mostOfAnswer)
	_ = res.Body.Close() // what matters was read
	return what.IsGood(res.StatusCode) && (err == nil || errors.Is(err, io.EOF))
}
