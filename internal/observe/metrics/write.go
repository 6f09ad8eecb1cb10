package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"naru/internal/disk"
)

// Series is one time series as a writer knows it. A writer that writes it again
// keeps it: that is what makes writing cheap.
type Series struct {
	Labels labels.Labels

	ref   storage.SeriesRef
	epoch uint64 // of the store, for which ref holds
	round uint64 // of the source, in which it was last written
}

// Point is a sample of a series.
type Point struct {
	*Series
	At        int64 // milliseconds; 0: when its round was
	Value     float64
	Histogram *histogram.FloatHistogram // instead of Value; may be nil
	// Born is a time in milliseconds at which a counter that is new here was
	// nought; 0: not known.
	Born int64
}

// Result says what became of samples.
type Result struct {
	Written int
	Refused int // over a limit of series
	Late    int // too old, or of a time that has not come
	Twice   int // another sample of this time is there
}

// maxAhead is how far ahead of our clock a sample's time may be.
const maxAhead = 10 * time.Minute

// Write writes samples: all that can be written, or none where the error is not
// nil. The owners of series that are refused are told, once.
func (s *Store) Write(ctx context.Context, at time.Time, points []Point) (Result, error) {
	s.mu.RLock()
	out, err := s.write(ctx, at, points)
	s.mu.RUnlock()
	s.counted.samples(out)
	if out.Refused > 0 {
		s.tell(ctx)
	}
	return out, err
}

func (s *Store) write(ctx context.Context, at time.Time, points []Point) (out Result, err error) {
	if s.db == nil {
		return out, errClosed()
	}
	if s.torn.Load() {
		s.look()
		return out, errTorn()
	}
	latest := s.o.Now().Add(maxAhead).UnixMilli()
	a := s.db.Appender(ctx)
	following := s.late.past.Load() != 0
	var written []wrote // where somebody may have to hear of it
	for i := range points {
		p := &points[i]
		ms := p.At
		if ms == 0 {
			ms = at.UnixMilli()
		}
		if ms > latest {
			out.Late++
			continue
		}
		if p.epoch != s.epoch {
			p.ref, p.epoch = 0, s.epoch
		}
		if p.Born > 0 && p.Born < ms && p.ref == 0 {
			// One that cannot be written is not missed: it only makes the first
			// increase visible.
			if ref, err := a.Append(0, p.Labels, p.Born, 0); err == nil {
				p.ref = ref
				if following {
					written = append(written, wrote{p, p.Born, true})
				}
			}
		}
		ref := p.ref
		if p.Histogram != nil {
			ref, err = a.AppendHistogram(ref, p.Labels, ms, nil, p.Histogram)
		} else {
			ref, err = a.Append(ref, p.Labels, ms, p.Value)
		}
		switch {
		case err == nil:
			p.ref = ref
			out.Written++
			if following {
				written = append(written, wrote{p, ms, false})
			}
		case errors.Is(err, errSeries):
			out.Refused++
		case errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrOutOfBounds), errors.Is(err, storage.ErrOutOfOrderSample):
			out.Late++
		case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
			out.Twice++
		default:
			return Result{}, errors.Join(fmt.Errorf("write sample of %s: %w", p.Labels, err), a.Rollback())
		}
	}
	if err := a.Commit(); err != nil {
		if disk.Full(err) {
			s.torn.Store(true)
		}
		return Result{}, fmt.Errorf("write %d samples: %w", out.Written, err)
	}
	s.late.missed(written)
	return out, nil
}

// look has Run look at once whether there is room again.
func (s *Store) look() {
	select {
	case s.mend <- struct{}{}:
	default:
	}
}

// Source writes the samples of one thing round by round. A series that one round
// has and the next has not is marked as ended, so that no query takes its last
// value for today's. It is for one goroutine at a time.
type Source struct {
	store *Store
	round uint64
	last  time.Time // round
	live  []*Series
}

// Source makes a source.
func (s *Store) Source() *Source { return &Source{store: s} }

// Write writes a round.
func (s *Source) Write(ctx context.Context, at time.Time, points []Point) (Result, error) {
	s.round++
	s.last = at
	live := make([]*Series, 0, len(points))
	for i := range points {
		points[i].round = s.round
		live = append(live, points[i].Series)
	}
	all := points
	for _, had := range s.live {
		if had.round != s.round && had.ref != 0 {
			all = append(all, Point{Series: had, Value: stale})
		}
	}
	out, err := s.store.Write(ctx, at, all)
	if err == nil {
		s.live = live
	}
	return out, err
}

// End marks all series of the source as ended.
func (s *Source) End(ctx context.Context, at time.Time) error {
	if after := s.last.Add(time.Millisecond); at.Before(after) { // one millisecond has one sample
		at = after
	}
	_, err := s.Write(ctx, at, nil)
	return err
}

// stale is the value that ends a series.
var stale = math.Float64frombits(value.StaleNaN)
