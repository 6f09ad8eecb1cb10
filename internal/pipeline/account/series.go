package account

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/app"
	"naru/internal/observe/metrics"
	"naru/internal/route"
)

// Series is where it is kept what gateways counted; *metrics.Store is that.
type Series interface {
	As(r metrics.Reader) metrics.Queryable
}

// What a course is cut into, and how long before and after a change is looked at.
const (
	slots     = 720
	leastSpan = 5 * time.Minute
	leastSeen = 5 // samples of each side of a change
)

// stepOf is how long a slot of a time is, of metrics that are written so often.
func stepOf(length, every time.Duration) time.Duration {
	return max(every, (length / slots).Round(every))
}

// spanOf is how long before and after a change is looked at.
func spanOf(every time.Duration) time.Duration { return max(leastSpan, leastSeen*every) }

// course reads what the gateways counted for an app, cut where its slots begin and
// at the moments that are named. Each sample is read, and belongs to the time that
// it ends: what a rate of PromQL makes of them is an estimate, and misses the
// beginning of a release that did not live long.
func course(ctx context.Context, s Series, every time.Duration, a app.App, from, to time.Time, cuts ...time.Time) (Course, error) {
	c := cutCourse(from, to, stepOf(to.Sub(from), every), cuts)
	err := c.read(ctx, s, a, "naru_gateway_requests_total", func(t *Traffic, l labels.Labels, grown float64) {
		t.Requests += grown
		if l.Get("class") == "5xx" {
			t.Failed += grown
		}
	})
	if err != nil {
		return c, err
	}
	err = c.read(ctx, s, a, "naru_gateway_request_duration_seconds_bucket", func(t *Traffic, l labels.Labels, grown float64) {
		// A bucket holds all that is faster, too: what it has more than the one
		// before it is its own.
		if i, ok := bucketNamed(l.Get(labels.BucketLabel)); ok {
			t.latency[i] += grown
			if i+1 < len(t.latency) {
				t.latency[i+1] -= grown
			}
		}
	})
	for i := range c.pieces {
		for j, n := range c.pieces[i].latency {
			c.pieces[i].latency[j] = max(n, 0)
		}
	}
	c.fill()
	return c, err
}

// bucketNamed finds the bucket of a label le.
func bucketNamed(le string) (int, bool) {
	if le == "+Inf" {
		return len(route.LatencyBounds), true
	}
	bound, err := strconv.ParseFloat(le, 64)
	if err != nil {
		return 0, false
	}
	return route.LatencyBucket(time.Duration(bound * float64(time.Second))), true
}

// read adds to each piece by how much a counter of the app grew in it.
func (c *Course) read(ctx context.Context, s Series, a app.App, name string, add func(t *Traffic, l labels.Labels, grown float64)) error {
	of := metrics.Counters{Matchers: []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name),
		labels.MustNewMatcher(labels.MatchEqual, metrics.LabelSpaceID, string(a.Space)),
		labels.MustNewMatcher(labels.MatchEqual, metrics.LabelApp, a.Name),
	}}
	first, last := c.cuts[0], c.cuts[len(c.cuts)-1]
	i := 0
	err := metrics.Increases(ctx, s.As(metrics.Reader{All: true}), of, time.UnixMilli(first), time.UnixMilli(last), func(l labels.Labels, at int64, by float64) {
		if at <= first || at > last || by <= 0 {
			return
		}
		// Samples come in the order of time, a series after the other.
		if at <= c.cuts[i] || at > c.cuts[i+1] {
			i, _ = slices.BinarySearch(c.cuts, at)
			i--
		}
		add(&c.pieces[i], l, by)
	})
	if err != nil {
		return fmt.Errorf("read traffic: %w", err)
	}
	return nil
}
