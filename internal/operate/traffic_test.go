package operate_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/operate"
	"naru/internal/route"
	"naru/internal/run"
)

// hub counts tables; they are acknowledged when acked is closed.
type hub struct {
	mu        sync.Mutex
	published uint64
	waits     []uint64
	acked     chan struct{}
}

func (h *hub) Publish(route.Table) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.published++
	return h.published
}

func (h *hub) count() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.published
}

func (h *hub) WaitAcked(ctx context.Context, version uint64) error {
	h.mu.Lock()
	h.waits = append(h.waits, version)
	h.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-h.acked:
		return nil
	}
}

func (h *hub) WaitIdle(_ context.Context, instances ...string) error {
	if len(instances) != 1 || instances[0] != "busy" {
		return nil
	}
	return errors.New("busy")
}

func (h *hub) WaitAnswered(ctx context.Context, instances ...string) error {
	return h.WaitIdle(ctx, instances...)
}

func (h *hub) Streams(instance string) bool { return instance == "busy" }

// input is a store of routes that takes its time.
type input struct {
	changed chan app.ID
	takes   time.Duration
	mu      sync.Mutex
	err     error
}

func (i *input) RoutingInput(context.Context) (route.Input, error) {
	<-time.After(i.takes)
	i.mu.Lock()
	defer i.mu.Unlock()
	return route.Input{}, i.err
}

func (i *input) fail(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.err = err
}

func (i *input) Subscribe() (<-chan app.ID, func()) { return i.changed, func() {} }

// traffic runs a Traffic for a test in a bubble.
func traffic(t *testing.T, in *input, h *hub) *operate.Traffic {
	ctx, cancel := context.WithCancel(context.Background())
	tr := operate.NewTraffic(in, h, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ended := make(chan error, 1)
	go func() { ended <- tr.Run(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-ended) })
	<-time.After(in.takes)
	synctest.Wait()
	return tr
}

func TestWhoAsksMeanwhileSharesATable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h := &input{changed: make(chan app.ID), takes: 10 * time.Millisecond}, &hub{acked: make(chan struct{})}
		close(h.acked)
		tr := traffic(t, in, h)
		if got := h.count(); got != 1 {
			t.Fatalf("%d tables at the start", got)
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if err := tr.Sync(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		// The first asks alone; the others wait while its table is built.
		if got := h.count() - 1; got > 2 {
			t.Errorf("%d tables for 50 who asked at once", got)
		}
	})
}

func TestSyncWaitsForAllGateways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h := &input{changed: make(chan app.ID)}, &hub{acked: make(chan struct{})}
		tr := traffic(t, in, h)
		done := make(chan error, 1)
		go func() { done <- tr.Sync(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("returned %v before a gateway had the table", err)
		default:
		}
		in.changed <- "shop" // others' changes are published meanwhile
		synctest.Wait()
		if got := h.count(); got != 3 {
			t.Errorf("%d tables, want the first, the one asked for, the changed one", got)
		}
		close(h.acked)
		must(t, <-done)
		if len(h.waits) != 1 || h.waits[0] != 2 {
			t.Errorf("waited for versions %v, want 2", h.waits)
		}
	})
}

func TestATableThatCannotBeBuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h := &input{changed: make(chan app.ID)}, &hub{acked: make(chan struct{})}
		close(h.acked)
		tr := traffic(t, in, h)
		in.fail(errors.New("the disk is gone"))
		if err := tr.Sync(t.Context()); err == nil || err.Error() != "the disk is gone" {
			t.Errorf("Sync = %v", err)
		}
		in.fail(nil)
		must(t, tr.Sync(t.Context()))
		if err := tr.Idle(t.Context(), run.InstanceID("busy")); err == nil {
			t.Error("a busy instance is idle")
		}
	})
}
