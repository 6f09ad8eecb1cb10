package objective

import (
	"context"
	"fmt"
	"time"

	"naru/internal/app"
)

// Part is one journey of an objective, or all of it where journeys are summed up.
type Part struct {
	Journey string // "" where all are summed up
	Weight  float64
	Target  float64
	Share
}

// Whole is several parts taken together.
type Whole struct {
	Share
	Target float64 // weighted mean of the targets of the parts that are known
	weight float64 // their sum
}

// Weigh takes parts together by their weights: one with weight 2 matters twice as
// much, however much traffic it has. Parts of which nothing is known are left out.
func Weigh(parts []Part) Whole {
	var w Whole
	var sli, target float64
	for _, p := range parts {
		w.Count, w.Idle = w.plus(p.Count), w.Idle+p.Idle
		if p.Known {
			w.weight += p.Weight
			sli += p.Weight * p.Ratio
			target += p.Weight * p.Target
		}
	}
	if w.weight > 0 {
		w.Known, w.Ratio, w.Target = true, sli/w.weight, target/w.weight
		return w
	}
	var all float64
	for _, p := range parts {
		all += p.Weight
		w.Target += p.Weight * p.Target
	}
	w.Target /= all
	return w
}

// subject is one objective of one app with where its events are counted.
type subject struct {
	app    app.ID
	o      app.Objective // filled
	counts Counts
}

func (s subject) slis() []SLI {
	if len(s.o.Journeys) == 0 {
		return []SLI{{s.app, s.o, app.Journey{}}}
	}
	out := make([]SLI, len(s.o.Journeys))
	for i, j := range s.o.Journeys {
		out[i] = SLI{s.app, s.o, j}
	}
	return out
}

// parts judges a span: a part for each journey with a weight, else one for all.
func (s subject) parts(ctx context.Context, at Span) ([]Part, error) {
	if s.o.Slice.Length > 0 {
		rows, err := s.slices(ctx, at)
		if err != nil {
			return nil, err
		}
		return s.judged(func(i int) Share { return ofSlices(rows[i], s.o) }), nil
	}
	counts := make([]Count, s.width())
	for i, sli := range s.slis() {
		if at.Length() == 0 {
			break
		}
		c, err := s.counts.Over(ctx, sli, at.From, at.To)
		if err != nil {
			return nil, fmt.Errorf("count %s %s: %w", s.o.Name, sli.Journey, err)
		}
		counts[s.row(i)] = counts[s.row(i)].plus(c.sane())
	}
	return s.judged(func(i int) Share {
		out := share(counts[i], s.o.Idle)
		out.Known = out.Known && at.Length() > 0
		return out
	}), nil
}

func (s subject) width() int {
	if s.o.Weighted() {
		return len(s.o.Journeys)
	}
	return 1
}

// row is where the events of the i-th journey go: to one of its own, or to all.
func (s subject) row(i int) int {
	if s.o.Weighted() {
		return i
	}
	return 0
}

func (s subject) judged(share func(i int) Share) []Part {
	if !s.o.Weighted() {
		return []Part{{Weight: 1, Target: s.o.Target, Share: share(0)}}
	}
	out := make([]Part, len(s.o.Journeys))
	for i, j := range s.o.Journeys {
		target := s.o.Target
		if j.Target != 0 {
			target = j.Target
		}
		out[i] = Part{Journey: j.String(), Weight: j.Weight, Target: target, Share: share(i)}
	}
	return out
}

// slices counts each slice of a span, a row for each part.
func (s subject) slices(ctx context.Context, at Span) ([][]Count, error) {
	length := s.o.Slice.Length.Std()
	rows := make([][]Count, s.width())
	n := int(at.Length() / length)
	if n == 0 {
		return rows, nil
	}
	for i, sli := range s.slis() {
		each, err := s.counts.Each(ctx, sli, at.From, at.To, length)
		if err != nil {
			return nil, fmt.Errorf("count slices of %s %s: %w", s.o.Name, sli.Journey, err)
		}
		if len(each) != n {
			return nil, fmt.Errorf("count slices of %s %s: got %d, want %d", s.o.Name, sli.Journey, len(each), n)
		}
		row := s.row(i)
		if rows[row] == nil {
			rows[row] = make([]Count, n)
		}
		for k, c := range each {
			rows[row][k] = rows[row][k].plus(c.sane())
		}
	}
	return rows, nil
}

// whole is a span cut to slices that are over.
func (s subject) whole(at Span) Span {
	length := s.o.Slice.Length.Std()
	if length == 0 {
		return at
	}
	from, to := at.From.Truncate(length), at.To.Truncate(length)
	if from.Before(at.From) {
		from = from.Add(length)
	}
	if to.Before(from) {
		to = from
	}
	return Span{from, to}
}

// Recent is the share of good events of the time just past, as alerts need it.
func Recent(ctx context.Context, counts Counts, id app.ID, o app.Objective, now time.Time, window time.Duration) (Whole, error) {
	s := subject{id, o.Filled(), counts}
	parts, err := s.parts(ctx, s.recent(now, window))
	if err != nil {
		return Whole{}, err
	}
	return Weigh(parts), nil
}

// recent is the time just past, one slice longer where slices do not end now.
func (s subject) recent(now time.Time, window time.Duration) Span {
	length := s.o.Slice.Length.Std()
	if length == 0 {
		return Span{now.Add(-window), now}
	}
	to := now.Truncate(length)
	return Span{to.Add(-max(window.Truncate(length), length)), to}
}
