//go:build linux

package inherit

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const roleVariable = "INHERIT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	default:
		os.Exit(play(role))
	}
}

// play takes what it was given and tells it, or asks a socket as a stranger.
func play(role string) int {
	if path, ok := strings.CutPrefix(role, "fetch "); ok {
		if _, err := Fetch(path); err != nil {
			os.Stdout.WriteString("refused")
			return 0
		}
		os.Stdout.WriteString("got them")
		return 0
	}
	s, err := Take()
	if err != nil {
		os.Stdout.WriteString(err.Error())
		return 0
	}
	if os.Getenv("LISTEN_FDS") != "" {
		os.Stdout.WriteString("still set ")
	}
	os.Stdout.WriteString(strings.Join(s.Names(), ","))
	return 0
}

func TestTake(t *testing.T) {
	for name, tc := range map[string]struct {
		env  []string
		want string
	}{
		"named":              {[]string{"LISTEN_FDS=2", "LISTEN_FDNAMES=web:api"}, "api,web"},
		"without names":      {[]string{"LISTEN_FDS=2"}, "fd3,fd4"},
		"for another":        {[]string{"LISTEN_FDS=2", "LISTEN_PID=1"}, ""},
		"none":               {nil, ""},
		"not a number":       {[]string{"LISTEN_FDS=two"}, `take sockets: LISTEN_FDS is "two"`},
		"far too many":       {[]string{"LISTEN_FDS=100000"}, `take sockets: LISTEN_FDS is "100000"`},
		"two of one name":    {[]string{"LISTEN_FDS=2", "LISTEN_FDNAMES=web:web"}, "take sockets: two are named web; give each a FileDescriptorName of its own"},
		"handoff is not one": {[]string{"LISTEN_FDS=2", "LISTEN_FDNAMES=web:handoff"}, "web"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := socket(t), socket(t)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append([]string{roleVariable + "=take"}, tc.env...)
			cmd.ExtraFiles = []*os.File{a, b}
			out, err := cmd.Output()
			must(t, err)
			if string(out) != tc.want {
				t.Errorf("got %q, want %q", out, tc.want)
			}
		})
	}
}

// given is a process's Sockets with "web" and a handoff socket at path.
func given(t *testing.T) (s *Sockets, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ni")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o711))
	path = filepath.Join(dir, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	f, err := ln.File()
	must(t, err)
	web := socket(t)
	s = &Sockets{fds: map[string]int{"web": int(web.Fd()), Handoff: int(f.Fd())}}
	t.Cleanup(func() { _ = f.Close() })
	return s, path
}

func serve(t *testing.T, s *Sockets) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
}

func TestSocketsGoBackAndStayOpen(t *testing.T) {
	s, path := given(t)
	serve(t, s)
	for range 2 { // a second supervisor asks as well
		got, err := Fetch(path)
		must(t, err)
		fd, ok := got["web"]
		if !ok || len(got) != 1 {
			t.Fatalf("got %v, want web only", got)
		}
		mine, err := unix.Getsockname(s.fds["web"])
		must(t, err)
		theirs, err := unix.Getsockname(fd)
		must(t, err)
		if mine.(*unix.SockaddrInet4).Port != theirs.(*unix.SockaddrInet4).Port {
			t.Errorf("another socket came back: %v, want %v", theirs, mine)
		}
		must(t, unix.Close(fd))
	}
	// Ours still accepts.
	ln, err := s.Listen(t.Context(), "web", "")
	must(t, err)
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	must(t, err)
	defer conn.Close()
	if _, err := ln.Accept(); err != nil {
		t.Error(err)
	}
}

func TestAStrangerDoesNotGetSockets(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("becoming another user needs root")
	}
	s, path := given(t)
	must(t, os.Chmod(path, 0o777)) // so that only the check of the peer stands between
	serve(t, s)
	exe := filepath.Join(filepath.Dir(path), "exe") // where the stranger can reach it
	text, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	must(t, os.WriteFile(exe, text, 0o755))
	cmd := exec.Command(exe)
	cmd.Env = []string{roleVariable + "=fetch " + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65198, Gid: 65198}}
	out, err := cmd.Output()
	must(t, err)
	if string(out) != "refused" {
		t.Errorf("a stranger %s", out)
	}
}

func TestListenOpensWhatNobodyGave(t *testing.T) {
	s := &Sockets{}
	ln, err := s.Listen(t.Context(), "web", "127.0.0.1:0")
	must(t, err)
	must(t, ln.Close())
	if _, err := s.Listen(t.Context(), "web", "127.0.0.1:notaport"); err == nil {
		t.Error("a wrong address was taken")
	}
}

// TestTheSharedSocketStaysNonblocking: one process that set it to blocking
// would hang every other in accept.
func TestTheSharedSocketStaysNonblocking(t *testing.T) {
	s, path := given(t)
	serve(t, s)
	ln, err := s.Listen(t.Context(), "web", "")
	must(t, err)
	defer ln.Close()
	got, err := Fetch(path)
	must(t, err)
	f, err := File(got["web"], "web")
	must(t, err)
	cmd := exec.Command("/bin/true")
	cmd.ExtraFiles = []*os.File{f}
	must(t, cmd.Run())
	must(t, f.Close())
	flags, err := unix.FcntlInt(uintptr(s.fds["web"]), unix.F_GETFL, 0)
	must(t, err)
	if flags&unix.O_NONBLOCK == 0 {
		t.Error("passing the socket on made it blocking")
	}
	must(t, unix.Close(got["web"]))
}

func socket(t *testing.T) *os.File {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	f, err := ln.(*net.TCPListener).File()
	must(t, err)
	t.Cleanup(func() {
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAllPortsGoBack: the ports of TCP routes are many, and travel in one message.
func TestAllPortsGoBack(t *testing.T) {
	s, path := given(t)
	const most = 200 // config.MaxTCPPorts
	for port := 65535 - most + 1; port <= 65535; port++ {
		fd, err := unix.Dup(s.fds["web"])
		must(t, err)
		s.fds["tcp-"+strconv.Itoa(port)] = fd
		t.Cleanup(func() { _ = unix.Close(fd) })
	}
	serve(t, s)
	got, err := Fetch(path)
	must(t, err)
	for _, fd := range got {
		must(t, unix.Close(fd))
	}
	if len(got) != most+1 || got["tcp-65535"] == 0 {
		t.Errorf("%d sockets came back, want %d", len(got), most+1)
	}
}
