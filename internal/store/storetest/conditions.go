package storetest

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/store"
)

// conditions: several routes share a host and a path when they take different
// requests, and one space.
func conditions(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	made := func(space app.SpaceID, path string, when *route.When, to ...route.Destination) route.Route {
		return route.Route{ID: route.ID(id.New()), Space: space, Host: "shop.example", Path: path, When: when, Destinations: to}
	}
	beta := &route.When{Match: []route.Match{{Cookie: "beta", Value: "yes"}}}
	postA, postB := &route.When{Methods: []string{"PUT", "POST"}}, &route.When{Methods: []string{"POST", "PUT"}}

	all := w.newRoute(t, "shop.example", w.app.ID)
	some := made(w.space.ID, "/", beta, route.NewDestination(w.app.ID, "beta", 0, 0))
	some.Policy = &route.Policy{HTTPS: true, Auth: &route.Auth{Users: map[string]string{"ann": "a hash"}}, Rates: []route.Rate{{Requests: 10.5}}}
	some.Timeouts = &route.Timeouts{Total: app.Duration(time.Minute)}
	some.Limits = &route.Limits{Body: 10 << 20}
	some, err := w.SetRoute(ctx, some)
	must(t, err)
	_, err = w.SetRoute(ctx, made(w.space.ID, "/", postA))
	must(t, err)

	t.Run("terms are kept, changed and forgotten", func(t *testing.T) {
		got, err := w.Route(ctx, some.ID)
		if err != nil || !reflect.DeepEqual(got, some) {
			t.Errorf("read %+v, %v, want %+v", got, err, some)
		}
		got.Terms = route.Terms{Policy: &route.Policy{HSTS: app.Duration(time.Hour)}}
		changed, err := w.SetRoute(ctx, got)
		must(t, err)
		if got, err = w.Route(ctx, some.ID); err != nil || !reflect.DeepEqual(got, changed) || got.Limits != nil {
			t.Errorf("read %+v, %v, want %+v", got, err, changed)
		}
	})

	t.Run("the table has them", func(t *testing.T) {
		in, err := w.RoutingInput(ctx)
		must(t, err)
		table := route.Build(in)
		i := slices.IndexFunc(table.Routes, func(e route.Entry) bool { return e.ID == string(some.ID) })
		if i < 0 || !reflect.DeepEqual(table.Routes[i].When, beta) || table.Routes[i].Policy.HSTS != app.Duration(time.Hour) {
			t.Errorf("table = %+v", table.Routes)
		}
	})

	t.Run("found by what they take", func(t *testing.T) {
		if got, err := w.RouteNamed(ctx, "shop.example", "/"); err != nil || got.ID != all.ID {
			t.Errorf("without a condition: %+v, %v", got, err)
		}
		got, err := w.RoutesAt(ctx, "shop.example", "/")
		must(t, err)
		var names []string
		for _, r := range got {
			names = append(names, r.Name())
		}
		want := []string{"shop.example", "shop.example cookie:beta=yes", "shop.example method:POST,PUT"}
		if !slices.Equal(names, want) {
			t.Errorf("names = %q, want %q", names, want)
		}
		after, err := w.RoutesAfter(ctx, w.space.ID, want[1], 10)
		if err != nil || len(after) != 1 || after[0].Name() != want[2] {
			t.Errorf("the next page is %+v, %v", after, err)
		}
	})

	t.Run("an equal condition is taken, however it is written", func(t *testing.T) {
		_, err := w.SetRoute(ctx, made(w.space.ID, "/", postB))
		if f := mustBe(t, err, fault.Conflict); f.Message != "the route shop.example method:POST,PUT exists already in this space" {
			t.Errorf("message = %q", f.Message)
		}
	})

	t.Run("another space cannot take some of the requests", func(t *testing.T) {
		elsewhere, err := w.CreateSpace(ctx, w.org.ID, "hidden")
		must(t, err)
		for name, when := range map[string]*route.When{"all": nil, "some": {Methods: []string{"DELETE"}}, "the same": beta} {
			_, err = w.SetRoute(ctx, made(elsewhere.ID, "/", when))
			if f := mustBe(t, err, fault.Conflict); f.Message != "the route shop.example belongs to another space" {
				t.Errorf("%s: message = %q", name, f.Message)
			}
		}
		_, err = w.SetRoute(ctx, made(elsewhere.ID, "/elsewhere", beta))
		must(t, err)
		_, err = w.SetRoute(ctx, made(w.space.ID, "/elsewhere", nil))
		mustBe(t, err, fault.Conflict) // also where the other has only a condition
	})
}
