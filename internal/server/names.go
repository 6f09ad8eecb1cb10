package server

import (
	"crypto/rand"
	"net"

	"naru/internal/config"
	"naru/internal/route"
)

// viaField carries the gateway's word that X-Forwarded-For is its own: on
// loopback anybody could write that field.
const viaField = "X-Naru-Via"

// newVia makes the word, which lives as long as the control plane.
func newVia() string { return rand.Text() }

// ownRoutes are the names of the platform itself, which its gateway answers.
func ownRoutes(cfg config.Config, via string) []route.Entry {
	domain := cfg.PlatformDomain()
	entry := func(name, listen string) route.Entry {
		return route.Entry{
			ID: "naru-" + name, Host: name + "." + domain, Path: "/", App: route.App{ID: "naru", Name: "naru's " + name},
			Policy: &route.Policy{Request: &route.Rules{Set: map[string]string{viaField: via}}},
			Groups: []route.Group{{
				ID: "naru-" + name, Name: "naru-" + name, Weight: 100,
				Instances: []route.Instance{{ID: "naru-" + name, Address: dialable(listen)}},
			}},
		}
	}
	return []route.Entry{entry("api", cfg.Listen.API), entry("registry", cfg.Listen.Registry), entry("prometheus", cfg.Listen.API), calls(entry("otlp", cfg.Listen.API)), entry("zipkin", cfg.Listen.API), entry("login", cfg.Listen.API), entry("uaa", cfg.Listen.API), entry("log-cache", cfg.Listen.API)}
}

// calls is an entry that gRPC reaches.
func calls(e route.Entry) route.Entry {
	e.Groups[0].Protocol = route.HTTP2
	return e
}

// dialable is where a listening address is reached from its own machine.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
