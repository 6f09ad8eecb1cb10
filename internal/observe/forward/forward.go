// Package forward sends the metrics that are kept on to another Prometheus, by its
// remote write protocol.
//
// What is kept is itself what waits for a receiver that is slow or away: a mark
// moves through it when samples were taken. So nothing is lost that is still kept.
package forward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"naru/internal/atomicfile"
	"naru/internal/backoff"
	"naru/internal/observe/metrics"
)

// Kept is what is sent; *metrics.Store is the real one.
type Kept interface {
	Ready() <-chan struct{}
	Begins() (time.Time, bool)
	Page(ctx context.Context, of metrics.Selection, at metrics.Mark, limit int) ([]metrics.Stretch, metrics.Mark, error)
	Follow(of metrics.Selection, past int64)
	Late() ([]metrics.Stretch, int)
	Metadata(r metrics.Reader) map[string][]metrics.Metadata
}

// Config says what is sent where. Zero numbers take the defaults named beside
// them.
type Config struct {
	URL    string
	Header http.Header       // of every request: who sends, and as which tenant
	Series metrics.Selection // all where it is empty
	File   string            // where the mark is kept

	Every   time.Duration // how often what is new is sent: 15 s
	Delay   time.Duration // how old a sample is when it is sent: 30 s; what comes later goes by itself
	Batch   int           // samples of a request: 2,000
	Timeout time.Duration // of a request: 30 s

	Transport http.RoundTripper // nil: the machine's
	Retry     backoff.Policy    // after a failure: 1 s to 1 min
	Now       func() time.Time
}

// page is how many samples are in memory at once, and window how much time is read
// at once.
const (
	page   = 50_000
	window = 5 * time.Minute
)

// State is how the sending to one receiver goes. Its numbers outlive the process.
type State struct {
	Sent    int64         `json:"sent"`             // samples that the receiver took
	Dropped int64         `json:"dropped"`          // those that it refused, or that there was no room for
	Passed  time.Duration `json:"passed"`           // time that was no longer kept when its turn came
	Behind  time.Duration `json:"-"`                // age of what is sent next
	Failing time.Time     `json:"failing,omitzero"` // since when nothing gets through; zero: it does
	Error   string        `json:"error,omitempty"`  // why, or the last refusal
}

// Saved is what is in the file of a forwarder.
type Saved struct {
	URL  string       `json:"url"`
	Mark metrics.Mark `json:"mark"`
	State
}

// Load reads the file of a forwarder; fs.ErrNotExist where it never ran.
func Load(file string) (s Saved, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("read %s: %w", file, err)
	}
	return s, nil
}

// Forwarder sends.
type Forwarder struct {
	cfg    Config
	kept   Kept
	client http.Client
	log    *slog.Logger

	mu    sync.Mutex // guards state and mark
	state State
	mark  metrics.Mark
	saved time.Time // when the mark was last written to its file
}

// New makes a forwarder; Run sends.
func New(cfg Config, kept Kept, log *slog.Logger) *Forwarder {
	fill(&cfg.Every, 15*time.Second)
	fill(&cfg.Delay, 30*time.Second)
	fill(&cfg.Batch, 2000)
	fill(&cfg.Timeout, 30*time.Second)
	fill(&cfg.Retry, backoff.Policy{First: time.Second, Max: time.Minute, Jitter: 0.3})
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Forwarder{cfg: cfg, kept: kept, log: log, client: http.Client{Transport: cfg.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // metrics go where they were sent, and nowhere else
	}}}
}

func fill[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// State says how the sending goes.
func (f *Forwarder) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.state
	if f.mark.From > 0 {
		s.Behind = max(0, f.cfg.Now().Sub(time.UnixMilli(f.mark.From)))
	}
	return s
}

