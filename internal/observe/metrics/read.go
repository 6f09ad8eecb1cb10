package metrics

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// Reader is who asks.
type Reader struct {
	All    bool     // sees everything, also what belongs to no space
	Spaces []string // ids of the spaces whose series it sees
}

func (r Reader) sees(space string) bool { return r.All || slices.Contains(r.Spaces, space) }

// matcher lets through what the reader sees. It stands beside the matchers of
// the query in each selection, so that nothing in the text of a query can touch it.
func (r Reader) matcher() (*labels.Matcher, error) {
	if len(r.Spaces) == 1 {
		return labels.NewMatcher(labels.MatchEqual, LabelSpaceID, r.Spaces[0])
	}
	quoted := make([]string, len(r.Spaces))
	for i, s := range r.Spaces {
		quoted[i] = regexp.QuoteMeta(s)
	}
	return labels.NewMatcher(labels.MatchRegexp, LabelSpaceID, strings.Join(quoted, "|"))
}

// As is what a reader may select from.
func (s *Store) As(r Reader) storage.Queryable {
	r.Spaces = slices.DeleteFunc(slices.Clone(r.Spaces), func(id string) bool { return id == "" })
	return queryable{s, r}
}

type queryable struct {
	store  *Store
	reader Reader
}

// Querier selects from the times between two, in milliseconds. The store is not
// closed before the querier is.
func (q queryable) Querier(from, to int64) (storage.Querier, error) {
	if !q.reader.All && len(q.reader.Spaces) == 0 {
		return storage.NoopQuerier(), nil
	}
	q.store.mu.RLock()
	if q.store.db == nil {
		q.store.mu.RUnlock()
		return nil, errClosed()
	}
	all, err := q.store.db.Querier(from, to)
	if err != nil {
		q.store.mu.RUnlock()
		return nil, err
	}
	held := &querier{Querier: all, done: q.store.mu.RUnlock}
	if q.reader.All {
		return held, nil
	}
	if held.only, err = q.reader.matcher(); err != nil {
		return nil, held.Close()
	}
	return held, nil
}

// querier adds what a reader may see to all that is selected.
type querier struct {
	storage.Querier
	only *labels.Matcher // nil: everything
	done func()
}

func (q *querier) with(asked []*labels.Matcher) []*labels.Matcher {
	if q.only == nil {
		return asked
	}
	return append(asked[:len(asked):len(asked)], q.only)
}

// Select selects series.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, asked ...*labels.Matcher) storage.SeriesSet {
	return q.Querier.Select(ctx, sorted, hints, q.with(asked)...)
}

// LabelValues returns the values of a label.
func (q *querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, asked ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	values, warnings, err := q.Querier.LabelValues(ctx, name, hints, q.with(asked)...)
	return cloned(values), warnings, err
}

// LabelNames returns the names of labels.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, asked ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	names, warnings, err := q.Querier.LabelNames(ctx, hints, q.with(asked)...)
	return cloned(names), warnings, err
}

// cloned are strings that outlive the querier they come from: its own may lie in
// a file that is mapped into memory.
func cloned(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = strings.Clone(s)
	}
	return out
}

// Close gives the store back.
func (q *querier) Close() error {
	err := q.Querier.Close()
	if q.done != nil {
		q.done()
		q.done = nil
	}
	return err
}
