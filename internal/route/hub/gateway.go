package hub

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"naru/internal/route"
	"naru/internal/route/wire"
)

// gateway is one gateway process. It stays known after its stream broke until
// the process is seen to have ended, because it may still send requests
// according to the table it had.
type gateway struct {
	hello    wire.Hello
	peer     peer
	conn     net.Conn // nil while the stream is broken
	since    time.Time
	draining bool
	sent     uint64               // newest version sent on this stream
	answered uint64               // newest version it took or refused
	acked    uint64               // newest version it took
	certs    *publication         // newest certificates sent on this stream
	busy     map[string]wire.Left // instances outside its table with requests
	broken   map[broken]route.Breaking
}

// name is how logs and errors call it.
func (g *gateway) name() string {
	short := g.hello.Generation // its end: the beginning is the time
	return fmt.Sprintf("gateway %s (pid %d)", short[max(0, len(short)-8):], g.peer.pid)
}

// serve speaks with one gateway until its stream breaks.
func (h *Hub) serve(parent context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()

	who, err := peerOf(conn)
	defer who.release()
	if err != nil || !h.allowed(who) {
		h.log.WarnContext(ctx, "gateway stream refused", "uid", who.uid, "pid", who.pid, "error", err)
		return
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	_ = conn.SetReadDeadline(time.Now().Add(h.cfg.Write))
	first, err := wire.Read(in, h.cfg.MaxFrame)
	if err != nil || first.Hello == nil || first.Hello.Generation == "" {
		h.log.WarnContext(ctx, "gateway stream without a hello", "pid", who.pid, "error", err)
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	g := h.join(*first.Hello, who, conn)
	if err := h.tripped(ctx, g, first.Hello.Trips); err != nil {
		h.log.WarnContext(ctx, "trips of guards not taken", "gateway", g.name(), "error", err)
		_ = conn.Close()
		h.part(parent, g)
		return
	}
	if h.cfg.Observer != nil {
		h.cfg.Observer.Counters(g.hello.Generation, nil)
	}
	h.log.InfoContext(ctx, "gateway connected", "gateway", g.name(), "version", g.hello.Version)

	wrote := make(chan error, 1)
	go func() {
		err := h.send(ctx, g, conn)
		cancel() // closes the connection, which ends receive
		wrote <- err
	}()
	err = h.receive(ctx, g, in)
	cancel()
	if werr := <-wrote; errors.Is(err, net.ErrClosed) {
		err = werr // we closed it because we could not write
	}
	if parent.Err() == nil {
		h.log.InfoContext(parent, "gateway stream ended", "gateway", g.name(), "error", err)
	}
	h.part(parent, g)
}

func (h *Hub) allowed(p peer) bool {
	return !p.known || p.uid == os.Getuid() || h.cfg.GatewayUID > 0 && p.uid == h.cfg.GatewayUID
}

// join makes the process known, or takes it up again after its stream broke.
func (h *Hub) join(hello wire.Hello, who peer, conn net.Conn) *gateway {
	g := &gateway{hello: hello, peer: who, conn: conn, since: time.Now(), draining: hello.Draining, broken: map[broken]route.Breaking{}}
	g.breaks(hello.Breakers)
	h.update(func() {
		if old := h.gateways[hello.Generation]; old != nil {
			if old.conn != nil {
				_ = old.conn.Close()
			}
			old.peer.release()
		}
		h.gateways[hello.Generation] = g
	})
	return g
}

// part notes that a stream broke. Where the process may live on, it stays known
// until it has ended or dialed again.
func (h *Hub) part(ctx context.Context, g *gateway) {
	forget := func() {
		if h.gateways[g.hello.Generation] == g {
			delete(h.gateways, g.hello.Generation)
		}
	}
	if !g.peer.outlives() {
		h.update(forget)
		return
	}
	known := false
	h.update(func() {
		g.conn = nil
		known = h.gateways[g.hello.Generation] == g
	})
	if !known {
		return
	}
	stop := context.AfterFunc(ctx, g.peer.release)
	defer stop()
	g.peer.exited()
	h.update(forget)
}

// send keeps the gateway at the newest table: one in flight, not faster than
// the interval, the newest wins.
func (h *Hub) send(ctx context.Context, g *gateway, conn net.Conn) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
		next, err := h.next(ctx, g)
		if err != nil {
			return err
		}
		frame, err := next.encoded()
		if err != nil {
			return err
		}
		if len(frame) > h.cfg.MaxFrame {
			return fmt.Errorf("the message of table %d has %d bytes, over the limit of %d", next.table.Version, len(frame), h.cfg.MaxFrame)
		}
		_ = conn.SetWriteDeadline(time.Now().Add(h.cfg.Write))
		if err := wire.WriteFrame(conn, frame); err != nil {
			return err
		}
		if next.certificates != nil {
			pause.Reset(0)
			continue
		}
		pause.Reset(h.cfg.Interval)
	}
}

