package storetest

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/store"
)

// tcpRoutes: routes of connections have places of their own, and a name of one
// space is never another's for connections.
func tcpRoutes(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	elsewhere, err := w.CreateSpace(ctx, w.org.ID, "hidden")
	must(t, err)
	made := func(space app.SpaceID, host string, tcp route.TCP) route.Route {
		r, err := route.NewTCP(space, host, tcp, time.Unix(1, 0))
		must(t, err)
		return r
	}
	web := w.newRoute(t, "shop.example", w.app.ID)
	port := made(w.space.ID, "", route.TCP{Port: 20000, Proxy: "v2", Connections: 5, Timeouts: route.StreamTimeouts{Idle: app.Duration(time.Hour)}})
	port.Destinations = []route.Destination{route.NewDestination(w.app.ID, "db", 5432, 0)}
	port, err = w.SetRoute(ctx, port)
	must(t, err)
	name := made(w.space.ID, "shop.example", route.TCP{})
	name.Destinations = []route.Destination{route.NewDestination(w.app.ID, "", 0, 0)}
	name, err = w.SetRoute(ctx, name)
	must(t, err)

	t.Run("kept", func(t *testing.T) {
		for _, want := range []route.Route{port, name} {
			if got, err := w.Route(ctx, want.ID); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("read %+v, %v, want %+v", got, err, want)
			}
			host, path := want.Place()
			if got, err := w.RoutesAt(ctx, host, path); err != nil || len(got) != 1 || got[0].ID != want.ID {
				t.Errorf("at %s%s: %+v, %v", host, path, got, err)
			}
		}
		if got, err := w.RouteNamed(ctx, "shop.example", "/"); err != nil || got.ID != web.ID || got.TCP != nil {
			t.Errorf("the one of requests: %+v, %v", got, err)
		}
	})

	t.Run("listed by name", func(t *testing.T) {
		var names []string
		for after := ""; ; {
			page, err := w.RoutesAfter(ctx, w.space.ID, after, 1)
			must(t, err)
			if len(page) == 0 {
				break
			}
			after = page[0].Name()
			names = append(names, after)
		}
		if want := []string{"shop.example", "sni:shop.example", "tcp:20000"}; !slices.Equal(names, want) {
			t.Errorf("names %q, want %q", names, want)
		}
	})

	t.Run("the table has them", func(t *testing.T) {
		in, err := w.RoutingInput(ctx)
		must(t, err)
		table := route.Build(in)
		must(t, table.Check())
		if len(table.TCP) != 2 || table.TCP[0].SNI != "shop.example" || table.TCP[1].Port != 20000 || table.TCP[1].Limits.Connections != 5 {
			t.Errorf("table = %+v", table.TCP)
		}
	})

	t.Run("a place is one route's", func(t *testing.T) {
		for _, r := range []route.Route{made(w.space.ID, "", route.TCP{Port: 20000}), made(w.space.ID, "shop.example", route.TCP{})} {
			_, err := w.SetRoute(ctx, r)
			mustBe(t, err, fault.Conflict)
		}
		_, err := w.SetRoute(ctx, made(elsewhere.ID, "", route.TCP{Port: 20000}))
		if f := mustBe(t, err, fault.Conflict); f.Message != "the route tcp:20000 belongs to another space" {
			t.Errorf("message = %q", f.Message)
		}
	})

	t.Run("a name's connections are its space's", func(t *testing.T) {
		w.newRoute(t, "other.example", w.app.ID)
		_, err := w.SetRoute(ctx, made(elsewhere.ID, "other.example", route.TCP{}))
		if f := mustBe(t, err, fault.Conflict); f.Message != "the route sni:other.example belongs to another space" {
			t.Errorf("message = %q", f.Message)
		}
		taken := made(elsewhere.ID, "passed.example", route.TCP{})
		_, err = w.SetRoute(ctx, taken)
		must(t, err)
		late, err := route.New(w.space.ID, "passed.example", "/api", time.Unix(1, 0))
		must(t, err)
		_, err = w.SetRoute(ctx, late)
		mustBe(t, err, fault.Conflict)
		must(t, w.DeleteRoute(ctx, taken.ID))
		_, err = w.SetRoute(ctx, late)
		must(t, err)
	})
}
