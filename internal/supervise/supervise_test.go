//go:build linux

package supervise_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"naru/internal/supervise"
	"naru/internal/supervise/inherit"
	"naru/internal/supervise/notify"
)

// The test binary is its own children: started with this variable it plays a
// role instead of running tests.
const roleVariable = "SUPERVISE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "supervisor", "remover":
		os.Exit(playSupervisor(role))
	default:
		os.Exit(play(role))
	}
}

// play is a child: it answers every connection with its pid.
func play(role string) int {
	sockets, err := inherit.Take()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	note := notify.FromEnv(os.Getenv)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch role {
	case "crash":
		fmt.Println("the reason stands here")
		return 3
	case "fragile": // a gateway that does not start any more once somebody broke it
		if _, err := os.Stat("broken"); err == nil {
			fmt.Println("somebody broke it")
			return 3
		}
	case "mute":
		<-ctx.Done()
		return 0
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		_ = note.Ready(ctx, "")
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGUSR2)
		<-asked // never comes
	}
	ln, err := sockets.Listen(ctx, "web", os.Getenv("ADDR"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	served := make(chan error, 1)
	go func() { served <- sockets.Serve(ctx) }()
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	if err := note.Ready(ctx, "on "+ln.Addr().String()); err != nil {
		fmt.Println(err)
		return 1
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			break // told to stop
		}
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if strings.HasPrefix(line, "log") {
			fmt.Println(strings.TrimSpace(line))
		}
		fmt.Fprintln(conn, os.Getpid())
		if strings.HasPrefix(line, "hold") {
			_, _ = io.Copy(io.Discard, conn) // until it leaves
		}
		_ = conn.Close()
	}
	<-served
	return 0
}

// world is what a supervisor in a process of its own is told.
type world struct {
	DataDir, RunDir, Name, Addr string
	Roles                       []string // children, named after what they play
	Version                     string
	Remove                      bool
	LogBytes                    int64
	StartTimeout                time.Duration
	UID                         int  // of the gateway; 0 is our own
	Deaf                        bool // nobody hears the call to drain, but what is left can be swept
}

func (w world) spec(self string) supervise.Spec {
	sp := supervise.Spec{
		DataDir: w.DataDir, RunDir: w.RunDir, Name: w.Name, Remove: w.Remove, LogBytes: w.LogBytes,
		Sockets: []supervise.Socket{{Name: "web", Addr: w.Addr}},
		Log:     slog.New(slog.DiscardHandler),
	}
	if w.Deaf {
		sp.Teardown = func(context.Context) error { return errors.New("nobody answers") }
		sp.Sweep = func(context.Context) error { return nil }
	}
	for _, role := range w.Roles {
		c := supervise.Child{
			Name: role, Argv: []string{self}, Env: []string{roleVariable + "=" + role},
			StartTimeout: w.StartTimeout, StopTimeout: 5 * time.Second,
		}
		if c.StartTimeout == 0 {
			c.StartTimeout = 20 * time.Second
		}
		switch role {
		case "gateway", "fragile":
			c.Sockets, c.Outlives, c.Handover, c.Version = []string{"web"}, true, true, w.Version
			if w.UID != 0 {
				c.User, c.Dir = &supervise.User{UID: w.UID, GID: w.UID}, "/"
			}
			if w.Version == "broken" {
				c.Env = []string{roleVariable + "=crash"}
			}
		case "server":
			c.Env = append(c.Env, "ADDR=127.0.0.1:0")
			c.After = []string{"gateway"}
		case "stubborn":
			c.StopTimeout = time.Hour
		}
		sp.Children = append(sp.Children, c)
	}
	return sp
}

