package storetest

import (
	"slices"
	"testing"

	"naru/internal/app"
	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/store"
)

func holders(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	other, err := w.CreateSpace(ctx, w.org.ID, "other")
	must(t, err)
	mapped := func(space app.SpaceID, host, path string) {
		_, err := w.SetRoute(ctx, route.Route{ID: route.ID(id.New()), Space: space, Host: host, Path: path})
		must(t, err)
	}
	mapped(w.space.ID, "*.shop.example", "/")
	mapped(w.space.ID, "*.shop.example", "/more")
	mapped(other.ID, "www.shop.example", "/")
	mapped(w.space.ID, "www.shop.example", "/mine")
	mapped(other.ID, "*.www.shop.example", "/")
	mapped(other.ID, "shop.example", "/")
	_, err = w.SetRoute(ctx, route.Route{ID: route.ID(id.New()), Space: other.ID, Host: "*.example", TCP: &route.TCP{}})
	must(t, err)
	for host, want := range map[string][]route.Holder{
		"shop.example":       {{Host: "*.example", Space: other.ID}, {Host: "shop.example", Space: other.ID}},
		"www.shop.example":   {{Host: "*.example", Space: other.ID}, {Host: "*.shop.example", Space: w.space.ID}, {Host: "www.shop.example", Space: w.space.ID}, {Host: "www.shop.example", Space: other.ID}},
		"*.x.shop.example":   {{Host: "*.example", Space: other.ID}, {Host: "*.shop.example", Space: w.space.ID}},
		"*.shop.example":     {{Host: "*.example", Space: other.ID}, {Host: "*.shop.example", Space: w.space.ID}},
		"another.org":        nil,
		"xshop.example":      {{Host: "*.example", Space: other.ID}},
		"' OR host LIKE '%":  nil,
		"a.www.shop.example": {{Host: "*.example", Space: other.ID}, {Host: "*.shop.example", Space: w.space.ID}, {Host: "*.www.shop.example", Space: other.ID}},
	} {
		got, err := w.HostHolders(ctx, host)
		must(t, err)
		slices.SortFunc(want, func(a, b route.Holder) int {
			if a.Host == b.Host && a.Space > b.Space || a.Host > b.Host {
				return 1
			}
			return -1
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
}
