// Package attain counts the events of objectives where metrics are kept: what the
// gateways and the probes counted, and what queries say.
package attain

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/prometheus/storage"

	"naru/internal/app"
	"naru/internal/judge/objective"
	"naru/internal/observe/metrics"
)

// Store is where metrics are kept; *metrics.Store is the real one.
type Store interface {
	As(r metrics.Reader) storage.Queryable
	Query(ctx context.Context, r metrics.Reader, q metrics.Query) (*metrics.Answer, error)
}

// Place is an app as its series are labelled.
type Place struct{ SpaceID, App string }

// Places finds an app's place.
type Places func(ctx context.Context, id app.ID) (Place, error)

// Options of Counts; zero fields take the defaults named beside them.
type Options struct {
	Settle time.Duration    // after which a slice is taken to change no more: 2 min
	Slots  int              // slices that are remembered, of all objectives; each takes 16 bytes: 4,000,000
	Now    func() time.Time // nil: time.Now
}

// Counts is an objective.Counts over metrics. What is over is remembered in slices,
// so that a window of weeks is read once. Its methods may be called at the same time.
type Counts struct {
	store  Store
	places Places
	o      Options

	mu    sync.Mutex // guards what follows
	grids map[string]*grid
	slots int
	turn  uint64
}

var _ objective.Counts = (*Counts)(nil)

// New makes Counts.
func New(store Store, places Places, o Options) *Counts {
	if o.Settle <= 0 {
		o.Settle = 2 * time.Minute
	}
	if o.Slots <= 0 {
		o.Slots = 4_000_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Counts{store: store, places: places, o: o, grids: map[string]*grid{}}
}

// hour is the slice of which long times are made up.
const hour = time.Hour

// Over counts the events between two moments.
func (c *Counts) Over(ctx context.Context, of objective.SLI, from, to time.Time) (objective.Count, error) {
	s, err := c.source(ctx, of)
	if err != nil {
		return objective.Count{}, err
	}
	begin, end := from.Truncate(hour), to.Truncate(hour)
	if begin.Before(from) {
		begin = begin.Add(hour)
	}
	if !s.adds() || !begin.Before(end) {
		return s.over(ctx, from, to)
	}
	all, err := c.remembered(ctx, s, begin, end, hour)
	for _, edge := range []struct {
		from, to time.Time
		count    func(ctx context.Context, from, to time.Time) (objective.Count, error)
	}{
		{from, begin, s.over},
		{end, to, func(ctx context.Context, from, to time.Time) (objective.Count, error) {
			return c.begun(ctx, s, from, to)
		}},
	} {
		if err != nil || !edge.from.Before(edge.to) {
			continue
		}
		var one objective.Count
		one, err = edge.count(ctx, edge.from, edge.to)
		all = append(all, one)
	}
	var sum objective.Count
	for _, one := range all {
		sum.Good, sum.Total = sum.Good+one.Good, sum.Total+one.Total
	}
	return sum, err
}

// Each counts the events of each slice.
func (c *Counts) Each(ctx context.Context, of objective.SLI, from, to time.Time, length time.Duration) ([]objective.Count, error) {
	s, err := c.source(ctx, of)
	if err != nil {
		return nil, err
	}
	if !from.Truncate(length).Equal(from) { // of no use to anybody else
		return s.each(ctx, from, int(to.Sub(from)/length), length)
	}
	return c.remembered(ctx, s, from, from.Add(to.Sub(from)/length*length), length)
}

// source is where the events of one SLI are found.
type source interface {
	key() string // what is counted, as text
	adds() bool  // what is counted of two times is the sum of what is counted of each
	over(ctx context.Context, from, to time.Time) (objective.Count, error)
	each(ctx context.Context, from time.Time, n int, length time.Duration) ([]objective.Count, error)
}

func (c *Counts) source(ctx context.Context, of objective.SLI) (source, error) {
	p, err := c.places(ctx, of.App)
	if err != nil {
		return nil, fmt.Errorf("place of app: %w", err)
	}
	o := of.Objective
	switch {
	case o.Query != "" || o.TotalQuery != "":
		return query{c.store, p, o}, nil
	case o.Probe != "":
		return probed(c.store, p, o), nil
	}
	return requests(c.store, p, o, of.Journey), nil
}
