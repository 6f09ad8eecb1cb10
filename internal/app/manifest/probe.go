package manifest

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
)

// probes reads how the app is asked. As with objectives, a key that is not known is
// an error.
func (r *reader) probes(key string, v *yaml.Node) []app.Probe {
	all := []app.Probe{}
	seen := map[string]bool{}
	for i, entry := range r.list(key, v) {
		at := fmt.Sprintf("%s[%d]", key, i)
		before := len(r.faults)
		p := r.probe(at, entry)
		if len(r.faults) == before {
			r.checked(entry, p.Check(at))
		}
		if p.Name != "" && seen[p.Name] {
			r.bad(entry, at+".name", "two probes are named %q", p.Name)
		}
		seen[p.Name] = true
		all = append(all, p)
	}
	if len(all) > app.MaxProbes {
		r.bad(v, key, "%d probes are more than %d", len(all), app.MaxProbes)
	}
	return all
}

func (r *reader) probe(at string, entry *yaml.Node) app.Probe {
	var p app.Probe
	lasting := func(to *app.Duration) func(string, *yaml.Node) {
		return func(k string, v *yaml.Node) {
			if err := to.UnmarshalText([]byte(r.text(k, v))); err != nil {
				r.bad(v, k, "%s", err)
			}
		}
	}
	r.strict(entry, at, map[string]func(string, *yaml.Node){
		"name":     func(k string, v *yaml.Node) { p.Name = r.text(k, v) },
		"method":   func(k string, v *yaml.Node) { p.Method = r.text(k, v) },
		"host":     func(k string, v *yaml.Node) { p.Host = r.text(k, v) },
		"path":     func(k string, v *yaml.Node) { p.Path = r.text(k, v) },
		"interval": lasting(&p.Interval),
		"timeout":  lasting(&p.Timeout),
		"good":     func(k string, v *yaml.Node) { p.Good = r.texts(k, v) },
	})
	return p
}
