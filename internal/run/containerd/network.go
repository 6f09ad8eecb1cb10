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
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"naru/internal/atomicfile"
	"naru/internal/run"
)

// network gives instances addresses on one bridge. It makes each port by netlink
// in this process: a plugin started for it costs more than all the rest of a start.
type network struct {
	cfg    Config
	bridge string
	host   *netlink.Handle // of the host's own namespace
	leases *leases
	rules  *rules
	log    *slog.Logger

	mu     sync.Mutex        // guards spaces
	spaces map[string]uint32 // number of each space, as the rules know it
}

func newNetwork(cfg Config, log *slog.Logger) (*network, error) {
	n := &network{cfg: cfg, bridge: "nr" + cfg.Hash, log: log, spaces: map[string]uint32{}}
	n.rules = &rules{table: "naru_" + cfg.Hash, bridge: n.bridge, subnet: cfg.Subnet, telemetry: cfg.Telemetry}
	for _, dir := range []string{cfg.StateDir, n.namespaces(), filepath.Join(cfg.RunDir, "instances")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("make folders of the network: %w", err)
		}
	}
	var err error
	if n.leases, err = openLeases(filepath.Join(cfg.StateDir, "addresses", "naru-"+cfg.Hash), cfg.Subnet); err != nil {
		return nil, err
	}
	if n.host, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("speak to the kernel about its network: %w", err)
	}
	return n, n.loadSpaces()
}

func (n *network) namespaces() string            { return filepath.Join(n.cfg.RunDir, "netns") }
func (n *network) path(id run.InstanceID) string { return filepath.Join(n.namespaces(), string(id)) }
func (n *network) spacesFile() string            { return filepath.Join(n.cfg.StateDir, "spaces.json") }

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
	addr, err := netlink.ParseAddr(netip.PrefixFrom(n.leases.gateway(), n.cfg.Subnet.Bits()).String())
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
func (n *network) attach(id run.InstanceID, space string) (netip.Addr, error) {
	number, err := n.number(space)
	if err != nil {
		return netip.Addr{}, err
	}
	inside, err := makeNamespace(n.path(id))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("make network namespace: %w", err)
	}
	defer inside.Close()
	addr, err := n.leases.take(id)
	if err != nil {
		return netip.Addr{}, err
	}
	if err := n.connect(inside, n.path(id), addr); err != nil {
		return netip.Addr{}, err
	}
	return addr, n.rules.add(addr, number)
}

// detach takes everything back, as far as it is there. addr is invalid for a
// start that died before it wrote its address down; the lease then tells it. The
// lease goes last: the next owner of the address must find nothing of this one.
func (n *network) detach(id run.InstanceID, addr netip.Addr, space string) error {
	var err error
	if !addr.IsValid() {
		if addr, err = n.leases.of(id); err != nil {
			return err
		}
	}
	if addr.IsValid() {
		err = n.release(id, addr, space)
	}
	return errors.Join(err, removeNamespace(n.path(id)))
}

// release takes an instance's address back, unless it is another's already.
func (n *network) release(id run.InstanceID, addr netip.Addr, space string) error {
	owner, err := n.leases.owner(addr)
	if err != nil || owner != id {
		return err
	}
	n.mu.Lock()
	number, known := n.spaces[space]
	n.mu.Unlock()
	if known {
		err = n.rules.remove(addr, number)
	} else {
		err = n.rules.forget(addr)
	}
	if err := errors.Join(err, n.disconnect(addr)); err != nil {
		return err
	}
	return n.leases.free(addr, id)
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
				addr = n.leases.gateway()
			}
			servers = append(servers, addr)
		}
	}
	for _, s := range servers {
		b.WriteString("nameserver " + s.String() + "\n")
	}
	return b.String()
}
