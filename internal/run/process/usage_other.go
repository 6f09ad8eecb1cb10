//go:build unix && !linux

package process

import (
	"context"
	"net/netip"

	"naru/internal/fault"
	"naru/internal/run"
)

func environOf(int) ([]string, error) {
	return nil, fault.New(fault.Unsupported, "", "the process driver learns the environment of an instance on Linux only")
}

// Usage knows only the disk here.
func (d *Driver) Usage(_ context.Context, id run.InstanceID) (run.Usage, error) {
	if _, _, err := d.known(id); err != nil {
		return run.Usage{}, err
	}
	return run.Usage{DiskBytes: diskUsage(d.dir(id))}, nil
}

// Load knows nothing here.
func (d *Driver) Load(_ context.Context, id run.InstanceID) (run.Usage, error) {
	_, _, err := d.known(id)
	return run.Usage{}, err
}

// Listening is not known here.
func (d *Driver) Listening(context.Context, run.InstanceID) ([]netip.AddrPort, error) {
	return nil, fault.New(fault.Unsupported, "", "the process driver sees what instances listen on only on Linux")
}
