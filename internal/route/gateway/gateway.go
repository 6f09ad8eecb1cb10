// Package gateway carries all traffic to apps: it serves from a route table it
// holds in memory and on disk, with or without a control plane that sends newer
// ones.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/route/password"
)

// Gateway is one gateway process: a table, the instances in it, and what is in
// flight to them.
type Gateway struct {
	cfg        Config
	log        *slog.Logger
	generation string

	tables    *tables
	reports   *reports
	fileSeen  fileStamp // the table file as it was last read; load's, then watch's alone
	draining  atomic.Bool
	conns     *conns
	watcher   watcher
	lot       lot
	hangups   hangups
	exchanges sync.Pool
	logins    *password.Desk
	tlsPort   int // where TLS is spoken; 0: nowhere. Set before anybody is served

	unannounced seldom
	crowded     seldom
	sessions    atomic.Int64 // connections of TCP routes
}

// New wires a gateway. It reads nothing and starts nothing; an error is about
// the configuration.
func New(cfg Config, log *slog.Logger) (*Gateway, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, log: log, generation: id.New(), conns: newConns()}
	g.reports = newReports(cfg)
	g.tables = newTables(cfg, g.reports)
	g.tables.prober.Told = g.examine
	g.tables.translator = newTranslator(cfg, log)
	g.logins = password.NewDesk(runtime.GOMAXPROCS(0) / 2) // requests want processors, too
	g.exchanges.New = func() any { return &exchange{g: g} }
	g.watcher.clock.Store(now())
	return g, nil
}

// Run serves on the listeners until ctx ends, then drains: it stops accepting,
// lets what is in flight finish within the configured deadlines, and returns.
// It closes the listeners. Wrap a listener with Secure for TLS and HTTP/2.
func (g *Gateway) Run(ctx context.Context, listeners []net.Listener) error {
	if len(listeners) == 0 {
		return errors.New("gateway: no listener")
	}
	err := g.load(ctx)
	if err == nil && g.cfg.Ready != nil {
		err = g.cfg.Ready(ctx)
	}
	if err != nil {
		for _, ln := range listeners { // or clients would wait in their queues for ever
			err = errors.Join(err, ln.Close())
		}
		return err
	}
	g.tlsPort = tlsPort(listeners)
	defer g.logins.Wait()
	g.conns.allow(max(g.cfg.Connections, len(listeners)))
	g.conns.shares.most, g.conns.shares.exempt = g.cfg.AddressConnections, [][]netip.Prefix{g.cfg.Balancers, g.cfg.Trusted}
	// What reports and reloads lives until the last request has been answered.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, background := errgroup.WithContext(background)
	switch {
	case g.cfg.Control != "":
		group.Go(func() error { return g.control(background) })
	case g.cfg.TableFile != "":
		group.Go(func() error { return g.watch(background) })
	}
	group.Go(func() error {
		g.tables.prober.Run(background)
		return nil
	})
	group.Go(func() error {
		defer stop()
		return g.serve(ctx, background, listeners)
	})
	defer g.tables.copies.stop()
	return group.Wait()
}

// Version returns the version of the table in use, 0 before there is one.
func (g *Gateway) Version() uint64 { return g.tables.version() }

// Apply makes a table the one that new requests use. It is what the control
// stream and the table file do; tests and embedders may do it directly.
func (g *Gateway) Apply(t *route.Table) error {
	err := g.tables.apply(t)
	g.examine() // weight may have come to a group that is known to be unwell
	return err
}

// Table returns the table in use; it must not be changed.
func (g *Gateway) Table() *route.Table { return g.tables.view().table }

// Counters returns all that was counted since the start, but for routes that left
// the table a quarter of an hour ago.
func (g *Gateway) Counters() []route.Counter { return g.reports.totals(map[counterKey]route.Counter{}) }

// Journeys are what was counted of journeys.
func (g *Gateway) Journeys() []route.JourneyCounter { return g.reports.walked(map[tourKey]uint64{}) }

// Trips returns the trips of guards that the gateway holds to.
func (g *Gateway) Trips() []route.Trip { return g.tables.guards.Trips() }

// Load returns what is open.
func (g *Gateway) Load() route.Load {
	l := g.conns.load()
	if g.cfg.Recorder != nil {
		l.LogLost = g.cfg.Recorder.Lost()
	}
	return l
}

// Generation identifies this process among gateways.
func (g *Gateway) Generation() string { return g.generation }
