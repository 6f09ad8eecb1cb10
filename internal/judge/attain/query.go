package attain

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge/objective"
	"naru/internal/observe/metrics"
)

// query is a source of what PromQL says. It sees the series of the app's space.
type query struct {
	store Store
	place Place
	o     app.Objective
}

func (q query) key() string {
	bound := ""
	if q.o.Bound != nil {
		bound = fmt.Sprint(*q.o.Bound)
	}
	return strings.Join([]string{q.place.SpaceID, "query", q.o.Query, bound, q.o.GoodQuery, q.o.BadQuery, q.o.TotalQuery}, "\x00")
}

// adds is false: a query reckons for the whole of the time that it is given.
func (q query) adds() bool { return false }

func (q query) over(ctx context.Context, from, to time.Time) (objective.Count, error) {
	each, err := q.at(ctx, to, 1, max(to.Sub(from), time.Second))
	if err != nil {
		return objective.Count{}, err
	}
	return each[0], nil
}

func (q query) each(ctx context.Context, from time.Time, n int, length time.Duration) ([]objective.Count, error) {
	if n == 0 {
		return nil, nil
	}
	return q.at(ctx, from.Add(length), n, length)
}

// at counts slices by when they end: the first at a time, and so on.
func (q query) at(ctx context.Context, first time.Time, n int, length time.Duration) ([]objective.Count, error) {
	out := make([]objective.Count, n)
	if q.o.Query != "" {
		values, err := q.ask(ctx, "query", q.o.Query, first, n, length)
		for i, v := range values {
			if !math.IsNaN(v) {
				out[i].Total = 1
				if q.o.Bound.Holds(v) {
					out[i].Good = 1
				}
			}
		}
		return out, err
	}
	part, field, bad := q.o.GoodQuery, "good_query", false
	if part == "" {
		part, field, bad = q.o.BadQuery, "bad_query", true
	}
	totals, err := q.ask(ctx, "total_query", q.o.TotalQuery, first, n, length)
	if err != nil {
		return nil, err
	}
	parts, err := q.ask(ctx, field, part, first, n, length)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Total = number(totals[i])
		if out[i].Good = number(parts[i]); bad {
			out[i].Good = out[i].Total - out[i].Good
		}
	}
	return out, nil
}

// number is a count: what is not there is none.
func number(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// ask returns the one value of a query at each of some times; NaN where there is
// none.
func (q query) ask(ctx context.Context, field, text string, first time.Time, n int, length time.Duration) ([]float64, error) {
	text = strings.ReplaceAll(text, app.WindowVariable, fmt.Sprintf("%dms", length.Milliseconds()))
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	for done := 0; done < n; done += metrics.MaxPoints - 1 {
		some := min(n-done, metrics.MaxPoints-1)
		if err := q.some(ctx, text, first.Add(time.Duration(done)*length), length, out[done:done+some]); err != nil {
			if f := fault.Of(err); f.Kind == fault.Invalid || f.Kind == fault.TooLarge {
				return nil, fault.New(f.Kind, field, "objective %q: %s", q.o.Name, f.Message).WithTry("%s", f.Try)
			}
			return nil, err
		}
	}
	return out, nil
}

func (q query) some(ctx context.Context, text string, first time.Time, length time.Duration, out []float64) error {
	last := first.Add(time.Duration(len(out)-1) * length)
	ask := metrics.Query{Text: text, From: first, To: last, Step: length}
	if len(out) == 1 {
		ask = metrics.Query{Text: text, To: last}
	}
	a, err := q.store.Query(ctx, metrics.Reader{Spaces: []string{q.place.SpaceID}}, ask)
	if err != nil {
		return err
	}
	defer a.Close()
	several := func(n int) error {
		if n <= 1 {
			return nil
		}
		return fault.New(fault.Invalid, "query", "the query has %d values at a time, and one is wanted", n).WithTry("sum(…) or max(…) makes one of them")
	}
	place := func(at int64, v float64) {
		if i := (at - first.UnixMilli()) / length.Milliseconds(); i >= 0 && i < int64(len(out)) {
			out[i] = v
		}
	}
	switch v := a.Value.(type) {
	case promql.Scalar:
		out[0] = v.V
	case promql.Vector:
		if len(v) > 0 {
			out[0] = v[0].F
		}
		return several(len(v))
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				place(p.T, p.F)
			}
		}
		return several(len(v))
	default:
		return fault.New(fault.Invalid, "query", "the query has no number as its value")
	}
	return nil
}
