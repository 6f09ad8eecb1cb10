package collect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"naru/internal/observe/meter"
	"naru/internal/observe/metrics"
	"naru/internal/route"
)

// TestExemplarsStandAtTheirBuckets keeps requests that stand for others, and reads
// them back as those who may and those who may not.
func TestExemplarsStandAtTheirBuckets(t *testing.T) {
	w := shop()
	w.totals = []route.Counter{counted("g1", 3, 0)}
	r := start(t, w)
	r.next()
	trace := strings.Repeat("ab", 16)
	bucket := route.LatencyBucket(3 * time.Millisecond)
	w.exemplars = []meter.Exemplar{
		{Route: "r1", Group: "g1", Bucket: bucket, Trace: trace, At: r.at.Add(-time.Second), Took: 3 * time.Millisecond},
		{Route: "r1", Group: "nobody", Bucket: bucket, Trace: trace, At: r.at, Took: time.Second},
	}
	w.totals = []route.Counter{counted("g1", 5, 0)}
	r.next()
	for name, c := range map[string]struct {
		reader metrics.Reader
		query  string
		want   string
	}{
		"everybody's":    {metrics.Reader{All: true}, "naru_gateway_request_duration_seconds_bucket", "[shop 0.004 " + trace + " 0.003]"},
		"of a quantile":  {metrics.Reader{Spaces: []string{"s1"}}, `histogram_quantile(0.9, sum by (le) (rate(naru_gateway_request_duration_seconds_bucket{app="shop"}[1m])))`, "[shop 0.004 " + trace + " 0.003]"},
		"another's":      {metrics.Reader{Spaces: []string{"s2"}}, "naru_gateway_request_duration_seconds_bucket", "[]"},
		"nobody's":       {metrics.Reader{}, "naru_gateway_request_duration_seconds_bucket", "[]"},
		"another metric": {metrics.Reader{All: true}, "naru_gateway_requests_total", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := r.store.Exemplars(t.Context(), c.reader, c.query, r.at.Add(-time.Hour), r.at)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, one := range found {
				for _, e := range one.Exemplars {
					got = append(got, fmt.Sprint(one.SeriesLabels.Get("app"), " ", one.SeriesLabels.Get("le"), " ", e.Labels.Get(metrics.LabelTrace), " ", e.Value))
				}
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
	if _, err := r.store.Exemplars(t.Context(), metrics.Reader{All: true}, "rate(", r.at, r.at); err == nil {
		t.Error("it takes what is no PromQL")
	}
}
