//go:build linux

package server

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"naru/internal/config"
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
		if subnet, err = chooseSubnet(c, instanceNet); err != nil {
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
