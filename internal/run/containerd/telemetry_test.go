//go:build linux

package containerd

import (
	"context"
	"net/netip"
	"strings"
	"testing"
)

// The port that instances may reach follows the setting, also where the rules
// stand from before.
func TestOnePortOfTheBridgeIsOpen(t *testing.T) {
	if _, err := tool(t.Context(), "", "nft", "list", "tables"); err != nil {
		t.Skipf("rules of the network cannot be read: %v", err)
	}
	r := &rules{table: "naru_telemetry_test", bridge: "nrtest", subnet: netip.MustParsePrefix("10.127.250.0/24")}
	t.Cleanup(func() {
		if _, err := tool(context.Background(), "", "nft", "delete", "table", "ip", r.table); err != nil {
			t.Error(err)
		}
	})
	if _, err := tool(t.Context(), r.text(), "nft", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{0, 4318, 4318, 14318, 0} {
		r.telemetry = port
		if err := r.openTelemetry(t.Context()); err != nil {
			t.Fatal(err)
		}
		chain, err := tool(t.Context(), "", "nft", "list", "chain", "ip", r.table, "input")
		if err != nil {
			t.Fatal(err)
		}
		want := map[int]string{0: "", 4318: "ip daddr 10.127.250.1 tcp dport 4318 accept", 14318: "ip daddr 10.127.250.1 tcp dport 14318 accept"}[port]
		if n := strings.Count(chain, `comment "telemetry"`); !strings.Contains(chain, want) || (n == 1) != (port > 0) || n > 1 {
			t.Errorf("with port %d the rules are\n%s", port, chain)
		}
	}
}
