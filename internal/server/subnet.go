//go:build linux

package server

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"naru/internal/atomicfile"
	"naru/internal/config"
	"naru/internal/fault"
)

// instanceRange is where subnets of platforms are taken from.
var instanceRange = netip.MustParsePrefix("10.64.0.0/10")

// network is one that a platform has on its machine.
type network struct {
	name string // of the file that keeps it
	from netip.Prefix
	bits int
}

// Builds take theirs at the end of the same range.
var (
	instanceNet = network{"subnet", instanceRange, 20}
	buildNet    = network{"build-subnet", netip.MustParsePrefix("10.127.0.0/16"), 24}
)

// BuildSubnet is the network that the commands of builds are on.
func BuildSubnet(c config.Config) (string, error) {
	p, err := chooseSubnet(c, buildNet)
	return p.String(), err
}

// chooseSubnet takes a prefix that nothing on the machine uses and no platform
// claims, and keeps it in a file: instances live on while naru is restarted.
// Bridges come with the first instance and the first build; until then a
// platform's claim, in its run folder, is all that another can see of it.
func chooseSubnet(c config.Config, n network) (netip.Prefix, error) {
	used, err := usedPrefixes([]string{"nr" + c.Hash(), "nab" + c.Hash()})
	if err != nil {
		return netip.Prefix{}, err
	}
	if c.Subnet.IsValid() {
		used = append(used, c.Subnet.Prefix)
	}
	if err := os.MkdirAll(c.RunDir, 0o711); err != nil {
		return netip.Prefix{}, fmt.Errorf("claim a subnet: %w", err)
	}
	unlock, err := lockFolder(filepath.Dir(c.RunDir))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("claim a subnet: %w", err)
	}
	defer unlock()
	claim := filepath.Join(c.RunDir, n.name)
	claims, err := claimedPrefixes(filepath.Dir(c.RunDir), claim)
	if err != nil {
		return netip.Prefix{}, err
	}
	p, err := n.choose(filepath.Join(c.DataDir, "cni", n.name), append(used, claims...))
	if err != nil {
		return netip.Prefix{}, err
	}
	return p, atomicfile.Write(claim, []byte(p.String()), 0o644)
}

// choose takes the prefix that is kept in a file, or a new one in its place.
func (n network) choose(file string, used []netip.Prefix) (netip.Prefix, error) {
	if text, err := os.ReadFile(file); err == nil {
		// Kept, unless another interface took it while we had no bridge.
		if p, err := netip.ParsePrefix(string(text)); err == nil && !slices.ContainsFunc(used, p.Overlaps) {
			return p, nil
		}
	}
	// Each platform begins to look at a place of its own: users of this machine
	// with run folders of their own do not see each other's claims.
	place := fnv.New32a()
	place.Write([]byte(file)) // never fails
	p, ok := freePrefix(n.from, n.bits, place.Sum32(), used)
	if !ok {
		return p, fault.New(fault.Unsupported, "subnet", "no /%d of %s is free on this machine", n.bits, n.from).
			WithTry("name one: naru up --subnet 10.200.0.0/20")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o711); err != nil {
		return p, err
	}
	return p, os.WriteFile(file, []byte(p.String()), 0o644)
}

// claimedPrefixes are those of all platforms with run folders in dir, but for one
// claim that is our own. What a platform that was killed left there is taken for
// a claim until the machine starts again or naru down.
func claimedPrefixes(dir, own string) (claims []netip.Prefix, err error) {
	for _, n := range []network{instanceNet, buildNet} {
		files, err := filepath.Glob(filepath.Join(dir, "*", n.name))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || file == own {
				continue // its platform went away meanwhile, or is another user's
			}
			if err != nil {
				return nil, fmt.Errorf("read claims of subnets: %w", err)
			}
			if p, err := netip.ParsePrefix(string(text)); err == nil {
				claims = append(claims, p)
			}
		}
	}
	return claims, nil
}

// lockFolder waits until nobody else holds the folder.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return func() { f.Close() }, nil
}

// usedPrefixes are the networks of the machine's interfaces, but for our own
// bridges.
func usedPrefixes(own []string) ([]netip.Prefix, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var used []netip.Prefix
	for _, l := range links {
		if slices.Contains(own, l.Name) {
			continue
		}
		addrs, err := l.Addrs()
		if err != nil {
			continue // it went away meanwhile
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				used = append(used, p.Masked())
			}
		}
	}
	return used, nil
}

// freePrefix returns a prefix of a size in a range that overlaps none of those
// used: the first at or after the place to begin at, which wraps around.
func freePrefix(from netip.Prefix, bits int, begin uint32, used []netip.Prefix) (netip.Prefix, bool) {
	step := uint32(1) << (32 - bits)
	a := from.Masked().Addr().As4()
	base := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	count := uint32(1) << (bits - from.Bits())
	for n := range count {
		at := base + (begin%count+n)%count*step
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)}), bits)
		free := true
		for _, u := range used {
			free = free && !u.Overlaps(p)
		}
		if free {
			return p, true
		}
	}
	return netip.Prefix{}, false
}
