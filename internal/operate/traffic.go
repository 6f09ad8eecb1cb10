package operate

import (
	"context"
	"log/slog"
	"time"

	"naru/internal/app"
	"naru/internal/route"
	"naru/internal/run"
)

// Routes is what a table is built from, read in one transaction.
type Routes interface {
	RoutingInput(ctx context.Context) (route.Input, error)
	Subscribe() (apps <-chan app.ID, stop func())
}

// Gateways take tables and say what they serve; *hub.Hub is the real one.
type Gateways interface {
	// Publish sends a table to every gateway and returns its version.
	Publish(t route.Table) (version uint64)
	// WaitAcked returns when every gateway serves that version or a newer one.
	WaitAcked(ctx context.Context, version uint64) error
	// WaitIdle returns when no gateway has a request at the instances, WaitAnswered
	// when none has one that is no stream.
	WaitIdle(ctx context.Context, instances ...string) error
	WaitAnswered(ctx context.Context, instances ...string) error
	// Streams reports whether a gateway has a stream at an instance.
	Streams(instance string) bool
}

// Traffic keeps the gateways' table like the store. However many ask at once,
// they share one table; the next one is built while earlier ones are
// acknowledged.
type Traffic struct {
	routes   Routes
	gateways Gateways
	log      *slog.Logger
	requests chan chan error
}

// NewTraffic makes a Traffic; Run does the work.
func NewTraffic(routes Routes, gateways Gateways, log *slog.Logger) *Traffic {
	return &Traffic{routes: routes, gateways: gateways, log: log, requests: make(chan chan error)}
}

// Sync returns when all gateways serve a table as new as the store is now.
func (t *Traffic) Sync(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case t.requests <- done:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-done:
		return err
	}
}

// Idle returns when no gateway has a request at the instance.
func (t *Traffic) Idle(ctx context.Context, id run.InstanceID) error {
	return t.gateways.WaitIdle(ctx, string(id))
}

// Answered returns when no gateway has a request at the instance that is no
// stream.
func (t *Traffic) Answered(ctx context.Context, id run.InstanceID) error {
	return t.gateways.WaitAnswered(ctx, string(id))
}

// Streams reports whether a gateway has a stream at the instance.
func (t *Traffic) Streams(id run.InstanceID) bool { return t.gateways.Streams(string(id)) }

// Run publishes a table at the start and after every change in the store, until
// ctx ends.
func (t *Traffic) Run(ctx context.Context) error {
	changed, stop := t.routes.Subscribe()
	defer stop()
	if _, err := t.publish(ctx); err != nil {
		return err
	}
	for {
		var waiting []chan error
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case done := <-t.requests:
			waiting = append(waiting, done)
		}
		waiting = append(waiting, t.gather(changed)...)
		version, err := t.publish(ctx)
		if err != nil {
			if ctx.Err() == nil {
				t.log.ErrorContext(ctx, "build routing table", "error", err)
			}
			answer(waiting, err)
			continue
		}
		if len(waiting) > 0 {
			go func() { answer(waiting, t.gateways.WaitAcked(ctx, version)) }()
		}
	}
}

// gather takes whoever else waits already: they all share the next table.
func (t *Traffic) gather(changed <-chan app.ID) (waiting []chan error) {
	for {
		select {
		case done := <-t.requests:
			waiting = append(waiting, done)
		case <-changed:
		default:
			return waiting
		}
	}
}

func (t *Traffic) publish(ctx context.Context) (uint64, error) {
	in, err := t.routes.RoutingInput(ctx)
	if err != nil {
		return 0, err
	}
	table := route.Build(in)
	table.Written = time.Now().UTC()
	return t.gateways.Publish(table), nil
}

func answer(waiting []chan error, err error) {
	for _, done := range waiting {
		done <- err
	}
}
