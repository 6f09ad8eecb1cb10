package forward

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"

	"naru/internal/backoff"
	"naru/internal/observe/metrics"
)

// receiver keeps what it is sent, and answers as it is told to.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	answers  []int                // to the next requests; then 204
	bad      func(ts string) bool // series that it refuses
	after    string               // Retry-After
	got      map[string][]string  // samples of series
	told     []prompb.MetricMetadata
	requests int
	header   http.Header
}

func receive(t *testing.T) *receiver {
	r := &receiver{got: map[string][]string{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, err := io.ReadAll(req.Body)
	if err == nil {
		raw, err = snappy.Decode(nil, raw)
	}
	var in prompb.WriteRequest
	if err == nil {
		err = in.Unmarshal(raw)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if len(in.Metadata) > 0 {
		r.told = append(r.told, in.Metadata...)
		return
	}
	r.requests++
	r.header = req.Header
	if len(r.answers) > 0 {
		status := r.answers[0]
		r.answers = r.answers[1:]
		if r.after != "" {
			w.Header().Set("Retry-After", r.after)
		}
		http.Error(w, "as I was told", status)
		return
	}
	b := labels.NewScratchBuilder(8)
	for _, ts := range in.Timeseries {
		if name := ts.ToLabels(&b, nil).String(); r.bad != nil && r.bad(name) {
			http.Error(w, "out of order sample of "+name, http.StatusBadRequest)
			return
		}
	}
	for _, ts := range in.Timeseries {
		name := ts.ToLabels(&b, nil).String()
		for _, s := range ts.Samples {
			text := fmt.Sprint(s.Value)
			if math.Float64bits(s.Value) == value.StaleNaN {
				text = "ended"
			}
			r.got[name] = append(r.got[name], fmt.Sprintf("%d:%s", s.Timestamp/1000, text))
		}
		for _, h := range ts.Histograms {
			r.got[name] = append(r.got[name], fmt.Sprintf("%d:%s", h.Timestamp/1000, h.ToFloatHistogram()))
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// all is what was received, series by series.
func (r *receiver) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for name, samples := range r.got {
		out = append(out, name+" "+strings.Join(samples, " "))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func (r *receiver) answer(status ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = status
}

// rig is a store, a receiver and a forwarder between them, whose clock the test
// moves.
type rig struct {
	*Forwarder
	t     *testing.T
	store *metrics.Store
	to    *receiver
	now   atomic.Int64 // milliseconds
}

var began = time.Unix(10_000, 0)

func start(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, to: receive(t)}
	r.set(began)
	r.store = metrics.New(metrics.Options{Dir: t.TempDir(), Now: r.clock}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.store.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-r.store.Ready()
	cfg := Config{
		URL: r.to.URL, File: filepath.Join(t.TempDir(), "mark"), Delay: 10 * time.Second,
		Retry: backoff.Policy{First: time.Millisecond, Max: time.Millisecond}, Now: r.clock,
	}
	if change != nil {
		change(&cfg)
	}
	r.again(cfg)
	return r
}

func (r *rig) clock() time.Time  { return time.UnixMilli(r.now.Load()) }
func (r *rig) set(now time.Time) { r.now.Store(now.UnixMilli()) }

// again starts the forwarder anew, as a process that was killed.
func (r *rig) again(cfg Config) {
	r.Forwarder = New(cfg, r.store, slog.New(slog.DiscardHandler))
	r.begin(r.t.Context())
}

func (r *rig) write(at time.Time, v float64, names ...string) {
	r.t.Helper()
	var points []metrics.Point
	for _, name := range names {
		points = append(points, metrics.Point{Series: &metrics.Series{Labels: labels.FromStrings("__name__", name)}, At: at.UnixMilli(), Value: v})
	}
	if _, err := r.store.Write(r.t.Context(), at, points); err != nil {
		r.t.Fatal(err)
	}
}

// send sends all there is.
func (r *rig) send() {
	for r.round(r.t.Context()) {
	}
	r.sendLate(r.t.Context())
}

func (r *rig) wantAll(want ...string) {
	r.t.Helper()
	if got := r.to.all(); got != strings.Join(want, "\n") {
		r.t.Errorf("received\n%.2000s\nwant\n%.2000s", got, strings.Join(want, "\n"))
	}
}

func after(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }

func TestWhatIsKeptIsSentOnce(t *testing.T) {
	r := start(t, func(c *Config) { c.Header = http.Header{"X-Scope-Orgid": {"acme"}} })
	r.store.Describe("", "a", metrics.Metadata{Type: "counter", Help: "of a"})
	h := &histogram.FloatHistogram{Count: 3, Sum: 4, ZeroThreshold: 0.1, ZeroCount: 3}
	if _, err := r.store.Write(t.Context(), after(1), []metrics.Point{{Series: &metrics.Series{Labels: labels.FromStrings("__name__", "h")}, Histogram: h}}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		r.write(after(i*15), float64(i), "a", "b")
		r.set(after(i * 15))
		r.send()
	}
	r.write(after(46), math.Float64frombits(value.StaleNaN), "b")
	r.set(after(60))
	r.send()
	r.send()
	r.wantAll(
		`{__name__="a"} 10000:0 10015:1 10030:2 10045:3`,
		`{__name__="b"} 10000:0 10015:1 10030:2 10045:3 10046:ended`,
		`{__name__="h"} 10001:{count:3, sum:4, [-0.1,0.1]:3}`,
	)
	if got := r.to.header.Get("X-Scope-OrgID"); got != "acme" {
		t.Errorf("tenant %q", got)
	}
	r.describe(t.Context())
	if len(r.to.told) != 1 || r.to.told[0].Help != "of a" || r.to.told[0].Type != prompb.MetricMetadata_COUNTER {
		t.Errorf("told %v", r.to.told)
	}
	if s := r.State(); s.Sent != 10 || s.Dropped != 0 || s.Behind != 10*time.Second {
		t.Errorf("%+v", s)
	}
}

// TestAReceiverThatIsAwayLosesNothing lets it be away for two hours, with pages so
// small that many requests fail and go on in the middle of a time.
func TestAReceiverThatIsAwayLosesNothing(t *testing.T) {
	r := start(t, func(c *Config) { c.Batch = 3 })
	var want [3]strings.Builder
	for i := range 480 {
		r.set(after(i * 15))
		r.write(after(i*15), float64(i), "a", "b", "c")
		for n := range want {
			fmt.Fprintf(&want[n], " %d:%d", 10_000+i*15, i)
		}
	}
	r.set(after(2 * 3600))
	r.to.answer(slices.Repeat([]int{503, 429, 500, 404, 401}, 20)...)
	r.send()
	r.wantAll(`{__name__="a"}`+want[0].String(), `{__name__="b"}`+want[1].String(), `{__name__="c"}`+want[2].String())
	if s := r.State(); s.Sent != 1440 || s.Dropped != 0 || !s.Failing.IsZero() || s.Error != "" {
		t.Errorf("%+v", s)
	}
}

func TestWhoIsKilledGoesOn(t *testing.T) {
	var cfg Config
	r := start(t, func(c *Config) { c.Batch = 1; cfg = *c })
	r.write(after(0), 1, "a", "b", "c")
	r.set(after(60))
	r.saved = time.Time{}
	ctx, stop := context.WithCancel(t.Context())
	r.to.bad = func(ts string) bool {
		if strings.Contains(ts, `"b"`) {
			stop() // in the middle of a page
		}
		return false
	}
	r.round(ctx)
	r.to.bad = nil
	r.save(t.Context())
	r.again(r.cfg)
	if r.mark.After.Get("__name__") == "" {
		t.Errorf("it goes on at %+v, which is not in the middle", r.mark)
	}
	r.send()
	got := r.to.all()
	if strings.Count(got, "10000:1") < 3 || strings.Count(got, "10000:1") > 4 || strings.Count(strings.Split(got, "\n")[0], "10000:1") != 1 {
		t.Errorf("received\n%s", got)
	}
	if cfg.URL == "" {
		t.Fatal("no configuration")
	}
	cfg = r.cfg
	cfg.URL += "/other"
	r.again(cfg)
	r.send()
	if after := r.to.all(); after != got {
		t.Errorf("another receiver gets what was before it was named:\n%s", after)
	}
}

func TestOneBadSeriesKeepsNoOtherAway(t *testing.T) {
	r := start(t, nil)
	r.to.bad = func(ts string) bool { return strings.Contains(ts, `"s13"`) }
	var names []string
	for i := range 32 {
		names = append(names, fmt.Sprintf("s%02d", i))
	}
	r.write(after(0), 1, names...)
	r.set(after(60))
	r.send()
	if s := r.State(); s.Sent != 31 || s.Dropped != 1 || !strings.Contains(s.Error, "out of order sample") {
		t.Errorf("%+v", s)
	}
	if r.to.requests > parts {
		t.Errorf("%d requests", r.to.requests)
	}
}

func TestLateSamplesGoByThemselves(t *testing.T) {
	r := start(t, nil)
	r.write(after(30), 2, "a")
	r.set(after(60))
	r.send()
	r.write(after(20), 1, "a", "b") // of a time that was sent
	r.send()
	r.wantAll(`{__name__="a"} 10030:2 10020:1`, `{__name__="b"} 10020:1`)
}

func TestOnlyWhatIsSelectedIsSent(t *testing.T) {
	r := start(t, func(c *Config) {
		c.Series = metrics.Selection{{labels.MustNewMatcher(labels.MatchRegexp, "__name__", "naru_.*")}, {labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")}}
	})
	r.write(after(0), 1, "naru_x", "up", "other")
	r.set(after(60))
	r.send()
	r.write(after(1), 1, "other", "up")
	r.send()
	r.wantAll(`{__name__="naru_x"} 10000:1`, `{__name__="up"} 10000:1 10001:1`)
}

// TestAClockThatIsSetBack goes on with the new time, instead of waiting until it is
// as late as it was.
func TestAClockThatIsSetBack(t *testing.T) {
	r := start(t, nil)
	r.set(after(3600))
	r.write(after(3600), 1, "a")
	r.set(after(3660))
	r.send()
	r.set(after(60)) // an hour back
	r.write(after(60), 2, "b")
	r.set(after(90))
	r.send()
	if got := r.to.all(); !strings.Contains(got, `{__name__="b"} 10060:2`) {
		t.Errorf("received\n%s", got)
	}
}

// TestRunSends lets the whole of it run.
func TestRunSends(t *testing.T) {
	r := start(t, func(c *Config) { c.Every = time.Millisecond; c.Now = time.Now; c.Delay = time.Millisecond })
	r.set(time.Now().Add(time.Minute))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	now := time.Now()
	got := make(chan struct{})
	var once sync.Once
	r.to.mu.Lock()
	r.to.bad = func(string) bool { once.Do(func() { close(got) }); return false }
	r.to.mu.Unlock()
	r.write(now.Add(time.Millisecond), 1, "a")
	<-got
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
