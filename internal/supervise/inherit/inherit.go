// Package inherit gives a process the listening sockets that its supervisor
// holds for it, and gives them back to the next supervisor.
//
// Sockets arrive as systemd passes them (sd_listen_fds(3): LISTEN_FDS,
// LISTEN_FDNAMES), so naru up and systemd socket units are the same to a role.
// As long as anybody holds a socket, a client that connects while the role is
// being restarted waits in its queue instead of being refused.
package inherit

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
)

// Handoff is the name of the socket on which a role gives its sockets back.
const Handoff = "handoff"

// Sockets are the sockets given to this process, by name. They are kept as bare
// descriptors: an os.File would put them into the poller and wake this process
// for every connection that another one accepts.
type Sockets struct {
	fds     map[string]int
	systemd bool // gave them: it also keeps what we open, see ListenKept
}

// Names lists what was given, sorted, without the handoff socket.
func (s *Sockets) Names() []string {
	var names []string
	for name := range s.fds {
		if name != Handoff {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Listen returns the socket of that name, or opens addr itself when nobody
// gave one. addr is HOST:PORT, or unix:PATH.
func (s *Sockets) Listen(ctx context.Context, name, addr string) (net.Listener, error) {
	if fd, ok := s.fds[name]; ok {
		ln, err := listener(fd)
		if err != nil {
			return nil, fmt.Errorf("use the inherited socket %s: %w", name, err)
		}
		return ln, nil
	}
	return Open(ctx, addr)
}

// Open listens on HOST:PORT, or on unix:PATH.
func Open(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return lc.Listen(ctx, "unix", path)
	}
	return lc.Listen(ctx, "tcp", addr)
}

// Serve gives the sockets to a supervisor of the same user, or of root, that
// asks on the handoff socket. It returns when ctx ends; without a handoff
// socket it only waits for that.
func (s *Sockets) Serve(ctx context.Context) error {
	fd, ok := s.fds[Handoff]
	if !ok {
		<-ctx.Done()
		return nil
	}
	ln, err := listener(fd)
	if err != nil {
		return fmt.Errorf("use the handoff socket: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() }) // wakes Accept
	defer stop()
	defer ln.Close()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for a supervisor: %w", err)
		}
		// One at a time and with a deadline: there is one supervisor.
		_ = s.give(conn.(*net.UnixConn)) // whoever asked notices, and asks again
	}
}
