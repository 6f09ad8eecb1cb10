//go:build linux

package containerd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// connect gives a network namespace, which inside speaks for, an interface eth0
// with an address, whose other end is a port of the bridge.
func (n *network) connect(inside *netlink.Handle, path string, addr netip.Addr) error {
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	bridge, err := n.host.LinkByName(n.bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", n.bridge, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex, attrs.Flags = n.port(addr), bridge.Attrs().Index, net.FlagUp
	// Made of the address: who talked to its last owner need not ask again.
	ip := addr.As4()
	port := &netlink.Veth{
		LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns.Fd())),
		PeerHardwareAddr: append(net.HardwareAddr{0x02, 0x42}, ip[:]...),
	}
	err = n.host.LinkAdd(port)
	if errors.Is(err, unix.EEXIST) { // of an earlier owner of the address: the lease says it is gone
		err = errors.Join(n.disconnect(addr), n.host.LinkAdd(port))
	}
	if err != nil {
		return fmt.Errorf("make port of bridge %s: %w", n.bridge, err)
	}
	if err := n.host.LinkSetHairpin(port, true); err != nil {
		return fmt.Errorf("let an instance reach itself by its address: %w", err)
	}
	eth0, err := inside.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("find the instance's interface: %w", err)
	}
	own := &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(n.leases.subnet.Bits(), 32)}}
	if err := inside.AddrAdd(eth0, own); err != nil {
		return fmt.Errorf("give the instance's interface its address: %w", err)
	}
	if err := inside.LinkSetUp(eth0); err != nil {
		return fmt.Errorf("bring the instance's interface up: %w", err)
	}
	out := &netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: n.leases.gateway().AsSlice()}
	if err := inside.RouteAdd(out); err != nil {
		return fmt.Errorf("give the instance a way out: %w", err)
	}
	return nil
}

// disconnect removes an address's port of the bridge, and with it the other end.
// The kernel would do it some time after the namespace is gone.
func (n *network) disconnect(addr netip.Addr) error {
	link, err := n.host.LinkByName(n.port(addr))
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = n.host.LinkDel(link)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove port of bridge %s: %w", n.bridge, err)
	}
	return nil
}

// port is the name of an address's port: 15 letters, the most there may be.
func (n *network) port(addr netip.Addr) string {
	return fmt.Sprintf("%s%05x", n.bridge, n.leases.number(addr)&0xfffff)
}

// makeNamespace makes a network namespace that lives as long as its file, and
// returns what speaks to the kernel inside of it, from any thread.
func makeNamespace(path string) (*netlink.Handle, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	type made struct {
		inside *netlink.Handle
		err    error
	}
	done := make(chan made)
	go func() {
		// The thread is in the new namespace afterwards, so it must not run
		// anything else: a goroutine that ends while locked takes it along.
		runtime.LockOSThread()
		inside, err := unshare(path)
		done <- made{inside, err}
	}()
	m := <-done
	if m.err != nil {
		return nil, errors.Join(m.err, os.Remove(path))
	}
	return m.inside, nil
}

// unshare moves the calling thread into a new network namespace and keeps that
// as path.
func unshare(path string) (*netlink.Handle, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	if err := withoutIPv6(); err != nil {
		return nil, err
	}
	inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	lo, err := inside.LinkByName("lo")
	if err == nil {
		err = inside.LinkSetUp(lo)
	}
	if err == nil {
		err = unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), path, "none", unix.MS_BIND, "")
	}
	if err != nil {
		inside.Close()
		return nil, err
	}
	return inside, nil
}

// withoutIPv6 switches it off in the calling thread's namespace, before there is
// an interface: its link-local addresses would bypass the rules.
func withoutIPv6() error {
	for _, which := range []string{"all", "default"} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0o644)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without it
			return err
		}
	}
	return nil
}

func removeNamespace(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove network namespace: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove network namespace: %w", err)
	}
	return nil
}
