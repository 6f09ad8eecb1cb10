package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"naru/internal/fault"
)

// LabelTrace is the label of an exemplar that names its trace.
const LabelTrace = "trace_id"

// mostExemplars is how many are kept of all series together, the newest: each takes
// some 300 bytes of memory. A restart finds them again in the log of what came last.
const mostExemplars = 20_000

// Exemplar is a request that stands for others which a series counts.
type Exemplar struct {
	*Series
	Trace string
	At    time.Time
	Value float64
}

// AppendExemplars keeps exemplars of series that were written before; those of
// others, and those older than one that is there, are left out.
func (s *Store) AppendExemplars(ctx context.Context, all []Exemplar) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return errClosed()
	}
	if s.torn.Load() {
		return errTorn()
	}
	a := s.db.Appender(ctx)
	for i := range all {
		e := &all[i]
		if e.ref == 0 || e.epoch != s.epoch {
			continue
		}
		_, err := a.AppendExemplar(e.ref, e.Labels, exemplar.Exemplar{
			Labels: labels.FromStrings(LabelTrace, e.Trace), Value: e.Value, Ts: e.At.UnixMilli(), HasTs: true,
		})
		switch {
		case err == nil, errors.Is(err, storage.ErrOutOfOrderExemplar), errors.Is(err, storage.ErrDuplicateExemplar), errors.Is(err, storage.ErrExemplarLabelLength):
		default:
			return errors.Join(fmt.Errorf("write exemplar of %s: %w", e.Labels, err), a.Rollback())
		}
	}
	if err := a.Commit(); err != nil {
		return fmt.Errorf("write %d exemplars: %w", len(all), err)
	}
	return nil
}

// Exemplars returns those of all series that a query selects and the reader sees.
func (s *Store) Exemplars(ctx context.Context, r Reader, query string, from, to time.Time) ([]exemplar.QueryResult, error) {
	if err := s.CheckQuery(query); err != nil {
		return nil, err
	}
	expr, err := s.engine.parser.ParseExpr(query)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "query", err)
	}
	if to.Before(from) {
		return nil, fault.New(fault.Invalid, "end", "it is before start")
	}
	selected := parser.ExtractSelectors(expr)
	if len(selected) == 0 || !r.All && len(r.Spaces) == 0 {
		return nil, nil
	}
	if !r.All {
		only, err := r.matcher()
		if err != nil {
			return nil, err
		}
		for i := range selected {
			selected[i] = append(selected[i][:len(selected[i]):len(selected[i])], only)
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil, errClosed()
	}
	q, err := s.db.ExemplarQuerier(ctx)
	if err != nil {
		return nil, fmt.Errorf("read exemplars: %w", err)
	}
	out, err := q.Select(from.UnixMilli(), to.UnixMilli(), selected...)
	if err != nil {
		return nil, fmt.Errorf("read exemplars: %w", err)
	}
	return out, nil
}
