package platform

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"naru/internal/atomicfile"
	"naru/internal/config"
	"naru/internal/supervise"
)

// unused are containerd's plugins that naru does not need: the Kubernetes
// interface, other snapshotters, and opt, which makes a folder outside ours.
var unused = []string{
	"io.containerd.grpc.v1.cri",
	"io.containerd.internal.v1.opt",
	"io.containerd.internal.v1.tracing",
	"io.containerd.nri.v1.nri",
	"io.containerd.snapshotter.v1.aufs",
	"io.containerd.snapshotter.v1.blockfile",
	"io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.native",
	"io.containerd.snapshotter.v1.zfs",
	"io.containerd.tracing.processor.v1.otlp",
}

// containerdConfig is version 2 of the form, which containerd 1.6 to 2.x read.
func containerdConfig(c config.Config) string {
	var b strings.Builder
	q := strconv.Quote
	fmt.Fprintf(&b, "version = 2\nroot = %s\nstate = %s\n", q(containerdRoot(c)), q(filepath.Join(c.RunDir, "containerd")))
	b.WriteString("disabled_plugins = [\n")
	for _, name := range unused {
		fmt.Fprintf(&b, "  %s,\n", q(name))
	}
	b.WriteString("]\n")
	fmt.Fprintf(&b, "[grpc]\n  address = %s\n  uid = %d\n  gid = %d\n", q(c.ContainerdSocket()), os.Geteuid(), os.Getegid())
	b.WriteString("[debug]\n  level = \"warn\"\n")
	return b.String()
}

func containerdRoot(c config.Config) string { return filepath.Join(c.DataDir, "containerd") }

// containerd is a private daemon: its own root, state and socket, so that it
// shares nothing with another one on the machine.
func (p Parts) containerd() (supervise.Child, error) {
	program, err := Find(p.Naru, p.Config.Containerd, "containerd")
	if err != nil {
		return supervise.Child{}, err
	}
	path := filepath.Join(p.Config.RunDir, "containerd.toml")
	text := containerdConfig(p.Config)
	return supervise.Child{
		Name: "containerd", Argv: []string{program, "--config", path}, Version: text,
		Ready: supervise.ReadyOnDial, Dial: p.Config.ContainerdSocket(),
		StartTimeout: engineStart, StopTimeout: engineStop, Outlives: true,
		Prepare: func(context.Context) error {
			if err := os.MkdirAll(containerdRoot(p.Config), 0o711); err != nil {
				return err
			}
			return atomicfile.Write(path, []byte(text), 0o600)
		},
	}, nil
}
