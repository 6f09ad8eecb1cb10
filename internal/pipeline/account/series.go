package account

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"naru/internal/app"
	"naru/internal/observe/metrics"
	"naru/internal/route"
)

// Series answers PromQL; *metrics.Store does.
type Series interface {
	Query(ctx context.Context, r metrics.Reader, q metrics.Query) (*metrics.Answer, error)
}

// What a course is cut into, and how long before and after a change is looked at.
const (
	slots     = 720
	leastSpan = 5 * time.Minute
	spanSlots = 5
)

// stepOf is how long a slot of a time is, of metrics that are written so often.
func stepOf(length, every time.Duration) time.Duration {
	return max(every, (length / slots).Round(every))
}

// spanOf is how long before and after a change is looked at.
func spanOf(step time.Duration) time.Duration { return max(leastSpan, spanSlots*step) }

// course reads what the gateways counted for an app. Counters are read as they are,
// and their differences taken here: a rate of PromQL is an estimate, and would
// miss the beginning of a release that did not live long.
func course(ctx context.Context, s Series, every time.Duration, a app.App, from, to time.Time) (Course, error) {
	to = to.Truncate(time.Millisecond) // as points of an answer are
	step := stepOf(to.Sub(from), every)
	n := max(1, int((to.Sub(from)+step-1)/step))
	from = to.Add(-time.Duration(n) * step)
	c := Course{From: from, Step: step, Slots: make([]Traffic, n)}
	for i := range c.Slots {
		c.Slots[i].Length = step
	}
	of := fmt.Sprintf(`{%s=%s,%s=%s,%%s}`, metrics.LabelSpaceID, strconv.Quote(string(a.Space)), metrics.LabelApp, strconv.Quote(a.Name))
	err := c.read(ctx, s, `naru_gateway_requests_total`+fmt.Sprintf(of, `class!=""`), func(t *Traffic, l labels.Labels, grown float64) {
		t.Requests += grown
		if l.Get("class") == "5xx" {
			t.Failed += grown
		}
	})
	if err != nil {
		return c, err
	}
	err = c.read(ctx, s, `naru_gateway_request_duration_seconds_bucket`+fmt.Sprintf(of, `le!=""`), func(t *Traffic, l labels.Labels, grown float64) {
		// A bucket holds all that is faster, too: what it has more than the one
		// before it is its own.
		if i, ok := bucketNamed(l.Get(labels.BucketLabel)); ok {
			t.latency[i] += grown
			if i+1 < len(t.latency) {
				t.latency[i+1] -= grown
			}
		}
	})
	for i := range c.Slots {
		for j, n := range c.Slots[i].latency {
			c.Slots[i].latency[j] = max(n, 0)
		}
	}
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

// read adds how much each counter that a selector finds grew in each slot.
func (c Course) read(ctx context.Context, s Series, selector string, add func(t *Traffic, l labels.Labels, grown float64)) error {
	answer, err := s.Query(ctx, metrics.Reader{All: true}, metrics.Query{Text: selector, From: c.From, To: c.To(), Step: c.Step})
	if err != nil {
		return fmt.Errorf("read traffic: %w", err)
	}
	defer answer.Close()
	matrix, ok := answer.Value.(promql.Matrix)
	if !ok {
		return fmt.Errorf("read traffic: the answer is a %s", answer.Value.Type())
	}
	for _, series := range matrix {
		last, known := 0.0, false
		for _, point := range series.Floats {
			i := int(time.UnixMilli(point.T).Sub(c.From)/c.Step) - 1
			if i < 0 { // what was before the first slot
				last, known = point.F, true
				continue
			}
			grown := point.F
			if known && point.F >= last {
				grown -= last
			}
			last, known = point.F, true
			if i < len(c.Slots) && grown > 0 {
				add(&c.Slots[i], series.Metric, grown)
			}
		}
	}
	return nil
}
