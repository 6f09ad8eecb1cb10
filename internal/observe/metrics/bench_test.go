package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// BenchmarkRateOver28Days asks for the rate of errors of a hundred apps over 28
// days of samples 15 seconds apart: 16 million of them.
func BenchmarkRateOver28Days(b *testing.B) {
	const apps, days = 100, 28
	now := began.AddDate(0, 0, days)
	s := New(Options{Dir: b.TempDir(), Now: func() time.Time { return now }, QueryTimeout: 10 * time.Minute}, slog.New(slog.DiscardHandler))
	db, _, err := s.open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	s.db, s.epoch = db, 1
	s.limits.begin()
	defer s.close()
	all := make([]*Series, apps)
	for i := range all {
		all[i] = &Series{Labels: labels.FromStrings("__name__", "naru_gateway_requests_total", "app", fmt.Sprintf("app-%d", i), "class", "5xx", "space_id", "s")}
	}
	var wrote time.Duration
	rounds := 0
	points := make([]Point, apps)
	for at := began; at.Before(now); at = at.Add(15 * time.Second) {
		for i := range points {
			points[i] = Point{Series: all[i], Value: float64(rounds * (i + 1))}
		}
		start := time.Now()
		if _, err := s.Write(b.Context(), at, points); err != nil {
			b.Fatal(err)
		}
		wrote += time.Since(start)
		if rounds++; rounds%1440 == 0 { // six hours
			if err := s.db.Compact(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	size, err := s.Size()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size.Bytes)/float64(rounds*apps), "bytes/sample")
	b.ReportMetric(float64(wrote.Nanoseconds())/float64(rounds*apps), "ns/sample-written")
	for name, text := range map[string]string{
		"rate of each":    `rate(naru_gateway_requests_total{class="5xx"}[28d])`,
		"sum over an app": `sum(rate(naru_gateway_requests_total{app="app-7"}[28d]))`,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				a, err := s.Query(context.Background(), Reader{Spaces: []string{"s"}}, Query{Text: text, To: now})
				if err != nil {
					b.Fatal(err)
				}
				a.Close()
			}
		})
	}
}
