package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/client"
	"naru/internal/client/rule"
	"naru/internal/fault"
)

// Route is one entry of routes.
type Route struct {
	Name string // "shop.example.com/path", "tcp:20005", "tcp:any", "sni:mail.example.com"
	Line int    // where the entry begins

	Process  string `json:",omitempty"` // that answers; "": web
	Port     int    `json:",omitempty"` // at which it does; 0: its own
	Protocol string `json:",omitempty"` // what the app speaks: "" for HTTP/1.1, "http2"

	TCP   *TCP               `json:",omitempty"` // nil: a route of requests
	When  *client.When       `json:",omitempty"` // nil: all requests
	Terms client.TermsChange `json:",omitzero"`  // what is to be different about what the route asks
}

// New is the route as a push asks for it.
func (r Route) New() (client.NewRoute, error) {
	out := client.NewRoute{When: r.When, TermsChange: r.Terms, Protocol: r.Protocol, Process: r.Process, Port: r.Port}
	var err error
	if t := r.TCP; t != nil {
		out.Host, out.TCP = t.Host, &client.TCP{
			Port: t.Port, Proxy: t.Proxy, Connect: client.Duration(t.Connect), Idle: client.Duration(t.Idle), Connections: t.Connections,
		}
	} else {
		out.Host, out.Path, err = HostAndPath(r.Name)
	}
	return out, err
}

// HostAndPath reads HOST/PATH, also where it was copied from a browser.
func HostAndPath(text string) (host, path string, err error) {
	bare := text
	if _, rest, ok := strings.Cut(text, "://"); ok {
		bare = rest
	}
	host, path, _ = strings.Cut(bare, "/")
	name, port, hasPort := strings.Cut(host, ":")
	if host == "" || hasPort && name == "" {
		return "", "", fault.New(fault.Invalid, "route", "%q has no host", text).WithTry("write it as shop.example.com or shop.example.com/path")
	}
	if hasPort {
		return "", "", fault.New(fault.Invalid, "route", "%q names port %s; a route is a host and a path", text, port).WithTry("write it as %s/%s", name, path)
	}
	return name, "/" + path, nil
}

func (r *reader) route(at string, entry *yaml.Node) Route {
	out := Route{Line: entry.Line}
	change := rule.Over(client.Terms{})
	requests := map[string]func(string, *yaml.Node){
		"protocol": func(k string, v *yaml.Node) {
			switch text := r.text(k, v); text {
			case "http1", "":
			case "http2":
				out.Protocol = text
			default:
				r.bad(v, k, "it is %q, want http1 or http2", text)
			}
		},
		"options": func(k string, v *yaml.Node) { r.options(change, k, v) },
		"policy": func(k string, v *yaml.Node) {
			left := maxRules
			r.rules(change, k, "", v, &left)
		},
		"when": func(k string, v *yaml.Node) { out.When = r.when(k, v) },
	}
	var tcp TCP
	connections := r.streamKeys(&tcp)
	keys := map[string]func(string, *yaml.Node){
		"route": func(k string, v *yaml.Node) {
			if out.Name = r.text(k, v); out.Name != "" {
				out.TCP = r.stream(k, v, out.Name)
			}
		},
		"process":  func(k string, v *yaml.Node) { out.Process = r.processType(k, v) },
		"app-port": func(k string, v *yaml.Node) { out.Port, _ = r.number(k, v, 1, 65535) },
	}
	type said struct {
		key   string
		value *yaml.Node
	}
	var later []said // what only one kind of route has: the kind may be told behind it
	for _, kind := range []map[string]func(string, *yaml.Node){requests, connections} {
		for name := range kind {
			keys[name] = func(k string, v *yaml.Node) { later = append(later, said{k, v}) }
		}
	}
	r.mapping(entry, at, keys)
	of, other, wrong := requests, connections, "it is about connections, and "+out.Name+" has requests"
	if out.TCP != nil {
		tcp.Host, tcp.Port = out.TCP.Host, out.TCP.Port
		out.TCP = &tcp
		of, other, wrong = connections, requests, "it is about requests, and "+out.Name+" has connections"
	}
	for _, s := range later {
		name := strings.TrimPrefix(s.key, at+".")
		if other[name] != nil {
			r.bad(s.value, s.key, "%s", wrong)
			continue
		}
		of[name](s.key, s.value)
	}
	var err error
	if out.Terms, err = change.Patch(); err != nil {
		r.bad(entry, at, "%s", err)
	}
	return out
}