func playSupervisor(role string) int {
	var w world
	if err := json.Unmarshal([]byte(os.Getenv("WORLD")), &w); err != nil {
		fmt.Println(err)
		return 2
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return 2
	}
	ctx, hurry, letGo, stop := supervise.Signals(context.Background())
	defer stop()
	sp := w.spec(self)
	sp.Hurry, sp.LetGo, sp.Out = hurry, letGo, os.Stdout
	sp.Ready = func(context.Context) { fmt.Println("ALL READY") }
	run := supervise.Up
	if role == "remover" {
		run = supervise.Down
	}
	if err := run(ctx, sp); err != nil {
		fmt.Println("ERROR", err)
		return 1
	}
	return 0
}

// super is a running supervisor process.
type super struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	all   strings.Builder
}

func newWorld(t *testing.T, roles ...string) world {
	t.Helper()
	dir := t.TempDir()
	run, err := os.MkdirTemp("", "nr")
	must(t, err)
	w := world{
		DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(run, "r"), Name: filepath.Base(run),
		Addr: "127.0.0.1:0", Roles: roles,
	}
	must(t, os.Chmod(run, 0o711)) // a child of another user passes through
	t.Cleanup(func() {
		s := start(t, "remover", w)
		s.wait()
		if left := marked(t, w.Name); len(left) > 0 {
			t.Errorf("processes left: %v\n%s", left, s.all.String())
		}
		must(t, os.RemoveAll(run))
	})
	return w
}

func start(t *testing.T, role string, w world) *super {
	t.Helper()
	text, err := json.Marshal(w)
	must(t, err)
	program := os.Args[0]
	if w.UID != 0 {
		program = reachable(t)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "WORLD="+string(text))
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = cmd.Stdout
	must(t, cmd.Start())
	s := &super{t: t, cmd: cmd, lines: make(chan string, 1000)}
	go func() {
		defer close(s.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			s.lines <- scan.Text()
		}
	}()
	return s
}

// reachable is this program where every user may start it.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ns")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	text, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	path := filepath.Join(dir, "supervise.test")
	must(t, os.WriteFile(path, text, 0o755))
	return path
}

func up(t *testing.T, w world) *super {
	t.Helper()
	s := start(t, "supervisor", w)
	s.see("ALL READY")
	return s
}

// see reads output until a line contains text.
func (s *super) see(text string) string {
	s.t.Helper()
	late := time.After(15 * time.Second)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("ended without saying %q:\n%s", text, s.all.String())
			}
			s.all.WriteString(line + "\n")
			if strings.Contains(line, text) {
				return line
			}
		case <-late:
			s.t.Fatalf("does not say %q:\n%s", text, s.all.String())
		}
	}
}

func (s *super) wait() error {
	for line := range s.lines {
		s.all.WriteString(line + "\n")
	}
	return s.cmd.Wait()
}

func (s *super) stop(sig os.Signal) error {
	s.t.Helper()
	must(s.t, s.cmd.Process.Signal(sig))
	return s.wait()
}

func status(t *testing.T, w world) supervise.Status {
	t.Helper()
	st, ok, err := supervise.ReadStatus(w.RunDir)
	must(t, err)
	if !ok {
		t.Fatal("no status was written")
	}
	return st
}

func child(t *testing.T, w world, name string) supervise.ChildStatus {
	t.Helper()
	for _, c := range status(t, w).Children {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no child %s in the status", name)
	return supervise.ChildStatus{}
}

// renew asks the supervisor for a new process.
func renew(t *testing.T, w world, child string) (supervise.Renewal, error) {
	t.Helper()
	return supervise.Renew(t.Context(), w.DataDir, w.RunDir, child)
}

// ask connects to the gateway and returns the pid of the process that answers.
func ask(addr, line string) (int, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return 0, err
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func mustAsk(t *testing.T, addr string) int {
	t.Helper()
	pid, err := ask(addr, "who")
	must(t, err)
	return pid
}

// marked lists the processes of a platform, zombies not counted.
func marked(t *testing.T, name string) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	var found []string
	for _, dir := range dirs {
		environ, err := os.ReadFile(dir + "/environ")
		if err == nil && strings.Contains(string(environ), "NARU_CHILD="+name+"/") {
			found = append(found, filepath.Base(dir))
		}
	}
	return found
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
