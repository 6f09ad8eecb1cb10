//go:build linux

package platform_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"naru/internal/config"
	"naru/internal/supervise/platform"
)

func TestSpecFollowsTheConfiguration(t *testing.T) {
	build := &platform.Daemon{Program: "/bin/true", Socket: "/run/x.sock"}
	for name, tc := range map[string]struct {
		change    func(*config.Config)
		buildkitd *platform.Daemon
		children  []string
		sockets   []string
	}{
		"process driver": {func(c *config.Config) { c.Driver = config.Process }, nil,
			[]string{"gateway", "server"}, []string{"api", "registry", "apps"}},
		"containerd, builds, TLS": {func(c *config.Config) { c.Containerd.Binary, c.Listen.AppsTLS = "/bin/true", "127.0.0.1:8443" }, build,
			[]string{"gateway", "containerd", "buildkitd", "server"}, []string{"api", "registry", "apps", "apps-tls"}},
		"ports of TCP routes": {func(c *config.Config) { c.Driver, c.Listen.TCPPorts = config.Process, "127.0.0.1:20000-20001" }, nil,
			[]string{"gateway", "server"}, []string{"api", "registry", "apps", "tcp-20000", "tcp-20001"}},
		"daemons that run already": {func(c *config.Config) { c.Containerd.Address, c.Buildkit.Address = "unix:///c", "unix:///b" }, build,
			[]string{"gateway", "server"}, []string{"api", "registry", "apps"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t)
			tc.change(&c)
			spec, err := platform.Parts{Config: c, Naru: "/bin/true", Buildkitd: tc.buildkitd, Log: slog.New(slog.DiscardHandler)}.Spec()
			must(t, err)
			var children, sockets []string
			for _, child := range spec.Children {
				children = append(children, child.Name)
				for _, s := range spec.Sockets { // each is somebody's, whether it is there or not
					if strings.HasPrefix(s.Name, "tcp-") && slices.Contains(child.Sockets, s.Name) != (child.Name == "gateway") {
						t.Errorf("the %s has the sockets %v", child.Name, child.Sockets)
					}
				}
			}
			for _, s := range spec.Sockets {
				sockets = append(sockets, s.Name)
			}
			if !slices.Equal(children, tc.children) || !slices.Equal(sockets, tc.sockets) {
				t.Errorf("children %v, sockets %v; want %v, %v", children, sockets, tc.children, tc.sockets)
			}
		})
	}
}

func TestTheGatewayIsUnprivilegedWhereItCanBe(t *testing.T) {
	open, err := os.MkdirTemp("", "np")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(open)) })
	must(t, os.Chmod(open, 0o711))
	closed := t.TempDir()
	must(t, os.Chmod(closed, 0o700))
	for name, tc := range map[string]struct {
		dir, user, want string
	}{
		"folders can be passed": {open, "1234:5678", "1234:5678"},
		"a closed home":         {closed, "1234:5678", "0:0"},
		"root asked for":        {open, "0:0", "0:0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t) // skips without root
			c.Driver, c.DataDir, c.RunDir = config.Process, filepath.Join(tc.dir, "data"), "/run/naru-not-there/x"
			c.Gateway.User = tc.user
			spec, err := platform.Parts{Config: c, Naru: "/bin/true", Log: slog.New(slog.DiscardHandler)}.Spec()
			must(t, err)
			for _, child := range spec.Children {
				if !slices.Contains(child.Env, "NARU_GATEWAY_USER="+tc.want) {
					t.Errorf("%s is told %q, want %s", child.Name, slices.DeleteFunc(child.Env, func(s string) bool { return !strings.HasPrefix(s, "NARU_GATEWAY_USER") }), tc.want)
				}
				if child.Name == "gateway" && (child.User == nil) != (tc.want == "0:0") {
					t.Errorf("the gateway runs as %+v, want %s", child.User, tc.want)
				}
			}
		})
	}
}
