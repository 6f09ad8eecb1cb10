//go:build linux

package platform_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"naru/internal/config"
	"naru/internal/doctor"
	"naru/internal/fault"
	"naru/internal/supervise"
	"naru/internal/supervise/platform"
)

// The test binary is also what runs inside the container.
const insideVariable = "PLATFORM_TEST_INSIDE"

func TestMain(m *testing.M) {
	if os.Getenv(insideVariable) != "" {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		<-asked
		return
	}
	os.Exit(m.Run())
}

func load(t *testing.T) config.Config {
	t.Helper()
	dir := t.TempDir()
	run, err := os.MkdirTemp("/run", "naru-test-")
	if err != nil {
		t.Skipf("folders for sockets need root: %v", err)
	}
	t.Cleanup(func() { must(t, os.RemoveAll(run)) })
	c, err := config.Load(config.Source{UID: os.Getuid(), Getenv: func(string) string { return "" }, Flags: config.Flags{
		"data_dir": filepath.Join(dir, "data"), "run_dir": filepath.Join(run, "r"), "driver": "containerd",
		"listen.api": "127.0.0.1:0", "listen.registry": "127.0.0.1:0", "listen.apps": "127.0.0.1:0",
	}})
	must(t, err)
	return c
}

// needIsolation skips where this machine cannot run containers, saying why.
func needIsolation(t *testing.T, c config.Config) {
	t.Helper()
	if testing.Short() {
		t.Skip("no containers in a short run: built for the race detector, this program does not run inside one")
	}
	for _, f := range doctor.Failed(doctor.Run(t.Context(), doctor.NewEnv(c), doctor.Isolation(doctor.Checks()))) {
		t.Skipf("no containers here: %s: %s", f.Check, f.Cause)
	}
	if _, err := exec.LookPath("ctr"); err != nil {
		t.Skip("no ctr to start a container with")
	}
}

// running is an Up in this process, of containerd only.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, c config.Config, remove bool) running {
	t.Helper()
	spec := spec(t, c)
	spec.Remove = remove
	ready := make(chan struct{})
	spec.Ready = func(context.Context) { close(ready) }
	ctx, cancel := context.WithCancel(context.Background())
	r := running{cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- supervise.Up(ctx, spec) }()
	select {
	case <-ready:
	case err := <-r.done:
		t.Fatalf("Up ended: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("not ready")
	}
	return r
}

func (r running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	must(t, <-r.done)
}

func spec(t *testing.T, c config.Config) supervise.Spec {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	spec, err := platform.Parts{Config: c, Naru: exe, Log: slog.New(slog.DiscardHandler), Out: writer{t}}.Spec()
	must(t, err)
	spec.Sockets = nil
	spec.Children = slices.DeleteFunc(spec.Children, func(c supervise.Child) bool { return c.Name != "containerd" })
	return spec
}

type writer struct{ t *testing.T }

func (w writer) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func pidOf(t *testing.T, c config.Config) int {
	t.Helper()
	st, found, err := supervise.ReadStatus(c.RunDir)
	must(t, err)
	if !found || len(st.Children) != 1 {
		t.Fatalf("status: %+v", st)
	}
	return st.Children[0].PID
}

