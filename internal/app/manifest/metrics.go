package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
)

// metrics reads where a process shows metrics: a path, or path, port and interval.
func (r *reader) metrics(key string, v *yaml.Node) app.Metrics {
	var m app.Metrics
	path := func(k string, v *yaml.Node) {
		if m.Path = r.text(k, v); m.Path != "" && !strings.HasPrefix(m.Path, "/") {
			r.bad(v, k, "%q is no path", m.Path).retry("begin it with /")
		}
	}
	if v.Kind == yaml.ScalarNode {
		path(key, v)
		return m
	}
	m.Path = "/metrics"
	r.mapping(v, key, map[string]func(string, *yaml.Node){
		"path": path,
		"port": func(k string, v *yaml.Node) { m.Port, _ = r.number(k, v, 1, 65535) },
		"interval": func(k string, v *yaml.Node) {
			if err := m.Interval.UnmarshalText([]byte(r.text(k, v))); err != nil {
				r.bad(v, k, "%s", err)
			} else if m.Interval < app.Duration(app.MinMetricsInterval) || m.Interval > app.Duration(app.MaxMetricsInterval) {
				r.bad(v, k, "%s is no interval for metrics", m.Interval).retry("from 5s to 5m")
			}
		},
	})
	return m
}
