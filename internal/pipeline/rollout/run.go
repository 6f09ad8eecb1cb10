package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"naru/internal/app"
	"naru/internal/backoff"
	"naru/internal/fault"
	"naru/internal/release"
	"naru/internal/run"
)

// Store is what a rollout reads and writes. Each call is one transaction.
type Store interface {
	Rollout(ctx context.Context, id ID) (Rollout, error)
	// PrepareRollout moves a rollout from Preparing to Releasing and makes its new
	// groups, of size 0, one for each process type. Routed ones have weight 0 where
	// the strategy gives them traffic by steps.
	PrepareRollout(ctx context.Context, id ID, processes []string) (Rollout, error)
	// ShiftRollout sets sizes and weights of groups of a rollout.
	ShiftRollout(ctx context.Context, id ID, sizes []Resize, weights []Weigh) error
	// MoveRollout moves a rollout to another state; reason says why. Moving to
	// Done removes the old groups, and to RolledBack or Superseded the new ones,
	// all of which must be empty.
	MoveRollout(ctx context.Context, id ID, to State, reason string) (Rollout, error)
	// StepRollout notes that the rollout's step has what it asks for, or begins the
	// next one; it does nothing when the rollout has left the step meanwhile.
	StepRollout(ctx context.Context, id ID, step int, reached bool) (Rollout, error)
	// SteerRollout does what somebody asks of a rollout.
	SteerRollout(ctx context.Context, id ID, action Action, actor string) (Rollout, error)

	App(ctx context.Context, id app.ID) (app.App, error)
	Release(ctx context.Context, id release.ID) (release.Release, error)
	Groups(ctx context.Context, id app.ID) ([]run.Group, error)
	Instances(ctx context.Context, id app.ID) ([]run.Instance, error)
	// WatchApp returns a channel that gets a value after something of the app
	// was committed, and a function that ends that.
	WatchApp(id app.ID) (changed <-chan struct{}, stop func())
}

// Router brings the gateways' table up to date with the store.
type Router interface {
	Sync(ctx context.Context) error
}

// Releaser runs the release command of a release, once, however often it is
// asked; it returns when the command has ended, with an error when that went
// badly. say gets its output. When ctx ends because of ErrAborted the command is
// stopped, otherwise it goes on and is found again.
type Releaser interface {
	RunRelease(ctx context.Context, rel release.Release, say func(line string)) error
}

// Judge says whether a step that asks for it may be left. It is asked again and
// again.
type Judge interface {
	Judge(ctx context.Context, ro Rollout) (Verdict, error)
}

// Options of a runner; zero fields take the defaults named beside them.
type Options struct {
	Patience time.Duration // how long a way back may take: 10m
	// Settle is how long after the start, or after the process stood still, nothing
	// goes forward: 2s. What is stored is from before then, and what happened
	// meanwhile, an instance that ended or a guard that tripped, is heard of first.
	Settle   time.Duration
	Releaser Releaser // nil: release commands are refused
	Judge    Judge    // nil: a judged step passes after the pause of an ordinary one and enough requests, if no guard trips
	Traffic  Traffic  // nil: nobody knows whether there were requests, and nobody asks
}

// Runner carries rollouts out. Several may work on the same rollout at a time:
// each move is planned from what is stored.
type Runner struct {
	store  Store
	router Router
	opts   Options
	log    *slog.Logger
	pulse  pulse
}

// NewRunner makes a runner, once in the life of a process.
func NewRunner(store Store, router Router, opts Options, log *slog.Logger) *Runner {
	if opts.Patience <= 0 {
		opts.Patience = 10 * time.Minute
	}
	if opts.Settle <= 0 {
		opts.Settle = 2 * time.Second
	}
	r := &Runner{store: store, router: router, opts: opts, log: log}
	r.pulse.since(time.Now())
	return r
}

// Listener hears how a rollout gets on; all may be called often, with what they
// were told before.
type Listener interface {
	Moved(ctx context.Context, ro Rollout, lanes []Lane) // something changed
	Noted(ctx context.Context, text string)              // something people should know
	Output(ctx context.Context, who, line string)        // of the release command, or last lines of an instance that does not work
}

