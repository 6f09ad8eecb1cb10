package metrics

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Mark is how far somebody has read all that is kept, in the order of time:
// everything before From, and of what is from From on and before To the series up
// to After, in the order of their labels. Times are in milliseconds.
type Mark struct {
	From  int64         `json:"from"`
	To    int64         `json:"to,omitempty"` // 0: nothing of what comes next has been read
	After labels.Labels `json:"after,omitzero"`
}

// Stretch is samples of one series, in the order of time.
type Stretch struct {
	Labels  labels.Labels
	Samples []Sample
}

// Sample is a value at a time.
type Sample struct {
	At        int64
	Value     float64
	Histogram *histogram.FloatHistogram // instead of Value
}

// Selection are the series that somebody reads: those that one of its sets of
// matchers selects; an empty one is all.
type Selection [][]*labels.Matcher

// everySeries matches all there are.
var everySeries = labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+")

// ParseSelection reads selectors that are joined by or, such as
// up or {__name__=~"naru_.*", space="prod"}; an empty text is all series.
func ParseSelection(text string) (Selection, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	e, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return nil, err
	}
	return selected(e)
}

func selected(e parser.Expr) (Selection, error) {
	switch e := e.(type) {
	case *parser.ParenExpr:
		return selected(e.Expr)
	case *parser.VectorSelector:
		if e.OriginalOffset == 0 && e.Timestamp == nil && e.StartOrEnd == 0 {
			return Selection{e.LabelMatchers}, nil
		}
	case *parser.BinaryExpr:
		if e.Op != parser.LOR {
			break
		}
		left, err := selected(e.LHS)
		if err != nil {
			return nil, err
		}
		right, err := selected(e.RHS)
		return append(left, right...), err
	}
	return nil, fmt.Errorf("%s is no selector of series", clip(e.String()))
}

// Selects reports whether a series is among them.
func (all Selection) Selects(l labels.Labels) bool {
	matches := func(m *labels.Matcher) bool { return m.Matches(l.Get(m.Name)) }
	for _, set := range all {
		if !slices.ContainsFunc(set, func(m *labels.Matcher) bool { return !matches(m) }) {
			return true
		}
	}
	return len(all) == 0
}

// Page reads on from a mark, series by series, until there are about limit
// samples, and returns the next mark. What comes late, of a time that was read
// already, is told to Late.
func (s *Store) Page(ctx context.Context, of Selection, at Mark, limit int) (out []Stretch, next Mark, err error) {
	q, err := s.As(Reader{All: true}).Querier(at.From, at.To-1)
	if err != nil {
		return nil, at, err
	}
	defer q.Close() //nolint:errcheck // it was only read from
	hints := &storage.SelectHints{Start: at.From, End: at.To - 1}
	if len(of) == 0 {
		of = Selection{{everySeries}}
	}
	sets := make([]storage.SeriesSet, len(of))
	for i, set := range of {
		sets[i] = q.Select(ctx, true, hints, set...)
	}
	all := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	var it chunkenc.Iterator
	read := 0
	for all.Next() {
		series := all.At()
		l := series.Labels()
		if !at.After.IsEmpty() && labels.Compare(l, at.After) <= 0 {
			continue
		}
		it = series.Iterator(it)
		one, err := stretch(l, it)
		if err != nil {
			return nil, at, err
		}
		if len(one.Samples) == 0 {
			continue
		}
		out = append(out, one)
		if read += len(one.Samples); read >= limit {
			return out, Mark{at.From, at.To, one.Labels}, ctx.Err()
		}
	}
	return out, Mark{From: at.To}, all.Err()
}

func stretch(l labels.Labels, it chunkenc.Iterator) (Stretch, error) {
	one := Stretch{}
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		if kind == chunkenc.ValFloat {
			t, v := it.At()
			one.Samples = append(one.Samples, Sample{At: t, Value: v})
			continue
		}
		t, h := it.AtFloatHistogram(nil)
		one.Samples = append(one.Samples, Sample{At: t, Histogram: h})
	}
	if len(one.Samples) > 0 {
		one.Labels = owned(l)
	}
	return one, it.Err()
}

// owned are labels that outlive the querier they come from.
func owned(l labels.Labels) labels.Labels {
	b := labels.NewScratchBuilder(l.Len())
	l.Range(func(l labels.Label) { b.Add(strings.Clone(l.Name), strings.Clone(l.Value)) })
	return b.Labels()
}

// Begins is the time of the oldest sample that is kept; false where there is none.
func (s *Store) Begins() (time.Time, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return time.Time{}, false
	}
	oldest, found := int64(0), false
	for _, b := range s.db.Blocks() {
		if !found || b.MinTime() < oldest {
			oldest, found = b.MinTime(), true
		}
	}
	if head := s.db.Head(); !found && head.NumSeries() > 0 {
		oldest, found = min(head.MinTime(), head.MinOOOTime()), true
	}
	return time.UnixMilli(oldest), found
}
