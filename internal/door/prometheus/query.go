package prometheus

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/observe/metrics"
)

func (d *Door) query(w http.ResponseWriter, r *http.Request, who auth.Identity) error {
	form, err := values(r)
	if err != nil {
		return err
	}
	q := metrics.Query{Text: form.Get("query")}
	if q.To, err = instant(form, "time", time.Now()); err != nil {
		return err
	}
	return d.answer(w, r, who, form, q)
}

func (d *Door) queryRange(w http.ResponseWriter, r *http.Request, who auth.Identity) error {
	form, err := values(r)
	if err != nil {
		return err
	}
	q := metrics.Query{Text: form.Get("query")}
	for _, name := range []string{"start", "end", "step"} {
		if form.Get(name) == "" {
			return fault.New(fault.Invalid, name, "a range needs start, end and step")
		}
	}
	if q.From, err = instant(form, "start", time.Time{}); err != nil {
		return err
	}
	if q.To, err = instant(form, "end", time.Time{}); err != nil {
		return err
	}
	if q.Step, err = span(form, "step"); err != nil {
		return err
	}
	if q.Step <= 0 {
		return fault.New(fault.Invalid, "step", "the step must be above nought")
	}
	return d.answer(w, r, who, form, q)
}

func (d *Door) answer(w http.ResponseWriter, r *http.Request, who auth.Identity, form url.Values, q metrics.Query) (err error) {
	if q.Timeout, err = span(form, "timeout"); err != nil {
		return err
	}
	if q.Lookback, err = span(form, "lookback_delta"); err != nil {
		return err
	}
	reader, err := d.reader(r, who)
	if err != nil {
		return err
	}
	a, err := d.store.Query(r.Context(), reader, q)
	if err != nil {
		return err
	}
	defer a.Close()
	return encode(w, a)
}

// selection is what series, labels and values of labels are asked of.
type selection struct {
	storage.Querier
	sets  [][]*promlabels.Matcher
	limit int
}

// selects opens what a request selects from. It must be closed.
func (d *Door) selects(r *http.Request, who auth.Identity) (s selection, err error) {
	form, err := values(r)
	if err != nil {
		return s, err
	}
	from, err := instant(form, "start", time.UnixMilli(math.MinInt64/2))
	if err != nil {
		return s, err
	}
	to, err := instant(form, "end", time.UnixMilli(math.MaxInt64/2))
	if err != nil {
		return s, err
	}
	if to.Before(from) {
		return s, fault.New(fault.Invalid, "end", "the end is before the start")
	}
	s.limit = d.cfg.Series
	if text := form.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return s, fault.New(fault.Invalid, "limit", "%q is no number of entries", text)
		}
		if n > 0 {
			s.limit = min(n, s.limit)
		}
	}
	for _, text := range form["match[]"] {
		m, err := d.store.Matchers(text)
		if err != nil {
			return s, err
		}
		s.sets = append(s.sets, m)
	}
	reader, err := d.reader(r, who)
	if err != nil {
		return s, err
	}
	s.Querier, err = d.store.As(reader).Querier(from.UnixMilli(), to.UnixMilli())
	return s, err
}

func (d *Door) series(w http.ResponseWriter, r *http.Request, who auth.Identity) error {
	s, err := d.selects(r, who)
	if err != nil {
		return err
	}
	defer s.Close()
	if len(s.sets) == 0 {
		return fault.New(fault.Invalid, "match[]", "say which series are meant").WithTry(`match[]=naru_gateway_requests_total`)
	}
	hints := &storage.SelectHints{Func: "series", Start: math.MinInt64 / 2, End: math.MaxInt64 / 2, Limit: s.limit + 1}
	var all []storage.SeriesSet
	for _, set := range s.sets {
		all = append(all, s.Select(r.Context(), true, hints, set...))
	}
	merged := storage.NewMergeSeriesSet(all, 0, storage.ChainedSeriesMerge)
	b, n := []byte{'['}, 0
	var warnings []string
	for merged.Next() {
		if n == s.limit {
			warnings = append(warnings, truncated)
			break
		}
		b = appendLabels(comma(b, n), merged.At().Labels())
		n++
	}
	if err := merged.Err(); err != nil {
		return err
	}
	return succeed(w, append(b, ']'), warnings, nil)
}

// truncated is the warning of an answer that has not all, in Prometheus's words.
const truncated = "results truncated due to limit"

func (d *Door) labels(w http.ResponseWriter, r *http.Request, who auth.Identity) error {
	return d.names(w, r, who, func(ctx context.Context, s selection, set []*promlabels.Matcher) ([]string, error) {
		names, _, err := s.LabelNames(ctx, &storage.LabelHints{Limit: s.limit + 1}, set...)
		return names, err
	})
}

func (d *Door) labelValues(w http.ResponseWriter, r *http.Request, who auth.Identity) error {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") {
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return fault.New(fault.Invalid, "name", "%q is not the name of a label", name)
	}
	return d.names(w, r, who, func(ctx context.Context, s selection, set []*promlabels.Matcher) ([]string, error) {
		all, _, err := s.LabelValues(ctx, name, &storage.LabelHints{Limit: s.limit + 1}, set...)
		return all, err
	})
}

// names answers with the names that find finds in each set of matchers.
func (d *Door) names(w http.ResponseWriter, r *http.Request, who auth.Identity, find func(context.Context, selection, []*promlabels.Matcher) ([]string, error)) error {
	s, err := d.selects(r, who)
	if err != nil {
		return err
	}
	defer s.Close()
	if len(s.sets) == 0 {
		s.sets = [][]*promlabels.Matcher{nil}
	}
	out := []string{}
	for _, set := range s.sets {
		names, err := find(r.Context(), s, set)
		if err != nil {
			return err
		}
		out = append(out, names...)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > s.limit {
		return succeedWith(w, out[:s.limit], truncated)
	}
	return succeedWith(w, out)
}

// values are a request's parameters, of its URL and of its form.
func values(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return nil, fault.New(fault.Invalid, "", "the parameters cannot be read").WithCause(err)
	}
	return r.Form, nil
}

// instant reads a time: seconds since 1970, or RFC 3339.
func instant(form url.Values, name string, otherwise time.Time) (time.Time, error) {
	text := form.Get(name)
	if text == "" {
		return otherwise, nil
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(s) < math.MaxInt64/2000 {
		whole, part := math.Modf(s)
		return time.Unix(int64(whole), int64(math.Round(part*1000))*int64(time.Millisecond)), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return otherwise, fault.New(fault.Invalid, name, "%q is no time", clip(text)).WithTry("seconds since 1970, or 2026-03-01T12:00:00Z")
}

// span reads a duration: seconds, or 5m.
func span(form url.Values, name string) (time.Duration, error) {
	text := form.Get(name)
	if text == "" {
		return 0, nil
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s < math.MaxInt64/2e9 {
		return time.Duration(s * float64(time.Second)), nil
	}
	if d, err := model.ParseDuration(text); err == nil {
		return time.Duration(d), nil
	}
	return 0, fault.New(fault.Invalid, name, "%q is no duration", clip(text)).WithTry("15s, 5m, 1h or a number of seconds")
}

func clip(s string) string {
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
