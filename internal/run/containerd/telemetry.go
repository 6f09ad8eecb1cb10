//go:build linux

package containerd

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// Telemetry is the address of the host at which instances may send spans and
// metrics; invalid where they may not.
func (d *Driver) Telemetry() netip.AddrPort {
	if d.cfg.Telemetry == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(d.net.leases.gateway(), uint16(d.cfg.Telemetry))
}

// openTelemetry lets instances reach one port of the bridge's address, and no
// other that was open before. The rules may be of another time: they stand as
// long as the machine runs, and instances go on by them.
func (r *rules) openTelemetry(ctx context.Context) error {
	chain, err := tool(ctx, "", "nft", "-a", "list", "chain", "ip", r.table, "input")
	if err != nil {
		return fmt.Errorf("read network rules: %w", err)
	}
	const mark = `comment "telemetry"`
	want := fmt.Sprintf("tcp dport %d accept %s", r.telemetry, mark)
	stands := false
	for line := range strings.Lines(chain) {
		if !strings.Contains(line, mark) {
			continue
		}
		if r.telemetry > 0 && strings.Contains(line, want) {
			stands = true
			continue
		}
		_, handle, _ := strings.Cut(line, "# handle ")
		if _, err := tool(ctx, "", "nft", "delete", "rule", "ip", r.table, "input", "handle", strings.TrimSpace(handle)); err != nil {
			return fmt.Errorf("close a port of the bridge: %w", err)
		}
	}
	if stands || r.telemetry == 0 {
		return nil
	}
	rule := fmt.Sprintf("insert rule ip %s input iifname %q ip daddr %s %s\n", r.table, r.bridge, r.subnet.Addr().Next(), want)
	if _, err := tool(ctx, rule, "nft", "-f", "-"); err != nil {
		return fmt.Errorf("open port %d of the bridge: %w", r.telemetry, err)
	}
	return nil
}
