//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"naru/internal/fault"
	"naru/internal/run"
)

// Dial connects to a TCP address as the instance's own processes would: to its
// loopback, and beyond it to what the rules let it reach.
func (d *Driver) Dial(ctx context.Context, iid run.InstanceID, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fault.New(fault.Invalid, "address", "an address is HOST:PORT (got %q)", addr)
	}
	ns := d.net.path(iid)
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		found, err := d.net.resolver(ns).LookupNetIP(ctx, "ip4", host)
		if err != nil || len(found) == 0 {
			return nil, fault.New(fault.NotFound, "address", "the instance does not know the name %s", host).WithCause(err)
		}
		host = found[0].Unmap().String()
	}
	return dialIn(ctx, ns, "tcp4", net.JoinHostPort(host, port))
}

// resolver looks names up in a namespace, at the servers that its instance has.
func (n *network) resolver(ns string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		errs := errors.New("the machine has no name server")
		for line := range strings.Lines(n.resolvConf()) {
			server, ok := strings.CutPrefix(strings.TrimSpace(line), "nameserver ")
			if !ok {
				continue
			}
			conn, err := dialIn(ctx, ns, network, net.JoinHostPort(server, "53"))
			if err == nil {
				return conn, nil
			}
			errs = err
		}
		return nil, errs
	}}
}

// dialIn connects from a network namespace. A socket stays in the namespace it was
// made in, whichever thread uses it afterwards.
func dialIn(ctx context.Context, ns, network, addr string) (net.Conn, error) {
	at, err := os.Open(ns)
	if err != nil {
		return nil, fault.New(fault.Conflict, "instance", "the instance does not run").WithCause(err)
	}
	defer at.Close()
	type dialed struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialed, 1)
	go func() {
		// Never unlocked: the thread is in the other namespace and must end with
		// this goroutine.
		runtime.LockOSThread()
		if err := unix.Setns(int(at.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- dialed{nil, fmt.Errorf("enter network namespace: %w", err)}
			return
		}
		// One address that needs no lookup is connected to by this goroutine.
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		done <- dialed{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}