// Run sends what is new until ctx ends. A receiver's first sample is one of now:
// what was kept before it was named stays here.
func (f *Forwarder) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-f.kept.Ready():
	}
	f.begin(ctx)
	defer f.save(context.WithoutCancel(ctx))
	tick := time.NewTicker(f.cfg.Every)
	defer tick.Stop()
	told := time.Time{}
	for {
		if now := f.cfg.Now(); now.Sub(told) >= tellAgain || now.Before(told) {
			f.describe(ctx)
			told = now
		}
		for f.round(ctx) {
		}
		f.sendLate(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// round sends a page, and reports whether there is more.
func (f *Forwarder) round(ctx context.Context) (more bool) {
	if ctx.Err() != nil {
		return false
	}
	at, ok := f.next()
	if !ok {
		return false
	}
	f.kept.Follow(f.cfg.Series, at.To)
	all, next, err := f.kept.Page(ctx, f.cfg.Series, at, page)
	if err != nil {
		if ctx.Err() == nil {
			f.log.WarnContext(ctx, "read metrics that are to be sent on", "error", err)
		}
		return false
	}
	for _, b := range batches(all, f.cfg.Batch) {
		left := parts
		if !f.deliver(ctx, b, &left) {
			return false
		}
		f.move(ctx, metrics.Mark{From: at.From, To: at.To, After: b[len(b)-1].Labels})
	}
	f.move(ctx, next)
	return true
}

// next is what is to be read: the rest of what was begun, or the time after it.
func (f *Forwarder) next() (metrics.Mark, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.cfg.Now()
	latest := now.Add(-f.cfg.Delay).UnixMilli()
	if f.mark.From > now.Add(time.Minute).UnixMilli() { // the clock was set back
		f.mark = metrics.Mark{From: latest}
	}
	oldest, kept := f.kept.Begins()
	if !kept {
		return metrics.Mark{}, false
	}
	if gone := oldest.Sub(time.UnixMilli(f.mark.From)); gone > 0 {
		if gone > noise {
			f.state.Passed += gone
		}
		f.mark = metrics.Mark{From: oldest.UnixMilli()}
	}
	if f.mark.To == 0 {
		f.mark.To = min(latest, f.mark.From+window.Milliseconds())
	}
	if f.mark.To <= f.mark.From {
		f.mark.To = 0
		return metrics.Mark{}, false
	}
	return f.mark, true
}

// noise is the time between a mark and the first sample of a new database in which
// there was nothing to send.
const noise = 10 * time.Minute

// begin finds the mark of an earlier run.
func (f *Forwarder) begin(ctx context.Context) {
	kept, err := Load(f.cfg.File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.log.WarnContext(ctx, "read how far metrics were sent on; it begins with now", "error", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mark, f.state = kept.Mark, kept.State
	if err != nil || kept.URL != f.cfg.URL || f.mark.From == 0 {
		f.mark, f.state = metrics.Mark{From: f.cfg.Now().UnixMilli()}, State{}
	}
	f.kept.Follow(f.cfg.Series, f.mark.From)
}

// saveAfter is how often the mark is written to its file: who is killed sends as
// much again.
const saveAfter = time.Second

// move moves the mark.
func (f *Forwarder) move(ctx context.Context, to metrics.Mark) {
	f.mu.Lock()
	f.mark = to
	due := f.cfg.Now().Sub(f.saved).Abs() >= saveAfter
	f.mu.Unlock()
	if due {
		f.save(ctx)
	}
}

func (f *Forwarder) save(ctx context.Context) {
	f.mu.Lock()
	now := Saved{f.cfg.URL, f.mark, f.state}
	f.saved = f.cfg.Now()
	f.mu.Unlock()
	raw, err := json.Marshal(now)
	if err == nil {
		err = atomicfile.Write(f.cfg.File, raw, 0o600)
	}
	if err != nil {
		f.log.WarnContext(ctx, "note how far metrics were sent on", "error", fmt.Errorf("write %s: %w", f.cfg.File, err))
	}
}