// Promoted carries a rollout on until all traffic is where it belongs: it is
// Watching or has ended. It returns with ctx's error and goes on when called
// again, also by another process. Other errors of a move are tried again: a
// rollout that was left in the middle would be in the way of all that come after
// it. When abort is closed, it goes back; when it is on its way back already, it
// stops there.
func (r *Runner) Promoted(ctx context.Context, id ID, abort <-chan struct{}, hear Listener) (Rollout, error) {
	return r.run(ctx, id, abort, hear, func(s State) bool { return s.Ended() || s == Watching })
}

// Run carries a rollout to its end, the watch included.
func (r *Runner) Run(ctx context.Context, id ID, hear Listener) (Rollout, error) {
	return r.run(ctx, id, nil, hear, State.Ended)
}

func (r *Runner) run(ctx context.Context, id ID, abort <-chan struct{}, hear Listener, through func(State) bool) (Rollout, error) {
	ro, err := r.store.Rollout(ctx, id)
	if err != nil {
		return ro, err
	}
	changed, stop := r.store.WatchApp(ro.App)
	defer stop()
	tick := time.NewTicker(5 * time.Second) // what a change did not announce is seen all the same
	defer tick.Stop()
	defer r.pulse.need(ctx)()
	retry := backoff.Policy{First: 50 * time.Millisecond, Max: 5 * time.Second}
	for failures := 0; ; {
		var wait time.Duration
		before := ro
		if ro, err = r.store.Rollout(ctx, id); err == nil {
			if through(ro.State) {
				return ro, nil
			}
			ro, wait, err = r.step(ctx, ro, abort, hear)
		}
		if err != nil {
			if ctx.Err() != nil {
				return ro, ctx.Err()
			}
			r.log.WarnContext(ctx, "move rollout", "rollout", id, "state", before.State, "error", err)
			if retry.Wait(ctx, failures) != nil {
				return ro, ctx.Err()
			}
			failures++
			continue
		}
		failures = 0
		if through(ro.State) {
			return ro, nil
		}
		if ro.State != before.State || ro.Step != before.Step || ro.Reached != before.Reached {
			continue // its next move need not wait for a change
		}
		later := time.NewTimer(max(wait, time.Millisecond))
		if wait <= 0 {
			later.Stop()
		}
		select {
		case <-ctx.Done():
			later.Stop()
			return ro, ctx.Err()
		case <-abort:
			abort = nil
			r.cancel(ctx, ro)
		case <-changed:
		case <-tick.C:
		case <-later.C:
		}
		later.Stop()
	}
}

// canceler is whose wish a canceled operation carries out.
const canceler = "whoever asked for it"

// cancel sends a rollout back whose operation was canceled; one that goes back
// already, for another reason, stops there. The wish outlives the process, so it
// may have been carried out already.
func (r *Runner) cancel(ctx context.Context, ro Rollout) {
	now, err := r.store.Rollout(ctx, ro.ID)
	justBegun := now.State == Aborting && (ro.State != Aborting || now.Reason == "aborted by "+canceler)
	if err == nil && !now.State.Ended() && !justBegun {
		_, err = r.store.SteerRollout(ctx, ro.ID, Abort, canceler)
	}
	if err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "cancel rollout", "rollout", ro.ID, "error", err)
	}
}

// step looks once and makes one move.
func (r *Runner) step(ctx context.Context, ro Rollout, abort <-chan struct{}, hear Listener) (Rollout, time.Duration, error) {
	switch ro.State {
	case Preparing:
		rel, err := r.store.Release(ctx, ro.Release)
		if err == nil {
			ro, err = r.store.PrepareRollout(ctx, ro.ID, served(rel))
		}
		return ro, 0, err
	case Releasing:
		ro, err := r.release(ctx, ro, abort, hear)
		return ro, 0, err
	}
	lanes, sick, err := r.look(ctx, ro)
	if err != nil {
		return ro, 0, err
	}
	// What counts as healthy must be what the gateways know, or an old instance
	// would leave before visitors can reach the new one.
	if err := r.router.Sync(ctx); err != nil {
		return ro, 0, fmt.Errorf("bring the gateways up to date: %w", err)
	}
	hear.Moved(ctx, ro, lanes)
	if ro.State == Aborting && sick.old != "" {
		ro, err = r.store.MoveRollout(ctx, ro.ID, Failed, ro.Reason+"; and what ran before does not work any more: "+sick.old)
		return ro, 0, err
	}
	evidence := r.evidence(ro)
	verdict, err := r.verdict(ctx, ro, evidence)
	if err != nil {
		return ro, 0, err
	}
	now := time.Now()
	move := Plan(Situation{
		Rollout: ro, Lanes: lanes, Verdict: verdict, Evidence: evidence, Patience: r.opts.Patience, Settled: r.pulse.since(now).Add(r.opts.Settle), Now: now,
	})
	if move.To == Aborting {
		for _, line := range sick.lines {
			hear.Output(ctx, sick.who, line)
		}
	}
	if move.Note != "" {
		hear.Noted(ctx, move.Note)
	}
	ro, err = r.make(ctx, ro, move)
	return ro, move.Wait, err
}

