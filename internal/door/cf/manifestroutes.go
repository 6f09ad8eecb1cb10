package cf

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// routes checks the keys about routes.
func (c *complaints) routes(key map[string]*yaml.Node) {
	for _, title := range []string{"No-route", "Random-route", "Default-route"} {
		if v, ok := key[strings.ToLower(title)]; ok && !empty(v) && (v.Tag != "!!bool" || v.Kind != yaml.ScalarNode) {
			c.bad("%s must be a boolean", title)
		}
	}
	if yes(key["random-route"]) && yes(key["default-route"]) {
		c.bad("Random-route and default-route may not be used together")
	}
	v, ok := key["routes"]
	switch {
	case !ok || empty(v):
		return
	case v.Kind != yaml.SequenceNode:
		c.bad("Routes must be a list of route objects")
		return
	}
	for _, r := range v.Content {
		of := fields(aliased(r))
		name := of["route"]
		if aliased(r).Kind != yaml.MappingNode || name == nil || empty(name) || name.Value == "" {
			c.bad("Routes must be a list of route objects")
			continue
		}
		if !routeForm.MatchString(name.Value) {
			c.bad("The route '%s' is not a properly formed URL", name.Value)
		}
		if p := of["protocol"]; p != nil && !empty(p) && !slices.Contains([]string{"http1", "http2", "tcp"}, p.Value) {
			c.bad("Route protocol must be 'http1', 'http2' or 'tcp'.")
		}
		c.options(name.Value, of["options"])
	}
}

// routeForm is a host with a dot, or one of naru's own forms of ports.
var routeForm = regexp.MustCompile(`^(https?://|tcp://)?(\*|[A-Za-z0-9_-]+)(\.[A-Za-z0-9_-]+)+\.?(:[0-9]+)?(/[^\s?#]*)?$|^(tcp|sni):\S+$`)

var portForm = regexp.MustCompile(`^(?:tcp://)?[A-Za-z0-9_.-]+:([0-9]+)$`)

// portsNamed are routes with those of ports, "tcp.example.com:1234", as naru names
// them: "tcp:1234".
func portsNamed(list *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: list.Line}
	for _, r := range list.Content {
		r = aliased(r)
		of := fields(r)
		name := of["route"]
		if name == nil || !portForm.MatchString(name.Value) {
			out.Content = append(out.Content, r)
			continue
		}
		tcp := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: r.Line}
		for _, key := range slices.Sorted(mapKeys(of)) {
			v := of[key]
			switch {
			case key == "protocol" && v.Value == "tcp", key == "options" && len(v.Content) == 0:
				continue
			case key == "route":
				v = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "tcp:" + portForm.FindStringSubmatch(v.Value)[1], Line: v.Line}
			}
			tcp.Content = append(tcp.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key, Line: v.Line}, v)
		}
		out.Content = append(out.Content, tcp)
	}
	return out
}

// options checks those of a route.
func (c *complaints) options(route string, v *yaml.Node) {
	if v == nil {
		return
	}
	if v.Kind != yaml.MappingNode {
		c.bad("Route '%s': options must be an object", route)
		return
	}
	all := fields(v)
	for _, name := range slices.Sorted(mapKeys(all)) {
		switch value := all[name]; {
		case name != "loadbalancing": // those of hash_based_routing are unknown where that feature is off
			c.bad("Route '%s' contains invalid route option '%s'. Valid keys: 'loadbalancing'", route, name)
		case !isText(value):
			c.bad("Invalid value for 'loadbalancing' for Route '%s'; Valid values are: 'round-robin, least-connection'", route)
		case value.Value != "round-robin" && value.Value != "least-connection":
			c.bad("Cannot use loadbalancing value '%s' for Route '%s'; Valid values are: 'round-robin, least-connection'", value.Value, route)
		}
	}
}
