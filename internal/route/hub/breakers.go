package hub

import (
	"cmp"
	"maps"
	"slices"

	"naru/internal/route"
)

// broken is where a breaker stands.
type broken struct{ route, group string }

// breaks takes what a gateway's breakers did. The caller holds the hub's lock, or
// is the only one who knows the gateway.
func (g *gateway) breaks(all []route.Breaking) {
	for _, b := range all {
		key := broken{b.Route, b.Group}
		if b.State == route.BreakerClosed {
			delete(g.broken, key)
		} else {
			g.broken[key] = b
		}
	}
}

// Breakers lists the breakers that are not closed, sorted by route and group.
// Where gateway processes differ the youngest change is listed.
func (h *Hub) Breakers() []route.Breaking {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[broken]route.Breaking{}
	for _, g := range h.gateways {
		for key, b := range g.broken {
			if b.Time.After(all[key].Time) {
				all[key] = b
			}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b route.Breaking) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Group, b.Group))
	})
}
