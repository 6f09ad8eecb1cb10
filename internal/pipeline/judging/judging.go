// Package judging has rollouts judged: while a step waits for a verdict it makes
// blocks of what canary and baseline did, has them compared, and keeps what came
// of it; it also judges any past time. The arithmetic is package judge's.
package judging

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/judge"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// Act is what a rollout does about a verdict.
type Act string

// The acts; none while there is still something to compare.
const (
	Passed   Act = "passed"    // to the next step: proven to be harmless
	WentBack Act = "went_back" // proven to be worse
	WentOn   Act = "went_on"   // to the next step, unsure: as the app's policy says
	Asked    Act = "asked"     // paused for a person, unsure
)

// Given is what is said of a judged step of a rollout.
type Given struct {
	Rollout rollout.ID
	Step    int
	Verdict judge.Verdict
	Act     Act       // "": not final
	Began   time.Time // of the comparison
	At      time.Time // of this verdict
	Blocks  int       // compared so far
}

// Store keeps verdicts, and the blocks of steps that are being judged. Each call
// is one transaction.
type Store interface {
	OpenRollouts(ctx context.Context) ([]rollout.Rollout, error)
	App(ctx context.Context, id app.ID) (app.App, error)
	Release(ctx context.Context, id release.ID) (release.Release, error)
	Groups(ctx context.Context, id app.ID) ([]run.Group, error)
	Instances(ctx context.Context, id app.ID) ([]run.Instance, error)

	// Verdict returns what is said of a step; a NotFound fault where nothing is.
	Verdict(ctx context.Context, id rollout.ID, step int) (Given, error)
	// GiveVerdict keeps what is said of a step in place of what was said before,
	// and the block it is about, with its number, where there is one. A verdict
	// that is final stays.
	GiveVerdict(ctx context.Context, g Given, block *judge.Block) error
	// VerdictBlocks returns the blocks of a step in their order.
	VerdictBlocks(ctx context.Context, id rollout.ID, step int) ([]judge.Block, error)
	// DropBlocks removes the blocks of steps that are not judged any more.
	DropBlocks(ctx context.Context) error
}

// Meter knows what the gateways counted.
type Meter interface {
	// Groups returns what groups did, by their ids; it only grows. ok is false
	// where that is not known.
	Groups(ids ...string) (sums map[string]route.Counter, ok bool)
}

// Loads knows what instances use.
type Loads interface {
	Load(ctx context.Context, id run.InstanceID) (run.Usage, error)
}

// Options of a watcher; zero fields take the defaults named beside them.
type Options struct {
	Block   time.Duration // length of a block: 5s
	Cold    time.Duration // from the canary's first request of a step on that is left out: judge.Cold
	Alpha   float64       // false alarms per rollout: judge.Alpha
	Sampler Sampler       // nil: metrics of an app's own are left out
	Sample  time.Duration // between two samples of such: 15s
	Prober  Prober        // nil: declared probes are left out
}

// Watcher judges the steps that ask for it. It is the Judge of a rollout's runner.
type Watcher struct {
	store Store
	meter Meter
	loads Loads
	opts  Options
	log   *slog.Logger

	swept bool // of Run alone

	mu     sync.Mutex // guards what follows
	trials map[rollout.ID]*trial
	said   map[rollout.ID]remark
}

// New makes a watcher; Run does the work.
func New(store Store, meter Meter, loads Loads, opts Options, log *slog.Logger) *Watcher {
	if opts.Block <= 0 {
		opts.Block = 5 * time.Second
	}
	if opts.Cold <= 0 {
		opts.Cold = judge.Cold
	}
	if opts.Alpha <= 0 {
		opts.Alpha = judge.Alpha
	}
	if opts.Sample <= 0 {
		opts.Sample = 15 * time.Second
	}
	return &Watcher{store: store, meter: meter, loads: loads, opts: opts, log: log, trials: map[rollout.ID]*trial{}, said: map[rollout.ID]remark{}}
}

// Run looks at every judged step once a block, until ctx ends. What was compared
// before the process ended is compared again from the blocks that are kept.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.opts.Block)
	defer tick.Stop()
	for {
		w.round(ctx, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// round looks at all rollouts once.
func (w *Watcher) round(ctx context.Context, at time.Time) {
	open, err := w.store.OpenRollouts(ctx)
	if err != nil {
		w.failed(ctx, "find judged rollouts", "", err)
		return
	}
	judged, looks := map[rollout.ID]bool{}, sync.WaitGroup{}
	for _, ro := range open {
		if ro.Judged() {
			judged[ro.ID] = true
			looks.Go(func() {
				if err := w.look(ctx, ro, at); err != nil {
					w.failed(ctx, "judge rollout", ro.ID, err)
				}
			})
		}
	}
	looks.Wait()
	if w.forget(judged) || !w.swept { // once for what an earlier process left
		if err := w.store.DropBlocks(ctx); err != nil {
			w.failed(ctx, "drop blocks of verdicts", "", err)
			return
		}
		w.swept = true
	}
}

func (w *Watcher) failed(ctx context.Context, what string, id rollout.ID, err error) {
	if ctx.Err() == nil {
		w.log.WarnContext(ctx, what, "rollout", id, "error", err)
	}
}
