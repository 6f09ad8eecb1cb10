package api_test

import (
	"testing"

	"naru/internal/api"
	"naru/internal/client"
	"naru/internal/fault"
)

func TestTCPRoutes(t *testing.T) {
	w := newWorld(t, api.Config{AppsURL: "https://localhost:8443"})
	w.app("shop")
	dev := w.dev("root")
	port, err := dev.App("shop").MapRoute(t.Context(), client.NewRoute{TCP: &client.TCP{Port: 20000, Proxy: "v2"}})
	must(t, err)
	if port.Name != "tcp:20000" || port.URL != "tcp://localhost:20000" || *port.TCP != (client.TCP{Port: 20000, Proxy: "v2"}) || port.Host != "" {
		t.Errorf("mapped %+v", port)
	}
	sni, err := dev.App("shop").MapRoute(t.Context(), client.NewRoute{Host: "db.example", TCP: &client.TCP{}})
	must(t, err)
	if sni.Name != "sni:db.example" || sni.URL != "tls://db.example:8443" || sni.TCP == nil {
		t.Errorf("mapped %+v", sni)
	}
	for _, want := range []client.Route{port, sni} {
		got, err := dev.Route(t.Context(), want.Name)
		if err != nil || got.ID != want.ID {
			t.Errorf("%s: %+v, %v", want.Name, got, err)
		}
		must(t, dev.App("shop").UnmapRoute(t.Context(), want.Name))
		if _, err := dev.Route(t.Context(), want.Name); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s unmapped: %v", want.Name, err)
		}
	}
	for _, bad := range []string{"tcp:x", "tcp:0", "tcp:70000", "sni:"} {
		if _, err := dev.Route(t.Context(), bad); err == nil {
			t.Errorf("%s was found", bad)
		}
	}
	if _, err := dev.App("shop").MapRoute(t.Context(), client.NewRoute{TCP: &client.TCP{Port: 1, Proxy: "v3"}}); err == nil {
		t.Error("version 3 was taken")
	}
}
