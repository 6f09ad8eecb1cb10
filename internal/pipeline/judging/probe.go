package judging

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"naru/internal/app"
	"naru/internal/judge"
)

// Prober makes an app's declared probes of single instances.
type Prober interface {
	// Probes returns what the app declares.
	Probes(ctx context.Context, id app.ID) ([]app.Probe, error)
	// Probe makes one probe of the instance at an address, and reports whether its
	// answer was a good one.
	Probe(ctx context.Context, a app.App, p app.Probe, addr string) bool
}

// Of probes while a step is judged.
const (
	probesPerBlock = 10              // of each side
	busy           = 10.0            // requests a second of the canary from which visitors say enough
	probePatience  = 2 * time.Second // at most, for an answer
)

// probe makes the app's probes of both sides at the same time, as many of each,
// where the canary has few visitors.
func (w *Watcher) probe(ctx context.Context, t *trial, now look, b *judge.Block) {
	canary, baseline := now.canary.addresses, now.baseline.addresses
	if len(t.probes) == 0 || len(canary) == 0 || len(baseline) == 0 || float64(b.Canary.Requests) >= busy*w.opts.Block.Seconds() {
		return
	}
	var all sync.WaitGroup
	ask := func(addresses []string) *atomic.Uint64 {
		bad := &atomic.Uint64{}
		for i := range probesPerBlock {
			all.Go(func() {
				p := t.probes[i%len(t.probes)].Filled()
				ctx, stop := context.WithTimeout(ctx, min(p.Timeout.Std(), probePatience))
				defer stop()
				if !w.opts.Prober.Probe(ctx, t.app, p, addresses[i%len(addresses)]) {
					bad.Add(1)
				}
			})
		}
		return bad
	}
	c, o := ask(canary), ask(baseline)
	all.Wait()
	if ctx.Err() != nil {
		return // nobody waited for the answers
	}
	b.Canary.Probes, b.Canary.Unwell = probesPerBlock, c.Load()
	b.Baseline.Probes, b.Baseline.Unwell = probesPerBlock, o.Load()
}
