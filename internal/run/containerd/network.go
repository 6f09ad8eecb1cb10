//go:build linux

package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/containernetworking/cni/libcni"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"naru/internal/atomicfile"
	"naru/internal/run"
)

// network gives instances addresses on one bridge.
type network struct {
	cfg    Config
	bridge string
	cni    *libcni.CNIConfig
	conf   *libcni.NetworkConfigList
	rules  *rules
	log    *slog.Logger

	mu     sync.Mutex        // guards spaces
	spaces map[string]uint32 // number of each space, as the rules know it
}

func newNetwork(cfg Config, log *slog.Logger) (*network, error) {
	n := &network{cfg: cfg, bridge: "nr" + cfg.Hash, log: log, spaces: map[string]uint32{}}
	conf, err := json.Marshal(map[string]any{
		"cniVersion": "1.0.0",
		"name":       "naru-" + cfg.Hash,
		"plugins": []any{map[string]any{
			"type": "bridge", "bridge": n.bridge, "isGateway": true, "ipMasq": false, "hairpinMode": true,
			"ipam": map[string]any{
				"type": "host-local", "dataDir": filepath.Join(cfg.StateDir, "addresses"),
				"ranges": []any{[]any{map[string]any{"subnet": cfg.Subnet.String()}}},
				"routes": []any{map[string]any{"dst": "0.0.0.0/0"}},
			},
		}},
	})
	if err != nil {
		return nil, err
	}
	if n.conf, err = libcni.ConfListFromBytes(conf); err != nil {
		return nil, fmt.Errorf("network configuration: %w", err)
	}
	n.cni = libcni.NewCNIConfigWithCacheDir([]string{cfg.PluginDir}, filepath.Join(cfg.RunDir, "cni"), nil)
	n.rules = &rules{table: "naru_" + cfg.Hash, bridge: n.bridge, subnet: cfg.Subnet}
	for _, dir := range []string{cfg.StateDir, n.namespaces(), filepath.Join(cfg.RunDir, "instances")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("make folders of the network: %w", err)
		}
	}
	return n, n.loadSpaces()
}

func (n *network) namespaces() string            { return filepath.Join(n.cfg.RunDir, "netns") }
func (n *network) path(id run.InstanceID) string { return filepath.Join(n.namespaces(), string(id)) }
func (n *network) spacesFile() string            { return filepath.Join(n.cfg.StateDir, "spaces.json") }
func (n *network) gateway() netip.Addr           { return n.cfg.Subnet.Masked().Addr().Next() }

// setUp makes the bridge and the static rules; what stands stays.
func (n *network) setUp(ctx context.Context) error {
	if _, err := netlink.LinkByName(n.bridge); err != nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = n.bridge
		// Left alone, a bridge takes the lowest address of its ports, and whoever
		// knew the old one is deaf until it asks again.
		attrs.HardwareAddr = n.hardwareAddr()
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("make bridge %s: %w", n.bridge, err)
		}
	}
	link, err := netlink.LinkByName(n.bridge)
	if err != nil {
		return fmt.Errorf("make bridge %s: %w", n.bridge, err)
	}
	addr, err := netlink.ParseAddr(netip.PrefixFrom(n.gateway(), n.cfg.Subnet.Bits()).String())
	if err != nil {
		return err
	}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("address of bridge %s: %w", n.bridge, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring bridge %s up: %w", n.bridge, err)
	}
	for file, value := range map[string]string{
		"/proc/sys/net/ipv4/ip_forward":                "1",
		"/proc/sys/net/bridge/bridge-nf-call-iptables": "1",
	} {
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			return fmt.Errorf("the kernel does not filter what crosses a bridge: %w; try: modprobe br_netfilter", err)
		}
	}
	return n.rules.setUp(ctx)
}

// hardwareAddr is a locally administered one made of the hash.
func (n *network) hardwareAddr() net.HardwareAddr {
	sum := sha256.Sum256([]byte(n.bridge))
	return append(net.HardwareAddr{0x02}, sum[:5]...)
}

// attach gives an instance a network namespace with an address. It undoes
// nothing: detach does.
func (n *network) attach(ctx context.Context, id run.InstanceID, space string) (netip.Addr, error) {
	if err := makeNamespace(n.path(id)); err != nil {
		return netip.Addr{}, fmt.Errorf("make network namespace: %w", err)
	}
	res, err := n.cni.AddNetworkList(ctx, n.conf, n.runtime(id))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("give instance an address: %w", err)
	}
	result, err := types100.NewResultFromResult(res)
	if err != nil || len(result.IPs) == 0 {
		return netip.Addr{}, fmt.Errorf("give instance an address: no answer from the plugin: %w", err)
	}
	addr, ok := netip.AddrFromSlice(result.IPs[0].Address.IP.To4())
	if !ok {
		return netip.Addr{}, fmt.Errorf("give instance an address: %s is none", result.IPs[0].Address.IP)
	}
	number, err := n.number(space)
	if err != nil {
		return netip.Addr{}, err
	}
	return addr, n.rules.add(addr, number)
}

