// Package hub is the control plane's end of the gateway streams: it publishes
// route tables and knows which gateway processes use which version.
package hub

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"naru/internal/route"
	"naru/internal/route/certificate"
	"naru/internal/route/wire"
)

// Config of a hub; zero fields take the defaults named beside them.
type Config struct {
	Observer   Observer      // nil: what gateways report is dropped
	Tripped    Tripped       // nil: trips of guards are dropped
	Spans      Spans         // nil: spans are dropped
	Journeys   Journeys      // nil: what was counted of journeys is dropped
	GatewayUID int           // a second user id that may connect; 0 or less: only our own
	Interval   time.Duration // least time between two tables to one gateway: 50ms
	Settle     time.Duration // after the start, time for gateways to dial again before anything counts as acked by all: 1s
	MaxFrame   int           // bytes of one message: 64 MiB
	Write      time.Duration // until a gateway that does not read is cut off: 10s
}

func (c Config) withDefaults() Config {
	if c.Interval <= 0 {
		c.Interval = 50 * time.Millisecond
	}
	if c.Settle <= 0 {
		c.Settle = time.Second
	}
	if c.MaxFrame <= 0 {
		c.MaxFrame = wire.DefaultMaxFrame
	}
	if c.Write <= 0 {
		c.Write = 10 * time.Second
	}
	return c
}

// Observer takes what gateways report. The methods are called in order for each
// gateway and must not block for long: the gateway's acknowledgements wait
// behind them.
type Observer interface {
	// Counters has none when a gateway has connected and is still to report; one
	// that counted before does so at once.
	Counters(gateway string, counters []route.Counter)
	Load(gateway string, l route.Load)
	Access(gateway string, records []route.Access, dropped uint64)
	Ejected(gateway string, ejections []route.Ejection)
}

// Tripped takes trips of guards. They are said again on every connection, so
// most of them are known already. An error ends the stream: the gateway dials
// again and says them once more.
type Tripped func(ctx context.Context, trips []route.Trip) error

// Journeys takes what gateways counted of journeys since their start, those that
// changed, under the terms of Observer.
type Journeys func(gateway string, counters []route.JourneyCounter)

// Spans takes the gateways' own spans of traces, under the terms of Observer.
// Dropped are those that were lost since the last time.
type Spans func(gateway string, spans []route.Span, dropped uint64)

// Hub holds the newest table and the streams to all gateway processes.
type Hub struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex // guards what follows
	latest   *publication
	certs    *publication        // the newest certificates; nil: none
	gateways map[string]*gateway // by generation
	settled  bool
	changed  chan struct{} // closed and replaced when any of the above changes
}

// New wires a hub; Run lets gateways in.
func New(cfg Config, log *slog.Logger) *Hub {
	return &Hub{cfg: cfg.withDefaults(), log: log, gateways: map[string]*gateway{}, changed: make(chan struct{})}
}

// Run serves gateways on ln until ctx ends; it closes ln. Gateways go on
// serving from their last table afterwards.
func (h *Hub) Run(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	running.Go(func() { h.settle(ctx) })
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if retry := new(net.Error); errors.As(err, retry) && (*retry).Timeout() {
				continue
			}
			return err
		}
		running.Go(func() { h.serve(ctx, conn) })
	}
}

// settle lets waiting begin once every living gateway had time to dial.
func (h *Hub) settle(ctx context.Context) {
	timer := time.NewTimer(h.cfg.Settle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
		h.update(func() { h.settled = true })
	}
}

// Publish makes t the table all gateways are to use and returns the version it
// was given. Tables that are published faster than gateways take them are
// skipped: the newest wins. The table's routes must not be changed afterwards.
func (h *Hub) Publish(t route.Table) uint64 {
	now := time.Now()
	h.update(func() {
		// Microseconds, so that versions rise across restarts of the control plane
		// without a file of their own.
		t.Version, t.Written = uint64(now.UnixMicro()), now.UTC()
		if h.latest != nil && t.Version <= h.latest.table.Version {
			t.Version = h.latest.table.Version + 1
		}
		h.latest = &publication{table: t}
	})
	return t.Version
}

// Again publishes the newest table once more, so that its acknowledgement also
// says that what went before it has arrived; ok is false before the first.
func (h *Hub) Again() (version uint64, ok bool) {
	h.update(func() {
		if h.latest == nil {
			return
		}
		t := h.latest.table
		t.Version = max(uint64(time.Now().UnixMicro()), t.Version+1)
		h.latest, version, ok = &publication{table: t}, t.Version, true
	})
	return version, ok
}

// Certify makes set the certificates all gateways serve. Gateways are sent it
// before any table published later. The set must not be changed afterwards.
func (h *Hub) Certify(set *certificate.Set) {
	h.update(func() { h.certs = &publication{certificates: set} })
}

// Latest returns the newest published table; ok is false before the first.
func (h *Hub) Latest() (t route.Table, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.latest == nil {
		return route.Table{}, false
	}
	return h.latest.table, true
}

// update changes the state and wakes everyone who waits for it.
func (h *Hub) update(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	close(h.changed)
	h.changed = make(chan struct{})
}

// look reads the state; the channel is closed at its next change.
func (h *Hub) look(read func()) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	read()
	return h.changed
}
