package manifest

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
)

// judge reads how an app's canaries are judged. As with objectives, a key that is
// not known is an error.
func (r *reader) judge(key string, v *yaml.Node) app.Judging {
	var j app.Judging
	before := len(r.faults)
	r.strict(v, key, map[string]func(string, *yaml.Node){
		"unsure":   func(k string, v *yaml.Node) { j.Unsure = r.text(k, v) },
		"longest":  func(k string, v *yaml.Node) { j.Longest = r.duration(k, v) },
		"baseline": func(k string, v *yaml.Node) { j.Baseline = r.text(k, v) },
		"mirror":   func(k string, v *yaml.Node) { mirror := r.yes(k, v); j.Mirror = &mirror },
		"metrics": func(k string, v *yaml.Node) {
			for i, e := range r.list(k, v) {
				j.Metrics = append(j.Metrics, r.judgedMetric(fmt.Sprintf("%s[%d]", k, i), e))
			}
		},
	})
	if len(r.faults) == before {
		j.Check(func(field, try, format string, args ...any) { r.bad(v, key+field, format, args...).retry(try) })
	}
	return j
}

func (r *reader) judgedMetric(at string, entry *yaml.Node) app.JudgedMetric {
	var m app.JudgedMetric
	r.strict(entry, at, map[string]func(string, *yaml.Node){
		"name":      func(k string, v *yaml.Node) { m.Name = r.text(k, v) },
		"query":     func(k string, v *yaml.Node) { m.Query = r.text(k, v) },
		"direction": func(k string, v *yaml.Node) { m.Direction = r.text(k, v) },
		"weight":    func(k string, v *yaml.Node) { m.Weight = r.real(k, v) },
		"critical":  func(k string, v *yaml.Node) { m.Critical = r.yes(k, v) },
		"effect":    func(k string, v *yaml.Node) { m.Effect = r.real(k, v) },
	})
	return m
}