// detach takes everything back, as far as it is there. addr is invalid for a
// start that died before it wrote its address down; the lease then tells it.
func (n *network) detach(ctx context.Context, id run.InstanceID, addr netip.Addr, space string) error {
	var errs []error
	n.mu.Lock()
	number, known := n.spaces[space]
	n.mu.Unlock()
	if !addr.IsValid() {
		var err error
		addr, err = n.lease(id)
		errs = append(errs, err)
	}
	switch {
	case addr.IsValid() && known:
		errs = append(errs, n.rules.remove(addr, number))
	case addr.IsValid():
		errs = append(errs, n.rules.forget(addr))
	}
	if err := n.cni.DelNetworkList(ctx, n.conf, n.runtime(id)); err != nil {
		errs = append(errs, fmt.Errorf("take address back: %w", err))
	}
	errs = append(errs, removeNamespace(n.path(id)))
	return errors.Join(errs...)
}

// leases returns who holds which address: each is a file named like the address
// whose first line is the instance's id.
func (n *network) leases() (map[netip.Addr]run.InstanceID, error) {
	dir := n.leaseDir()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read address leases: %w", err)
	}
	out := map[netip.Addr]run.InstanceID{}
	for _, e := range entries {
		addr, err := netip.ParseAddr(e.Name())
		if err != nil {
			continue // the lock, the last address given
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read address leases: %w", err)
		}
		owner, _, _ := strings.Cut(string(text), "\n")
		out[addr] = run.InstanceID(strings.TrimSpace(owner))
	}
	return out, nil
}

func (n *network) leaseDir() string {
	return filepath.Join(n.cfg.StateDir, "addresses", n.conf.Name)
}

// lease finds an instance's address; it is invalid when there is none.
func (n *network) lease(id run.InstanceID) (netip.Addr, error) {
	leases, err := n.leases()
	for addr, owner := range leases {
		if owner == id {
			return addr, err
		}
	}
	return netip.Addr{}, err
}

func (n *network) runtime(id run.InstanceID) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: string(id), NetNS: n.path(id), IfName: "eth0"}
}

// number returns what the rules call a space; a new one is on disk before it is
// used, so that two spaces never have the same.
func (n *network) number(space string) (uint32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if number, ok := n.spaces[space]; ok {
		return number, nil
	}
	number := uint32(len(n.spaces) + 1)
	n.spaces[space] = number
	text, err := json.Marshal(n.spaces)
	if err == nil {
		err = atomicfile.Write(n.spacesFile(), text, 0o600)
	}
	if err != nil {
		delete(n.spaces, space)
		return 0, fmt.Errorf("number space: %w", err)
	}
	return number, nil
}

func (n *network) loadSpaces() error {
	text, err := os.ReadFile(n.spacesFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &n.spaces)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", n.spacesFile(), err)
	}
	return nil
}

// resolvConf names the resolvers that an instance can reach: the host's own,
// but those on its loopback, in whose place the bridge's address stands.
func (n *network) resolvConf() string {
	var b strings.Builder
	servers := n.cfg.Resolvers
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		text = nil // a machine without resolvers has instances without
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch addr, err := netip.ParseAddr(f[1]); {
		case f[0] == "search" || f[0] == "options":
			b.WriteString(strings.TrimSpace(line) + "\n")
		case f[0] == "nameserver" && err == nil && len(n.cfg.Resolvers) == 0:
			if addr.IsLoopback() {
				addr = n.gateway()
			}
			servers = append(servers, addr)
		}
	}
	for _, s := range servers {
		b.WriteString("nameserver " + s.String() + "\n")
	}
	return b.String()
}

// makeNamespace makes a network namespace that lives as long as its file.
func makeNamespace(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	made := make(chan error)
	go func() {
		// The thread is in the new namespace afterwards, so it must not run
		// anything else: a goroutine that ends while locked takes it along.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = loopbackUp()
		}
		if err == nil {
			err = unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), path, "none", unix.MS_BIND, "")
		}
		made <- err
	}()
	if err := <-made; err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// loopbackUp lets an instance reach itself. It acts on the calling thread's
// namespace.
func loopbackUp() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(lo)
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
