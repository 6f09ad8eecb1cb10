//go:build unix

package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"

	"naru/internal/fault"
	"naru/internal/run"
)

// Ports of instances. They lie below those that a system gives to whoever asks
// for any, and to connections that leave it: Linux from 32768, macOS from 49152.
// From there, somebody would be given the port of an instance between the driver
// letting go of it and the command listening there.
const (
	firstPort = 22000
	lastPort  = 29999
)

// holdPort finds a port that is free and that this driver has not given out.
// Where it begins to look is chosen by chance: other platforms look here, too.
func (d *Driver) holdPort(id run.InstanceID) (net.Listener, netip.AddrPort, error) {
	const ports = lastPort - firstPort + 1
	begin := rand.IntN(ports)
	for n := range ports {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(firstPort+(begin+n)%ports))
		if !d.claim(addr, id) {
			continue
		}
		l, err := net.Listen("tcp", addr.String())
		if err == nil {
			return l, addr, nil
		}
		d.unclaim(addr)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, netip.AddrPort{}, fmt.Errorf("find a free port: %w", err)
		}
	}
	return nil, netip.AddrPort{}, fault.New(fault.Unavailable, "port", "all ports of instances, %d to %d, are taken", firstPort, lastPort).
		WithTry("scale down or delete apps: naru apps")
}

// claim gives a port to an instance unless it is another's.
func (d *Driver) claim(addr netip.AddrPort, id run.InstanceID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, given := d.ports[addr]; given {
		return false
	}
	d.ports[addr] = id
	return true
}

func (d *Driver) unclaim(addr netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.ports, addr)
}
