package cf

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// list is how things of a kind are filtered, ordered and shown.
type list[T any] struct {
	filters map[string]func(T) []string // by query parameter: what one of its values must be among
	orders  map[string]func(T) string   // beside created_at and updated_at
	times   func(T) (created, updated time.Time)
	guid    func(T) string
	also    []string // parameters that the caller looks at itself

	includes   []string // what include may name; none: the list has no such parameter
	fields     []string // what fields[...] may name; likewise
	unlabelled bool     // nothing can be written on its things
}

// usual are the parameters of every list.
var usual = []string{"page", "per_page", "order_by", "guids", "created_ats", "updated_ats"}

// choose returns those of all that the query asks for, in its order.
func (l list[T]) choose(q url.Values, all []T) ([]T, error) {
	if err := l.check(q); err != nil {
		return nil, err
	}
	picks := []func(T) bool{}
	if q.Has("guids") {
		want := values(q, "guids")
		picks = append(picks, func(v T) bool { return slices.Contains(want, l.guid(v)) })
	}
	for name, of := range l.filters {
		if q.Has(name) {
			want := values(q, name)
			picks = append(picks, func(v T) bool { return among(of(v), want) })
		}
		if not := name + "[not]"; q.Has(not) {
			want := values(q, not)
			picks = append(picks, func(v T) bool { return !among(of(v), want) })
		}
	}
	within, err := l.moments(q)
	if err != nil {
		return nil, err
	}
	picks = append(picks, within...)
	out := slices.DeleteFunc(slices.Clone(all), func(v T) bool {
		return slices.ContainsFunc(picks, func(pick func(T) bool) bool { return !pick(v) })
	})
	return out, l.order(q.Get("order_by"), out)
}

// among reports whether a thing has one of the wanted values; an empty one is
// that of a thing without any.
func among(have, want []string) bool {
	for _, w := range want {
		if w == "" && len(have) == 0 || slices.Contains(have, w) {
			return true
		}
	}
	return false
}

// check refuses parameters that nobody knows.
func (l list[T]) check(q url.Values) error {
	known := slices.Concat(usual, l.also, slices.Sorted(maps.Keys(l.filters)))
	if !l.unlabelled {
		known = append(known, "label_selector")
	}
	if len(l.includes) > 0 {
		known = append(known, "include")
	}
	if len(l.fields) > 0 {
		known = append(known, "fields")
	}
	var strange []string
	for name := range q {
		base, _, in := strings.Cut(name, "[")
		if !slices.Contains(known, base) || in != (base == "fields") && !slices.Contains([]string{"created_ats", "updated_ats"}, base) && !slices.Contains(l.also, name) {
			strange = append(strange, name)
		}
	}
	if len(strange) > 0 {
		slices.Sort(strange)
		return wrongQuery("Unknown query parameter(s): '%s'. Valid parameters are: '%s'", strings.Join(strange, "', '"), strings.Join(known, "', '"))
	}
	if err := checkIncludes(q, l.includes); err != nil {
		return err
	}
	for name := range q {
		resource, ok := strings.CutPrefix(strings.TrimSuffix(name, "]"), "fields[")
		if ok && !slices.Contains(l.fields, resource) {
			return wrongQuery("Fields [%s] valid resources are: '%s'", resource, strings.Join(l.fields, "', '"))
		}
	}
	return nil
}

// wrongQuery is what is said of a query that cannot be answered.
func wrongQuery(format string, args ...any) error {
	return badQuery.saying("The query parameter is invalid: " + fmt.Sprintf(format, args...))
}

// moments reads created_ats and updated_ats, with their comparisons.
func (l list[T]) moments(q url.Values) (picks []func(T) bool, err error) {
	for name := range q {
		base, op, _ := strings.Cut(strings.TrimSuffix(name, "]"), "[")
		if base != "created_ats" && base != "updated_ats" {
			continue
		}
		var want []time.Time
		title := map[string]string{"created_ats": "Created ats", "updated_ats": "Updated ats"}[base]
		all := values(q, name)
		if op != "" && len(all) > 1 {
			return nil, wrongQuery("%s only accepts one value when using a relational operator", title)
		}
		for _, text := range all {
			t, err := time.Parse("2006-01-02T15:04:05Z", text)
			if err != nil {
				return nil, wrongQuery("%s has an invalid timestamp format. Timestamps should be formatted as 'YYYY-MM-DDThh:mm:ssZ'", title)
			}
			want = append(want, t)
		}
		fits, known := map[string]func(have, want time.Time) bool{
			"":   func(have, want time.Time) bool { return have.Equal(want) },
			"lt": time.Time.Before, "gt": time.Time.After,
			"lte": func(have, want time.Time) bool { return !have.After(want) },
			"gte": func(have, want time.Time) bool { return !have.Before(want) },
		}[op]
		if !known {
			return nil, wrongQuery("%s Invalid relational operator: '%s'", title, op)
		}
		picks = append(picks, func(v T) bool {
			created, updated := l.times(v)
			if base == "updated_ats" {
				created = cmp.Or(updated, created)
			}
			have := created.UTC().Truncate(time.Second)
			return slices.ContainsFunc(want, func(w time.Time) bool { return fits(have, w) })
		})
	}
	return picks, nil
}

// order sorts as order_by asks, else by age.
func (l list[T]) order(by string, all []T) error {
	key := strings.TrimPrefix(strings.TrimPrefix(by, "+"), "-")
	compare := func(a, b T) int {
		x, _ := l.times(a)
		y, _ := l.times(b)
		return cmp.Or(x.Compare(y), cmp.Compare(l.guid(a), l.guid(b)))
	}
	switch of, ok := l.orders[key]; {
	case ok:
		age := compare
		compare = func(a, b T) int { return cmp.Or(cmp.Compare(of(a), of(b)), age(a, b)) }
	case key == "updated_at":
		age := compare
		compare = func(a, b T) int {
			_, x := l.times(a)
			_, y := l.times(b)
			return cmp.Or(x.Compare(y), age(a, b))
		}
	case key != "" && key != "created_at":
		return wrongQuery("Order by can only be: '%s'", strings.Join(append([]string{"created_at", "updated_at"}, slices.Sorted(maps.Keys(l.orders))...), "', '"))
	}
	slices.SortStableFunc(all, func(a, b T) int {
		if strings.HasPrefix(by, "-") {
			return compare(b, a)
		}
		return compare(a, b)
	})
	return nil
}

// values are those of a parameter. A comma within one is written %2C.
func values(q url.Values, name string) []string {
	var out []string
	for _, v := range strings.Split(q.Get(name), ",") {
		v = strings.NewReplacer("%2C", ",", "%2c", ",").Replace(v)
		out = append(out, strings.TrimSpace(v))
	}
	return out
}

// asked reports whether a parameter has a value.
func asked(q url.Values, name, value string) bool {
	return q.Has(name) && slices.Contains(values(q, name), value)
}

// each encodes a list; none of them is an empty list.
func each[T, W any](in []T, encode func(T) W) []W {
	out := make([]W, 0, len(in))
	for _, v := range in {
		out = append(out, encode(v))
	}
	return out
}

// single is a filter on one value.
func single[T any](of func(T) string) func(T) []string {
	return func(v T) []string {
		if s := of(v); s != "" {
			return []string{s}
		}
		return nil
	}
}
