// Package scrape asks instances for the metrics that their apps show.
package scrape

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
	"naru/internal/run"
)

// Target is an instance whose app shows metrics.
type Target struct {
	collect.Group
	Instance run.Instance
	Metrics  app.Metrics
}

// Options of a scraper. Zero fields take the defaults named beside them.
type Options struct {
	Interval time.Duration // where an app names none, and between two looks at what there is: 15 s
	Bytes    int64         // of one answer, unpacked: 4 MiB
	Parallel int           // instances asked at the same time: 8
	Targets  func(ctx context.Context) ([]Target, error)
	// Failing is told when an instance cannot be asked any more; at most once in
	// ten minutes for each. May be nil.
	Failing func(ctx context.Context, t Target, err error)
}

// Scraper asks all targets, each in its interval.
type Scraper struct {
	o     Options
	store *metrics.Store
	log   *slog.Logger
	http  *http.Client
	turns chan struct{}
}

// New makes a scraper; Run does the work.
func New(o Options, store *metrics.Store, log *slog.Logger) *Scraper {
	if o.Interval <= 0 {
		o.Interval = 15 * time.Second
	}
	if o.Bytes <= 0 {
		o.Bytes = 4 << 20
	}
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	return &Scraper{
		o: o, store: store, log: log, turns: make(chan struct{}, o.Parallel),
		http: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 5 * time.Minute, MaxResponseHeaderBytes: 64 << 10},
			// An instance that sends us elsewhere would have us ask what it may not.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Run asks until ctx ends.
func (s *Scraper) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.store.Ready():
	}
	var all sync.WaitGroup
	defer s.http.CloseIdleConnections()
	defer all.Wait()
	running := map[run.InstanceID]context.CancelFunc{}
	tick := time.NewTicker(s.o.Interval)
	defer tick.Stop()
	for {
		targets, err := s.o.Targets(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "list what shows metrics", "error", err)
		}
		if err == nil {
			present := map[run.InstanceID]bool{}
			for _, t := range targets {
				present[t.Instance.ID] = true
				if running[t.Instance.ID] != nil {
					continue
				}
				one, stop := context.WithCancel(ctx)
				running[t.Instance.ID] = stop
				all.Go(func() { s.follow(one, t) })
			}
			for id, stop := range running {
				if !present[id] {
					stop()
					delete(running, id)
				}
			}
		}
		select {
		case <-ctx.Done():
			for _, stop := range running {
				stop()
			}
			return nil
		case <-tick.C:
		}
	}
}

// quietFor is how long nobody is told again that an instance cannot be asked.
const quietFor = 10 * time.Minute

// follow asks one instance until it is gone.
func (s *Scraper) follow(ctx context.Context, t Target) {
	one := newReading(s.store, t)
	interval := t.Metrics.Interval.Std()
	if interval <= 0 {
		interval = s.o.Interval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var told time.Time
	for {
		select {
		case <-ctx.Done():
		case s.turns <- struct{}{}:
			err := s.round(ctx, one, interval, time.Now())
			<-s.turns
			if err != nil && ctx.Err() == nil && s.o.Failing != nil && (told.IsZero() || time.Since(told) > quietFor) {
				told = time.Now()
				s.o.Failing(ctx, t, err)
			}
		}
		select {
		case <-ctx.Done():
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer stop()
			if err := one.source.End(last, time.Now()); err != nil {
				s.log.DebugContext(ctx, "end metrics of instance", "instance", t.Instance.ID, "error", err)
			}
			return
		case <-tick.C:
		}
	}
}
