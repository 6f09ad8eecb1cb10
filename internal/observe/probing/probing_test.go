package probing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"

	"naru/internal/app"
	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
)

func opened(t *testing.T) *metrics.Store {
	t.Helper()
	s := metrics.New(metrics.Options{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
	return s
}

func target(name, host, path string, good ...string) Target {
	return Target{
		Place: collect.Place{Org: "default", Space: "dev", SpaceID: "s1", App: "shop"}, Host: host,
		Probe: app.Probe{Name: name, Path: path, Good: good, Interval: app.Duration(10 * time.Second)},
	}
}

// A gateway answers for an app; each probe is made once, and how it went is kept.
func TestRuns(t *testing.T) {
	asked := make(chan string, 100)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host + r.URL.String() + " " + r.Header.Get("User-Agent")
		switch r.URL.Path {
		case "/slow":
			<-r.Context().Done()
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("not all of it")) // the client sees the end
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer gateway.Close()
	store := opened(t)
	slow := target("slow", "shop.test", "/slow")
	slow.Probe.Timeout = app.Duration(10 * time.Millisecond)
	targets := []Target{
		target("fine", "shop.test", "/fine?a=b"), target("moved", "shop.test", "/moved"), target("may-move", "shop.test", "/moved", "302"),
		target("broken", "shop.test", "/broken"), target("cut", "shop.test", "/cut"), target("nowhere", "", "/"), slow,
	}
	p := New(Options{
		Address: gateway.Listener.Addr().String(), Version: "1", AtOnce: len(targets),
		Targets: func(context.Context) ([]Target, error) { return targets, nil },
	}, store, slog.New(slog.DiscardHandler))
	now := time.Now().Add(-time.Minute)
	p.round(t.Context(), now)
	if n := len(p.due(now.Add(-time.Second))); n != 0 {
		t.Errorf("%d probes are due before they are there", n)
	}
	due := p.due(now.Add(10 * time.Second))
	if len(due) != len(targets) || len(p.due(now.Add(10*time.Second))) != 0 {
		t.Fatalf("%d probes are due", len(due))
	}
	for _, s := range due {
		p.run(t.Context(), s)
	}
	p.round(t.Context(), now.Add(11*time.Second))
	a, err := store.Query(t.Context(), metrics.Reader{Spaces: []string{"s1"}}, metrics.Query{Text: Runs + " > 0", To: now.Add(12 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var got []string
	for _, s := range a.Value.(promql.Vector) {
		got = append(got, fmt.Sprintf("%s %s %v", s.Metric.Get(LabelProbe), s.Metric.Get(LabelOutcome), s.F))
	}
	sort.Strings(got)
	if want := "broken bad 1, cut bad 1, fine good 1, may-move good 1, moved bad 1, nowhere bad 1, slow bad 1"; strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	seen := map[string]bool{}
	for range len(targets) - 1 { // but for nowhere
		seen[<-asked] = true
	}
	if !seen["GET shop.test/fine?a=b naru-probe/1 (fine)"] {
		t.Errorf("asked for %v", seen)
	}
	targets = nil
	p.round(t.Context(), now.Add(20*time.Second))
	if len(p.due(now.Add(time.Hour))) != 0 {
		t.Error("what is not declared any more is asked")
	}
}

// No more probes than places are made at a time, a run that lasts is not joined by
// the next, and a machine that slept does not make up for it.
func TestPlaces(t *testing.T) {
	p := New(Options{AtOnce: 2}, opened(t), slog.New(slog.DiscardHandler))
	now := time.Now()
	p.want([]Target{target("a", "h", "/"), target("b", "h", "/"), target("c", "h", "/")}, now)
	later := now.Add(time.Hour)
	if n := len(p.due(later)); n != 2 {
		t.Fatalf("%d at once", n)
	}
	if n := len(p.due(later.Add(time.Minute))); n != 0 {
		t.Errorf("%d more", n)
	}
	for _, s := range p.series {
		if s.busy && !s.next.After(later) {
			t.Errorf("%s is due at %s again", s.Probe.Name, s.next)
		}
	}
}

func TestReached(t *testing.T) {
	for listen, want := range map[string]string{
		":80": "127.0.0.1:80", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "[::1]:80", "10.0.0.7:8080": "10.0.0.7:8080", "localhost:1": "localhost:1",
	} {
		if got := reached(listen); got != want {
			t.Errorf("%s is reached at %s, want %s", listen, got, want)
		}
	}
}