// next waits for certificates the gateway has not been sent, or for a table
// while none is in flight.
func (h *Hub) next(ctx context.Context, g *gateway) (*publication, error) {
	for {
		var found *publication
		changed := h.look(func() {
			switch {
			case h.certs != g.certs:
				found = h.certs
				g.certs = found
			case h.latest != nil && g.sent == g.answered && h.latest.table.Version > g.sent:
				found = h.latest
				g.sent = found.table.Version
			}
		})
		if found != nil {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// receive takes what the gateway says until the stream ends, and says how.
func (h *Hub) receive(ctx context.Context, g *gateway, in io.Reader) error {
	for {
		m, err := wire.Read(in, h.cfg.MaxFrame)
		if err != nil {
			return err
		}
		switch {
		case m.Ack != nil:
			h.acked(g, m.Ack)
		case m.Idle != nil:
			h.update(func() {
				g.remains(m.Idle)
			})
		case m.State != nil && m.State.Gone:
			h.update(func() {
				if h.gateways[g.hello.Generation] == g {
					delete(h.gateways, g.hello.Generation)
				}
			})
		case m.State != nil:
			h.update(func() { g.draining = m.State.Draining })
		case m.Breakers != nil:
			h.update(func() { g.breaks(m.Breakers) })
		case m.Trips != nil:
			if err := h.tripped(ctx, g, m.Trips); err != nil {
				return err
			}
		case m.Spans != nil:
			if h.cfg.Spans != nil {
				h.cfg.Spans(g.hello.Generation, m.Spans.Spans, m.Spans.Dropped)
			}
		case m.Journeys != nil:
			if h.cfg.Journeys != nil {
				h.cfg.Journeys(g.hello.Generation, m.Journeys)
			}
		case h.cfg.Observer == nil:
		case m.Counters != nil:
			h.cfg.Observer.Counters(g.hello.Generation, m.Counters)
		case m.Load != nil:
			h.cfg.Observer.Load(g.hello.Generation, *m.Load)
		case m.Access != nil:
			h.cfg.Observer.Access(g.hello.Generation, m.Access.Records, m.Access.Dropped)
		case m.Ejected != nil:
			h.cfg.Observer.Ejected(g.hello.Generation, m.Ejected)
		}
	}
}

// tripped hands on what guards did.
func (h *Hub) tripped(ctx context.Context, g *gateway, trips []route.Trip) error {
	if len(trips) == 0 || h.cfg.Tripped == nil {
		return nil
	}
	for i := range trips {
		trips[i].Gateway = g.hello.Generation
	}
	if err := h.cfg.Tripped(ctx, trips); err != nil {
		return fmt.Errorf("take trips of guards: %w", err)
	}
	return nil
}

func (h *Hub) acked(g *gateway, ack *wire.Ack) {
	if ack.Refused != "" {
		h.log.Error("gateway refused a table", "gateway", g.name(), "version", ack.Version, "reason", ack.Refused)
	}
	h.update(func() {
		if ack.Version > g.sent { // it cannot have what was never sent to it
			return
		}
		g.answered = max(g.answered, ack.Version)
		if ack.Refused != "" {
			return
		}
		g.acked = max(g.acked, ack.Version)
		g.busy = make(map[string]wire.Left, len(ack.Busy))
		for _, id := range ack.Busy {
			g.busy[id] = wire.Left{Instance: id, Requests: true}
		}
		for _, l := range ack.Left {
			g.busy[l.Instance] = l
		}
	})
}

// remains takes what is left at instances outside the table.
func (g *gateway) remains(m *wire.Idle) {
	for _, id := range m.Instances {
		delete(g.busy, id)
	}
	for _, l := range m.Left {
		if _, known := g.busy[l.Instance]; known { // else it has come back to the table
			g.busy[l.Instance] = l
		}
	}
}
