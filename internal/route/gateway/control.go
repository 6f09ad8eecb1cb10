package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"naru/internal/backoff"
	"naru/internal/route"
	"naru/internal/route/wire"
)

// sendLimit cuts a control plane off that does not read.
const sendLimit = 10 * time.Second

// control keeps a stream to the control plane for as long as ctx lasts. The
// requests never wait for it.
func (g *Gateway) control(ctx context.Context) error {
	// The hub counts on every living gateway dialing again within a second.
	again := backoff.Policy{First: 10 * time.Millisecond, Max: 500 * time.Millisecond, Jitter: 0.3}
	for failures := 0; ctx.Err() == nil; failures++ {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", g.cfg.Control)
		if err == nil {
			failures = 0
			err = g.session(ctx, conn)
		}
		if ctx.Err() != nil {
			return nil
		}
		g.log.DebugContext(ctx, "no stream to the control plane", "error", err)
		if again.Wait(ctx, failures) != nil {
			return nil
		}
	}
	return nil
}

// session speaks on one connection until it breaks or ctx ends; then what is
// left is said before it closes.
func (g *Gateway) session(ctx context.Context, conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	s := &stream{g: g, conn: conn, seen: map[counterKey]route.Counter{}, walked: map[tourKey]uint64{}}
	s.push = s.step
	if c, ok := conn.(syscall.Conn); ok && direct {
		if raw, err := c.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
	hello := &wire.Hello{
		Generation: g.generation, Boot: g.cfg.Boot, PID: os.Getpid(), Version: g.tables.version(), Draining: g.draining.Load(),
		Trips: g.tables.guards.Trips(), Breakers: g.reports.standing(),
	}
	s.left = hello.Draining
	if err := s.send(&wire.Message{Hello: hello}); err != nil {
		return err
	}
	received := make(chan error, 1)
	var receiving sync.WaitGroup
	receiving.Go(func() { received <- g.receive(ctx, conn) })
	err := s.report(ctx, received)
	_ = conn.Close()
	receiving.Wait()
	return err
}

// receive takes tables into use as they come.
func (g *Gateway) receive(ctx context.Context, conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		m, err := wire.Read(in, wire.DefaultMaxFrame)
		if err != nil {
			return err
		}
		if m.Certificates != nil && g.cfg.Certificates != nil {
			if err := g.cfg.Certificates.Use(m.Certificates); err != nil {
				g.log.ErrorContext(ctx, "certificates not taken or not kept", "version", m.Certificates.Version, "error", err)
			}
		}
		if m.Table == nil {
			continue
		}
		t, err := route.Decode(m.Table)
		if err != nil {
			g.log.ErrorContext(ctx, "table refused", "error", err)
			g.reports.refused(versionOf(m.Table), err)
			continue
		}
		g.keep(ctx, t)
		if err := g.Apply(t); err != nil {
			g.reports.refused(t.Version, err)
		}
	}
}

// versionOf reads as much of a bad table as its refusal needs.
func versionOf(data json.RawMessage) uint64 {
	var t struct {
		Version uint64 `json:"version"`
	}
	_ = json.Unmarshal(data, &t) // what cannot be read stays 0
	return t.Version
}

// stream is the sending side of one session.
type stream struct {
	g    *Gateway
	conn net.Conn
	seen map[counterKey]route.Counter // what this control plane was told
	load route.Load                   // and this

	walked map[tourKey]uint64
	left   bool // it was told that we are draining

	raw  syscall.RawConn       // of conn; nil where it is not written directly
	push func(fd uintptr) bool // step; made once
	rest []byte                // of the frame that is being sent
	err  error
}

// frame sends a message that is encoded already.
func (s *stream) frame(whole []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
		return err
	}
	if s.raw == nil {
		_, err := s.conn.Write(whole)
		return err
	}
	s.rest, s.err = whole, nil
	err := s.raw.Write(s.push)
	if s.rest = nil; err != nil {
		return err
	}
	return s.err
}

// step sends what the socket takes, without the scheduler's help: it would take the
// processor away from a call that lasts so long, and look out for others for a while.
func (s *stream) step(fd uintptr) bool {
	for len(s.rest) > 0 {
		n, err := transmit(fd, s.rest)
		if err == errAgain {
			return false
		}
		if err != nil {
			s.err = err
			return true
		}
		s.rest = s.rest[n:]
	}
	return true
}

func (s *stream) send(m *wire.Message) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
		return err
	}
	return wire.Write(s.conn, m)
}

// report says what there is to say: acknowledgements at once, counts and
// records in batches.
func (s *stream) report(ctx context.Context, received <-chan error) error {
	ticker := time.NewTicker(s.g.cfg.Report)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return errors.Join(s.urgent(), s.batches(), s.send(&wire.Message{State: &wire.State{Gone: true}}))
		case err := <-received:
			return fmt.Errorf("control stream: %w", err)
		case <-s.g.reports.wake:
			if err := s.urgent(); err != nil {
				return err
			}
		case <-s.g.reports.full:
			if err := s.waiting(); err != nil {
				return err
			}
		case <-ticker.C:
			if err := s.batches(); err != nil {
				return err
			}
		}
	}
}

func (s *stream) urgent() error {
	if s.g.draining.Load() && !s.left {
		s.left = true
		if err := s.send(&wire.Message{State: &wire.State{Draining: true}}); err != nil {
			return err
		}
	}
	ack, idle, ejections := s.g.reports.urgent()
	if ack != nil {
		if err := s.send(&wire.Message{Ack: ack}); err != nil {
			return err
		}
	}
	if idle != nil {
		if err := s.send(&wire.Message{Idle: idle}); err != nil {
			return err
		}
	}
	if trips := s.g.reports.takeTrips(); len(trips) > 0 {
		if err := s.send(&wire.Message{Trips: trips}); err != nil {
			return err
		}
	}
	if breakings := s.g.reports.takeBreakings(); len(breakings) > 0 {
		if err := s.send(&wire.Message{Breakers: breakings}); err != nil {
			return err
		}
	}
	if len(ejections) > 0 {
		return s.send(&wire.Message{Ejected: ejections})
	}
	return nil
}

func (s *stream) batches() error {
	if totals := s.g.reports.totals(s.seen); len(totals) > 0 {
		if err := s.send(&wire.Message{Counters: totals}); err != nil {
			return err
		}
	}
	if totals := s.g.reports.walked(s.walked); len(totals) > 0 {
		if err := s.send(&wire.Message{Journeys: totals}); err != nil {
			return err
		}
	}
	if load := s.g.Load(); load != s.load {
		s.load = load
		if err := s.send(&wire.Message{Load: &load}); err != nil {
			return err
		}
	}
	return s.waiting()
}

// waiting says what records and spans there are.
func (s *stream) waiting() error {
	err := s.g.reports.spans.send(func(b *wire.Batch, lost uint64) error { return s.frame(b.SpansFrame(lost)) })
	if err != nil {
		return err
	}
	return s.g.reports.records.send(func(b *wire.Batch, lost uint64) error { return s.frame(b.AccessFrame(lost)) })
}
