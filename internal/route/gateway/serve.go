package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"naru/internal/backoff"
	"naru/internal/route/strict"
)

// Secure makes Run speak TLS on a listener, with HTTP/2 where the client knows
// it. certificate chooses by the name the client asked for.
func Secure(ln net.Listener, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) net.Listener {
	return &secured{ln, &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: certificate, NextProtos: []string{"h2", "http/1.1"},
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
	plain, h2 := newIntake(), newIntake()
	servers := []*http.Server{g.server(force), g.server(force)}
	failed := make(chan error, len(listeners)+len(servers))
	var serving, accepting sync.WaitGroup
	for i, in := range []*intake{plain, h2} {
		serving.Go(func() {
			if err := servers[i].Serve(in); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	for _, ln := range listeners {
		unblock := context.AfterFunc(ctx, func() { _ = ln.Close() })
		defer unblock()
		accepting.Go(func() {
			if err := g.accept(ctx, ln, plain, h2); err != nil {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case <-background.Done():
	case err = <-failed:
	}
	stop()
	g.draining.Store(true)
	g.reports.nudge()
	accepting.Wait()
	g.drain(background, servers[1])
	end()
	for _, s := range servers {
		_ = s.Close()
	}
	plain.Close()
	h2.Close()
	serving.Wait()
	g.conns.finished()
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

func (g *Gateway) server(base context.Context) *http.Server {
	return &http.Server{
		Handler:           g,
		ReadHeaderTimeout: g.cfg.HeaderTimeout,
		IdleTimeout:       g.cfg.IdleTimeout,
		// strict refuses earlier, with a page of ours; HTTP/2 has only this limit.
		MaxHeaderBytes:               g.cfg.HeaderBytes,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnContext:                  strict.With,
		ConnState:                    g.conns.state,
		ErrorLog:                     slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: g.cfg.Streams,
			WriteByteTimeout:     g.cfg.WriteIdle,
			SendPingTimeout:      g.cfg.IdleTimeout,
		},
	}
}

// accept takes connections from one listener until ctx ends.
func (g *Gateway) accept(ctx context.Context, ln net.Listener, plain, h2 *intake) error {
	var shaking sync.WaitGroup
	defer shaking.Wait()
	tlsLn, secure := ln.(*secured)
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
		c := g.conns.add(conn)
		if !secure {
			plain.give(g.strict(c, c))
			continue
		}
		shaking.Go(func() { g.handshake(ctx, c, tlsLn.config, plain, h2) })
	}
	return nil
}

// strict puts the checks of HTTP/1 on a connection.
func (g *Gateway) strict(bottom *client, top net.Conn) net.Conn {
	s := strict.NewConn(top, strict.Limits{
		Head: g.cfg.HeaderBytes, Read: g.cfg.BodyIdle, Write: g.cfg.WriteIdle, Linger: time.Second,
	})
	bottom.conns.mu.Lock()
	defer bottom.conns.mu.Unlock()
	bottom.strict = s
	return s
}

func (g *Gateway) handshake(ctx context.Context, c *client, config *tls.Config, plain, h2 *intake) {
	t := tls.Server(c, config)
	hctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.Handshake)
	defer cancel()
	if err := t.HandshakeContext(hctx); err != nil {
		_ = c.Close()
		return
	}
	if t.ConnectionState().NegotiatedProtocol == "h2" {
		h2.give(t)
		return
	}
	plain.give(g.strict(c, t))
}

// scheme is what the client typed in front of the host.
func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	if c := strict.Of(r.Context()); c != nil {
		if _, ok := c.Conn.(*tls.Conn); ok { // net/http cannot see it under our own type
			return "https"
		}
	}
	return "http"
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
