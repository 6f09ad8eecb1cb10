//go:build linux

package server

import (
	"slices"
	"testing"

	"naru/internal/route"
)

func TestLeafNames(t *testing.T) {
	table := route.Table{}
	for _, host := range []string{"shop.localhost", "shop.localhost", "*.localhost", "Deep.shop.localhost", "shop.apps.example", "deep.shop.apps.example", "own.org", "apps.example", ""} {
		table.Routes = append(table.Routes, route.Entry{Host: host})
	}
	for domain, want := range map[string][]string{
		"localhost":    {"localhost", "deep.shop.localhost", "shop.localhost"},
		"apps.example": {"apps.example", "deep.shop.apps.example"},
	} {
		if got := leafNames(table, domain); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", domain, got, want)
		}
	}
}
