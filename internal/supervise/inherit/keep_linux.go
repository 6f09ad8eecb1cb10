package inherit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Keeper holds sockets for the next process of this service.
type Keeper interface {
	Keep(name string, fd int) error
	Drop(name string) error
}

// lettingGo is how long a keeper may take to close what it is told to drop.
const lettingGo = 5 * time.Second

// ListenKept is Listen for a socket that no socket unit holds: one that is opened
// here is given to the keeper, and one that a keeper gave back is used only at the
// address that is asked for now. That a keeper does not take it is no error: then
// a restart refuses connections for a moment.
func (s *Sockets) ListenKept(ctx context.Context, name, addr string, k Keeper) (net.Listener, error) {
	if !s.systemd { // naru up holds all of them itself
		return s.Listen(ctx, name, addr)
	}
	if fd, ok := s.fds[name]; ok {
		ln, err := s.Listen(ctx, name, addr)
		if err != nil || at(ln.Addr(), addr) {
			return ln, err
		}
		delete(s.fds, name)
		if err := errors.Join(ln.Close(), unix.Close(fd), k.Drop(name)); err != nil {
			return nil, fmt.Errorf("let go of %s at %s: %w", name, ln.Addr(), err)
		}
		return openSoon(ctx, name, addr, k)
	}
	return open(ctx, name, addr, k)
}

// DropKept lets go of what a keeper gave back under names with a prefix that
// nobody wants any more.
func (s *Sockets) DropKept(prefix string, wanted map[string]bool, k Keeper) error {
	if !s.systemd {
		return nil
	}
	var errs []error
	for name, fd := range s.fds {
		if strings.HasPrefix(name, prefix) && !wanted[name] {
			delete(s.fds, name)
			errs = append(errs, unix.Close(fd), k.Drop(name))
		}
	}
	return errors.Join(errs...)
}

func open(ctx context.Context, name, addr string, k Keeper) (net.Listener, error) {
	ln, err := Open(ctx, addr)
	if err != nil {
		return nil, err
	}
	raw, ok := ln.(*net.TCPListener)
	if !ok {
		return ln, nil
	}
	conn, err := raw.SyscallConn()
	if err == nil {
		_ = conn.Control(func(fd uintptr) { _ = k.Keep(name, int(fd)) }) // see ListenKept
	}
	return ln, nil
}

// openSoon opens an address that the keeper's copy of another one may still be in
// the way of.
func openSoon(ctx context.Context, name, addr string, k Keeper) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, lettingGo)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ln, err := open(ctx, name, addr, k)
		if err == nil || !errors.Is(err, unix.EADDRINUSE) {
			return ln, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}

// at reports that a socket is at HOST:PORT, as far as that can be told without
// asking for a name.
func at(have net.Addr, want string) bool {
	host, port, err := net.SplitHostPort(want)
	tcp, ok := have.(*net.TCPAddr)
	if err != nil || !ok {
		return true
	}
	if port != "0" && port != fmt.Sprint(tcp.Port) {
		return false
	}
	is := tcp.AddrPort().Addr().Unmap()
	if host == "" {
		return is.IsUnspecified()
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host != "localhost" || is.IsLoopback()
	}
	return ip.Unmap() == is || ip.IsUnspecified() && is.IsUnspecified()
}
