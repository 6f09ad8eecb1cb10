package scrape

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"

	"naru/internal/app"
	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
	"naru/internal/run"
)

// rig is a scraper with a store and an app that answers as its test says.
type rig struct {
	*Scraper
	t      *testing.T
	store  *metrics.Store
	answer atomic.Pointer[http.HandlerFunc]
	target Target
	at     time.Time
}

func start(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t: t, at: time.Now().Add(-30 * time.Minute).Truncate(time.Second)}
	r.store = metrics.New(metrics.Options{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
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
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { (*r.answer.Load())(w, req) }))
	t.Cleanup(srv.Close)
	r.target = Target{
		Group:    collect.Group{Place: collect.Place{Org: "default", Space: "dev", SpaceID: "s1", App: "shop"}, Name: "shop-v001", Process: "web", Release: "v1"},
		Instance: run.Instance{ID: "i1", Index: 3, Addr: srv.Listener.Addr().String()}, Metrics: app.Metrics{Path: "/metrics"},
	}
	r.Scraper = New(o, r.store, slog.New(slog.DiscardHandler))
	return r
}

func (r *rig) says(kind, text string) {
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/metrics" {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Type", kind)
		fmt.Fprint(w, text)
	})
	r.answer.Store(&h)
}

// next asks once, 15 seconds after the last time.
func (r *rig) next(one *reading) error {
	r.at = r.at.Add(15 * time.Second)
	return r.round(r.t.Context(), one, 15*time.Second, r.at)
}

func (r *rig) ask(text string) string {
	r.t.Helper()
	a, err := r.store.Query(r.t.Context(), metrics.Reader{Spaces: []string{"s1"}}, metrics.Query{Text: text, To: r.at})
	if err != nil {
		r.t.Fatalf("%s: %v", text, err)
	}
	defer a.Close()
	var lines []string
	for _, s := range a.Value.(promql.Vector) {
		lines = append(lines, fmt.Sprintf("%s %.6g", s.Metric, s.F))
	}
	return strings.Join(lines, "\n")
}

func (r *rig) want(query, want string) {
	r.t.Helper()
	if got := r.ask(query); got != want {
		r.t.Errorf("%s\n got %s\nwant %s", query, got, want)
	}
}

const plain = "text/plain; version=0.0.4"

func TestAnAppCannotSpeakForOthers(t *testing.T) {
	r := start(t, Options{})
	one := newReading(r.store, r.target)
	r.says(plain, `# HELP jobs_total jobs that were done
# TYPE jobs_total counter
jobs_total{space_id="s2",app="bank",queue="a",org="evil"} 5
jobs_total{queue="b"} 6 1
naru_gateway_requests_total{class="5xx"} 1e9
up 0
twice 1
twice 2
bad{a="`+strings.Repeat("x", 3000)+`"} 1
`)
	if err := r.next(one); err != nil {
		t.Fatal(err)
	}
	const where = `app="shop", %sgroup="shop-v001", instance="3", org="default", process="web", %srelease="v1", space="dev", space_id="s1"`
	r.want(`jobs_total{queue="a"} + 0`, `{app="shop", exported_app="bank", exported_org="evil", exported_space_id="s2", group="shop-v001", instance="3", org="default", process="web", queue="a", release="v1", space="dev", space_id="s1"} 5`)
	r.want(`jobs_total{queue="b"} + 0`, "{"+fmt.Sprintf(where, "", `queue="b", `)+"} 6")
	r.want(`count(naru_gateway_requests_total)`, "")
	r.want(`count(exported_naru_gateway_requests_total)`, "{} 1")
	r.want(`up + 0`, "{"+fmt.Sprintf(where, "", "")+"} 1")
	r.want(`exported_up + 0`, "{"+fmt.Sprintf(where, "", "")+"} 0")
	r.want(`twice + 0`, "{"+fmt.Sprintf(where, "", "")+"} 1")
	r.want(`count(bad)`, "")
	r.want(`sum(scrape_samples_scraped)`, "{} 5")
	if m := r.store.Metadata(metrics.Reader{Spaces: []string{"s1"}})["jobs_total"]; len(m) != 1 || m[0] != (metrics.Metadata{Type: "counter", Help: "jobs that were done"}) {
		t.Errorf("metadata %+v", m)
	}
	// A series that is not shown any more ends, one that is shown goes on.
	r.says("application/openmetrics-text; version=1.0.0", "# TYPE jobs counter\njobs_total{queue=\"b\"} 7\n# EOF\n")
	if err := r.next(one); err != nil {
		t.Fatal(err)
	}
	r.want(`sum by (queue) (jobs_total)`, `{queue="b"} 7`)
	if len(one.series) != 1 {
		t.Errorf("%d series are remembered", len(one.series))
	}
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	r := start(t, Options{Bytes: 1000})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked elsewhere") }))
	defer elsewhere.Close()
	status := func(code int, fields ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(fields); i += 2 {
				w.Header().Set(fields[i], fields[i+1])
			}
			w.WriteHeader(code)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		change func(*Target)
		says   string
	}{
		"an error":          {status(500), nil, "500"},
		"another place":     {status(302, "Location", elsewhere.URL), nil, "302"},
		"too much":          {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("a 1\n", 1000)) }, nil, "metrics.scrape_bytes"},
		"no metrics":        {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, nil, "read metrics"},
		"a port of others":  {status(200), func(t *Target) { t.Metrics.Port = 1 }, "cannot be asked"},
		"a path that leads": {status(200), func(t *Target) { t.Metrics.Path = "@" + elsewhere.Listener.Addr().String() }, "no path"},
		"no address":        {status(200), func(t *Target) { t.Instance.Addr = "" }, "no address"},
	} {
		t.Run(name, func(t *testing.T) {
			target := r.target
			if c.change != nil {
				c.change(&target)
			}
			r.answer.Store(&c.answer)
			err := r.next(newReading(r.store, target))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			r.want("sum(up)", "{} 0")
		})
	}
}

// TestInstancesComeAndGo lets Run find an instance, and end its series with it.
func TestInstancesComeAndGo(t *testing.T) {
	var gone atomic.Bool
	var r *rig
	asked := make(chan struct{}, 100)
	r = start(t, Options{Interval: 10 * time.Millisecond, Targets: func(context.Context) ([]Target, error) {
		if gone.Load() {
			return nil, nil
		}
		return []Target{r.target}, nil
	}})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "jobs 1\n")
		select {
		case asked <- struct{}{}:
		default:
		}
	})
	r.answer.Store(&h)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-asked
	<-asked
	gone.Store(true)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.at = time.Now().Add(time.Second)
	r.want("count(jobs)", "")
	r.want("count(last_over_time(jobs[5m]))", "{} 1")
}
