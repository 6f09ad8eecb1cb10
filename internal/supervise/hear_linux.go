package supervise

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func notifyPath(runDir string) string { return filepath.Join(runDir, "notify.sock") }

// message is what a child said about itself.
type message struct {
	ready bool
	text  string
}

// ear receives what children say. Everybody on the machine may write to its
// socket, as with systemd's: the kernel tells who did.
type ear struct {
	conn *net.UnixConn
	path string
}

func listenForNotices(runDir string) (*ear, error) {
	path := notifyPath(runDir)
	// Bound beside and renamed over, so that a child never finds nothing there.
	temporary := path + ".new"
	_ = os.Remove(temporary) // left by a supervisor that was killed here
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: temporary, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("open the notice socket: %w", err)
	}
	e := &ear{conn: conn, path: path}
	if err := e.prepare(temporary); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("open the notice socket: %w", err)
	}
	return e, nil
}

func (e *ear) prepare(temporary string) error {
	raw, err := e.conn.SyscallConn()
	if err != nil {
		return err
	}
	var optErr error
	if err := raw.Control(func(fd uintptr) {
		optErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}); err != nil {
		return err
	}
	if optErr != nil {
		return optErr
	}
	if err := os.Chmod(temporary, 0o666); err != nil {
		return err
	}
	return os.Rename(temporary, e.path)
}

// run hands each message to its sender's runner until ctx ends.
func (e *ear) run(ctx context.Context, deliver func(pid int, m message)) error {
	stop := context.AfterFunc(ctx, func() { _ = e.conn.Close() }) // wakes the read
	defer stop()
	text, rights := make([]byte, 4<<10), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	for {
		n, rn, _, _, err := e.conn.ReadMsgUnix(text, rights)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hear children: %w", err)
		}
		if pid := sender(rights[:rn]); pid > 0 {
			deliver(pid, parse(string(text[:n])))
		}
	}
}

func sender(rights []byte) int {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if cred, err := unix.ParseUnixCredentials(&m); err == nil {
			return int(cred.Pid)
		}
	}
	return 0
}

func parse(text string) message {
	var m message
	for line := range strings.SplitSeq(text, "\n") {
		switch key, value, _ := strings.Cut(line, "="); key {
		case "READY":
			m.ready = value == "1"
		case "STATUS":
			m.text = value
		}
	}
	return m
}
