// Package notify tells whoever started this process how it is doing, in the
// words of sd_notify(3): the same child works under naru up and under systemd.
package notify

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// Notifier speaks to the supervisor. The zero Notifier has nobody to speak to
// and does nothing, so that a role started by hand works as well.
type Notifier struct {
	path string
}

// FromEnv finds the supervisor in NOTIFY_SOCKET.
func FromEnv(getenv func(string) string) Notifier {
	return Notifier{path: getenv("NOTIFY_SOCKET")}
}

// Ready says that the process does its work from now on. Say it once, when it
// is true: listening, store open, table loaded. status is one line for people,
// such as the address served. A supervisor that is just being replaced is
// waited for until ctx ends.
func (n Notifier) Ready(ctx context.Context, status string) error {
	return n.insist(ctx, "READY=1\nSTATUS="+oneLine(status))
}

// Status says in one line what the process is doing; nobody waits for it.
func (n Notifier) Status(status string) error { return n.send("STATUS=" + oneLine(status)) }

// Stopping says that the process has begun to stop.
func (n Notifier) Stopping() error { return n.send("STOPPING=1") }

// insist sends until somebody takes it: between two supervisors there is a
// moment without a socket, and a lost READY would have us restarted.
func (n Notifier) insist(ctx context.Context, state string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := n.send(state)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func (n Notifier) send(state string) error {
	if n.path == "" {
		return nil
	}
	addr := n.path
	if strings.HasPrefix(addr, "@") { // the abstract namespace, in systemd's spelling
		addr = "\x00" + addr[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("reach the supervisor: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("tell the supervisor: %w", err)
	}
	return nil
}

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", " ") }
