//go:build linux

package containerd_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"naru/internal/run"
	"naru/internal/run/containerd"
	"naru/internal/run/runtest"
)

// engine is a containerd of the test's own.
type engine struct {
	dir, run string
	hash     string
	subnet   netip.Prefix
	helper   string
	daemon   *exec.Cmd
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("containers need root")
	}
	for _, tool := range []string{"containerd", "runc", "nft", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

// newEngine starts a containerd and takes everything away at the end; what is
// left then fails the test.
func newEngine(t testing.TB) *engine {
	t.Helper()
	needRoot(t)
	var random [5]byte
	rand.Read(random[:])
	e := &engine{dir: t.TempDir(), hash: hex.EncodeToString(random[:4]), helper: runtest.Command(t, "naru/cmd/naru-log")}
	e.run = "/run/naru-test-" + e.hash // short: a socket's path has 108 bytes
	e.subnet = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64 + random[0]%64, random[4] &^ 15, 0}), 20)
	t.Cleanup(runtest.Leftovers(t, e.hash))
	if err := os.MkdirAll(e.run, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.stop(t, syscall.SIGTERM)
		os.RemoveAll(e.run)
	})
	config := fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
address = %q
[ttrpc]
address = %q
`, filepath.Join(e.dir, "root"), filepath.Join(e.run, "state"), e.socket(), e.socket()+".ttrpc")
	if err := os.WriteFile(filepath.Join(e.dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	e.start(t)
	return e
}

func (e *engine) socket() string { return filepath.Join(e.run, "containerd.sock") }

func (e *engine) start(t testing.TB) {
	t.Helper()
	e.daemon = exec.Command("containerd", "--config", filepath.Join(e.dir, "config.toml"), "--log-level", "error")
	e.daemon.Stderr = os.Stderr
	if err := e.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := net.Dial("unix", e.socket())
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("containerd does not come up: %v", err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (e *engine) stop(t testing.TB, with syscall.Signal) {
	t.Helper()
	if err := e.daemon.Process.Signal(with); err != nil {
		t.Error(err)
	}
	e.daemon.Wait() // how it ended is as it was told
}

func (e *engine) config() containerd.Config {
	return containerd.Config{
		Socket: e.socket(), Hash: e.hash, StateDir: filepath.Join(e.dir, "cni"), RunDir: filepath.Join(e.run, "instances"),
		SpoolDir: filepath.Join(e.dir, "spool"), LogBinary: e.helper, Subnet: e.subnet,
		DiskEvery: 100 * time.Millisecond,
	}
}

func (e *engine) driver(t testing.TB) *containerd.Driver {
	t.Helper()
	d, err := containerd.New(context.Background(), e.config(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// open is a driver on an engine of its own, torn down at the end.
func open(t testing.TB) (*engine, *containerd.Driver) {
	t.Helper()
	e := newEngine(t)
	d := e.driver(t)
	t.Cleanup(func() {
		if err := d.Teardown(context.Background()); err != nil {
			t.Errorf("teardown: %v", err)
			fmt.Fprintln(os.Stderr, "teardown:", err) // a benchmark's errors after its end are not shown
		}
	})
	return e, d
}

func TestDriver(t *testing.T) {
	runtest.Driver(t, func(t *testing.T) (run.Driver, runtest.Fixture) {
		e, d := open(t)
		return d, runtest.Fixture{
			Image: runtest.AppImage(t, "1234"), Network: true,
			Reopen: func(t *testing.T) run.Driver { return e.driver(t) },
			Engine: func(t *testing.T) {
				e.stop(t, syscall.SIGKILL)
				e.start(t)
			},
		}
	})
}

func TestRootIsRefusedUnlessAllowed(t *testing.T) {
	_, d := open(t)
	f := runtest.Fixture{Image: runtest.AppImage(t, "")}
	spec := runtest.Spec(f, "id")
	if _, err := d.Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("root was started: %v", err)
	}
	spec.AllowRoot = true
	if got := output(t, d, spec); got != "0:0" {
		t.Errorf("ran as %s", got)
	}
	named := runtest.Spec(runtest.Fixture{Image: runtest.AppImage(t, "app")}, "id")
	if got := output(t, d, named); got != "1234:1234" {
		t.Errorf("a named user ran as %s", got)
	}
}

// output runs a task and returns the last line it printed.
func output(t *testing.T, d run.Driver, spec run.Spec) string {
	t.Helper()
	if _, err := d.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	x, err := d.Wait(t.Context(), spec.ID)
	if err != nil || len(x.LastLines) == 0 {
		t.Fatalf("ended as %+v, %v", x, err)
	}
	return x.LastLines[len(x.LastLines)-1]
}

func TestNetworkIsolation(t *testing.T) {
	e, d := open(t)
	f := runtest.Fixture{Image: runtest.AppImage(t, "1234")}
	one, same, other := runtest.Spec(f), runtest.Spec(f), runtest.Spec(f)
	other.Space = "space-2"
	var at []run.Status
	for _, s := range []run.Spec{one, same, other} {
		st, err := d.Start(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, st)
		t.Cleanup(func() { d.Remove(context.Background(), s.ID) })
		reached(t, st.Addr.String())
	}
	// A service of the host on all addresses, one on loopback, and one outside,
	// in a network namespace of its own behind a link of its own.
	everywhere := listen(t, "0.0.0.0:0")
	outside := outsider(t, e.hash)
	for name, tc := range map[string]struct {
		from run.InstanceID
		to   string
		want bool
	}{
		"same space":           {one.ID, at[1].Addr.String(), true},
		"other space":          {one.ID, at[2].Addr.String(), false},
		"other space back":     {other.ID, at[0].Addr.String(), false},
		"itself":               {one.ID, at[0].Addr.String(), true},
		"host through bridge":  {one.ID, fmt.Sprintf("%s:%d", e.subnet.Addr().Next(), everywhere), false},
		"metadata address":     {one.ID, "169.254.169.254:80", false},
		"outside":              {one.ID, outside, true},
		"outside, other space": {other.ID, outside, true},
	} {
		t.Run(name, func(t *testing.T) {
			code, err := d.Exec(t.Context(), tc.from, run.ExecSpec{Argv: []string{runtest.TestApp, "dial", tc.to}})
			if err != nil || (code == 0) != tc.want {
				t.Errorf("dial %s: exit %d, %v, want it reached: %v", tc.to, code, err, tc.want)
			}
		})
	}
}

func reached(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("dial %s from the host: %v", addr, err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func listen(t *testing.T, addr string) int {
	t.Helper()
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// outsider is a host outside: a network namespace that answers on port 8080.
func outsider(t *testing.T, hash string) string {
	t.Helper()
	ns, near, far := "out"+hash, "on"+hash, "of"+hash
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	ip("netns", "add", ns)
	t.Cleanup(func() { ip("netns", "delete", ns) })
	ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", ns)
	ip("addr", "add", "198.51.100.1/30", "dev", near)
	ip("link", "set", near, "up")
	ip("-n", ns, "addr", "add", "198.51.100.2/30", "dev", far)
	ip("-n", ns, "link", "set", far, "up")
	app := runtest.Command(t, "naru/internal/run/runtest/testdata/app")
	cmd := exec.Command("ip", "netns", "exec", ns, app, "serve")
	cmd.Env = append(os.Environ(), "PORT=8080")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	reached(t, "198.51.100.2:8080")
	return "198.51.100.2:8080"
}
