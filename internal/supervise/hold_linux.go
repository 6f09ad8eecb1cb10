package supervise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"naru/internal/fault"
	"naru/internal/supervise/inherit"
)

// held are the listening sockets of the platform, as bare descriptors: in the
// poller of this process they would wake it for every connection to an app.
type held map[string]int

// hold makes sure that every socket of the spec is there: taken back from a
// living child where that has it, opened where not.
func hold(ctx context.Context, want []Socket, have map[string]int) (held, error) {
	h := held{}
	for _, s := range want {
		if fd, ok := have[s.Name]; ok {
			delete(have, s.Name)
			if listensOn(fd, s.Addr) {
				h[s.Name] = fd
				continue
			}
			_ = unix.Close(fd) // the address was changed in the configuration
		}
		fd, err := openSocket(ctx, s)
		if err != nil {
			h.close()
			return nil, err
		}
		h[s.Name] = fd
	}
	for _, fd := range have { // no longer wanted
		_ = unix.Close(fd)
	}
	return h, nil
}

func openSocket(ctx context.Context, s Socket) (int, error) {
	ln, err := inherit.Open(ctx, s.Addr)
	if err != nil {
		if errors.Is(err, unix.EADDRINUSE) {
			_, port, _ := net.SplitHostPort(s.Addr)
			return -1, fault.New(fault.Conflict, s.Name, "%s is taken by another program", s.Addr).
				WithTry("find it with: ss -ltnp sport = :%s; or choose another address (naru doctor tells more)", port).WithCause(err)
		}
		return -1, fmt.Errorf("listen on %s for %s: %w", s.Addr, s.Name, err)
	}
	defer ln.Close() // the copy below keeps the socket
	return dupListener(ln)
}

func dupListener(ln net.Listener) (int, error) {
	var raw interface {
		Control(func(fd uintptr)) error
	}
	var err error
	switch l := ln.(type) {
	case *net.TCPListener:
		raw, err = l.SyscallConn()
	case *net.UnixListener:
		l.SetUnlinkOnClose(false)
		raw, err = l.SyscallConn()
	default:
		return -1, fmt.Errorf("hold a %T", ln)
	}
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(orig uintptr) {
		fd, dupErr = unix.FcntlInt(orig, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, err
	}
	return fd, dupErr
}

// listensOn reports whether a socket is what opening addr would give.
func listensOn(fd int, addr string) bool {
	got, err := boundTo(fd)
	if err != nil {
		return false
	}
	want, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return false
	}
	host, ok := netip.AddrFromSlice(want.IP)
	if !ok {
		host = netip.IPv6Unspecified()
	}
	sameHost := got.Addr().Unmap() == host.Unmap() || got.Addr().IsUnspecified() && host.IsUnspecified()
	return sameHost && (want.Port == 0 || int(got.Port()) == want.Port)
}

func boundTo(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("a socket of family %T", sa)
}

// addresses says where each socket listens, with the real port.
func (h held) addresses() map[string]string {
	all := map[string]string{}
	for name, fd := range h {
		if addr, err := boundTo(fd); err == nil {
			all[name] = addr.String()
		}
	}
	return all
}

func (h held) close() {
	for _, fd := range h {
		_ = unix.Close(fd)
	}
}

// handoff opens the socket on which a child will give its sockets back. The
// supervisor opens it, because the child may not be allowed to in that folder;
// a new one takes the place of its predecessor's.
func handoff(runDir string, c Child) (*os.File, error) {
	path := handoffPath(runDir, c)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("replace the handoff socket: %w", err)
	}
	fd, err := openSocket(context.Background(), Socket{Name: inherit.Handoff, Addr: "unix:" + path})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("protect the handoff socket: %w", err)
	}
	return os.NewFile(uintptr(fd), inherit.Handoff), nil
}

func handoffPath(runDir string, c Child) string {
	return filepath.Join(runDir, c.Name+".handoff.sock")
}
