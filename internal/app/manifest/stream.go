package manifest

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
)

// TCP makes a route one of connections: to a port of the gateway, or to its TLS
// address by a name. What is zero is the gateway's to decide, or stays.
type TCP struct {
	Host        string       `json:",omitempty"` // that connections ask for; "": Port counts
	Port        int          `json:",omitempty"` // 0: the one the app has, or one that is free
	Proxy       string       `json:",omitempty"` // "v1", "v2"
	Connect     app.Duration `json:",omitempty"`
	Idle        app.Duration `json:",omitempty"`
	Connections int          `json:",omitempty"`
}

// anyPort stands behind "tcp:" where the port does not matter.
const anyPort = "any"

// stream reads the name of a route of connections as naru routes lists them; nil
// where it is one of requests.
func (r *reader) stream(key string, v *yaml.Node, name string) *TCP {
	if host, ok := strings.CutPrefix(name, "sni:"); ok {
		if host == "" {
			r.bad(v, key, "it names no host").retry("sni:mail.example.com")
		}
		return &TCP{Host: host}
	}
	port, ok := strings.CutPrefix(name, "tcp:")
	if !ok {
		return nil
	}
	if port == anyPort {
		return &TCP{}
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		r.bad(v, key, "%q is no port of the gateway", port).retry("tcp:20005, or tcp:any for one that is free")
	}
	return &TCP{Port: n}
}

// streamKeys are the keys that a route of connections has beside all others.
func (r *reader) streamKeys(t *TCP) map[string]func(string, *yaml.Node) {
	return map[string]func(string, *yaml.Node){
		"proxy": func(k string, v *yaml.Node) {
			if t.Proxy = r.text(k, v); t.Proxy != "v1" && t.Proxy != "v2" {
				r.bad(v, k, "%q is no version of the PROXY protocol", t.Proxy).retry("v1 or v2")
			}
		},
		"connect":     func(k string, v *yaml.Node) { t.Connect = r.duration(k, v) },
		"idle":        func(k string, v *yaml.Node) { t.Idle = r.duration(k, v) },
		"connections": func(k string, v *yaml.Node) { t.Connections, _ = r.number(k, v, 1, 1_000_000) },
	}
}

func (r *reader) duration(key string, v *yaml.Node) (d app.Duration) {
	if err := d.UnmarshalText([]byte(r.text(key, v))); err != nil {
		r.bad(v, key, "%s", err)
	}
	return d
}
