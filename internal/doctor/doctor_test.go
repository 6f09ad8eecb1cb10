//go:build linux

package doctor

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"naru/internal/config"
	"naru/internal/store"
	"naru/internal/supervise"
)

// The test binary is also the naru up that is killed while it has the lock.
const holderVariable = "DOCTOR_TEST_HOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holderVariable); dir != "" {
		if _, err := supervise.Acquire(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		<-asked // it is killed instead
	}
	os.Exit(m.Run())
}

// healthy is a machine on which nothing is staged: its own folders, free
// ports, nobody asked outside.
func healthy(t *testing.T) Env {
	t.Helper()
	dir := t.TempDir()
	run, err := os.MkdirTemp("", "nd") // short: its sockets have long names
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(run)) })
	c, err := config.Load(config.Source{UID: os.Getuid(), Getenv: func(string) string { return "" }, Flags: config.Flags{
		"data_dir": dir, "run_dir": run,
		"listen.api": "127.0.0.1:0", "listen.registry": "127.0.0.1:0", "listen.apps": "127.0.0.1:0",
		"reserve.disk_percent": "0", "reserve.memory_percent": "0",
	}})
	must(t, err)
	env := NewEnv(c)
	env.NamesUsed = []string{"localhost"}
	return env
}

func find(t *testing.T, env Env, name string) Finding {
	t.Helper()
	for _, f := range Run(t.Context(), env, Checks()) {
		if f.Check == name {
			return f
		}
	}
	t.Fatalf("there is no check %s", name)
	return Finding{}
}

// TestTheCauseIsNamed breaks one thing at a time, for real where that can be
// done, and looks for it in what the doctor says.
func TestTheCauseIsNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		check string
		level Level
		stage func(t *testing.T, env *Env) (cause []string)
	}{
		"port taken":                    {"ports", Fail, takePort},
		"no iptables, no nft":           {"rules", Fail, hidePrograms("nft", "iptables")},
		"rules cannot be written":       {"rules", Fail, breakPrograms("nft", "iptables")},
		"full disk":                     {"disk", Fail, fillDisk},
		"disk below the reserve":        {"disk", Fail, reserveDisk},
		"clock before the installation": {"clock", Fail, setClock(-10 * 365 * 24 * time.Hour)},
		"clock an hour ahead":           {"clock", Fail, setClock(time.Hour)},
		"no CNI plugins":                {"cni", Fail, emptyPlugins},
		"one CNI plugin missing":        {"cni", Fail, somePlugins},
		"DNS dead":                      {"dns", Fail, killDNS},
		"stale lock":                    {"lock", Warn, staleLock},
		"key readable by others":        {"key", Fail, writeKey(strings.Repeat("A", 43)+"=\n", 0o644, "can be read by others (mode 644)")},
		"key garbled":                   {"key", Fail, writeKey("not a key\n", 0o600, "cannot be read")},
		"key gone, store there":         {"key", Fail, loseKey},
		"schema of an older naru":       {"schema", Warn, olderSchema},
		"schema of the next naru":       {"schema", Warn, newerSchema(0, "of a newer naru")},
		"schema of a naru far ahead":    {"schema", Fail, newerSchema(99, "needs a naru that knows schema 99")},
		"store broken":                  {"schema", Fail, brokenStore},
		"configured buildkitd dead":     {"buildkitd", Fail, deadBuildkit},
		"own buildkitd died":            {"buildkitd", Fail, diedBuildkit},
		"no buildkitd":                  {"buildkitd", Warn, hidePrograms("naru-buildkitd", "buildkitd")},
		"no containerd":                 {"containerd", Fail, hidePrograms("containerd")},
		"old containerd":                {"containerd", Fail, oldProgram("containerd", "containerd github.com/containerd/containerd 1.4.13~ds1")},
		"configured containerd dead":    {"containerd", Fail, deadContainerd},
		"no runc":                       {"runc", Fail, hidePrograms("runc")},
		"old runc":                      {"runc", Fail, oldProgram("runc", "runc version 1.0.0~rc93+ds1")},
		"no memory controller":          {"cgroups", Fail, noMemoryController},
		"no overlay":                    {"overlay", Fail, emptyProc},
		"forwarding off":                {"forwarding", Warn, forwardingOff},
		"CA bundle garbled":             {"ca", Fail, garbledBundle},
		"CA bundle gone":                {"ca", Fail, lostBundle},
		"a child keeps dying":           {"processes", Fail, failingChild},
		"not root":                      {"root", Fail, notRoot},
		"apps domain does not resolve":  {"localhost", Warn, unresolved},
	} {
		t.Run(name, func(t *testing.T) {
			env := healthy(t)
			causes := tc.stage(t, &env)
			got := find(t, env, tc.check)
			if got.Level != tc.level {
				t.Errorf("level %q, want %q: %+v", got.Level, tc.level, got)
			}
			for _, cause := range causes {
				if !strings.Contains(got.Cause, cause) {
					t.Errorf("cause %q lacks %q", got.Cause, cause)
				}
			}
			if got.Try == "" {
				t.Error("no way out is named")
			}
		})
	}
}