// options are Cloud Foundry's: how the router chooses among instances.
func (r *reader) options(change *rule.Change, key string, v *yaml.Node) {
	how, header := "", ""
	r.mapping(v, key, map[string]func(string, *yaml.Node){
		"loadbalancing": func(k string, v *yaml.Node) { how = r.text(k, v) },
		"hash_header":   func(k string, v *yaml.Node) { header = r.text(k, v) },
		"hash_balance":  r.ignored("an instance that is there keeps its requests"),
	})
	switch {
	case how == "hash" && header == "":
		r.bad(v, key+".hash_header", "it is missing: hash needs a header")
	case how == "hash":
		r.setRule(change, v, key+".hash_header", "sticky", "header:"+header)
	case how != "":
		r.warn(v, "%s.loadbalancing is ignored: of two instances by chance the less loaded one is taken", key)
	}
}

// Bounds of what is read for one route: maps may hold each other, and themselves.
const (
	maxRules  = 500
	maxNested = 6
)

// rules reads rules as naru route set takes them. A map below a key continues
// it: "timeout: {total: 30s}" is "timeout.total: 30s". Unlike elsewhere a key that
// is not known is an error: it may have been meant to keep somebody out.
func (r *reader) rules(change *rule.Change, key, prefix string, v *yaml.Node, left *int) {
	switch v = resolved(v); {
	case v.Kind != yaml.MappingNode:
		r.bad(v, key, "it is %s, want keys and values", kind(v))
		return
	case len(v.Content) == 0:
		r.bad(v, key, "it is empty, want keys and values")
		return
	case strings.Count(prefix, ".") > maxNested:
		r.bad(v, key, "maps are more than %d deep", maxNested)
		return
	}
	for _, p := range r.pairs(v, key) {
		if *left--; *left <= 0 {
			if *left == 0 {
				r.bad(p.name, key, "there are more than %d rules", maxRules)
			}
			return
		}
		name, at := prefix+p.name.Value, key+"."+p.name.Value
		switch value := p.value; {
		case value.Kind == yaml.MappingNode:
			r.rules(change, at, name+".", value, left)
		case value.Kind == yaml.SequenceNode:
			var parts []string
			for _, one := range r.list(at, value) {
				parts = append(parts, r.text(at, one))
			}
			r.setRule(change, p.name, at, name, strings.Join(parts, ","))
		case value.Tag == "!!null":
			if err := change.Unset(name); err != nil {
				r.badRule(p.name, at, name, err)
			}
		default:
			r.setRule(change, p.name, at, name, value.Value)
		}
	}
}

func (r *reader) setRule(change *rule.Change, v *yaml.Node, at, name, value string) {
	if err := change.Set(name, value); err != nil {
		r.badRule(v, at, name, err)
	}
}

func (r *reader) badRule(v *yaml.Node, at, name string, err error) {
	f := fault.Of(err)
	if rule.Known(name) {
		r.bad(v, at, "%s", f.Message).retry(f.Try)
		return
	}
	names := map[string]bool{}
	for _, n := range rule.Names() {
		names[n] = true
	}
	r.bad(v, at, "%s%s", f.Message, meant(name, names)).retry(f.Try)
}

// when reads which requests a route is for, in the words of naru map-route.
func (r *reader) when(key string, v *yaml.Node) *client.When {
	var w client.When
	match := func(of func(name, value string) client.Match) func(string, *yaml.Node) {
		return func(k string, v *yaml.Node) {
			for _, text := range r.texts(k, v) {
				name, value, _ := strings.Cut(text, "=")
				w.Match = append(w.Match, of(name, value))
			}
		}
	}
	r.mapping(v, key, map[string]func(string, *yaml.Node){
		"method": func(k string, v *yaml.Node) {
			for _, m := range r.texts(k, v) {
				w.Methods = append(w.Methods, strings.ToUpper(m))
			}
		},
		"header": match(func(name, value string) client.Match { return client.Match{Header: name, Value: value} }),
		"cookie": match(func(name, value string) client.Match { return client.Match{Cookie: name, Value: value} }),
	})
	if resolved(v).Kind == yaml.MappingNode && len(w.Methods)+len(w.Match) == 0 {
		r.bad(v, key, "it names no method, header or cookie").retry("when: {header: X-Beta=1}")
	}
	return &w
}

// texts reads one text or a list of them.
func (r *reader) texts(key string, v *yaml.Node) (all []string) {
	if v = resolved(v); v.Kind != yaml.SequenceNode {
		return []string{r.text(key, v)}
	}
	for _, one := range r.list(key, v) {
		all = append(all, r.text(key, one))
	}
	return all
}
