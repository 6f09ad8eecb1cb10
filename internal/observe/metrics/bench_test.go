package metrics_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/auth"
	"naru/internal/door/prometheus"
	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
	"naru/internal/secret"
)

// root is an administrator, whoever asks.
type root struct{}

func (root) Verify(context.Context, string) (auth.Identity, error) { return auth.Identity{}, nil }
func (root) Authenticate(context.Context, string, secret.Secret) (auth.Identity, error) {
	return auth.Identity{}, nil
}
func (root) Reader(context.Context, auth.Identity) (metrics.Reader, error) {
	return metrics.Reader{All: true}, nil
}
func (root) Writable(context.Context, auth.Identity, string) (collect.Place, error) {
	return collect.Place{}, nil
}

// queries are what dashboards and objectives ask, over 28 days.
var queries = []query{
	{"rate of 100 apps over 28 d", "query", `rate(naru_gateway_requests_total{class="5xx"}[28d])`},
	{"rate of one app over 28 d", "query", `sum(rate(naru_gateway_requests_total{app="app-7"}[28d]))`},
	{"28 d of one app, every hour", "query_range", `sum(rate(naru_gateway_requests_total{app="app-7"}[1h]))`},
	{"28 d of 100 apps, every hour", "query_range", `sum by (app) (rate(naru_gateway_requests_total[5m]))`},
}

type query struct{ name, path, text string }

// BenchmarkRateOver28Days asks about a hundred apps over 28 days of samples 15
// seconds apart, 16 million of them: naru, and Debian's Prometheus with the same
// blocks.
func BenchmarkRateOver28Days(b *testing.B) {
	const apps, days = 100, 28
	began := time.Now().AddDate(0, 0, -days).Truncate(2 * time.Hour)
	now := began.AddDate(0, 0, days)
	dir := filepath.Join(b.TempDir(), "metrics")
	s := metrics.New(metrics.Options{Dir: dir, Now: func() time.Time { return now }, QueryTimeout: 10 * time.Minute}, slog.New(slog.DiscardHandler))
	must(b, s.OpenNow(b.Context()))
	all := make([]*metrics.Series, apps)
	for i := range all {
		all[i] = &metrics.Series{Labels: labels.FromStrings("__name__", "naru_gateway_requests_total", "app", fmt.Sprintf("app-%d", i), "class", "5xx", "space_id", "s")}
	}
	var wrote time.Duration
	rounds := 0
	points := make([]metrics.Point, apps)
	for at := began; at.Before(now); at = at.Add(15 * time.Second) {
		for i := range points {
			points[i] = metrics.Point{Series: all[i], Value: float64(rounds * (i + 1))}
		}
		start := time.Now()
		_, err := s.Write(b.Context(), at, points)
		must(b, err)
		wrote += time.Since(start)
		if rounds++; rounds%1440 == 0 { // six hours
			must(b, s.CompactNow(b.Context()))
		}
	}
	size, err := s.Size()
	must(b, err)
	fmt.Fprintf(os.Stderr, "    bench: %.2f bytes a sample on disk; %.0f samples/s written, compaction left out\n", float64(size.Bytes)/float64(rounds*apps), float64(rounds*apps)/wrote.Seconds())
	door := httptest.NewServer(prometheus.New(prometheus.Config{}, root{}, root{}, s, slog.New(slog.DiscardHandler)))
	defer door.Close()
	defer s.CloseNow()
	other := peer(b, dir)
	for _, q := range queries {
		b.Run(q.name+"/naru", func(b *testing.B) { q.measure(b, door.URL, began, now) })
		if other != "" {
			b.Run(q.name+"/prometheus", func(b *testing.B) { q.measure(b, other, began, now) })
		}
	}
}

// measure asks a server.
func (q query) measure(b *testing.B, address string, began, now time.Time) {
	form := url.Values{"query": {q.text}}
	if q.path == "query_range" {
		form.Set("start", fmt.Sprint(began.Add(time.Hour).Unix()))
		form.Set("end", fmt.Sprint(now.Unix()))
		form.Set("step", "3600")
	} else {
		form.Set("time", fmt.Sprint(now.Unix()))
	}
	for b.Loop() {
		if n := answered(b, address+"/api/v1/"+q.path+"?"+form.Encode()); n < 100 {
			b.Fatalf("an answer of %d bytes", n)
		}
	}
}

func answered(b *testing.B, address string) int {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, address, http.NoBody)
	must(b, err)
	req.SetBasicAuth("root", "x")
	res, err := http.DefaultClient.Do(req)
	must(b, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(b, err)
	if res.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s", res.Status, text)
	}
	return len(text)
}

// peer is Debian's Prometheus with a copy of a store's blocks, which it leaves as
// they are; "" where it is not installed.
func peer(b *testing.B, dir string) string {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		b.Log("no peer: prometheus is not installed")
		return ""
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	address := ln.Addr().String()
	must(b, ln.Close())
	data := filepath.Join(b.TempDir(), "data")
	must(b, os.CopyFS(data, os.DirFS(dir)))
	config := filepath.Join(b.TempDir(), "prometheus.yml")
	must(b, os.WriteFile(config, []byte("{}\n"), 0o600))
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+data, "--storage.tsdb.retention.time=10y", "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h", "--web.listen-address="+address)
	must(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	for tick := time.Tick(100 * time.Millisecond); ; <-tick {
		res, err := http.Get("http://" + address + "/-/ready")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return "http://" + address
			}
		}
	}
}

// BenchmarkIngest writes rounds of 10,000 series, as scrapes do.
func BenchmarkIngest(b *testing.B) {
	now := time.Now()
	s := metrics.New(metrics.Options{Dir: b.TempDir(), Now: func() time.Time { return now }, SeriesPerApp: 100_000}, slog.New(slog.DiscardHandler))
	must(b, s.OpenNow(b.Context()))
	defer s.CloseNow()
	points := make([]metrics.Point, 10_000)
	for i := range points {
		points[i].Series = &metrics.Series{Labels: labels.FromStrings("__name__", "m", "app", fmt.Sprint(i%100), "i", fmt.Sprint(i))}
	}
	for b.Loop() {
		now = now.Add(15 * time.Second)
		for i := range points {
			points[i].Value++
		}
		_, err := s.Write(b.Context(), now, points)
		must(b, err)
	}
	b.ReportMetric(float64(b.N*len(points))/b.Elapsed().Seconds(), "samples/s")
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
