package attain_test

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/app"
	"naru/internal/judge/attain"
	"naru/internal/judge/objective"
	"naru/internal/observe/metrics"
)

// processor is the time that this process has had.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReports judges three objectives of each of a hundred apps over 28 days of
// samples a minute apart: first when nothing is remembered, then as time goes on.
func BenchmarkReports(b *testing.B) {
	const apps, days = 100, 28
	clock := now.Add(-days * day)
	s := metrics.New(metrics.Options{Dir: b.TempDir(), Now: func() time.Time { return clock }}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { stop(); <-done }()
	<-s.Ready()
	var all []*metrics.Series
	for i := range apps {
		add := func(name string, more ...string) {
			all = append(all, &metrics.Series{Labels: labels.FromStrings(append(more, "__name__", name, "space_id", "s1", "app", fmt.Sprint("app", i), "group", "v1")...)})
		}
		add("naru_gateway_requests_total", "class", "2xx")
		add("naru_gateway_requests_total", "class", "5xx")
		add("naru_journey_requests_total", "journey", "/a", "status", "2xx")
		add("naru_journey_requests_total", "journey", "/a", "status", "5xx")
		add("naru_journey_requests_within_total", "journey", "/a", "status", "2xx", "le", "0.5")
	}
	points := make([]metrics.Point, len(all))
	n := 0
	for ; !clock.After(now); clock = clock.Add(time.Minute) {
		for i := range points {
			points[i] = metrics.Point{Series: all[i], Value: float64(n * (i%7 + 1))}
		}
		if _, err := s.Write(ctx, clock, points); err != nil {
			b.Fatal(err)
		}
		n++
	}
	a := app.Journey{Path: "/a"}
	objectives := []app.Objective{
		{Name: "all", Kind: app.Availability, Target: 0.999},
		{Name: "a", Kind: app.Availability, Target: 0.99, Journeys: []app.Journey{a}},
		{Name: "fast", Kind: app.Latency, Target: 0.9, Threshold: app.Duration(500 * time.Millisecond), Journeys: []app.Journey{a}},
	}
	fresh := func(at *time.Time) *attain.Counts {
		return attain.New(s, func(_ context.Context, id app.ID) (attain.Place, error) {
			return attain.Place{SpaceID: "s1", App: string(id)}, nil
		}, attain.Options{Now: func() time.Time { return *at }})
	}
	judge := func(b *testing.B, c *attain.Counts, at time.Time) {
		began := processor(b)
		defer func() {
			b.ReportMetric(float64((processor(b)-began).Microseconds())/1000/apps/float64(len(objectives)), "cpu-ms/report")
		}()
		for i := range apps {
			for _, o := range objectives {
				r, err := objective.Judge(b.Context(), c, app.ID(fmt.Sprint("app", i)), o, now.Add(-60*day), at, nil)
				if err != nil || !r.Known || r.Total == 0 {
					b.Fatal(r.Known, r.Total, err)
				}
			}
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			at := now.Add(-time.Hour)
			judge(b, fresh(&at), at)
		}
	})
	b.Run("again", func(b *testing.B) {
		at := now.Add(-time.Hour)
		c := fresh(&at)
		judge(b, c, at)
		for b.Loop() {
			judge(b, c, at)
		}
	})
}
