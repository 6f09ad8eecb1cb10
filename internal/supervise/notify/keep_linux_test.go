package notify

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What is kept is the socket itself: a client that connects while nobody has it
// but the supervisor waits, and is served by whoever gets it next.
func TestAKeptSocketLives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	conn, n := listen(t, path), notifier(path)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Keep("tcp-20000", int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_, _ = ln.Close(), f.Close()

	text, rights := make([]byte, 1<<10), make([]byte, unix.CmsgSpace(4))
	size, rsize, _, _, err := conn.ReadMsgUnix(text, rights)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text[:size]); got != "FDSTORE=1\nFDNAME=tcp-20000" {
		t.Errorf("said %q", got)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rsize])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%d descriptors, %v", len(fds), err)
	}
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("between two processes: %v", err)
	}
	defer client.Close()
	kept := os.NewFile(uintptr(fds[0]), "kept")
	defer kept.Close()
	next, err := net.FileListener(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	served, err := next.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = served.Close()

	if err := n.Drop("tcp-20000"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, conn); got != "FDSTOREREMOVE=1\nFDNAME=tcp-20000" {
		t.Errorf("said %q", got)
	}
	if err := notifier("").Keep("x", 0); err != nil { // started by hand
		t.Error(err)
	}
}
