package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
)

// strategy reads a strategy: its name, or a map of its parameters.
func (r *reader) strategy(key string, v *yaml.Node) *app.Strategy {
	v = resolved(v)
	var s app.Strategy
	if v.Kind == yaml.ScalarNode {
		s.Kind = app.StrategyKind(r.text(key, v))
	} else {
		r.mapping(v, key, map[string]func(string, *yaml.Node){
			"kind":            func(k string, v *yaml.Node) { s.Kind = app.StrategyKind(r.text(k, v)) },
			"steps":           func(k string, v *yaml.Node) { s.Steps = r.steps(k, v) },
			"max_in_flight":   func(k string, v *yaml.Node) { s.MaxInFlight, _ = r.number(k, v, 0, 1000) },
			"max_unavailable": func(k string, v *yaml.Node) { s.MaxUnavailable, _ = r.number(k, v, 0, 1000) },
			"match":           func(k string, v *yaml.Node) { s.Match = r.text(k, v) },
			"second":          func(k string, v *yaml.Node) { s.Second = r.text(k, v) },
			"watch": func(k string, v *yaml.Node) {
				s.Watch = new(app.Duration)
				if err := s.Watch.UnmarshalText([]byte(r.text(k, v))); err != nil {
					r.bad(v, k, "%s", err)
				}
			},
			"guard": func(k string, v *yaml.Node) { s.Guard.Off = !r.yes(k, v) },
		})
	}
	if len(s.Steps) > 0 && s.Kind == "" {
		s.Kind = app.Canary
	}
	if err := s.Check(key); err != nil {
		r.bad(v, key, "%s", err)
	}
	return &s
}

// steps reads "1%,10%/5m" or a list of such.
func (r *reader) steps(key string, v *yaml.Node) []app.Step {
	var parts []string
	if resolved(v).Kind == yaml.SequenceNode {
		for _, one := range r.list(key, v) {
			parts = append(parts, r.text(key, one))
		}
	} else {
		parts = append(parts, r.text(key, v))
	}
	steps, err := app.ParseSteps(strings.Join(parts, ","))
	if err != nil {
		r.bad(v, key, "%s", err).retry("write them like 1%,10%/5m,50%/hold")
	}
	return steps
}