func takePort(t *testing.T, env *Env) []string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	env.Config.Listen.Apps = ln.Addr().String()
	return []string{ln.Addr().String() + " is taken by", fmt.Sprintf("process %d", os.Getpid())}
}

func hidePrograms(names ...string) func(*testing.T, *Env) []string {
	return func(_ *testing.T, env *Env) []string {
		find := env.LookPath
		env.LookPath = func(program string) (string, error) {
			for _, name := range names {
				if program == name {
					return "", exec.ErrNotFound
				}
			}
			return find(program)
		}
		return nil
	}
}

// script stands in for the real program.
func script(t *testing.T, env *Env, name, text string) {
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	find := env.LookPath
	env.LookPath = func(program string) (string, error) {
		if program == name {
			return path, nil
		}
		return find(program)
	}
}

func breakPrograms(names ...string) func(*testing.T, *Env) []string {
	return func(t *testing.T, env *Env) []string {
		for _, name := range names {
			script(t, env, name, "echo Operation not permitted >&2; exit 1")
		}
		return []string{"Operation not permitted"}
	}
}

func oldProgram(name, says string) func(*testing.T, *Env) []string {
	return func(t *testing.T, env *Env) []string {
		script(t, env, name, "echo '"+says+"'")
		return []string{"or newer is needed"}
	}
}

func fillDisk(t *testing.T, env *Env) []string {
	if os.Getuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=20m"))
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	must(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 18<<20), 0o600))
	env.Config.DataDir = filepath.Join(dir, "data")
	return []string{"the disk of " + dir + " is full: 2 MiB of 20 MiB free"}
}

func reserveDisk(_ *testing.T, env *Env) []string {
	env.Config.Reserve.DiskPercent = 100
	return []string{"less than the reserve of 100%"}
}

func setClock(by time.Duration) func(*testing.T, *Env) []string {
	return func(t *testing.T, env *Env) []string {
		right := httptest.NewServer(http.NotFoundHandler()) // it says the real time
		t.Cleanup(right.Close)
		env.NamesUsed = []string{strings.TrimPrefix(right.URL, "http://")}
		env.Now = func() time.Time { return time.Now().Add(by) }
		return []string{"the clock says"}
	}
}

func emptyPlugins(t *testing.T, env *Env) []string {
	env.Config.CNI.PluginDir = t.TempDir()
	return []string{"there are no CNI plugins in " + env.Config.CNI.PluginDir}
}

func somePlugins(t *testing.T, env *Env) []string {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "bridge"), nil, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "loopback"), nil, 0o755))
	env.Config.CNI.PluginDir = dir
	return []string{"missing in " + dir + ": host-local"}
}

func killDNS(_ *testing.T, env *Env) []string {
	env.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:1") // nobody listens there
	}}
	env.NamesUsed = []string{"deb.debian.org"}
	return []string{"deb.debian.org cannot be resolved"}
}

