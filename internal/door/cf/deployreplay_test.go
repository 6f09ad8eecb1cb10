package cf_test

import (
	"strings"
	"testing"
)

// TestReplayDeployments sends what a real client sent to deploy, steer, go back and
// rename. No instance runs here, so nothing gets further than its first step.
func TestReplayDeployments(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	shop := w.shop("shop")
	all, err := w.store.Releases(t.Context(), shop.ID, 1)
	must(t, err)
	p := &player{world: w, names: map[string]string{
		"org": string(w.org.ID), "space": string(w.space.ID), "app": string(shop.ID), "image": shop.Image, "revision": string(all[0].ID),
		"host": strings.TrimPrefix(w.url, "http://"),
	}}
	p.play(t, "testdata/deploy-v9.txt", 50, p.exchange)
}
