//go:build linux

package containerd

import (
	"context"
	"net/netip"

	"naru/internal/run"
)

// Attach is the part of a start after which a crash leaves most behind.
func (d *Driver) Attach(_ context.Context, id run.InstanceID, space string) (netip.Addr, error) {
	return d.net.attach(id, space)
}
