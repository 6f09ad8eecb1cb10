package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"naru/internal/backoff"
)

// Secure makes Run speak TLS on a listener, with HTTP/2 where the client knows
// it. certificate chooses by the name the client asked for.
func Secure(ln net.Listener, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) net.Listener {
	return &secured{ln, &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: certificate, NextProtos: []string{"h2", "http/1.1", proofProtocol},
		DynamicRecordSizingDisabled: true, // small records cost more than they bring forward
	}}
}

type secured struct {
	net.Listener
	config *tls.Config
}

// serve accepts until ctx ends and then drains. background outlives ctx; when
// it ends, so does everything.
func (g *Gateway) serve(ctx, background context.Context, listeners []net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	force, end := context.WithCancel(background)
	defer end()
	err := g.lot.open()
	if err == nil {
		err = g.hangups.open()
	}
	if err != nil {
		return err
	}
	h2 := newIntake()
	server := g.server(force)
	failed := make(chan error, len(listeners)+2)
	var serving, accepting sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(&calming{intake: h2, g: g}); err != nil && !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	})
	watching, rest := context.WithCancel(context.WithoutCancel(ctx)) // until the very last exchange
	defer rest()
	serving.Go(func() {
		if err := g.tables.translator.run(watching); err != nil {
			failed <- err
		}
	})
	serving.Go(func() { g.watcher.run(watching, g.age) })
	serving.Go(func() { g.lot.run(watching, g.resume) })
	serving.Go(func() { g.hangups.run(watching) })
	for _, ln := range listeners {
		unblock := context.AfterFunc(ctx, func() {
			g.draining.Store(true) // before a client can see that nobody listens any more
			_ = ln.Close()
		})
		defer unblock()
		accepting.Go(func() {
			if err := g.accept(ctx, ln, h2); err != nil {
				failed <- err
			}
		})
	}
	select {
	case <-ctx.Done():
	case <-background.Done():
	case err = <-failed:
	}
	stop()
	g.draining.Store(true)
	g.reports.nudge()
	accepting.Wait()
	g.drain(background, server)
	end()
	_ = server.Close()
	_ = h2.Close()
	g.watcher.hurry.Store(true)
	g.conns.finished()
	rest()
	serving.Wait()
	return err
}

// drain lets what is in flight finish. Idle connections are left alone: closing
// one just when its client sends a request would fail that request. They end
// with their next answer, or by their idle timeout.
func (g *Gateway) drain(ctx context.Context, h2 *http.Server) {
	upgrades, cancel := context.WithTimeout(ctx, g.cfg.DrainUpgrade)
	defer cancel()
	requests, cancel := context.WithTimeout(ctx, g.cfg.Drain)
	defer cancel()
	var leaving sync.WaitGroup
	leaving.Go(func() { _ = h2.Shutdown(requests) }) // says GOAWAY, which loses nothing
	g.conns.wait(requests, true)
	g.conns.cut(true)
	leaving.Wait()
	g.conns.wait(upgrades, false)
	g.conns.cut(false)
}

// age closes clients' connections, and ones to instances, that were unused for
// too long.
func (g *Gateway) age(now int64) {
	for _, c := range g.lot.sweep() {
		g.watcher.remove(&c.watch)
		c.end()
	}
	g.lot.tidy()
	g.tables.stocked.age(now, g.cfg.UpstreamIdle, g.cfg.UpstreamKept)
}

// server speaks HTTP/2.
func (g *Gateway) server(base context.Context) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:                      g,
		Protocols:                    &protocols,
		ReadHeaderTimeout:            g.cfg.HeaderTimeout,
		IdleTimeout:                  g.cfg.IdleTimeout,
		MaxHeaderBytes:               g.cfg.HeaderBytes,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnContext:                  onCalm,
		ErrorLog:                     slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: g.cfg.Streams,
			WriteByteTimeout:     g.cfg.WriteIdle,
			SendPingTimeout:      g.cfg.IdleTimeout,
		},
	}
}

