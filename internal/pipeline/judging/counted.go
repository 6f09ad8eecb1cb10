package judging

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/judge"
	"naru/internal/route"
)

// Counters tells what was counted, as it was counted.
type Counters interface {
	// Increases tells of each sample of a metric's counters that was taken after a
	// time, up to another: by how much it was more than the one before.
	Increases(ctx context.Context, q Count, tell func(by Increase)) error
}

// Count asks for the counters of one metric of one side. Copies of requests are no
// requests.
type Count struct {
	Space    app.SpaceID
	Metric   string
	Labels   map[string]string // values of several groups as a|b
	By       string            // label whose value is told
	From, To time.Time
}

// Increase is what a sample of a counter has more than the one before; 0 where
// nothing was counted.
type Increase struct {
	Of string // value of the label that was asked for
	At time.Time
	By float64
}

// mostBlocks bounds the blocks of a time, which are as long as the interval of
// metrics else, but not shorter than those of rollouts.
const (
	mostBlocks = 500
	leastBlock = 5 * time.Second
)

// past is what both sides did in a time, block by block.
type past struct {
	length time.Duration
	blocks []judge.Block
}

// count reads what both sides did between two times; the baseline's may begin at
// another one.
func (p *Past) count(ctx context.Context, s sides, from, to, baseline time.Time) (past, error) {
	length := max(p.interval, leastBlock)
	if times := to.Sub(from) / (mostBlocks * length); times > 0 {
		length *= times + 1
	}
	out := past{length, make([]judge.Block, (to.Sub(from)+length-1)/length)}
	for _, one := range []struct {
		side  side
		begin time.Time
		at    func(b *judge.Block) *judge.Measured
	}{
		{s.canary, from, func(b *judge.Block) *judge.Measured { return &b.Canary }},
		{s.baseline, baseline, func(b *judge.Block) *judge.Measured { return &b.Baseline }},
	} {
		measured, err := p.measure(ctx, s, one.side, one.begin, length, len(out.blocks), one.begin.Add(to.Sub(from)))
		if err != nil {
			return out, err
		}
		for i, m := range measured {
			*one.at(&out.blocks[i]) = m
		}
	}
	return out, nil
}

// measure reads what one side did.
func (p *Past) measure(ctx context.Context, s sides, of side, from time.Time, length time.Duration, n int, to time.Time) ([]judge.Measured, error) {
	out, took := make([]judge.Measured, n), make([][len(route.LatencyBounds) + 1]float64, n)
	for _, one := range []struct {
		metric, by string
		add        func(i int, by Increase)
	}{
		{"naru_gateway_requests_total", "class", func(i int, by Increase) {
			if out[i].Requests += whole(by.By); by.Of == "5xx" {
				out[i].Failed += whole(by.By)
			}
		}},
		{"naru_gateway_request_duration_seconds_bucket", "le", func(i int, by Increase) {
			if bucket, ok := bucketNamed(by.Of); ok {
				took[i][bucket] += by.By
			}
		}},
		{"naru_instance_restarts_total", "", func(i int, by Increase) {
			out[i].Ran += p.interval.Seconds()
			out[i].Restarts += whole(by.By)
		}},
	} {
		q := Count{Space: s.app.Space, Metric: one.metric, Labels: selected(s.app, of), By: one.by, From: from, To: to}
		if len(of.groups) == 0 && one.by == "" {
			q.Labels["process"] = string(app.Web)
		}
		err := p.counters.Increases(ctx, q, func(by Increase) {
			if i := int((by.At.Sub(from) - 1) / length); i >= 0 && i < n { // after its begin, up to its end
				one.add(i, by)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", one.metric, err)
		}
	}
	for i := range out {
		out[i].Took = make([]uint64, len(took[i]))
		faster := 0.0
		for bucket, n := range took[i] { // each has what is faster, too
			out[i].Took[bucket] = whole(n - faster)
			faster = max(faster, n)
		}
	}
	return out, nil
}

func whole(v float64) uint64 { return uint64(math.Max(0, math.Round(v))) }

// bucketNamed finds the bucket of a label le.
func bucketNamed(le string) (int, bool) {
	if le == "+Inf" {
		return len(route.LatencyBounds), true
	}
	bound, err := strconv.ParseFloat(le, 64)
	if err != nil {
		return 0, false
	}
	return route.LatencyBucket(time.Duration(math.Round(bound * float64(time.Second)))), true
}

// selected are the labels of a side's series.
func selected(a app.App, of side) map[string]string {
	if len(of.groups) > 0 {
		return map[string]string{"app": a.Name, "group": strings.Join(of.names(), "|")}
	}
	return map[string]string{"app": a.Name, "release": of.release}
}

// together are the first block, and the one after the last, of the time in which
// both sides had requests; ok is false where there is none.
func (p past) together() (first, end int, ok bool) {
	span := func(of func(b judge.Block) uint64) (first, end int) {
		for i, b := range p.blocks {
			if of(b) > 0 {
				if end == 0 {
					first = i
				}
				end = i + 1
			}
		}
		return first, end
	}
	a, b := span(func(b judge.Block) uint64 { return b.Canary.Requests })
	c, d := span(func(b judge.Block) uint64 { return b.Baseline.Requests })
	first, end = max(a, c), min(b, d)
	return first, end, first < end
}