func staleLock(t *testing.T, env *Env) []string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderVariable+"="+env.Config.DataDir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line := make([]byte, 64)
	n, err := out.Read(line)
	must(t, err)
	if got := strings.TrimSpace(string(line[:n])); got != "locked" {
		t.Fatal(got)
	}
	if f := find(t, *env, "lock"); f.Level != OK || !strings.Contains(f.Cause, fmt.Sprintf("process %d", cmd.Process.Pid)) {
		t.Errorf("while it lives: %+v", f)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	return []string{"was killed and left its lock behind"}
}

func writeKey(text string, mode os.FileMode, cause string) func(*testing.T, *Env) []string {
	return func(t *testing.T, env *Env) []string {
		must(t, os.MkdirAll(filepath.Dir(env.Config.KeyPath()), 0o700))
		must(t, os.WriteFile(env.Config.KeyPath(), []byte(text), mode))
		return []string{env.Config.KeyPath(), cause}
	}
}

func loseKey(t *testing.T, env *Env) []string {
	must(t, os.WriteFile(env.Config.StorePath(), []byte("x"), 0o600))
	return []string{env.Config.KeyPath() + " is gone"}
}

// olderSchema is what a naru left that knew one migration less.
func olderSchema(t *testing.T, env *Env) []string {
	inStore(t, env, "DELETE FROM migrations WHERE number = ?", store.Schema())
	return []string{fmt.Sprintf("has schema %d, this naru writes %d", store.Schema()-1, store.Schema())}
}

// newerSchema is what a naru left that knows one migration more, which serves
// narus from some schema on.
func newerSchema(serves int, cause string) func(*testing.T, *Env) []string {
	return func(t *testing.T, env *Env) []string {
		inStore(t, env, "INSERT INTO migrations (number, name, sum, serves, applied) VALUES (?, 'later', '', ?, 0)", store.Schema()+1, serves)
		return []string{fmt.Sprintf("schema %d", store.Schema()+1), cause}
	}
}

// inStore changes a store of this naru.
func inStore(t *testing.T, env *Env, statement string, args ...any) {
	st, err := store.Open(t.Context(), env.Config.StorePath(), store.Options{})
	must(t, err)
	must(t, st.Close())
	if f := find(t, *env, "schema"); f.Level != OK {
		t.Errorf("before: %+v", f)
	}
	db, err := sql.Open("sqlite", env.Config.StorePath())
	must(t, err)
	defer func() { must(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), statement, args...)
	must(t, err)
}

func brokenStore(t *testing.T, env *Env) []string {
	must(t, os.WriteFile(env.Config.StorePath(), []byte(strings.Repeat("no database ", 100)), 0o600))
	return []string{env.Config.StorePath() + " cannot be read", "damaged"}
}

func deadBuildkit(t *testing.T, env *Env) []string {
	env.Config.Buildkit.Address = "unix://" + filepath.Join(t.TempDir(), "b.sock")
	return []string{"buildkitd does not answer on"}
}

func deadContainerd(t *testing.T, env *Env) []string {
	// The socket of a daemon that was killed: there, and nobody behind it.
	path := filepath.Join(t.TempDir(), "c.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	ln.SetUnlinkOnClose(false)
	must(t, ln.Close())
	env.Config.Containerd.Address = "unix://" + path
	return []string{"containerd does not answer on " + path, "refused"}
}

// running makes this process the naru up of the folder, with these children.
func running(t *testing.T, env *Env, children ...supervise.ChildStatus) {
	lock, err := supervise.Acquire(env.Config.DataDir)
	must(t, err)
	t.Cleanup(func() { must(t, lock.Release()) })
	text, err := json.Marshal(supervise.Status{PID: os.Getpid(), Children: children})
	must(t, err)
	must(t, os.MkdirAll(env.Config.RunDir, 0o700))
	must(t, os.WriteFile(filepath.Join(env.Config.RunDir, "status.json"), text, 0o600))
}

func diedBuildkit(t *testing.T, env *Env) []string {
	running(t, env, supervise.ChildStatus{Name: "buildkitd", State: supervise.Starting, Reason: "exit 1", Log: "/x/buildkitd.log"})
	return []string{"buildkitd does not answer on", "it died: exit 1"}
}

func failingChild(t *testing.T, env *Env) []string {
	running(t, env,
		supervise.ChildStatus{Name: "gateway", State: supervise.Ready},
		supervise.ChildStatus{Name: "server", State: supervise.Failing, Reason: "exit 2", Restarts: 9, Log: "/x/server.log"})
	return []string{"server keeps dying: exit 2 (9 restarts)"}
}

func noMemoryController(t *testing.T, env *Env) []string {
	env.Sys = t.TempDir()
	root := filepath.Join(env.Sys, "fs", "cgroup")
	must(t, os.MkdirAll(root, 0o755))
	must(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("cpuset cpu io pids\n"), 0o644))
	return []string{"cgroup controllers are missing: memory"}
}

