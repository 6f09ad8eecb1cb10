package buildkit_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/build/buildkit"
	"naru/internal/fault"
)

// machine is a daemon with a bridge of its own, a registry with foundations,
// and a builder; gone when the test ends.
type machine struct {
	*buildkit.Builder
	daemon   buildkit.Daemon
	registry string // host:port
	gateway  string // the machine, as commands of a build see it
	mu       sync.Mutex
	known    map[string]build.Foundation
}

// newMachine starts what builds need. The registry runs outside, so that a
// second machine can start with a cold cache on the same foundations.
func newMachine(t testing.TB, reg *testRegistry, change ...func(*buildkit.Daemon)) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: buildkitd makes mounts and network namespaces")
	}
	for _, program := range []string{"runc", "iptables", "iptables-restore"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: %v", program, err)
		}
	}
	cni := "/usr/lib/cni"
	if _, err := os.Stat(filepath.Join(cni, "bridge")); err != nil {
		t.Skipf("needs the CNI plugins: %v", err)
	}
	dir := t.TempDir()
	hash := fnv.New32()
	fmt.Fprint(hash, dir)
	third := hash.Sum32() % 250
	m := &machine{registry: reg.host, known: map[string]build.Foundation{}, gateway: fmt.Sprintf("10.127.%d.1", third)}
	m.daemon = buildkit.Daemon{
		DataDir: dir, Socket: socketPath(t), CNIBin: cni, Subnet: fmt.Sprintf("10.127.%d.0/24", third), CacheMaxMiB: 4096, MemoryMiB: 3072,
		Nameservers: nameservers(t),
	}
	for _, f := range change {
		f(&m.daemon)
	}
	m.start(t)
	m.Builder = buildkit.New(buildkit.Options{Address: "unix://" + m.daemon.Socket, StaticServer: staticServer(t)}, slog.New(slog.DiscardHandler))
	m.await(t)
	return m
}

// nameservers are those of the machine that a build can reach.
func nameservers(t testing.TB) []string {
	data, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "nameserver" && !strings.HasPrefix(f[1], "127.") {
			out = append(out, f[1])
		}
	}
	return out
}

// socketPath is short: t.TempDir is often longer than a socket's name may be.
func socketPath(t testing.TB) string {
	dir, err := os.MkdirTemp("", "nbk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func (m *machine) start(t testing.TB) {
	t.Helper()
	files, err := m.daemon.Render()
	if err != nil {
		t.Fatal(err)
	}
	mustMake(t, filepath.Join(filepath.Dir(m.daemon.ConfigPath()), "tmp"))
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	network := m.daemon.Network()
	if err := m.daemon.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	logFile, err := os.Create(filepath.Join(m.daemon.DataDir, "buildkitd.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(daemonProgram(t), m.daemon.Args()...)
	cmd.Env = append(os.Environ(), m.daemon.Env()...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), ended(cmd.Wait()), logFile.Close())
		// t's context is over, and what is left behind must go all the same.
		err = errors.Join(err, network.Down(context.WithoutCancel(t.Context())), removeCgroups(m.daemon))
		if err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			data, _ := os.ReadFile(logFile.Name())
			t.Logf("buildkitd: %s", data[max(0, len(data)-4000):])
		}
	})
}

