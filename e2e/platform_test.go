package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"naru/internal/config"
	"naru/internal/run/runtest"
)

// platform is a running naru up with a data folder of its own.
type platform struct {
	bin, dir            string // programs; everything it writes
	api, registry, apps string // HOST:PORT
	admin               home

	settings []string
	as       *syscall.Credential // who naru up is; nil is root
	out      *output
	up       *exec.Cmd
	ended    chan struct{} // closed when up has ended
}

// start starts a platform with further settings (NAME=VALUE, as in the
// environment) and logs in. When the test ends so does the platform, and
// nothing of it may be left on the machine.
func start(t *testing.T, settings ...string) *platform {
	t.Helper()
	p := prepare(t, settings...)
	p.warm(t)
	p.begin(t)
	return p
}

// begin starts a prepared platform and logs in.
func (p *platform) begin(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { p.stop(t) })
	p.run(t)
	p.admin = p.login(t)
}

// prepare is start without starting.
func prepare(t *testing.T, settings ...string) *platform {
	t.Helper()
	bin := able(t)
	dir, err := os.MkdirTemp("", "naru-e2e")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // the gateway, another user, passes
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("something holds the data folder: %v", err)
		}
	})
	p := &platform{bin: bin, dir: dir, settings: settings}
	free(t, &p.api, &p.registry, &p.apps)
	for _, mine := range []string{p.data(), p.hash()} {
		t.Cleanup(runtest.Leftovers(t, mine))
	}
	return p
}

// warm gives a platform the cache of foundations that all share, those of the
// tests of builds as well: what is in it need not be downloaded and unpacked once
// for each platform. TestDocuments goes without, as whoever begins with naru does.
func (p *platform) warm(t *testing.T) {
	t.Helper()
	foundations, err := foundations()
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(p.data(), "cache")
	if err := errors.Join(os.MkdirAll(foundations, 0o700), os.MkdirAll(p.data(), 0o711), os.Mkdir(cache, 0o700),
		os.Symlink(foundations, filepath.Join(cache, "bake"))); err != nil {
		t.Fatal(err)
	}
}

// foundations is where package buildkit's tests keep theirs.
func foundations() (string, error) {
	if dir := os.Getenv("NARU_TEST_CACHE"); dir != "" {
		return filepath.Abs(filepath.Join(dir, "bake"))
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "naru-test", "bake"), err
}

func (p *platform) data() string { return filepath.Join(p.dir, "data") }
func (p *platform) hash() string { return config.Config{DataDir: p.data()}.Hash() }
func (p *platform) arm() string  { return filepath.Join(p.dir, "kill") }

// run is naru up until it says how to log in.
func (p *platform) run(t testing.TB) {
	t.Helper()
	p.out = &output{}
	p.up = exec.Command(filepath.Join(p.bin, "naru"), "up", "--ephemeral", "--data-dir", p.data(),
		"--listen-api", p.api, "--listen-registry", p.registry, "--listen-apps", p.apps)
	p.up.Env = append(append(os.Environ(), "NARU_TEST_KILL_FILE="+p.arm()), p.settings...)
	p.up.Stdout, p.up.Stderr = p.out, p.out
	p.up.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.as} // Ctrl-C is for the test
	began := time.Now()
	if err := p.up.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	p.ended = ended
	go func(cmd *exec.Cmd) { _ = cmd.Wait(); close(ended) }(p.up) // how it ended is in its output
	eventually(t, 2*time.Minute, "naru up is ready", func() error {
		select {
		case <-ended:
			t.Fatalf("naru up ended:\n%s", p.out)
		default:
		}
		if !strings.Contains(p.out.String(), "--code ") {
			return fmt.Errorf("it says: %s", p.out)
		}
		return nil
	})
	t.Logf("naru up took %s", time.Since(began).Round(time.Millisecond))
}

// requests are in the server's log for operators; a failed test has its own.
var requests = regexp.MustCompile(`(?m)^.*level=INFO msg=request .*\n`)

// stop ends the platform and removes what it started.
func (p *platform) stop(t testing.TB) {
	t.Helper()
	if t.Failed() {
		t.Logf("naru up said:\n%s", p.out)
		if text, err := os.ReadFile(filepath.Join(p.data(), "logs", "server.log")); err == nil {
			t.Logf("the end of the server's log:\n%s", lastLines(requests.ReplaceAllString(string(text), ""), 40))
		}
	}
	began := time.Now()
	if err := p.up.Process.Signal(os.Interrupt); err != nil {
		t.Errorf("stop naru up: %v\n%s", err, p.out)
	}
	select {
	case <-p.ended:
		t.Logf("naru up ended in %s", time.Since(began).Round(time.Millisecond))
	case <-time.After(90 * time.Second):
		t.Errorf("naru up does not end:\n%s", p.out)
		_ = p.up.Process.Kill()
		<-p.ended
	}
}

var loginCode = regexp.MustCompile(`--code (\S+)`)

func (p *platform) login(t testing.TB) home {
	t.Helper()
	code := loginCode.FindStringSubmatch(p.out.String())
	if code == nil {
		t.Fatalf("no code to log in with:\n%s", p.out)
	}
	h := home{p: p, dir: filepath.Join(p.dir, "home-admin")}
	h.do(t, "login", "http://"+p.api, "--code", code[1])
	return h
}

// pid of one of the platform's processes: server, gateway, containerd.
func (p *platform) pid(t testing.TB, argv ...string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err != nil {
			continue // ended meanwhile
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err != nil {
			continue
		}
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		if filepath.Base(args[0]) != argv[0] || len(argv) > 1 && (len(args) < 2 || args[1] != argv[1]) {
			continue
		}
		mine := append(line, env...)
		if bytes.Contains(mine, []byte(p.data())) || bytes.Contains(mine, []byte(p.hash())) {
			return pid
		}
	}
	return 0
}

// kill is kill -9; it returns once another process has taken the place.
func (p *platform) kill(t testing.TB, argv ...string) {
	t.Helper()
	was := p.pid(t, argv...)
	if was == 0 {
		t.Fatalf("no process %v", argv)
	}
	if err := syscall.Kill(was, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, strings.Join(argv, " ")+" is started again", func() error {
		if now := p.pid(t, argv...); now == 0 || now == was {
			return fmt.Errorf("pid %d", now)
		}
		return nil
	})
}

// output collects what a process writes while others read it.
type output struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// patience is how long is hoped at least: a machine that is slow, or busy with
// other tests, fails none.
const patience = 90 * time.Second

// eventually tries until ok returns nil; what names the hope.
func eventually(t testing.TB, within time.Duration, what string, ok func() error) {
	t.Helper()
	within = max(within, patience)
	ctx, stop := context.WithTimeout(t.Context(), within)
	defer stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s: %v", within, what, err)
		case <-tick.C:
		}
	}
}
