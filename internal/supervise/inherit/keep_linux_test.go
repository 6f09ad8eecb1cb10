package inherit

import (
	"maps"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// keeper keeps what it is given, as a service manager does.
type keeper map[string]int

func (k keeper) Keep(name string, fd int) error {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	k[name] = dup
	return err
}

func (k keeper) Drop(name string) error {
	fd, ok := k[name]
	delete(k, name)
	if !ok {
		return nil
	}
	return unix.Close(fd)
}

// next is the next process of the service: it has copies of what is kept.
func (k keeper) next(t *testing.T) *Sockets {
	t.Helper()
	s := &Sockets{fds: map[string]int{}, systemd: true}
	for name, fd := range k {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.fds[name] = dup
	}
	return s
}

func TestSocketsAreKeptFromProcessToProcess(t *testing.T) {
	k := keeper{}
	defer func() {
		for name := range maps.Clone(k) {
			_ = k.Drop(name)
		}
	}()
	first, err := k.next(t).ListenKept(t.Context(), "tcp-1", "127.0.0.1:0", k)
	if err != nil {
		t.Fatal(err)
	}
	addr := first.Addr().String()
	_ = first.Close() // the process has ended
	waits, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("refused while nobody runs: %v", err)
	}
	defer waits.Close()
	s := k.next(t)
	second, err := s.ListenKept(t.Context(), "tcp-1", addr, k)
	if err != nil || second.Addr().String() != addr {
		t.Fatalf("the next process listens on %v, %v", second, err)
	}
	served, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = served.Close(), second.Close()
	_ = unix.Close(s.fds["tcp-1"])

	// The setting has changed: the same port at another address.
	_, port, _ := net.SplitHostPort(addr)
	third, err := k.next(t).ListenKept(t.Context(), "tcp-1", "127.0.0.2:"+port, k)
	if err != nil {
		t.Fatal(err)
	}
	if got := third.Addr(); !at(got, "127.0.0.2:"+port) || len(k) != 1 {
		t.Errorf("listens on %s, and %d are kept", got, len(k))
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("the old address is still listened on")
	}
	_ = third.Close()

	// It is not offered any more.
	if err := k.next(t).DropKept("tcp-", map[string]bool{"tcp-2": true}, k); err != nil || len(k) != 0 {
		t.Errorf("%d are kept, %v", len(k), err)
	}
	if c, err := net.Dial("tcp", "127.0.0.2:"+port); err == nil {
		_ = c.Close()
		t.Error("somebody still listens")
	}
}

func TestWhetherASocketIsWhereItShouldBe(t *testing.T) {
	have := func(text string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, tc := range []struct {
		have, want string
		at         bool
	}{
		{"127.0.0.1:1", "127.0.0.1:1", true}, {"127.0.0.1:1", "127.0.0.1:2", false}, {"127.0.0.1:1", "127.0.0.2:1", false},
		{"[::]:1", ":1", true}, {"127.0.0.1:1", ":1", false}, {"[::]:1", "0.0.0.0:1", true}, {"[::1]:1", "localhost:1", true},
		{"192.0.2.1:1", "localhost:1", false}, {"192.0.2.1:1", "host.example:1", true}, {"[::ffff:192.0.2.1]:1", "192.0.2.1:1", true},
	} {
		if got := at(have(tc.have), tc.want); got != tc.at {
			t.Errorf("%s for %s: %v", tc.have, tc.want, got)
		}
	}
}

// Under naru up, which holds all sockets, nothing is given to anybody.
func TestNothingIsKeptOutsideSystemd(t *testing.T) {
	k := keeper{}
	s := &Sockets{fds: map[string]int{}}
	ln, err := s.ListenKept(t.Context(), "tcp-1", "127.0.0.1:0", k)
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := s.DropKept("", nil, k); err != nil || len(k) != 0 {
		t.Errorf("%d are kept, %v", len(k), err)
	}
}
