// Package ssh lets people into running instances with the SSH protocol, as the
// cf client and any other client speak it.
//
// A user is cf:PROCESS/INDEX, as Cloud Foundry names instances, and the password
// is a code that works once. A connection has the rights that the user has when it
// begins. Commands, shells and files run as the instance's own user, inside its
// limits; connections that clients forward are made from inside the instance.
package ssh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/run"
	"naru/internal/version"
)

// Limits bound the door; zero fields take the defaults named beside them.
type Limits struct {
	Connections int           // at once; 100
	PerAddress  int           // of them from one address; 20
	Channels    int           // at once on a connection; 32
	Tries       int           // passwords on a connection; 3
	Login       time.Duration // in which a client must be let in; 30 s
	Idle        time.Duration // without a byte on any channel, after which a connection ends; 1 h
}

func (l Limits) filled() Limits {
	for _, v := range []struct {
		value *int
		or    int
	}{{&l.Connections, 100}, {&l.PerAddress, 20}, {&l.Channels, 32}, {&l.Tries, 3}} {
		if *v.value <= 0 {
			*v.value = v.or
		}
	}
	if l.Login <= 0 {
		l.Login = 30 * time.Second
	}
	if l.Idle <= 0 {
		l.Idle = time.Hour
	}
	return l
}

// Instance is where somebody wants to get in.
type Instance struct {
	App     app.ID
	Process string // type
	Index   int
}

// String names it as users do.
func (i Instance) String() string { return fmt.Sprintf("%s/%s/%d", i.App, i.Process, i.Index) }

// Access decides who gets in, and notes it.
type Access interface {
	// Admit returns who a user is when they may get into an instance; else a
	// fault, with the way out.
	Admit(ctx context.Context, user auth.UserID, into Instance) (auth.Identity, error)
	// Refused notes a login that failed; user is "" where the code told nobody.
	Refused(ctx context.Context, user auth.UserID, into Instance, remote string, why error)
}

// Runner reaches into instances.
type Runner interface {
	// Exec runs a command in an instance for somebody, and notes that.
	Exec(ctx context.Context, who auth.Identity, in Instance, x run.ExecSpec) (code int, err error)
	// Dial connects from inside an instance, and notes that.
	Dial(ctx context.Context, who auth.Identity, in Instance, addr string) (net.Conn, error)
}

// Server is the door.
type Server struct {
	key    ssh.Signer
	codes  *Codes
	access Access
	runner Runner
	limits Limits
	log    *slog.Logger

	mu    sync.Mutex // guards what follows
	open  int
	peers map[netip.Addr]int
}

// New makes a door with a host key.
func New(key ssh.Signer, codes *Codes, access Access, runner Runner, limits Limits, log *slog.Logger) *Server {
	return &Server{key: key, codes: codes, access: access, runner: runner, limits: limits.filled(), log: log, peers: map[netip.Addr]int{}}
}

// Run serves ln until ctx ends, which ends all connections and the commands in
// them.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() }) // what is left of it
	defer stop()
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // out of descriptors, or a client that is gone already
			s.log.WarnContext(ctx, "accept ssh connection", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		peer := peerOf(conn)
		if !s.enter(peer) {
			_ = conn.Close() // it was not served
			s.log.WarnContext(ctx, "too many ssh connections", "remote", peer)
			continue
		}
		serving.Go(func() {
			defer s.leave(peer)
			s.serve(ctx, conn, peer)
		})
	}
}

func peerOf(conn net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	peer := at.Addr().Unmap()
	if peer.Is6() { // a network has a whole /64
		if p, err := peer.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return peer
}

// enter counts a connection in, if there is room.
func (s *Server) enter(peer netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.limits.Connections || s.peers[peer] >= s.limits.PerAddress {
		return false
	}
	s.open++
	s.peers[peer]++
	return true
}

func (s *Server) leave(peer netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.peers[peer]--; s.peers[peer] == 0 {
		delete(s.peers, peer)
	}
}

// serve speaks with one client until it is gone.
func (s *Server) serve(ctx context.Context, raw net.Conn, peer netip.Addr) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // ends everything on it
	defer stop()
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(s.limits.Login)) // a socket takes one
	l := &login{Server: s, ctx: ctx, remote: peer.String()}
	conn, channels, requests, err := ssh.NewServerConn(raw, l.config())
	if err != nil {
		if ctx.Err() == nil {
			s.log.InfoContext(ctx, "ssh login failed", "remote", peer, "error", err)
		}
		return
	}
	_ = raw.SetDeadline(time.Time{}) // likewise
	s.log.InfoContext(ctx, "ssh login", "user", l.who.Name, "instance", l.into, "remote", peer)
	c := &connection{Server: s, who: l.who, into: l.into, remote: peer.String()}
	c.idle = time.AfterFunc(s.limits.Idle, cancel)
	defer c.idle.Stop()
	c.serve(ctx, conn, channels, requests)
	s.log.InfoContext(ctx, "ssh connection ended", "user", l.who.Name, "instance", l.into, "remote", peer)
}

// banner is how the server names itself to clients.
func banner() string { return "SSH-2.0-naru_" + version.Version }
