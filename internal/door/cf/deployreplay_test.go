package cf_test

import (
	"os"
	"strings"
	"testing"
)

// TestReplayDeployments sends what a real client sent to deploy, steer, go back and
// rename. No instance runs here, so nothing gets further than its first step.
func TestReplayDeployments(t *testing.T) {
	const file = "testdata/deploy-v9.txt"
	text, err := os.ReadFile(file)
	must(t, err)
	w := newWorld(t)
	w.login("admin")
	shop := w.shop("shop")
	all, err := w.store.Releases(t.Context(), shop.ID, 1)
	must(t, err)
	p := &player{world: w, names: map[string]string{
		"org": string(w.org.ID), "space": string(w.space.ID), "app": string(shop.ID), "image": shop.Image, "revision": string(all[0].ID),
		"host": strings.TrimPrefix(w.url, "http://"),
	}}
	command, request, sent := "", "", 0
	for n, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			command = line
		case strings.HasPrefix(line, "-> "):
			sent++
			if why := p.exchange(request, strings.Fields(line)[1:]); why != "" {
				t.Errorf("%s:%d: %s: %s: %s", file, n+1, command, request, why)
			}
		default:
			request = line
		}
	}
	if sent < 50 {
		t.Errorf("only %d requests were sent", sent)
	}
}
