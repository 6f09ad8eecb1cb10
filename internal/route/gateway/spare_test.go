package gateway_test

import (
	"net"
	"net/http"
	"testing"

	"naru/internal/route"
	"naru/internal/route/gateway"
)

// TestWhatRanBeforeStandsIn: a promoted release of which no instance accepts a
// connection loses no request as long as what ran before is kept.
func TestWhatRanBeforeStandsIn(t *testing.T) {
	dead := func() string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer ln.Close()
		return ln.Addr().String()
	}
	for name, tc := range map[string]struct {
		guard  *route.Guard
		status int
	}{
		"guarded by it":                  {&route.Guard{Key: "r1", Baseline: "old", Slow: -1}, http.StatusOK},
		"guarded, and nobody is healthy": {&route.Guard{Key: "r1", Baseline: "old", Slow: -1}, http.StatusOK},
		"disabled by a person":           {nil, http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			table := twoGroups(named(t, "old"), dead(), 100, tc.guard)
			if name == "guarded, and nobody is healthy" {
				table.Routes[0].Groups[1].Instances = nil
			}
			g := start(t, table, gateway.Config{})
			if got := ask(t, g.addr, table.Routes[0].Host, 20, nil); got[tc.status] != 20 {
				t.Errorf("answers %v, want 20 of %d", got, tc.status)
			}
		})
	}
}
