package deliver_test

import (
	"testing"

	"naru/internal/client"
	"naru/internal/fault"
)

// A route may be there before an app is behind it, and after.
func TestARouteIsKeptWithoutAnApp(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	a, err := p.CreateApp(ctx, by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.ReserveRoute(ctx, by, w.space, "shop.example", "/api")
	if err != nil || len(r.Destinations) != 0 {
		t.Fatalf("reserved %+v, %v", r, err)
	}
	if _, err := p.ReserveRoute(ctx, by, w.space, "SHOP.example", "/api"); !fault.Is(err, fault.Conflict) {
		t.Errorf("twice: %v", err)
	}
	mapped, err := p.MapRoute(ctx, by, a.ID, client.NewRoute{Host: "shop.example", Path: "/api"})
	if err != nil || mapped.ID != r.ID || len(mapped.Destinations) != 1 {
		t.Fatalf("mapped %+v, %v", mapped, err)
	}
	w.entry(t, "shop.example/api")
	if err := p.FreeRoute(ctx, by, r.ID, "another"); !fault.Is(err, fault.NotFound) {
		t.Errorf("what is not there: %v", err)
	}
	if err := p.FreeRoute(ctx, by, r.ID, mapped.Destinations[0].ID); err != nil {
		t.Fatal(err)
	}
	table, err := w.gateway.Table(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range table.Routes {
		if e.Host == "shop.example" {
			t.Errorf("the gateway has %+v", e)
		}
	}
	if err := p.DropRoute(ctx, by, r.ID); err != nil {
		t.Fatal(err)
	}
	if err := p.DropRoute(ctx, by, r.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("dropped twice: %v", err)
	}
	if _, err := p.ReserveRoute(ctx, by, w.space, "not a host", "/"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a wrong host: %v", err)
	}
}

// The host of another space is not taken, nor a name of the platform.
func TestOnlyFreeHostsAreKept(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	mine, err := p.store.Space(ctx, w.space)
	if err != nil {
		t.Fatal(err)
	}
	other, err := p.store.CreateSpace(ctx, mine.Org, "other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ReserveRoute(ctx, by, other.ID, "taken.example", "/"); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]fault.Kind{"taken.example": fault.Conflict, "api.naru.apps.test": fault.Invalid} {
		if _, err := p.ReserveRoute(ctx, by, w.space, host, "/"); !fault.Is(err, want) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// A port is kept for a space as a host is, and mapped later.
func TestAPortIsKeptWithoutAnApp(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	a, err := p.CreateApp(ctx, by, w.space, "db")
	if err != nil {
		t.Fatal(err)
	}
	first, err := p.ReservePort(ctx, by, w.space, 0)
	if err != nil || first.TCP.Port != 20000 || len(first.Destinations) != 0 {
		t.Fatalf("any port: %+v, %v", first, err)
	}
	second, err := p.ReservePort(ctx, by, w.space, 20001)
	if err != nil || second.TCP.Port != 20001 {
		t.Fatalf("a port: %+v, %v", second, err)
	}
	for port, want := range map[int]fault.Kind{20001: fault.Conflict, 0: fault.Conflict, 9: fault.Invalid} {
		if _, err := p.ReservePort(ctx, by, w.space, port); !fault.Is(err, want) {
			t.Errorf("port %d: %v, want %v", port, err, want)
		}
	}
	mapped, err := p.MapRoute(ctx, by, a.ID, client.NewRoute{TCP: &client.TCP{Port: 20001}})
	if err != nil || mapped.ID != second.ID || len(mapped.Destinations) != 1 {
		t.Fatalf("mapped %+v, %v", mapped, err)
	}
	if err := p.FreeRoute(ctx, by, second.ID, mapped.Destinations[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := p.DropRoute(ctx, by, second.ID); err != nil {
		t.Fatal(err)
	}
	if again, err := p.ReservePort(ctx, by, w.space, 0); err != nil || again.TCP.Port != 20001 {
		t.Errorf("once it is free: %+v, %v", again, err)
	}
}
