package buildkit

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Daemon is what the process that starts buildkitd decides about it.
type Daemon struct {
	DataDir     string       // naru's data directory; its hash names bridge and network
	Root        string       // state of the daemon; "": DataDir/buildkit
	Socket      string       // path of its unix socket, at most 107 bytes
	Runc        string       // runc program; "": found by the daemon
	CNIBin      string       // folder of the CNI plugins: "/usr/lib/cni"
	Subnet      string       // of the bridge of builds: "10.64.16.0/20"
	Cgroup      string       // parent of the commands' cgroups; "": "/naru-build-" and the hash
	MemoryMiB   int          // of all commands together; 0: no limit
	CPUMilli    int          // thousandths of a core, of all commands together; 0: no limit
	Reachable   []int        // TCP ports of this machine that commands may reach: a mirror that runs here
	Parallel    int          // commands at a time; 0: number of processors
	LogBytes    int64        // of the output of one build; 0: DefaultLogBytes
	CacheMaxMiB int          // of everything the daemon keeps; 0: 10 GiB
	MinFreeMiB  int          // of the disk, below which it throws away more; 0: 1 GiB
	Nameservers []string     // of the commands; none: the host's
	Registries  []RegistryAt // hosts that are not plain https with a public certificate
	Debug       bool         // log more
}

// RegistryAt says how a registry is reached.
type RegistryAt struct {
	Host    string   // "docker.io", "127.0.0.1:5000"
	Mirrors []string // tried first: host or host/path
	HTTP    bool     // plain http; for loopback
	CA      string   // path of a PEM bundle, "" for the system's
}

// Files are what Render makes: paths and what belongs there. They hold no
// secret.
type Files map[string]string

// ConfigPath is where the daemon is told to read its configuration
// (buildkitd --config).
func (d Daemon) ConfigPath() string { return filepath.Join(d.root(), "buildkitd.toml") }

// NetworkPath is the configuration of the bridge that commands are on.
func (d Daemon) NetworkPath() string { return filepath.Join(d.root(), "cni.conflist") }

// Bridge is the name of the network interface, at most 15 bytes. Two platforms
// on one machine have two.
func (d Daemon) Bridge() string { return "nab" + d.hash() }

func (d Daemon) network() string { return "naru-build-" + d.hash() }

func (d Daemon) hash() string {
	sum := sha256.Sum256([]byte(filepath.Clean(d.DataDir)))
	return hex.EncodeToString(sum[:4])
}

func (d Daemon) root() string {
	if d.Root != "" {
		return d.Root
	}
	return filepath.Join(d.DataDir, "buildkit")
}

// Args are the arguments of buildkitd.
func (d Daemon) Args() []string {
	args := []string{"--config", d.ConfigPath()}
	if d.Debug {
		args = append(args, "--debug")
	}
	return args
}

// Env are the variables of buildkitd, besides the machine's own: they bound the
// log of one step and keep the daemon's files in its folder. The builder's own
// bound comes first and counts; this one keeps the daemon from storing without end.
func (d Daemon) Env() []string {
	return []string{
		"BUILDKIT_STEP_LOG_MAX_SIZE=" + strconv.FormatInt(4*cmp.Or(d.LogBytes, DefaultLogBytes), 10),
		"BUILDKIT_STEP_LOG_MAX_SPEED=" + strconv.Itoa(maxLogSpeed),
		"TMPDIR=" + filepath.Join(d.root(), "tmp"),
	}
}

// Render writes the daemon's configuration. The folders of the paths, and
// root/tmp, must be made by the caller.
func (d Daemon) Render() (Files, error) {
	network, err := d.renderNetwork()
	if err != nil {
		return nil, err
	}
	return Files{d.ConfigPath(): d.renderConfig(), d.NetworkPath(): network}, nil
}

func (d Daemon) renderConfig() string {
	var b strings.Builder
	q := strconv.Quote // TOML's basic strings are Go's for everything a path holds
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("root = %s", q(filepath.Join(d.root(), "state")))
	line("insecure-entitlements = []")
	line("[log]\n  format = \"json\"")
	line("[grpc]\n  address = [%s]", q("unix://"+d.Socket))
	line("[cdi]\n  disabled = true")
	line("[history]\n  maxAge = 3600\n  maxEntries = 20")
	if len(d.Nameservers) > 0 {
		line("[dns]\n  nameservers = [%s]", quoted(d.Nameservers))
	}
	line("[worker.containerd]\n  enabled = false")
	line("[worker.oci]\n  enabled = true\n  snapshotter = \"overlayfs\"")
	line("  platforms = [%s]", q("linux/"+runtime.GOARCH))
	if d.Runc != "" {
		line("  binary = %s", q(d.Runc))
	}
	line("  max-parallelism = %d", or(d.Parallel, runtime.NumCPU()))
	line("  networkMode = \"cni\"\n  cniConfigPath = %s\n  cniBinaryPath = %s", q(d.NetworkPath()), q(d.CNIBin))
	line("  cniPoolSize = 2")
	line("  defaultCgroupParent = %s", q(d.cgroup()))
	line("  gc = true\n  reservedSpace = \"%dMB\"\n  maxUsedSpace = \"%dMB\"\n  minFreeSpace = \"%dMB\"", min(1<<10, or(d.MinFreeMiB, 1<<10)), or(d.CacheMaxMiB, 10<<10), or(d.MinFreeMiB, 1<<10))
	for _, r := range d.Registries {
		line("[registry.%s]", q(r.Host))
		if len(r.Mirrors) > 0 {
			line("  mirrors = [%s]", quoted(r.Mirrors))
		}
		if r.HTTP {
			line("  http = true")
		}
		if r.CA != "" {
			line("  ca = [%s]", q(r.CA))
		}
	}
	// Recipes need no frontend image, and a Dockerfile must not choose one.
	line("[frontend.\"dockerfile.v0\"]\n  enabled = true")
	line("[frontend.\"gateway.v0\"]\n  enabled = false")
	return b.String()
}

// renderNetwork is a bridge of the build's own. Addresses are kept in the data
// directory, so that two platforms share nothing.
func (d Daemon) renderNetwork() (string, error) {
	type m = map[string]any
	out, err := json.MarshalIndent(m{
		"cniVersion": "0.4.0",
		"name":       d.network(),
		"plugins": []m{
			{"type": "loopback"},
			{
				"type": "bridge", "bridge": d.Bridge(), "isDefaultGateway": true, "hairpinMode": false,
				"ipam": m{
					"type": "host-local", "dataDir": filepath.Join(d.root(), "cni"),
					"ranges": [][]m{{{"subnet": d.Subnet}}},
				},
			},
		},
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write network of builds: %w", err)
	}
	return string(out) + "\n", nil
}

func quoted(list []string) string {
	var out []string
	for _, s := range slices.Clone(list) {
		out = append(out, strconv.Quote(s))
	}
	return strings.Join(out, ", ")
}

func or(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}
