package manifest

import (
	"gopkg.in/yaml.v3"

	"naru/internal/app/label"
	"naru/internal/fault"
)

// metadata reads labels and annotations. An empty value of a key takes it away.
func (r *reader) metadata(key string, v *yaml.Node) *label.Change {
	if v.Tag == "!!null" {
		return nil
	}
	var c label.Change
	r.mapping(v, key, map[string]func(string, *yaml.Node){
		"labels":      func(k string, v *yaml.Node) { c.Labels = r.written(k, v) },
		"annotations": func(k string, v *yaml.Node) { c.Annotations = r.written(k, v) },
	})
	if err := c.Check(); err != nil {
		r.bad(v, key, "%s", fault.Of(err).Message)
	}
	if c.Empty() {
		return nil
	}
	return &c
}

func (r *reader) written(key string, v *yaml.Node) map[string]*string {
	if v.Tag == "!!null" {
		return nil
	}
	if v.Kind != yaml.MappingNode {
		r.bad(v, key, "it is %s, want KEY: VALUE", kind(v))
		return nil
	}
	out := map[string]*string{}
	for _, p := range r.pairs(v, key) {
		switch {
		case p.value.Tag == "!!null":
			out[p.name.Value] = nil
		case p.value.Kind != yaml.ScalarNode:
			r.bad(p.value, key+"."+p.name.Value, "it is %s, want one value", kind(p.value))
		default:
			out[p.name.Value] = &p.value.Value
		}
	}
	return out
}