// runContainer starts this program in a container and returns its pid.
func runContainer(t *testing.T, c config.Config) string {
	t.Helper()
	root := t.TempDir()
	exe, err := os.Open("/proc/self/exe")
	must(t, err)
	defer exe.Close()
	to, err := os.OpenFile(filepath.Join(root, "inside"), os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(to, exe)
	must(t, err)
	must(t, to.Close())
	command(t, "ctr", "-a", c.ContainerdSocket(), "-n", "naru-"+c.Hash(), "run", "-d", "--null-io",
		"--cgroup", "/naru-"+c.Hash()+"/one", "--env", insideVariable+"=1", "--rootfs", root, "one", "/inside")
	return taskPID(t, c)
}

func taskPID(t *testing.T, c config.Config) string {
	t.Helper()
	return taskOne(command(t, "ctr", "-a", c.ContainerdSocket(), "-n", "naru-"+c.Hash(), "task", "ls"))
}

// taskOne is the pid of the running task "one" in a listing, "" without one.
func taskOne(listing string) string {
	for line := range strings.Lines(listing) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "one" && f[2] == "RUNNING" {
			return f[1]
		}
	}
	return ""
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// machine lists what a platform could leave behind.
func machine(t *testing.T, c config.Config) []string {
	t.Helper()
	var all []string
	add := func(kind, text string) {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if strings.Contains(line, c.Hash()) || strings.Contains(line, c.RunDir) || strings.Contains(line, c.DataDir) {
				all = append(all, kind+" "+line)
			}
		}
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, dir := range dirs {
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		environ, _ := os.ReadFile(dir + "/environ")
		if dir != fmt.Sprintf("/proc/%d", os.Getpid()) {
			add("process", filepath.Base(dir)+" "+string(bytes.ReplaceAll(append(cmdline, environ...), []byte{0}, []byte(" "))))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	add("mount", string(mounts))
	add("link", command(t, "ip", "-o", "link"))
	add("netns", command(t, "ip", "netns", "list"))
	add("nft", command(t, "nft", "list", "tables"))
	add("iptables", command(t, "iptables-save"))
	add("cgroup", command(t, "find", "/sys/fs/cgroup", "-type", "d"))
	return all
}

func TestContainerdIsKeptAndNothingIsLeft(t *testing.T) {
	c := load(t)
	needIsolation(t, c)

	first := start(t, c, false)
	inside := runContainer(t, c)
	if inside == "" {
		t.Fatal("the container does not run")
	}
	daemon := pidOf(t, c)

	// Stopping leaves it, starting finds it again.
	first.stop(t)
	if syscall.Kill(daemon, 0) != nil {
		t.Fatal("containerd was stopped")
	}
	second := start(t, c, true)
	if got := pidOf(t, c); got != daemon {
		t.Errorf("containerd is process %d, want the adopted %d", got, daemon)
	}

	// Killed, it comes back, and the container has noticed nothing.
	must(t, syscall.Kill(daemon, syscall.SIGKILL))
	waitFor(t, "containerd back", func() bool {
		out, err := exec.Command("ctr", "-a", c.ContainerdSocket(), "-n", "naru-"+c.Hash(), "task", "ls").Output()
		return err == nil && taskOne(string(out)) == inside
	})

	// What drivers make, so that there is something to leave.
	link := "nt" + c.Hash()
	command(t, "ip", "link", "add", link, "type", "bridge")
	command(t, "ip", "link", "add", "ve"+c.Hash(), "type", "veth", "peer", "name", "vf"+c.Hash())
	command(t, "ip", "link", "set", "ve"+c.Hash(), "master", link)
	command(t, "nft", "add", "table", "inet", "naru-"+c.Hash())
	command(t, "iptables", "-w", "-N", "NARU-"+c.Hash())
	command(t, "iptables", "-w", "-A", "NARU-"+c.Hash(), "-i", link, "-j", "ACCEPT")
	command(t, "iptables", "-w", "-I", "FORWARD", "-m", "comment", "--comment", "naru "+c.Hash(), "-j", "NARU-"+c.Hash())
	command(t, "ip", "netns", "add", "naru-"+c.Hash()+"-x")
	if before := machine(t, c); len(before) < 8 {
		t.Errorf("only this was found to remove: %q", before)
	}

	second.stop(t)
	if left := machine(t, c); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// waitFor asks again and again, without giving time away.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	late := time.After(90 * time.Second)
	for !done() {
		select {
		case <-late:
			t.Fatalf("%s: not within 30 s", what)
		default:
		}
	}
}

func TestTwoContainerdsSideBySide(t *testing.T) {
	a, b := load(t), load(t)
	needIsolation(t, a)
	var both sync.WaitGroup
	var ra, rb running
	both.Go(func() { ra = start(t, a, true) })
	both.Go(func() { rb = start(t, b, true) })
	both.Wait()
	inside := runContainer(t, b)
	ra.stop(t)
	if got := taskPID(t, b); got == "" || got != inside {
		t.Errorf("the other platform's container is process %q, want %q", got, inside)
	}
	rb.stop(t)
	if left := machine(t, b); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

func TestDecide(t *testing.T) {
	fine := []doctor.Finding{{Check: "runc", Level: doctor.OK}, {Check: "cni", Level: doctor.Warn}}
	broken := append(slices.Clone(fine), doctor.Finding{Check: "containerd", Level: doctor.Fail, Cause: "containerd is not installed", Try: "apt-get install containerd"})
	for name, tc := range map[string]struct {
		want     config.Driver
		findings []doctor.Finding
		driver   config.Driver
		says     string
		refused  bool
	}{
		"auto, all there":             {config.Auto, fine, config.Containerd, "", false},
		"auto, something missing":     {config.Auto, broken, config.Process, "apt-get install containerd", false},
		"process, all there":          {config.Process, fine, config.Process, "not isolated", false},
		"containerd, all there":       {config.Containerd, fine, config.Containerd, "", false},
		"containerd, missing: no way": {config.Containerd, broken, "", "apt-get install containerd", true},
	} {
		t.Run(name, func(t *testing.T) {
			driver, notice, err := platform.Decide(tc.want, tc.findings)
			if driver != tc.driver || fault.Is(err, fault.Unsupported) != tc.refused {
				t.Errorf("Decide() = %q, %v; want %q", driver, err, tc.driver)
			}
			if err != nil {
				notice = err.Error() + fault.Of(err).Try
			}
			if !strings.Contains(notice, tc.says) {
				t.Errorf("notice %q lacks %q", notice, tc.says)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