// accept takes connections from one listener until ctx ends.
func (g *Gateway) accept(ctx context.Context, ln net.Listener, h2 *intake) error {
	_, secure := ln.(*secured)
	enter := g.door(ln, h2)
	again := backoff.Policy{First: 5 * time.Millisecond, Max: time.Second, Jitter: 0.5}
	for failures := 0; g.conns.room(ctx); {
		conn, err := ln.Accept()
		if err != nil {
			g.conns.refund()
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // out of file descriptors, most likely: it passes
			g.log.WarnContext(ctx, "accept failed", "listener", ln.Addr().String(), "error", err)
			if again.Wait(ctx, failures) != nil {
				return nil
			}
			failures++
			continue
		}
		failures = 0
		if secure {
			conn = quicken(conn)
		}
		s := g.conns.add(conn)
		if s == nil {
			g.crowd(conn)
			continue
		}
		g.conns.active.RLock() // until the connection has been served
		if len(g.cfg.Balancers) > 0 {
			go g.announced(s, enter)
		} else {
			go enter(s, nil)
		}
	}
	return nil
}

// crowd closes a connection of an address that has enough of them.
func (g *Gateway) crowd(conn net.Conn) {
	g.crowded.warn(func() {
		g.log.Warn("connections are closed: their address has as many as one may have",
			"client", conn.RemoteAddr().String(), "limit", g.cfg.AddressConnections)
	})
	_ = conn.Close()
	g.conns.refund()
}

// door is where connections of a listener go.
func (g *Gateway) door(ln net.Listener, h2 *intake) door {
	switch ln := ln.(type) {
	case *secured:
		config := g.secures(ln.config)
		return func(s *socket, came []byte) { g.handshake(s, came, config, h2) }
	case *ported:
		return func(s *socket, came []byte) { g.port(s, came, ln.port) }
	}
	return func(s *socket, came []byte) {
		c := g.newConn(s, s, false, h2)
		c.push(came)
		g.carry(c)
	}
}

// carry serves a connection whose client speaks HTTP/1, or turns out to speak
// HTTP/2. The caller has read-locked conns.active for it.
func (g *Gateway) carry(c *conn) {
	defer g.conns.active.RUnlock()
	defer func() {
		if p := recover(); p != nil { // a mistake of ours costs one connection, not all of them
			g.watcher.remove(&c.watch)
			_ = c.bottom.Close()
			g.log.Error("a connection ended by panic", "client", c.origin.addr, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.serve()
}

// resume goes on with a connection that was parked.
func (g *Gateway) resume(c *conn) {
	g.conns.active.RLock()
	c.watch.begin(onClient, c.since, c.limit)
	g.carry(c)
}

func (g *Gateway) handshake(s *socket, came []byte, config *tls.Config, h2 *intake) {
	var below net.Conn = s
	if len(came) > 0 {
		below = &begun{s, came}
	}
	var look *peeked
	if g.tables.view().bySNI != nil {
		look = &peeked{Conn: below}
		below = look
	}
	t := tls.Server(below, config)
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Handshake)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		if look != nil && look.passage != nil {
			g.passed(s, look)
			return
		}
		_ = s.Close()
		g.conns.active.RUnlock()
		return
	}
	if proved(t, s) {
		g.conns.active.RUnlock()
		return
	}
	if state := t.ConnectionState(); state.NegotiatedProtocol == "h2" {
		if !strong(&state) {
			_ = t.Close()
			g.conns.active.RUnlock()
			return
		}
		h2.give(t)
		g.conns.active.RUnlock()
		return
	}
	g.carry(g.newConn(s, t, true, h2))
}

// strong reports whether HTTP/2 may be spoken over a connection (RFC 9113, 9.2.2):
// in TLS 1.2 only with ephemeral keys and authenticated ciphers.
func strong(s *tls.ConnectionState) bool {
	switch s.CipherSuite {
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return true
	}
	return s.Version >= tls.VersionTLS13
}

// begun is a connection of which some bytes were read already.
type begun struct {
	net.Conn
	came []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.came) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.came)
	b.came = b.came[n:]
	return n, nil
}

// intake is a listener that is fed connections.
type intake struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newIntake() *intake { return &intake{conns: make(chan net.Conn), done: make(chan struct{})} }

func (i *intake) give(c net.Conn) {
	select {
	case i.conns <- c:
	case <-i.done:
		_ = c.Close()
	}
}

// Accept waits for a connection.
func (i *intake) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. net/http closes it as well.
func (i *intake) Close() error {
	i.once.Do(func() { close(i.done) })
	return nil
}

// Addr has nothing to tell; connections know where they came in.
func (i *intake) Addr() net.Addr { return &net.UnixAddr{Name: "intake", Net: "unix"} }
