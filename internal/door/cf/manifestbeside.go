package cf

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
)

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// beside reads what naru keeps beside an app's draft, and refuses what it does not
// have.
func (c *complaints) beside(d *declared, key map[string]*yaml.Node) {
	d.defaultRoute = yes(key["default-route"])
	if v, ok := key["sidecars"]; ok && !empty(v) {
		switch {
		case v.Kind != yaml.SequenceNode:
			c.bad("Sidecars must be an array of sidecar configurations")
		case len(v.Content) > 0:
			c.bad("%s", noSidecars)
		}
	}
	c.features(d, key["features"])
	c.services(d, key["services"])
	c.labels(d, key["metadata"])
}

// features reads which of an app's features are wanted.
func (c *complaints) features(d *declared, v *yaml.Node) {
	if v == nil || empty(v) {
		return
	}
	if v.Kind != yaml.MappingNode || len(v.Content) == 0 {
		c.bad("%s", badFeatures)
		return
	}
	d.features = map[string]bool{}
	all := fields(v)
	if yes(all["service-binding-k8s"]) && yes(all["file-based-vcap-services"]) {
		c.bad("'file-based-vcap-services' and 'service-binding-k8s' features cannot be enabled at the same time.")
		return
	}
	for _, name := range slices.Sorted(mapKeys(all)) {
		on := all[name].Value == "true"
		known := slices.ContainsFunc(featuresOf(app.App{}), func(f feature) bool { return f.Name == name })
		if !known || all[name].Tag != "!!bool" {
			c.bad("%s", badFeatures)
			continue
		}
		if why := unswitched(name, on); why != "" {
			c.bad("%s", why)
		}
		d.features[name] = on
	}
}

const badFeatures = "Features must be a map of valid feature names to booleans (true = enabled, false = disabled)"

// services reads which are to be bound.
func (c *complaints) services(d *declared, v *yaml.Node) {
	if v == nil || empty(v) {
		return
	}
	if v.Kind != yaml.SequenceNode {
		c.bad("Services must be a list of service instances")
		return
	}
	for _, one := range v.Content {
		b, parameters, ok := bindingOf(aliased(one))
		if !ok {
			c.bad("Services must be a list of service instances")
			continue
		}
		if parameters {
			c.bad("For service '%s': parameters are for services of brokers, which naru does not have: leave them out", b.Service)
		}
		d.services = append(d.services, b)
	}
}

// bindingOf reads an entry of a list of services: a name, or an object.
func bindingOf(v *yaml.Node) (b deliver.Binding, parameters, ok bool) {
	if v.Kind != yaml.MappingNode {
		return deliver.Binding{Service: v.Value}, false, isText(v) && v.Value != ""
	}
	of := fields(v)
	for name, value := range of {
		switch name {
		case "name":
			b.Service = value.Value
			ok = isText(value) && value.Value != ""
		case "binding_name":
			if !isText(value) && !empty(value) {
				return b, false, false
			}
			if !empty(value) {
				b.Name = value.Value
			}
		case "parameters":
			if value.Kind != yaml.MappingNode && !empty(value) {
				return b, false, false
			}
			parameters = len(value.Content) > 0
		default:
			return b, false, false
		}
	}
	return b, parameters, ok
}

// labels reads metadata; null takes one away.
func (c *complaints) labels(d *declared, v *yaml.Node) {
	if v == nil || empty(v) {
		return
	}
	if v.Kind != yaml.MappingNode {
		c.bad("Metadata must be an object")
		return
	}
	of := fields(v)
	for _, name := range slices.Sorted(mapKeys(of)) {
		if name != "labels" && name != "annotations" {
			c.bad("Metadata has unexpected field(s): '%s'", name)
		}
	}
	read := func(name string) map[string]*string {
		m := of[name]
		if m == nil || empty(m) {
			return nil
		}
		if m.Kind != yaml.MappingNode {
			c.bad("Metadata '%s' is not an object", name)
			return nil
		}
		out := map[string]*string{}
		for key, value := range fields(m) {
			switch {
			case empty(value):
				out[key] = nil
			case value.Kind != yaml.ScalarNode:
				c.bad("Metadata %s must be strings", name)
			default:
				out[key] = &value.Value
			}
		}
		return out
	}
	d.metadata = &label.Change{Labels: read("labels"), Annotations: read("annotations")}
	if err := d.metadata.Check(); err != nil {
		for _, one := range parted(err) {
			c.bad("%s", fault.Of(one).Message)
		}
	}
}

// unswitched says why a feature of an app cannot be as it is wanted; "" where it
// can.
func unswitched(name string, on bool) string {
	switch {
	case name == "ssh", name == "revisions" && on, name != "revisions" && !on:
		return ""
	case name == "revisions":
		return "naru keeps the releases of every app: the feature revisions cannot be switched off"
	}
	return fmt.Sprintf("naru hands services over in VCAP_SERVICES: the feature %s cannot be switched on", name)
}
