package notify

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"
)

func listen(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skipf("no datagram sockets here: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func read(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 1<<10)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func notifier(path string) Notifier {
	return FromEnv(func(name string) string {
		if name == "NOTIFY_SOCKET" {
			return path
		}
		return ""
	})
}

func TestWhatIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	conn, n := listen(t, path), notifier(path)
	for want, say := range map[string]func() error{
		"READY=1\nSTATUS=on 127.0.0.1:1": func() error { return n.Ready(t.Context(), " on 127.0.0.1:1\n") },
		"STATUS=two lines":               func() error { return n.Status("two\nlines") },
		"STOPPING=1":                     n.Stopping,
	} {
		if err := say(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, conn); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestReadyWaitsForTheNextSupervisor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	n := notifier(path)
	said := make(chan error, 1)
	if err := n.Status("nobody hears"); err == nil {
		t.Fatal("somebody listens already")
	}
	go func() { said <- n.Ready(t.Context(), "") }()
	conn := listen(t, path)
	if got := read(t, conn); got != "READY=1\nSTATUS=" {
		t.Errorf("got %q", got)
	}
	if err := <-said; err != nil {
		t.Error(err)
	}
}

func TestReadyGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := notifier(filepath.Join(t.TempDir(), "n")).Ready(ctx, ""); err == nil {
		t.Error("READY was delivered to nobody")
	}
}

func TestStartedByHandThereIsNobodyToTell(t *testing.T) {
	var n Notifier
	if err := n.Ready(t.Context(), "x"); err != nil {
		t.Error(err)
	}
}
