package metrics

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Counters are the series that Increases reads.
type Counters struct {
	Matchers []*labels.Matcher
	Keep     func(l labels.Labels) bool // nil: all that match
}

// How far before a time the sample is looked for from which its first one grew: at
// first, and where that is not enough because nothing was written for a while.
const (
	nearBack = 5 * time.Minute
	farBack  = 24 * time.Hour
)

// Increases tells of each sample of counters after from, up to to: when it was taken,
// in milliseconds, and how many events there were since the one before it, which
// may be none. A counter that shows less than before was begun again at nought; of
// one without a sample before nothing is told until its second.
func Increases(ctx context.Context, from Queryable, c Counters, after, to time.Time, tell func(l labels.Labels, at int64, by float64)) error {
	again, err := c.pass(ctx, from, after, to, nearBack, tell, nil)
	if err != nil || len(again) == 0 {
		return err
	}
	_, err = c.pass(ctx, from, after, to, farBack, tell, again)
	return err
}

// Queryable is what a reader may select from.
type Queryable = storage.Queryable

// pass reads the series, or with only those. It returns the series of which the
// first sample may have grown from one further back; of these it tells nothing.
func (c Counters) pass(ctx context.Context, from Queryable, after, to time.Time, back time.Duration, tell func(l labels.Labels, at int64, by float64), only map[uint64]bool) (again map[uint64]bool, err error) {
	q, err := from.Querier(after.Add(-back).UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer func() { _ = q.Close() }()
	var samples chunkenc.Iterator
	set := q.Select(ctx, false, nil, c.Matchers...)
	for set.Next() {
		one := set.At()
		l := one.Labels()
		if c.Keep != nil && !c.Keep(l) || only != nil && !only[l.Hash()] {
			continue
		}
		samples = one.Iterator(samples)
		unsure, err := grown(samples, after.UnixMilli(), only == nil, func(at int64, by float64) { tell(l, at, by) })
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		if unsure {
			if again == nil {
				again = map[uint64]bool{}
			}
			again[l.Hash()] = true
		}
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return again, nil
}

// grown tells by how much a counter grew with each of its samples after from. With
// careful it reports true, and tells nothing, where the first sample may have grown
// from one that was not read.
func grown(samples chunkenc.Iterator, from int64, careful bool, tell func(at int64, by float64)) (unsure bool, err error) {
	var had float64
	known := false
	for kind := samples.Next(); kind != chunkenc.ValNone; kind = samples.Next() {
		if kind != chunkenc.ValFloat {
			continue
		}
		at, v := samples.At()
		if math.IsNaN(v) { // the series ended here
			continue
		}
		switch {
		case at <= from:
		case !known:
			if careful && v > 0 {
				return true, nil
			}
		case v < had:
			tell(at, v)
		default:
			tell(at, v-had)
		}
		had, known = v, true
	}
	return false, samples.Err()
}
