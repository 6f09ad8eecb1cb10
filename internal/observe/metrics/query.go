package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"naru/internal/fault"
)

// Query is a question in PromQL.
type Query struct {
	Text     string
	From, To time.Time     // of a range; at one time where Step is nought: To
	Step     time.Duration // of a range
	Timeout  time.Duration // at most that of the options; 0: that
	Lookback time.Duration // how long a sample counts for the time after it; 0: 5 min
}

// MaxPoints bounds the points of each series in an answer, as Prometheus does.
const MaxPoints = 11_000

// waitForTurn is how long a query waits for others to end.
const waitForTurn = 10 * time.Second

// engine answers queries, some at a time.
type engine struct {
	*promql.Engine
	parser parser.Parser
	turns  chan struct{}
}

func newEngine(o Options, log *slog.Logger) engine {
	p := parser.NewParser(parser.Options{})
	return engine{
		Engine: promql.NewEngine(promql.EngineOpts{
			Logger: slog.New(quiet{log.Handler()}), MaxSamples: o.QuerySamples, Timeout: o.QueryTimeout,
			EnableAtModifier: true, EnableNegativeOffset: true, Parser: p,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		}),
		parser: p, turns: make(chan struct{}, o.Queries),
	}
}

// Answer is what a query found. It must be closed: until then its memory counts.
type Answer struct {
	parser.Value
	Warnings []string
	Infos    []string

	close func()
}

// Close lets go of the answer; Value may not be used any more.
func (a *Answer) Close() { a.close() }

// Query answers a query as a reader may. Its errors are faults: Invalid for what
// cannot be read, TooLarge for what goes over a limit, which they name.
func (s *Store) Query(ctx context.Context, r Reader, q Query) (*Answer, error) {
	a, err := s.query(ctx, r, q)
	s.counted.query(err)
	return a, err
}

func (s *Store) query(ctx context.Context, r Reader, q Query) (*Answer, error) {
	if q.Step > 0 {
		if q.To.Before(q.From) {
			return nil, fault.New(fault.Invalid, "end", "the end is before the start")
		}
		if n := q.To.Sub(q.From) / q.Step; n >= MaxPoints {
			return nil, fault.New(fault.TooLarge, "step", "this would be %d points for each series, at most %d are given", n+1, MaxPoints).
				WithTry("ask with a larger step, or for a shorter time")
		}
	}
	if q.Timeout > 0 && q.Timeout < s.o.QueryTimeout {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, q.Timeout)
		defer stop()
	}
	if err := s.takeTurn(ctx); err != nil {
		return nil, err
	}
	answer, err := s.answer(ctx, r, q)
	if err != nil {
		<-s.engine.turns
		return nil, s.explain(err)
	}
	return answer, nil
}

func (s *Store) answer(ctx context.Context, r Reader, q Query) (*Answer, error) {
	o := promql.NewPrometheusQueryOpts(false, q.Lookback)
	var asked promql.Query
	var err error
	if q.Step > 0 {
		asked, err = s.engine.NewRangeQuery(ctx, s.As(r), o, q.Text, q.From, q.To, q.Step)
	} else {
		asked, err = s.engine.NewInstantQuery(ctx, s.As(r), o, q.Text, q.To)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "query", err)
	}
	res := asked.Exec(ctx)
	if res.Err != nil {
		asked.Close()
		return nil, res.Err
	}
	out := &Answer{Value: res.Value, close: func() {
		asked.Close()
		<-s.engine.turns
	}}
	out.Warnings, out.Infos = res.Warnings.AsStrings(q.Text, 10, 10)
	return out, nil
}

func (s *Store) takeTurn(ctx context.Context) error {
	select {
	case s.engine.turns <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(waitForTurn)
	defer patience.Stop()
	select {
	case s.engine.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return fault.New(fault.Unavailable, "", "%d queries are being answered, no more at a time (metrics.queries)", s.o.Queries).
			WithTry("ask again in a few seconds")
	}
}

// explain names the limit that a query went over.
func (s *Store) explain(err error) error {
	var many promql.ErrTooManySamples
	var late promql.ErrQueryTimeout
	var kept promql.ErrStorage
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &many):
		return fault.New(fault.TooLarge, "query", "it would load more than %d samples into memory (metrics.query_samples)", s.o.QuerySamples).
			WithTry("select fewer series by their labels, or a shorter time")
	case errors.As(err, &late):
		return fault.New(fault.TooLarge, "query", "it was not answered within %s (metrics.query_timeout)", s.o.QueryTimeout).
			WithTry("select fewer series by their labels, or a shorter time")
	case errors.As(err, &kept):
		return fmt.Errorf("read metrics: %w", err)
	case errors.Is(err, context.Canceled), errors.As(err, new(promql.ErrQueryCanceled)):
		return context.Canceled
	}
	return fault.Wrap(fault.Invalid, "query", err) // evaluation: the text and the series do not fit
}

// Matchers reads a selector such as up{app="shop"}.
func (s *Store) Matchers(text string) ([]*labels.Matcher, error) {
	m, err := s.engine.parser.ParseMetricSelector(text)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "match[]", err)
	}
	return m, nil
}

// CheckQuery refuses a text that is no PromQL.
func (s *Store) CheckQuery(text string) error {
	if strings.TrimSpace(text) == "" {
		return fault.New(fault.Invalid, "query", "there is no query")
	}
	if _, err := s.engine.parser.ParseExpr(text); err != nil {
		return fault.Wrap(fault.Invalid, "query", err)
	}
	return nil
}
