package metrics

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"naru/internal/fault"
)

// Narrow returns a query whose selectors ask for labels, each where a selector
// does not say anything of it itself. Values with | between them are several.
func (s *Store) Narrow(text string, to map[string]string) (string, error) {
	if err := s.CheckQuery(text); err != nil {
		return "", err
	}
	expr, err := s.engine.parser.ParseExpr(text)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, "query", err)
	}
	var more []*labels.Matcher
	for name, value := range to {
		kind := labels.MatchEqual
		if parts := strings.Split(value, "|"); len(parts) > 1 {
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			kind, value = labels.MatchRegexp, strings.Join(parts, "|")
		}
		m, err := labels.NewMatcher(kind, name, value)
		if err != nil {
			return "", fault.Wrap(fault.Invalid, "query", err)
		}
		more = append(more, m)
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			for _, m := range more {
				if !slices.ContainsFunc(v.LabelMatchers, func(had *labels.Matcher) bool { return had.Name == m.Name }) {
					v.LabelMatchers = append(v.LabelMatchers, m)
				}
			}
		}
		return nil
	})
	return expr.String(), nil
}

// Samples answers a query of a range with one value for each step at which there
// is one. A query of several series is Invalid.
func (s *Store) Samples(ctx context.Context, r Reader, q Query) ([]float64, error) {
	answer, err := s.Query(ctx, r, q)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	all, ok := answer.Value.(promql.Matrix)
	switch {
	case !ok:
		return nil, fault.New(fault.Invalid, "query", "its answer is %s, not a number", answer.Type()).WithTry("sum(...)")
	case len(all) > 1:
		return nil, fault.New(fault.Invalid, "query", "it finds %d series, want one number", len(all)).WithTry("put sum(...) around it, or avg, or max")
	case len(all) == 0:
		return nil, nil
	}
	out := make([]float64, 0, len(all[0].Floats))
	for _, p := range all[0].Floats {
		out = append(out, p.F)
	}
	return out, nil
}
