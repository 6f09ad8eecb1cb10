package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
	"naru/internal/fault"
)

// objectives reads what is wanted of the app. Unlike elsewhere a key that is not
// known is an error: an objective that is not judged as it was meant is worse than
// none.
func (r *reader) objectives(key string, v *yaml.Node) []app.Objective {
	all := []app.Objective{} // a list without objectives takes away those that there are
	seen := map[string]bool{}
	entries := r.list(key, v)
	if len(entries) > app.MaxObjectives {
		r.bad(v, key, "%d objectives are more than %d", len(entries), app.MaxObjectives).retry("three to five per journey are enough")
		return nil
	}
	for i, entry := range entries {
		at := fmt.Sprintf("%s[%d]", key, i)
		before := len(r.faults)
		o := r.objective(at, entry)
		if len(r.faults) == before {
			r.checked(entry, o.Check(at))
		}
		if o.Name != "" && seen[o.Name] {
			r.bad(entry, at+".name", "two objectives are named %q", o.Name)
		}
		seen[o.Name] = true
		all = append(all, o)
	}
	return all
}

// checked gathers each complaint of a check, which may be several.
func (r *reader) checked(v *yaml.Node, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			r.checked(v, one)
		}
		return
	}
	if err == nil {
		return
	}
	f := fault.Of(err)
	r.bad(v, f.Field, "%s", f.Message).retry(f.Try)
}

func (r *reader) objective(at string, entry *yaml.Node) app.Objective {
	var o app.Objective
	bound := func(op string) func(string, *yaml.Node) {
		return func(k string, v *yaml.Node) {
			if o.Bound != nil {
				r.bad(v, k, "there are two bounds, want one")
			}
			o.Bound = &app.Bound{Op: op, Value: r.real(k, v)}
		}
	}
	journeys := func(k string, v *yaml.Node) {
		if v.Kind != yaml.SequenceNode {
			o.Journeys = append(o.Journeys, r.journey(k, v))
			return
		}
		for i, e := range r.list(k, v) {
			o.Journeys = append(o.Journeys, r.journey(fmt.Sprintf("%s[%d]", k, i), e))
		}
	}
	r.strict(entry, at, map[string]func(string, *yaml.Node){
		"name":        func(k string, v *yaml.Node) { o.Name = r.text(k, v) },
		"description": func(k string, v *yaml.Node) { o.Description = r.text(k, v) },
		"kind":        func(k string, v *yaml.Node) { o.Kind = app.ObjectiveKind(r.text(k, v)) },
		"target":      func(k string, v *yaml.Node) { o.Target = r.share(k, v) },
		"window": func(k string, v *yaml.Node) {
			var err error
			if o.Window, err = app.ParseWindow(r.text(k, v)); err != nil {
				r.bad(v, k, "%s", err).retry("28d, week, month, quarter, or  month in Europe/Berlin")
				return
			}
			r.checked(v, o.Window.Check(k))
		},
		"no_traffic": func(k string, v *yaml.Node) { o.Idle = app.Idle(r.text(k, v)) },
		"journey":    journeys,
		"journeys":   journeys,
		"bad":        func(k string, v *yaml.Node) { o.Bad = r.texts(k, v) },
		"excluded":   func(k string, v *yaml.Node) { o.Excluded = r.texts(k, v) },
		"threshold": func(k string, v *yaml.Node) {
			if err := o.Threshold.UnmarshalText([]byte(r.text(k, v))); err != nil {
				r.bad(v, k, "%s", err)
			}
		},
		"at_least":    bound("gte"),
		"at_most":     bound("lte"),
		"above":       bound("gt"),
		"below":       bound("lt"),
		"query":       func(k string, v *yaml.Node) { o.Query = r.text(k, v) },
		"good_query":  func(k string, v *yaml.Node) { o.GoodQuery = r.text(k, v) },
		"bad_query":   func(k string, v *yaml.Node) { o.BadQuery = r.text(k, v) },
		"total_query": func(k string, v *yaml.Node) { o.TotalQuery = r.text(k, v) },
		"probe":       func(k string, v *yaml.Node) { o.Probe = r.text(k, v) },
		"slices": func(k string, v *yaml.Node) {
			r.strict(v, k, map[string]func(string, *yaml.Node){
				"length": func(k string, v *yaml.Node) {
					if err := o.Slice.Length.UnmarshalText([]byte(r.text(k, v))); err != nil {
						r.bad(v, k, "%s", err)
					}
				},
				"target": func(k string, v *yaml.Node) { o.Slice.Target = r.share(k, v) },
			})
		},
	})
	return o
}

// journey reads "GET /profile/{user}", or a map with its weight and target.
func (r *reader) journey(at string, v *yaml.Node) app.Journey {
	v = resolved(v)
	var j app.Journey
	read := func(k string, v *yaml.Node) {
		text := r.text(k, v)
		if text == "" {
			return
		}
		var err error
		if j, err = app.ParseJourney(text); err != nil {
			r.bad(v, k, "%s", fault.Of(err).Message).retry("GET /profile/{user}")
		}
	}
	if v.Kind != yaml.MappingNode {
		read(at, v)
		return j
	}
	var weight, target float64
	r.strict(v, at, map[string]func(string, *yaml.Node){
		"requests": read,
		"weight":   func(k string, v *yaml.Node) { weight = r.real(k, v) },
		"target":   func(k string, v *yaml.Node) { target = r.share(k, v) },
	})
	if j.Path == "" {
		r.bad(v, at+".requests", "it names no requests").retry("requests: GET /profile/{user}")
	}
	j.Weight, j.Target = weight, target
	return j
}

// strict is mapping with an error for each key that is not known.
func (r *reader) strict(v *yaml.Node, at string, keys map[string]func(string, *yaml.Node)) {
	before := len(r.warnings)
	r.mapping(v, at, keys)
	for _, w := range r.warnings[before:] {
		key, rest, _ := strings.Cut(w.Message, " is not known and ignored")
		c := r.faultAt(w.Line, key, "there is no such key%s", rest)
		if rest == "" {
			c.retry("docs/slo.md has all keys")
		}
	}
	r.warnings = r.warnings[:before]
}

// real reads a number that may have a fraction.
func (r *reader) real(key string, v *yaml.Node) float64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(v.Value), 64)
	if v.Kind != yaml.ScalarNode || err != nil {
		r.bad(v, key, "it is %s, want a number", kind(v))
		return 0
	}
	return n
}

// share reads a share as app.ParseShare does.
func (r *reader) share(key string, v *yaml.Node) float64 {
	n, err := app.ParseShare(v.Value)
	if v.Kind != yaml.ScalarNode || err != nil {
		r.bad(v, key, "it is %s, want a share", kind(v)).retry("99.9%")
		return 0
	}
	return n
}