func emptyProc(t *testing.T, env *Env) []string {
	env.Proc = t.TempDir()
	must(t, os.WriteFile(filepath.Join(env.Proc, "filesystems"), []byte("nodev\ttmpfs\n\text4\n"), 0o644))
	return []string{"no overlay file system"}
}

func forwardingOff(t *testing.T, env *Env) []string {
	env.Proc = t.TempDir()
	dir := filepath.Join(env.Proc, "sys/net/ipv4")
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "ip_forward"), []byte("0\n"), 0o644))
	return []string{"IP forwarding is off"}
}

func garbledBundle(t *testing.T, env *Env) []string {
	env.Config.CABundle = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(env.Config.CABundle, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0o644))
	return []string{env.Config.CABundle, "holds no certificate"}
}

func lostBundle(_ *testing.T, env *Env) []string {
	env.Config.CABundle = "/no/such/bundle.pem"
	return []string{"/no/such/bundle.pem", "no such file"}
}

func notRoot(_ *testing.T, env *Env) []string {
	env.UID = 1000
	return []string{"user 1000 is not root"}
}

func unresolved(t *testing.T, env *Env) []string {
	script(t, env, "getent", "exit 2")
	return []string{"*.localhost resolves for browsers and curl only"}
}

// TestHelpersOfThePackageAreFound: they are in no PATH.
func TestHelpersOfThePackageAreFound(t *testing.T) {
	env := healthy(t)
	hidePrograms("naru-buildkitd", "buildkitd")(t, &env)
	root := t.TempDir()
	env.Beside = filepath.Join(root, "bin")
	helper := filepath.Join(root, "lib", "naru", "naru-buildkitd")
	must(t, os.MkdirAll(env.Beside, 0o755))
	must(t, os.MkdirAll(filepath.Dir(helper), 0o755))
	must(t, os.WriteFile(helper, []byte("#!/bin/sh\n"), 0o755))
	if f := find(t, env, "buildkitd"); f.Level != OK || f.Cause != helper {
		t.Errorf("got %+v", f)
	}
}

// TestAHealthyMachine is the other half: without it, a check that always fails
// would pass the table above.
func TestAHealthyMachine(t *testing.T) {
	env := healthy(t)
	for _, f := range Run(t.Context(), env, Checks()) {
		if f.Level != Fail {
			continue
		}
		switch f.Check {
		case "root", "containerd", "runc", "cni", "rules", "cgroups", "overlay":
			t.Logf("this machine has no isolation: %s: %s", f.Check, f.Cause)
		default:
			t.Errorf("%s: %s", f.Check, f.Cause)
		}
	}
}

func TestACheckThatHangsIsNotWaitedFor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hangs := Check{Name: "hangs", Run: func(ctx context.Context, _ Env) Finding {
		<-ctx.Done()
		return fail("wait", "no answer")
	}}
	if got := Run(ctx, Env{}, []Check{hangs})[0]; got.Cause != "no answer" {
		t.Errorf("got %+v", got)
	}
}

func TestRender(t *testing.T) {
	var b bytes.Buffer
	findings := []Finding{
		{Check: "disk", Level: OK, Cause: "9 GiB free"},
		{Check: "cni", Level: Fail, Cause: "there are no CNI plugins", Try: "apt-get install x"},
	}
	must(t, Render(&b, findings))
	want := "ok      disk        9 GiB free\nfail    cni         there are no CNI plugins\n                    try: apt-get install x\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	if Worst(findings) != Fail || len(Failed(findings)) != 1 {
		t.Errorf("Worst = %s, Failed = %v", Worst(findings), Failed(findings))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
