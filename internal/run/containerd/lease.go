//go:build linux

package containerd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"naru/internal/fault"
	"naru/internal/run"
)

// leases say who holds which address of a subnet. Each is a file named like the
// address whose first line is the instance's id; it appears with its content, so
// that of two who want an address one gets it, also from different processes.
type leases struct {
	dir    string
	subnet netip.Prefix

	mu   sync.Mutex // guards last
	last netip.Addr // given last; the next is looked for behind it
}

// making begins the name of a lease that has no address yet.
const making = ".new-"

// openLeases makes the folder and goes on behind the highest address that is
// taken, so that one given back is not given out again at once.
func openLeases(dir string, subnet netip.Prefix) (*leases, error) {
	l := &leases{dir: dir, subnet: subnet.Masked()}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of address leases: %w", err)
	}
	all, err := l.all()
	if err != nil {
		return nil, err
	}
	l.last = l.gateway()
	for addr := range all {
		if l.subnet.Contains(addr) && l.last.Less(addr) {
			l.last = addr
		}
	}
	return l, nil
}

// gateway is the subnet's first address, the bridge's.
func (l *leases) gateway() netip.Addr { return l.subnet.Addr().Next() }

// take leases an address to an instance.
func (l *leases) take(id run.InstanceID) (netip.Addr, error) {
	mine := filepath.Join(l.dir, making+string(id))
	if err := os.WriteFile(mine, []byte(string(id)+"\n"), 0o600); err != nil {
		return netip.Addr{}, fmt.Errorf("lease an address: %w", err)
	}
	defer os.Remove(mine)
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.after(l.last)
	for addr := first; ; {
		err := os.Link(mine, l.path(addr))
		if err == nil {
			l.last = addr
			return addr, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return netip.Addr{}, fmt.Errorf("lease an address: %w", err)
		}
		if addr = l.after(addr); addr == first {
			return netip.Addr{}, fault.New(fault.Unavailable, "instance", "all addresses of %s are taken", l.subnet).
				WithTry("scale something down, or give instances a larger subnet")
		}
	}
}

// sweep removes leases that were being made when their process died.
func (l *leases) sweep() error {
	half, err := filepath.Glob(filepath.Join(l.dir, making+"*"))
	errs := []error{err}
	for _, path := range half {
		errs = append(errs, removeDir(path))
	}
	return errors.Join(errs...)
}

// after is the next address for instances, the first again after the last.
func (l *leases) after(addr netip.Addr) netip.Addr {
	next := addr.Next()
	if !l.subnet.Contains(next.Next()) { // the subnet's last is for broadcasts
		return l.gateway().Next()
	}
	return next
}

// free gives an address back, if it is the instance's.
func (l *leases) free(addr netip.Addr, id run.InstanceID) error {
	owner, err := l.owner(addr)
	if err != nil || owner != id {
		return err
	}
	return removeDir(l.path(addr))
}

// owner returns who holds an address; "" for nobody.
func (l *leases) owner(addr netip.Addr) (run.InstanceID, error) {
	text, err := os.ReadFile(l.path(addr))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read address leases: %w", err)
	}
	owner, _, _ := strings.Cut(string(text), "\n")
	return run.InstanceID(strings.TrimSpace(owner)), nil
}

// all returns every lease.
func (l *leases) all() (map[netip.Addr]run.InstanceID, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("read address leases: %w", err)
	}
	out := map[netip.Addr]run.InstanceID{}
	for _, e := range entries {
		addr, err := netip.ParseAddr(e.Name())
		if err != nil {
			continue // one being made, or what the plugin host-local kept here
		}
		owner, err := l.owner(addr)
		if err != nil {
			return nil, err
		}
		out[addr] = owner
	}
	return out, nil
}

// of finds an instance's address; it is invalid when there is none.
func (l *leases) of(id run.InstanceID) (netip.Addr, error) {
	all, err := l.all()
	for addr, owner := range all {
		if owner == id {
			return addr, err
		}
	}
	return netip.Addr{}, err
}

// number is an address's place in its subnet.
func (l *leases) number(addr netip.Addr) uint32 {
	at, base := addr.As4(), l.subnet.Addr().As4()
	return binary.BigEndian.Uint32(at[:]) - binary.BigEndian.Uint32(base[:])
}

func (l *leases) path(addr netip.Addr) string { return filepath.Join(l.dir, addr.String()) }
