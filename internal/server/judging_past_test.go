//go:build linux

package server

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/app"
	"naru/internal/judge"
	timeseries "naru/internal/observe/metrics"
	"naru/internal/pipeline/judging"
)

// TestThePastAsTheMetricsHaveIt: a canary that lived for 30 seconds, judged by the
// counters that the metrics keep of it.
func TestThePastAsTheMetricsHaveIt(t *testing.T) {
	st := timeseries.New(timeseries.Options{Dir: t.TempDir(), OutOfOrder: time.Hour}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- st.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-st.Ready()

	const every = 15 * time.Second
	end := time.Now().Add(-5 * time.Minute).Truncate(every)
	known := map[string]*timeseries.Series{}
	point := func(value float64, of ...string) timeseries.Point {
		key := strings.Join(of, " ")
		p := timeseries.Point{Series: known[key], Value: value}
		if p.Series == nil {
			p.Series = &timeseries.Series{Labels: labels.FromStrings(append([]string{"space_id", "s", "app", "shop"}, of...)...)}
			known[key] = p.Series
		}
		return p
	}
	// The baseline runs for ten minutes; the canary from half a minute before the end
	// on, as two groups behind two routes, and with copies of requests that are none.
	for i := range 40 {
		at := end.Add(time.Duration(i-39) * every)
		n := float64(i + 1)
		points := []timeseries.Point{
			point(175*n, "__name__", "naru_gateway_requests_total", "release", "v3", "group", "shop-v003", "class", "2xx"),
			point(175*n, "__name__", "naru_gateway_request_duration_seconds_bucket", "release", "v3", "group", "shop-v003", "le", "0.01"),
			point(175*n, "__name__", "naru_gateway_request_duration_seconds_bucket", "release", "v3", "group", "shop-v003", "le", "+Inf"),
			point(0, "__name__", "naru_instance_restarts_total", "release", "v3", "group", "shop-v003", "process", "web", "index", "0"),
			point(1000*n, "__name__", "naru_gateway_requests_total", "release", "v4", "group", "shop-v004:mirror", "class", "5xx"),
		}
		if i >= 38 {
			n := float64(i - 37)
			for _, p := range []timeseries.Point{
				point(100*n, "__name__", "naru_gateway_requests_total", "release", "v4", "group", "shop-v004", "route", "a", "class", "2xx"),
				point(50*n, "__name__", "naru_gateway_requests_total", "release", "v4", "group", "shop-v004", "route", "b", "class", "2xx"),
				point(7*n, "__name__", "naru_gateway_requests_total", "release", "v4", "group", "shop-v004", "route", "b", "class", "5xx"),
			} {
				p.Born = at.Add(-every).UnixMilli()
				points = append(points, p)
			}
		}
		if res, err := st.Write(t.Context(), at, points); err != nil || res.Written != len(points) {
			t.Fatalf("%d of %d written, %v", res.Written, len(points), err)
		}
	}

	past := judging.NewPast(samples{st}, samples{st}, every)
	for name, canary := range map[string]judging.Side{"a release": {Release: "v4"}, "a group": {Group: "shop-v004"}} {
		t.Run(name, func(t *testing.T) {
			v, err := past.Judge(t.Context(), judging.Question{
				App: app.App{Space: "s", Name: "shop"}, Canary: canary, Baseline: judging.Side{Release: "v3"}, From: end.Add(-5 * time.Minute), To: end, Together: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			want := "5xx 4.5 % vs 0 % over 314 canary requests (p < 0.001)"
			if v.Outcome != judge.Fail || v.Why() != want || v.Reasons[0].Baseline.Of != 350 || v.Score == nil {
				t.Errorf("%s: %s (%+v); want %q", v.Outcome, v.Why(), v.Reasons[0], want)
			}
			if v.To.Sub(v.From) != 2*every || !v.To.Equal(end) {
				t.Errorf("it is about %s to %s, want the last 30 s before %s", v.From, v.To, end)
			}
		})
	}
	other, err := past.Judge(t.Context(), judging.Question{
		App: app.App{Space: "another", Name: "shop"}, Canary: judging.Side{Release: "v4"}, Baseline: judging.Side{Release: "v3"}, From: end.Add(-5 * time.Minute), To: end,
	})
	if err != nil || other.Outcome != judge.Unsure || other.Reasons[0].Canary.Of != 0 {
		t.Errorf("an app of another space: %s: %s (%v)", other.Outcome, other.Why(), err)
	}
}
