// Package probing asks apps, by the way that users take, what their probes declare,
// and keeps how that went as metrics.
package probing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/app"
	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
)

// Names of the series, and of their labels.
const (
	Runs         = "naru_probe_runs_total"
	Seconds      = "naru_probe_duration_seconds"
	LabelProbe   = "probe"
	LabelOutcome = "outcome" // good or bad
)

// Target is a probe of an app.
type Target struct {
	collect.Place
	Host  string // at which it is asked; "": the app answers nowhere
	Probe app.Probe
}

func (t Target) key() string { return t.SpaceID + "\x00" + t.App + "\x00" + t.Probe.Name }

// Sink keeps metrics; *metrics.Store is the real one.
type Sink interface {
	Source() *metrics.Source
	Describe(space, name string, m metrics.Metadata)
	Ready() <-chan struct{}
}

// Options of a Prober.
type Options struct {
	Address  string        // of the gateway, as it listens
	Secure   bool          // it speaks TLS there
	Version  string        // of naru
	Interval time.Duration // between two rounds of metrics
	AtOnce   int           // probes that are made at the same time
	Targets  func(ctx context.Context) ([]Target, error)
}

// Prober makes the probes of all apps.
type Prober struct {
	o      Options
	sink   Sink
	log    *slog.Logger
	http   *http.Client
	source *metrics.Source
	places chan struct{}

	mu     sync.Mutex // guards what follows
	series map[string]*series
}

// series is what is known of one target.
type series struct {
	Target
	next      time.Time // when it is due
	busy      bool
	good, bad uint64
	took      float64 // seconds, of the last run
	kept      [3]*metrics.Series
	born      time.Time
}

// New makes a prober; Run does the work.
func New(o Options, sink Sink, log *slog.Logger) *Prober {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, reached(o.Address))
		},
		// It is our own gateway, on this machine: whether its certificates are good is
		// not what a probe is about.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
		MaxIdleConns:    100, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
	return &Prober{
		o: o, sink: sink, log: log, source: sink.Source(), places: make(chan struct{}, max(o.AtOnce, 1)), series: map[string]*series{},
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// reached is where something is reached that listens at an address.
func reached(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// lookAfter is how exactly probes are on time.
const lookAfter = time.Second

// Run makes probes as they are due until ctx ends, and waits for those on their way.
func (p *Prober) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-p.sink.Ready():
	}
	p.sink.Describe("", Runs, metrics.Metadata{Type: "counter", Help: "Runs of a probe, by how they ended."})
	p.sink.Describe("", Seconds, metrics.Metadata{Type: "gauge", Help: "How long the last run of a probe took."})
	var running sync.WaitGroup
	defer running.Wait()
	tick := time.NewTicker(lookAfter)
	defer tick.Stop()
	written := time.Time{}
	for {
		now := time.Now()
		if now.Sub(written) >= p.o.Interval {
			p.round(ctx, now)
			written = now
		}
		for _, s := range p.due(now) {
			running.Go(func() { p.run(ctx, s) })
		}
		select {
		case <-ctx.Done():
			running.Wait()
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer stop()
			p.write(last, time.Now())
			return nil
		case <-tick.C:
		}
	}
}

// round writes what was counted, and then learns which probes there are.
func (p *Prober) round(ctx context.Context, now time.Time) {
	p.write(ctx, now)
	targets, err := p.o.Targets(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.log.WarnContext(ctx, "list probes", "error", err)
		}
		return
	}
	p.want(targets, now)
}

// want takes over the probes that there are. The first runs are spread over their
// intervals, the same way after each start.
func (p *Prober) want(targets []Target, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	there := make(map[string]bool, len(targets))
	for _, t := range targets {
		t.Probe = t.Probe.Filled()
		key := t.key()
		there[key] = true
		if s := p.series[key]; s != nil {
			s.Target = t
			continue
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(key)) // never fails
		wait := time.Duration(h.Sum32()) % t.Probe.Interval.Std()
		p.series[key] = &series{Target: t, next: now.Add(wait), born: now}
	}
	for key := range p.series {
		if !there[key] {
			delete(p.series, key)
		}
	}
}

// due are the targets whose time has come, as far as there is a place for them.
func (p *Prober) due(now time.Time) []*series {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*series
	for _, s := range p.series {
		if s.busy || now.Before(s.next) {
			continue
		}
		select {
		case p.places <- struct{}{}:
		default:
			return out // the others are late, and the next to come
		}
		s.busy = true
		if s.next = s.next.Add(s.Probe.Interval.Std()); s.next.Before(now) { // the machine slept
			s.next = now.Add(s.Probe.Interval.Std())
		}
		out = append(out, s)
	}
	return out
}

// run makes one run. One that was cut off by our own end counts for nothing.
func (p *Prober) run(ctx context.Context, s *series) {
	p.mu.Lock()
	t := s.Target
	p.mu.Unlock()
	began := time.Now()
	code, err := p.ask(ctx, t)
	if err != nil {
		p.log.DebugContext(ctx, "probe", "app", t.App, "probe", t.Probe.Name, "error", err)
		code = 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	<-p.places
	s.busy = false
	switch {
	case ctx.Err() != nil:
		return
	case t.Probe.IsGood(code):
		s.good++
	default:
		s.bad++
	}
	s.took = time.Since(began).Seconds()
}

// maxBody bounds what is read of an answer.
const maxBody = 1 << 20

// ask makes a request and returns its status once the answer is there.
func (p *Prober) ask(ctx context.Context, t Target) (code int, err error) {
	if t.Host == "" {
		return 0, errors.New("the app answers nowhere")
	}
	ctx, stop := context.WithTimeout(ctx, t.Probe.Timeout.Std())
	defer stop()
	scheme := "http"
	if p.o.Secure {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, t.Probe.Method, scheme+"://"+t.Host+t.Probe.Path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", fmt.Sprintf("naru-probe/%s (%s)", p.o.Version, t.Probe.Name))
	res, err := p.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it matters
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxBody)); err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

// write keeps what was counted.
func (p *Prober) write(ctx context.Context, now time.Time) {
	p.mu.Lock()
	var points []metrics.Point
	for _, s := range p.series {
		if s.kept[0] == nil {
			s.kept = [3]*metrics.Series{s.named(Runs, LabelOutcome, "good"), s.named(Runs, LabelOutcome, "bad"), s.named(Seconds)}
		}
		points = append(points,
			metrics.Point{Series: s.kept[0], Value: float64(s.good), Born: s.born.UnixMilli()},
			metrics.Point{Series: s.kept[1], Value: float64(s.bad), Born: s.born.UnixMilli()})
		if s.good+s.bad > 0 {
			points = append(points, metrics.Point{Series: s.kept[2], Value: s.took})
		}
	}
	p.mu.Unlock()
	if _, err := p.source.Write(ctx, now, points); err != nil && ctx.Err() == nil {
		p.log.WarnContext(ctx, "keep probes as metrics", "error", err)
	}
}

func (s *series) named(name string, more ...string) *metrics.Series {
	b := labels.NewBuilder(labels.FromStrings(append(more, model.MetricNameLabel, name, LabelProbe, s.Probe.Name)...))
	for _, l := range s.Place.Labels() {
		b.Set(l.Name, l.Value)
	}
	return &metrics.Series{Labels: b.Labels()}
}
