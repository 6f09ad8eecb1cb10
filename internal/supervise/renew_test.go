//go:build linux

package supervise_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"naru/internal/fault"
)

func TestRenewLosesNobody(t *testing.T) {
	w := newWorld(t, "gateway", "server")
	s := up(t, w)
	addr := status(t, w).Sockets["web"]
	var visitors sync.WaitGroup
	over := make(chan struct{})
	var asked int
	visitors.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			asked++
			if _, err := ask(addr, "who"); err != nil {
				t.Errorf("visitor %d: %v", asked, err)
			}
		}
	})
	for range 5 {
		before := child(t, w, "gateway").PID
		done, err := renew(t, w, "gateway")
		must(t, err)
		if done.Old != before || done.New == before || done.Took <= 0 || done.Child != "gateway" || !strings.HasPrefix(done.Text, "on 127.0.0.1:") {
			t.Errorf("renewed %+v, it was process %d", done, before)
		}
		if got := child(t, w, "gateway"); got.PID != done.New || got.Restarts != 0 {
			t.Errorf("the status has %+v, want process %d without a restart", got, done.New)
		}
		s.see("has finished")
		if got := mustAsk(t, addr); got != done.New {
			t.Errorf("process %d answers, want %d", got, done.New)
		}
	}
	close(over)
	visitors.Wait()
	t.Logf("%d visitors", asked)

	// It is watched like any other.
	must(t, syscall.Kill(child(t, w, "gateway").PID, syscall.SIGKILL))
	s.see("gateway     died, killed by SIGKILL; restarting")
	s.see("gateway     ready")
	mustAsk(t, addr)
}

func TestRenewThatFailsLeavesTheOldOneServing(t *testing.T) {
	w := newWorld(t, "fragile")
	up(t, w)
	addr := status(t, w).Sockets["web"]
	old := child(t, w, "fragile").PID
	file := filepath.Join(w.DataDir, "broken")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err := renew(t, w, "fragile")
	if f := fault.Of(err); err == nil || f.Kind != fault.Failed || !strings.Contains(f.Message, "somebody broke it") ||
		!strings.Contains(f.Message, "the old one serves on") || !strings.Contains(f.Try, "fragile.log") {
		t.Errorf("renewed with %+v", err)
	}
	if got := mustAsk(t, addr); got != old || child(t, w, "fragile").PID != old {
		t.Errorf("process %d answers, want the old %d", got, old)
	}
	must(t, os.Remove(file))
	done, err := renew(t, w, "fragile")
	if err != nil || done.Old != old {
		t.Errorf("renewed %+v, %v after it was mended", done, err)
	}
}

func TestRenewIsRefused(t *testing.T) {
	w := newWorld(t, "gateway", "server")
	if _, err := renew(t, w, "gateway"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no naru up runs on "+w.DataDir) {
		t.Errorf("nothing runs: %v", err)
	}
	s := up(t, w)
	for _, name := range []string{"server", "nobody", ""} {
		if _, err := renew(t, w, name); !fault.Is(err, fault.Unsupported) {
			t.Errorf("%q: %v", name, err)
		}
	}
	must(t, s.cmd.Process.Kill())
	_ = s.wait()
	if _, err := renew(t, w, "gateway"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("its supervisor was killed: %v", err)
	}
}

func TestTheDeskIsTheOwnersAndBearsNonsense(t *testing.T) {
	w := newWorld(t, "gateway")
	up(t, w)
	path := filepath.Join(w.RunDir, "supervise.sock")
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %o", info.Mode().Perm())
	}
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n", `{"renew":5}` + "\n", "{}\n"} {
		conn, err := net.Dial("unix", path)
		must(t, err)
		_, err = io.WriteString(conn, text)
		must(t, err)
		must(t, conn.(*net.UnixConn).CloseWrite())
		_, err = io.ReadAll(conn)
		must(t, err)
		must(t, conn.Close())
	}
	if _, err := renew(t, w, "gateway"); err != nil {
		t.Error(err)
	}
}

// Whoever asks again and again does not fill the machine with old processes.
func TestOldProcessesAreBounded(t *testing.T) {
	w := newWorld(t, "gateway")
	s := up(t, w)
	addr := status(t, w).Sockets["web"]
	var clients []net.Conn
	for range 5 { // each holds the process that serves it
		conn, err := net.Dial("tcp", addr)
		must(t, err)
		clients = append(clients, conn)
		_, err = io.WriteString(conn, "hold\n")
		must(t, err)
		_, err = bufio.NewReader(conn).ReadString('\n')
		must(t, err)
		_, err = renew(t, w, "gateway")
		must(t, err)
	}
	s.see("is ended with what it still had: 4 others are finishing, too")
	s.see("has finished")
	if n := len(marked(t, w.Name)); n > 5 {
		t.Errorf("%d processes run", n)
	}
	for _, conn := range clients {
		must(t, conn.Close())
	}
}