// make carries out a move.
func (r *Runner) make(ctx context.Context, ro Rollout, move Move) (Rollout, error) {
	switch {
	case move.To != "":
		return r.store.MoveRollout(ctx, ro.ID, move.To, move.Reason)
	case move.Next:
		return r.store.StepRollout(ctx, ro.ID, ro.Step+1, false)
	case move.Reach:
		return r.store.StepRollout(ctx, ro.ID, ro.Step, true)
	case len(move.Resize)+len(move.Weigh) > 0:
		return ro, r.store.ShiftRollout(ctx, ro.ID, move.Resize, move.Weigh)
	}
	return ro, nil
}

// verdict asks the judge where the step wants one.
func (r *Runner) verdict(ctx context.Context, ro Rollout, seen Evidence) (Verdict, error) {
	if !ro.Judged() {
		return Verdict{}, nil
	}
	if r.opts.Judge != nil {
		return r.opts.Judge.Judge(ctx, ro)
	}
	return Unjudged(ro, seen, time.Now()), nil
}

// release runs the release command. What it says decides: nothing of the new
// release has started yet.
func (r *Runner) release(ctx context.Context, ro Rollout, abort <-chan struct{}, hear Listener) (Rollout, error) {
	rel, err := r.store.Release(ctx, ro.Release)
	if err != nil {
		return ro, err
	}
	if _, ok := rel.Process(app.ReleaseType); !ok || ro.From == ro.Release {
		return r.store.MoveRollout(ctx, ro.ID, Shifting, "")
	}
	if r.opts.Releaser == nil {
		return r.store.MoveRollout(ctx, ro.ID, Aborting, "release commands are not run here")
	}
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	hear.Moved(ctx, ro, nil)
	go r.unless(work, ro, abort, func() { stop(ErrAborted) })
	err = r.opts.Releaser.RunRelease(work, rel, func(line string) { hear.Output(ctx, app.ReleaseType, line) })
	switch {
	case ctx.Err() != nil:
		return ro, ctx.Err()
	case work.Err() != nil:
		// Whoever steered it said why; a canceled operation did not.
		if now, err := r.store.Rollout(ctx, ro.ID); err != nil || now.State != Releasing {
			return now, err
		}
		return r.store.MoveRollout(ctx, ro.ID, Aborting, "canceled while the release command ran")
	case err != nil:
		return r.store.MoveRollout(ctx, ro.ID, Aborting, "the release command failed: "+fault.Of(err).Message)
	}
	return r.store.MoveRollout(ctx, ro.ID, Shifting, "")
}

// ErrAborted is why the context of a release command ended, when it is to end.
var ErrAborted = errors.New("the rollout was aborted")

// unless calls stop when the rollout leaves Releasing, or abort is closed, while
// ctx lasts.
func (r *Runner) unless(ctx context.Context, ro Rollout, abort <-chan struct{}, stop func()) {
	changed, end := r.store.WatchApp(ro.App)
	defer end()
	for {
		// Looked at before the first change, too: it may have come just now.
		if now, err := r.store.Rollout(ctx, ro.ID); err == nil && now.State != Releasing {
			stop()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-abort:
			stop()
			return
		case <-changed:
		}
	}
}

// served are the process types that get groups: all but the release command.
func served(rel release.Release) []string {
	var processes []app.Process
	for _, p := range rel.Processes {
		if p.Type != app.ReleaseType {
			processes = append(processes, p)
		}
	}
	return app.Types(processes)
}