func mustMake(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

// removeCgroups removes what the daemon's commands were in.
func removeCgroups(d buildkit.Daemon) error {
	var errs []error
	hash := strings.TrimPrefix(d.Bridge(), "nab")
	for _, pattern := range []string{"/sys/fs/cgroup/naru-build-" + hash, "/sys/fs/cgroup/*/naru-build-" + hash} {
		dirs, err := filepath.Glob(pattern)
		errs = append(errs, err)
		for _, dir := range dirs {
			// The daemon puts a group of its own between.
			inner, err := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
			errs = append(errs, err)
			for _, file := range inner {
				errs = append(errs, os.Remove(filepath.Dir(file)))
			}
			errs = append(errs, os.Remove(dir))
		}
	}
	return errors.Join(errs...)
}

// ended turns the exit status of a stopped daemon into no error.
func ended(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

func (m *machine) await(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := m.Ready(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("daemon not ready: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

var programs struct {
	sync.Mutex
	path map[string]string
}

// compiled builds a program of this repository once per test run.
func compiled(t testing.TB, module, pkg string) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	if path, ok := programs.path[pkg]; ok {
		return path
	}
	dir, err := os.MkdirTemp("", "naru-test-bin")
	if err != nil {
		t.Fatal(err)
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	if programs.path == nil {
		programs.path = map[string]string{}
	}
	programs.path[pkg] = path
	return path
}

var cleanups []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range cleanups {
		f()
	}
	os.Exit(code)
}

func daemonProgram(t testing.TB) string {
	if path := os.Getenv("NARU_BUILDKITD"); path != "" {
		return path
	}
	return compiled(t, "../../../tools/buildkit", "github.com/moby/buildkit/cmd/buildkitd")
}

func staticServer(t testing.TB) string { return compiled(t, "../../..", "naru/cmd/naru-static") }

// testRegistry is a registry in memory on loopback.
type testRegistry struct{ host string }

func newRegistry(t testing.TB) *testRegistry {
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(srv.Close)
	return &testRegistry{host: strings.TrimPrefix(srv.URL, "http://")}
}

// Resolve puts a foundation into the registry the first time it is asked for.
func (m *machine) Resolve(ctx context.Context, want string) (build.Foundation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f, ok := m.known[want]; ok {
		return f, nil
	}
	img, abi, err := foundationImage(ctx, want)
	if err != nil {
		return build.Foundation{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return build.Foundation{}, err
	}
	repo := m.registry + "/foundations/" + strings.ReplaceAll(want, ":", "-")
	ref, err := name.NewDigest(repo+"@"+digest.String(), name.Insecure)
	if err != nil {
		return build.Foundation{}, err
	}
	if err := remote.Write(ref, img, remote.WithContext(ctx)); err != nil {
		return build.Foundation{}, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return build.Foundation{}, err
	}
	entry := config.Config.Entrypoint
	f := build.Foundation{Name: want, Ref: ref.String(), Digest: digest.String(), ABI: abi, Tini: len(entry) > 0 && entry[0] == "/usr/bin/tini"}
	m.known[want] = f
	return f, nil
}

// push is what a push does between source and release: detect, resolve, build.
func (m *machine) push(t testing.TB, dir, snapshot string, change func(*build.Request)) (build.Result, []build.Event, error) {
	t.Helper()
	recipe, err := build.Detect(os.DirFS(dir), build.Options{})
	if err != nil && change == nil {
		t.Fatal(err)
	}
	var events []build.Event
	req := build.Request{
		Recipe: recipe, Dir: dir, SnapshotDigest: snapshot, Space: app.SpaceID("space-1"),
		Target:   build.Target{Registry: m.registry, Repository: "default/dev/shop", Insecure: true},
		Progress: func(e build.Event) { events = append(events, e) },
		Mirrors:  hostMirrors(),
	}
	if change != nil {
		change(&req)
	}
	res, err := build.Resolving(m.Builder, m).Build(t.Context(), req)
	return res, events, err
}

// hostMirrors hand the test machine's own network settings to the build.
func hostMirrors() build.Mirrors {
	m := build.Mirrors{
		GoProxy: os.Getenv("GOPROXY"), NPM: os.Getenv("npm_config_registry"),
		HTTPProxy: os.Getenv("HTTP_PROXY"), HTTPSProxy: os.Getenv("HTTPS_PROXY"), NoProxy: os.Getenv("NO_PROXY"),
	}
	if bundle := "/etc/ssl/certs/ca-certificates.crt"; exists(bundle) {
		m.CABundle = bundle
	}
	return m
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// steps lists the titles of a build's steps with an event of a kind, up to the
// colon; finding the foundations is no step of it.
func steps(events []build.Event, kind build.EventKind) []string {
	var out []string
	for _, e := range events {
		if e.Kind != kind || strings.HasPrefix(e.Step, "foundation ") {
			continue
		}
		title, _, _ := strings.Cut(e.Step, ":")
		out = append(out, title)
	}
	return out
}

func mustFail(t *testing.T, err error, kind fault.Kind, wants ...string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("got %v, want a fault of kind %s", err, kind)
	}
	f := fault.Of(err)
	for _, want := range wants {
		if !strings.Contains(f.Field+": "+f.Message+"\n"+f.Try, want) {
			t.Errorf("got %q, try %q; want it to hold %q", f.Message, f.Try, want)
		}
	}
}
