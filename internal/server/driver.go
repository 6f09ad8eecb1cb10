//go:build linux

package server

import (
	"context"
	"hash/fnv"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/run/containerd"
)

// newDriver makes what runs instances.
func newDriver(ctx context.Context, c config.Config, log *slog.Logger) (run.Driver, error) {
	if c.Driver == config.Process {
		return newProcessDriver(c, log)
	}
	subnet := c.Subnet.Prefix
	if !subnet.IsValid() {
		var err error
		if subnet, err = chooseSubnet(filepath.Join(c.DataDir, "cni", "subnet"), 20, "nr"+c.Hash(), "nab"+c.Hash()); err != nil {
			return nil, err
		}
	}
	return containerd.New(ctx, containerd.Config{
		Socket: c.ContainerdSocket(), Hash: c.Hash(), StateDir: filepath.Join(c.DataDir, "cni"), RunDir: filepath.Join(c.RunDir, "run"),
		SpoolDir: c.SpoolDir(), LogBinary: beside("naru-log"), Subnet: subnet, Telemetry: c.Traces.Port,
	}, log)
}

// PluginDir is where the CNI plugins are.
func PluginDir(c config.Config) string {
	if c.CNI.PluginDir != "" {
		return c.CNI.PluginDir
	}
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin"} {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); err == nil {
			return dir
		}
	}
	return "/usr/lib/cni"
}

// instanceRange is where subnets of platforms are taken from.
var instanceRange = netip.MustParsePrefix("10.64.0.0/10")

// BuildSubnet is the network that the commands of builds are on.
func BuildSubnet(c config.Config) (string, error) {
	p, err := chooseSubnet(filepath.Join(c.DataDir, "cni", "build-subnet"), 24, "nr"+c.Hash(), "nab"+c.Hash())
	return p.String(), err
}

// buildRange is where the networks of builds are taken from, apart from those of
// instances: both are chosen before either has a bridge.
var buildRange = netip.MustParsePrefix("10.127.0.0/16")

// chooseSubnet takes a prefix of a size that nothing on the machine uses,
// and keeps it in a file: instances live on while naru is restarted.
func chooseSubnet(file string, bits int, bridges ...string) (netip.Prefix, error) {
	used, err := usedPrefixes(bridges)
	if err != nil {
		return netip.Prefix{}, err
	}
	if text, err := os.ReadFile(file); err == nil {
		// Kept, unless another interface took it while we had no bridge.
		if p, err := netip.ParsePrefix(string(text)); err == nil && !slices.ContainsFunc(used, p.Overlaps) {
			return p, nil
		}
	}
	from := instanceRange
	if bits > 20 {
		from = buildRange
	}
	// Two platforms may choose before either has a bridge that the other could
	// see, so each begins to look at a place of its own.
	place := fnv.New32a()
	place.Write([]byte(file)) // never fails
	p, ok := freePrefix(from, bits, place.Sum32(), used)
	if !ok {
		return p, fault.New(fault.Unsupported, "subnet", "no /%d of %s is free on this machine", bits, from).
			WithTry("name one: naru up --subnet 10.200.0.0/20")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o711); err != nil {
		return p, err
	}
	return p, os.WriteFile(file, []byte(p.String()), 0o644)
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
