package server

import (
	"testing"

	"naru/internal/config"
	"naru/internal/route"
)

func TestOwnRoutesCanBeServed(t *testing.T) {
	cfg := config.Config{AppsDomain: "apps.example"}
	cfg.Listen.API, cfg.Listen.Registry = "0.0.0.0:7070", "[::1]:7071"
	table := route.Build(route.Input{Static: ownRoutes(cfg, newVia()), Routes: []route.Route{{
		ID: "old", Host: "api.naru.apps.example", Path: "/", Destinations: []route.Destination{{App: "a"}},
	}}})
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range table.Routes {
		got[e.Host] = e.Groups[0].Instances[0].Address
	}
	want := map[string]string{
		"api.naru.apps.example": "127.0.0.1:7070", "registry.naru.apps.example": "[::1]:7071", "prometheus.naru.apps.example": "127.0.0.1:7070",
		"otlp.naru.apps.example": "127.0.0.1:7070", "zipkin.naru.apps.example": "127.0.0.1:7070",
		"login.naru.apps.example": "127.0.0.1:7070", "uaa.naru.apps.example": "127.0.0.1:7070", "log-cache.naru.apps.example": "127.0.0.1:7070",
	}
	for host, address := range want {
		if got[host] != address {
			t.Errorf("%s is at %q, want %q", host, got[host], address)
		}
	}
	if len(table.Routes) != len(want) {
		t.Errorf("%d routes: a route that somebody mapped before the name was the platform's is still there", len(table.Routes))
	}
}

func TestDialable(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:1": "127.0.0.1:1", ":1": "127.0.0.1:1", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1", "10.0.0.7:1": "10.0.0.7:1",
	} {
		if got := dialable(listen); got != want {
			t.Errorf("dialable(%q) = %q, want %q", listen, got, want)
		}
	}
}
