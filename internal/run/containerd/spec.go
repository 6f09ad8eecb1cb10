//go:build linux

package containerd

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"

	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/secret"
)

// rootCapabilities are what an image that insists on root gets where its space
// allows that: enough to become somebody else.
var rootCapabilities = []string{"CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE", "CAP_FOWNER"}

// options make the runtime's description of an instance.
func (d *Driver) options(img client.Image, cfg ocispec.ImageConfig, spec run.Spec, addr netip.Addr) []oci.SpecOpts {
	opts := []oci.SpecOpts{
		oci.WithDefaultSpec(), // masked and read-only system paths, private namespaces
		oci.WithDefaultUnixDevices,
		oci.WithImageConfigArgs(img, nil),
		unprivileged(spec.AllowRoot),
		environment(spec, addr),
		oci.WithNoNewPrivileges,
		oci.WithHostname(hostname(spec)),
		oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: d.net.path(spec.ID)}),
		oci.WithMounts(d.mounts(spec)),
		oci.WithCgroup(d.cgroup(spec.ID)),
		oci.WithAnnotations(map[string]string{"io.containerd.runc.v2.group": shimGroup(spec, d.daemon())}),
		sysctls,
		limits(spec.Limits),
		seccomp.WithDefaultProfile(), // last: it looks at the capabilities
	}
	if command := commandOf(cfg, spec); len(command) > 0 {
		opts = append(opts, oci.WithProcessArgs(command...))
	}
	if spec.IO != nil && spec.IO.TTY {
		opts = append(opts, oci.WithTTY)
	}
	return opts
}

// initLabel names the program in an image that every command is run under. A
// command that is the first process of its namespace ignores signals it has no
// handler for, and inherits orphans that it does not wait for.
const initLabel = "naru.init"

// commandOf is what an instance runs: the process's command under the image's
// init, or nothing where the image's own entrypoint is meant.
func commandOf(cfg ocispec.ImageConfig, spec run.Spec) []string {
	if init := cfg.Labels[initLabel]; init != "" && len(spec.Command) > 0 {
		return append([]string{init, "--"}, spec.Command...)
	}
	return spec.Command
}

// shimGroup spreads a group's instances over shims: each holds at most eight,
// and of two or more never more than half, so that a shim that dies takes little
// with it. Three shims per 24 instances do both. None is shared with instances
// that another containerd process started.
func shimGroup(spec run.Spec, daemon string) string {
	if spec.Task {
		return string(spec.ID)
	}
	return fmt.Sprintf("%s-%d-%d-%s", spec.Group, spec.Index/24, spec.Index%3, daemon)
}

func hostname(spec run.Spec) string {
	name := fmt.Sprintf("%s-%s-%d", spec.AppName, spec.Process, spec.Index)
	return name[:min(len(name), 63)]
}

// unprivileged takes everything away from the user that the image names, and
// refuses root unless the space allows it.
func unprivileged(allowRoot bool) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		caps := []string{}
		if s.Process.User.UID == 0 {
			if !allowRoot {
				return fault.New(fault.Denied, "image", "the image runs as root, which its space does not allow").
					WithTry("add a numeric USER to the image, or let an administrator run: naru space allow-root SPACE")
			}
			caps = rootCapabilities
		}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
		s.Process.ApparmorProfile = ""
		return nil
	}
}

// environment lays the app's settings over the image's, and naru's over both.
// What nobody says is as programs usually find it.
func environment(spec run.Spec, addr netip.Addr) oci.SpecOpts {
	return func(ctx context.Context, c oci.Client, ctr *containers.Container, s *oci.Spec) error {
		env := maps.Clone(spec.Env)
		if env == nil {
			env = run.Env{}
		}
		maps.Copy(env, spec.Placed(netip.AddrPortFrom(addr, uint16(spec.Port))))
		said := map[string]bool{}
		for _, e := range s.Process.Env {
			name, _, _ := strings.Cut(e, "=")
			said[name] = true
		}
		uid := s.Process.User.UID
		for name, value := range map[string]string{
			"HOME": homeOf(uid), "USER": userOf(uid), "LANG": "C.UTF-8", "TMPDIR": "/tmp", "PWD": s.Process.Cwd,
		} {
			if _, set := env[name]; !set && !said[name] {
				env[name] = secret.New(value)
			}
		}
		return oci.WithEnv(env.Reveal())(ctx, c, ctr, s)
	}
}

// userOf is the name of a user of naru's own images.
func userOf(uid uint32) string {
	switch uid {
	case 0:
		return "root"
	case 1000:
		return "app"
	}
	return strconv.FormatUint(uint64(uid), 10)
}

func homeOf(uid uint32) string {
	switch uid {
	case 0:
		return "/root"
	case 1000:
		return "/home/app"
	}
	return "/tmp"
}

// sysctls of the instance's own network namespace: any port may be bound, and
// there is no IPv6, whose link-local addresses would bypass the rules.
func sysctls(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	if s.Linux.Sysctl == nil {
		s.Linux.Sysctl = map[string]string{}
	}
	s.Linux.Sysctl["net.ipv4.ip_unprivileged_port_start"] = "0"
	s.Linux.Sysctl["net.ipv4.ping_group_range"] = "0 2147483647"
	if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
		s.Linux.Sysctl["net.ipv6.conf.all.disable_ipv6"] = "1"
		s.Linux.Sysctl["net.ipv6.conf.default.disable_ipv6"] = "1"
	}
	return nil
}

// limits bound memory (no swap on top), processes, and processor time.
func limits(l run.Limits) oci.SpecOpts {
	return func(ctx context.Context, c oci.Client, ctr *containers.Container, s *oci.Spec) error {
		var opts []oci.SpecOpts
		if l.MemoryMiB > 0 {
			bytes := uint64(l.MemoryMiB) << 20
			opts = append(opts, oci.WithMemoryLimit(bytes), oci.WithMemorySwap(int64(bytes)))
		}
		if l.PIDs > 0 {
			opts = append(opts, oci.WithPidsLimit(int64(l.PIDs)))
		}
		if l.CPUMilli > 0 {
			const period = 100_000
			opts = append(opts, oci.WithCPUCFS(int64(l.CPUMilli)*period/1000, period))
		}
		for _, o := range opts {
			if err := o(ctx, c, ctr, s); err != nil {
				return err
			}
		}
		return nil
	}
}

// mounts are the files that tell an instance about its network.
func (d *Driver) mounts(spec run.Spec) []specs.Mount {
	var out []specs.Mount
	for _, name := range []string{"hosts", "resolv.conf", "hostname"} {
		out = append(out, specs.Mount{
			Destination: "/etc/" + name, Type: "bind", Source: filepath.Join(d.files(spec.ID), name),
			Options: []string{"rbind", "ro", "nosuid", "nodev", "noexec"},
		})
	}
	return out
}

// writeFiles writes what mounts mounts.
func (d *Driver) writeFiles(spec run.Spec, addr netip.Addr) error {
	dir := d.files(spec.ID)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("make files of instance: %w", err)
	}
	name := hostname(spec)
	files := map[string]string{
		"hosts":       "127.0.0.1 localhost\n" + addr.String() + " " + name + "\n",
		"hostname":    name + "\n",
		"resolv.conf": d.net.resolvConf(),
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return fmt.Errorf("make files of instance: %w", err)
		}
	}
	return nil
}
