//go:build linux

// Package containerd is a run.Driver on containerd: one container per instance,
// with an address of its own on a bridge, an overlay file system, bounded
// resources and no privileges.
package containerd

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"naru/internal/run"
)

// Config says where things are. All folders belong to this driver alone.
type Config struct {
	Socket    string        // of containerd
	Hash      string        // eight hex digits in the names of bridge, rules and cgroups
	StateDir  string        // address leases; survives a reboot
	RunDir    string        // network namespaces, hosts files; gone after a reboot
	SpoolDir  string        // output of instances
	LogBinary string        // path of naru-log
	Subnet    netip.Prefix  // addresses of instances; the first is the bridge's
	Resolvers []netip.Addr  // name servers; none: those of /etc/resolv.conf that are not on loopback
	DiskEvery time.Duration // between two measurements of what instances wrote; 0: 10 s
	Telemetry int           // port of the bridge's address that instances may reach; 0: none
}

// namespace is containerd's word for what keeps our containers apart from those
// of other users of the same daemon.
const namespace = "naru"

// Driver runs instances. It keeps nothing that it could not find again.
type Driver struct {
	cfg       Config
	client    *client.Client
	net       *network
	log       *slog.Logger
	known     knownImages
	pulls     keyed    // one pull of an image at a time
	starts    keyed    // one start of an instance at a time
	delivered sync.Map // run.InstanceID -> chan struct{}, closed when an attached task's output was handed on
	watched   sync.Map // run.InstanceID -> reason, of instances stopped for their disk
}

var _ run.Driver = (*Driver)(nil)

// New connects to containerd, which must run, and makes the bridge and its
// rules where they are missing.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Driver, error) {
	if cfg.DiskEvery <= 0 {
		cfg.DiskEvery = 10 * time.Second
	}
	c, err := client.New(cfg.Socket, client.WithDefaultNamespace(namespace), client.WithTimeout(10*time.Second))
	if err != nil {
		return nil, fmt.Errorf("connect to containerd at %s: %w", cfg.Socket, err)
	}
	n, err := newNetwork(cfg, log)
	if err != nil {
		return nil, err
	}
	if err := n.setUp(ctx); err != nil {
		return nil, err
	}
	return &Driver{cfg: cfg, client: c, net: n, log: log}, nil
}

// Close ends the connection; instances go on.
func (d *Driver) Close() error {
	d.net.host.Close()
	return d.client.Close()
}

// Name is what people select the driver by.
func (d *Driver) Name() string { return "containerd" }

// Notice is empty: the driver does all that is promised.
func (d *Driver) Notice() string { return "" }

func (d *Driver) ctx(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, namespace)
}

func (d *Driver) spool(id run.InstanceID) string { return filepath.Join(d.cfg.SpoolDir, string(id)) }

func (d *Driver) files(id run.InstanceID) string {
	return filepath.Join(d.cfg.RunDir, "instances", string(id))
}

// cgroup is where an instance's limits are, below the root of each hierarchy.
func (d *Driver) cgroup(id run.InstanceID) string {
	return filepath.Join("/naru", d.cfg.Hash, string(id))
}

// keyed is a lock for each key, for as long as somebody wants it.
type keyed struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// lock waits for the key's turn.
func (k *keyed) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		k.mu.Lock()
		if k.held == nil {
			k.held = map[string]chan struct{}{}
		}
		wait, taken := k.held[key]
		if !taken {
			mine := make(chan struct{})
			k.held[key] = mine
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, key)
				k.mu.Unlock()
				close(mine)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-wait:
		}
	}
}
