package gateway_test

import (
	"context"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/gateway"
	"naru/internal/route/hub"
)

// told is what a control plane hears of spans.
type told struct {
	spans chan route.Span
	lost  chan uint64
}

// traced serves a table, with a control plane that takes spans.
func traced(t *testing.T, table route.Table, cfg gateway.Config) (*running, told) {
	t.Helper()
	cfg.Control = filepath.Join(t.TempDir(), "control.sock")
	if cfg.Report == 0 {
		cfg.Report = time.Millisecond
	}
	got := told{make(chan route.Span, 10_000), make(chan uint64, 10_000)}
	ln, err := hub.Listen(cfg.Control, 0)
	must(t, err)
	came := make(connected, 1)
	h := hub.New(hub.Config{Observer: came, Settle: time.Nanosecond, Spans: func(_ string, spans []route.Span, dropped uint64) {
		for _, s := range spans {
			got.spans <- s
		}
		got.lost <- dropped
	}}, testLog(t))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
	})
	r := start(t, table, cfg)
	must(t, r.Apply(&table))
	select {
	case <-came:
	case <-time.After(limit):
		t.Fatal("the gateway did not connect")
	}
	return r, got
}

// connected is told when a gateway connects.
type connected chan struct{}

func (c connected) Counters(_ string, counters []route.Counter) {
	if counters == nil {
		c <- struct{}{}
	}
}

func (connected) Load(string, route.Load)               {}
func (connected) Access(string, []route.Access, uint64) {}
func (connected) Ejected(string, []route.Ejection)      {}

func (g told) next(t *testing.T) route.Span {
	t.Helper()
	select {
	case s := <-g.spans:
		return s
	case <-time.After(limit):
		t.Fatal("no span came")
		return route.Span{}
	}
}

// TestSpansSayWhatHappened has one request answered by an instance and one by the
// gateway itself.
func TestSpansSayWhatHappened(t *testing.T) {
	parent := make(chan string, 1)
	at := serveApp(t, func(w http.ResponseWriter, r *http.Request) {
		parent <- r.Header.Get("Traceparent")
		w.WriteHeader(http.StatusTeapot)
	})
	table := tableOf(at)
	table.Routes[0].Groups[0].Instances[0].Index = 3
	table.Routes = append(table.Routes, route.Entry{ID: "r2", Host: "other.test", Path: "/", App: route.App{ID: "a2", Name: "other"}})
	r, got := traced(t, table, gateway.Config{TraceShare: 1})

	if status := statusOf(t, r.addr, http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}); status != http.StatusTeapot {
		t.Fatal(status)
	}
	s, record := got.next(t), r.last(t)
	if want := "00-" + s.Trace + "-" + s.ID + "-01"; <-parent != want {
		t.Errorf("the instance was told another parent than %s", want)
	}
	if s.Took <= 0 || s.Start.IsZero() || record.Trace != s.Trace {
		t.Errorf("%s from %s, recorded %s", s.Took, s.Start, record.Trace)
	}
	s.Took, s.Start, s.ID = 0, time.Time{}, ""
	want := route.Span{
		Trace: "0af7651916cd43dd8448eb211c80319c", Parent: "b7ad6b7169203331", App: route.App{ID: "a1", Name: "shop"}, Route: "r1", Group: "g1",
		Instance: "i-" + at, Index: 3, Method: "GET", Host: "shop.test", Path: "/", Status: http.StatusTeapot,
	}
	if s != want {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.addr+"/a/b?secret=1", nil)
	must(t, err)
	req.Host = "other.test"
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, res.Body.Close())
	s = got.next(t)
	if s.App.Name != "other" || s.Parent != "" || s.Instance != "" || s.Status != http.StatusServiceUnavailable || s.Error == "" || s.Path != "/a/b" || strings.Contains(s.Error, "secret") {
		t.Errorf("got %+v", s)
	}
}

// TestSpansOfTheFirstRequests: whatever the share, a route that is seldom asked has
// some.
func TestSpansOfTheFirstRequests(t *testing.T) {
	flags := make(chan string, 1)
	at := serveApp(t, func(_ http.ResponseWriter, r *http.Request) { flags <- r.Header.Get("Traceparent")[53:] })
	for name, c := range map[string]struct {
		cfg  gateway.Config
		want string
	}{
		"first":   {gateway.Config{TraceShare: 1e-12, TraceFirst: 1}, "01"},
		"nothing": {gateway.Config{TraceShare: -1, TraceFirst: 1}, "00"},
		"none":    {gateway.Config{TraceShare: 1e-12, TraceFirst: -1}, "00"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := traced(t, tableOf(at), c.cfg)
			statusOf(t, r.addr, nil)
			if got := <-flags; got != c.want {
				t.Errorf("flags %s, want %s", got, c.want)
			}
		})
	}
}

// TestSpansAreBounded has nobody take them until the end: those that there is no
// place for are counted, and the requests do not wait.
func TestSpansAreBounded(t *testing.T) {
	at := serveApp(t, func(http.ResponseWriter, *http.Request) {})
	table := tableOf(at)
	r, got := traced(t, table, gateway.Config{TraceShare: 1, Spans: 1, Report: time.Hour})
	for range 3 {
		statusOf(t, r.addr, nil)
	}
	must(t, r.stop())
	if lost := <-got.lost; lost != 2 || len(got.spans) != 1 {
		t.Errorf("%d are lost, %d came", lost, len(got.spans))
	}
}

// TestSpansAllocateNothing counts with all requests recorded, and with none.
func TestSpansAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools drop what they are given")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	row := plainRows["GET 1 KiB"]
	for name, c := range map[string]struct {
		share float64
		more  string
	}{
		"none": {-1, ""}, "some": {0.1, ""}, "all": {1, ""}, "all, of B3": {1, "X-B3-TraceId: 463ac35c9f6413ad\r\nX-B3-SpanId: a2fb4a1d1a96d312\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := gateway.Config{Control: "/nowhere/socket", Records: 10, Spans: 10, TraceShare: c.share}
			ask := strings.TrimSuffix(row.ask, "\r\n") + c.more + "\r\n"
			if n := allocations(t, tableOf(silentApp(t, row.answer)), cfg, ask, row.answer); n > 0 {
				t.Errorf("%d allocations in %d requests", n, counted)
			}
		})
	}
}
