package storetest

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/store"
)

// routes: a host and path leads to apps of one space.
func routes(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	other := w.newApp(t, "other")
	api := route.Route{ID: route.ID(id.New()), Space: w.space.ID, Host: "shop.example", Path: "/api", Destinations: []route.Destination{
		route.NewDestination(other.ID, "web", 9000, 30), route.NewDestination(w.app.ID, "worker", 0, 70),
	}}
	api.Destinations[0].Protocol = route.HTTP2
	api, err := w.SetRoute(ctx, api, happened("route.mapped", api.Name()))
	must(t, err)
	root := w.newRoute(t, "shop.example", w.app.ID)
	for _, find := range []func() (route.Route, error){
		func() (route.Route, error) { return w.Route(ctx, api.ID) },
		func() (route.Route, error) { return w.RouteNamed(ctx, "shop.example", "/api") },
	} {
		if got, err := find(); err != nil || !reflect.DeepEqual(got, api) {
			t.Errorf("read %+v, %v, want %+v", got, err, api)
		}
	}

	t.Run("a host and path is had once on the platform", func(t *testing.T) {
		fresh := route.Route{ID: route.ID(id.New()), Space: w.space.ID, Host: "shop.example", Path: "/"}
		_, err := w.SetRoute(ctx, fresh)
		if f := mustBe(t, err, fault.Conflict); f.Message != "the route shop.example exists already in this space" {
			t.Errorf("message = %q", f.Message)
		}
		elsewhere, err := w.CreateSpace(ctx, w.org.ID, "hidden")
		must(t, err)
		fresh.Space = elsewhere.ID
		_, err = w.SetRoute(ctx, fresh)
		if f := mustBe(t, err, fault.Conflict); f.Message != "the route shop.example belongs to another space" || strings.Contains(f.Error(), "dev") {
			t.Errorf("message = %q", f.Message)
		}
		fresh.Host = "free.example"
		fresh.Destinations = []route.Destination{route.NewDestination(w.app.ID, "web", 0, 0)}
		_, err = w.SetRoute(ctx, fresh)
		mustBe(t, err, fault.NotFound) // the app of another space does not exist here
	})

	t.Run("lists", func(t *testing.T) {
		for name, tc := range map[string]struct {
			list func() ([]route.Route, error)
			want []string
		}{
			"of a space":      {func() ([]route.Route, error) { return w.RoutesAfter(ctx, w.space.ID, "", 10) }, []string{"shop.example", "shop.example/api"}},
			"the second page": {func() ([]route.Route, error) { return w.RoutesAfter(ctx, w.space.ID, "shop.example", 1) }, []string{"shop.example/api"}},
			"of an app":       {func() ([]route.Route, error) { return w.RoutesOf(ctx, other.ID) }, []string{"shop.example/api"}},
			"of no app":       {func() ([]route.Route, error) { return w.RoutesOf(ctx) }, nil},
			"all":             {func() ([]route.Route, error) { return w.RoutesAll(ctx) }, []string{"shop.example", "shop.example/api"}},
		} {
			got, err := tc.list()
			must(t, err)
			var names []string
			for _, r := range got {
				names = append(names, r.Name())
			}
			if !slices.Equal(names, tc.want) {
				t.Errorf("%s: %q, want %q", name, names, tc.want)
			}
		}
	})

	t.Run("changed and deleted", func(t *testing.T) {
		left, gone := api.Without(other.ID)
		if !gone {
			t.Fatal("nothing left out")
		}
		kept, err := w.SetRoute(ctx, left)
		must(t, err)
		if got, err := w.Route(ctx, api.ID); err != nil || !reflect.DeepEqual(got, kept) || !got.Created.Equal(api.Created) {
			t.Errorf("read %+v, %v, want %+v", got, err, kept)
		}
		must(t, w.DeleteRoute(ctx, root.ID))
		mustBe(t, w.DeleteRoute(ctx, root.ID), fault.NotFound)
	})
}
