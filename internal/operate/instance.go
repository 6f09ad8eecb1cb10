package operate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/backoff"
	"naru/internal/fault"
	"naru/internal/run"
)

// tend starts an instance where that is still to be done, and then watches over
// it until it ends or ctx does. It may be called again at any point of an
// instance's life, also by another process.
func (k *Keeper) tend(ctx context.Context, g run.Group, i run.Instance) error {
	if g.ID == "" {
		return nil // its group is gone; the next pass stops it
	}
	// The pass that asks may have looked before an earlier tender was through: what
	// has ended since must not be started a second time.
	i, err := k.store.Instance(ctx, i.ID)
	if err != nil || !i.State.Live() {
		return err
	}
	spec, process, err := k.specs.Spec(ctx, g, i)
	if err != nil {
		return fmt.Errorf("assemble instance: %w", err)
	}
	if i.State == run.Pending {
		if i, err = k.move(ctx, i.ID, run.Starting, nil); err != nil {
			return err
		}
	}
	if i.State == run.Starting && i.Started.IsZero() {
		if i, err = k.start(ctx, i, spec); err != nil || i.State == run.Crashed {
			return err
		}
	}
	return k.watchOver(ctx, i, spec, process)
}

// start runs the instance's process. What a driver says cannot be started
// crashes at once, with the reason.
func (k *Keeper) start(ctx context.Context, i run.Instance, spec run.Spec) (run.Instance, error) {
	select {
	case <-ctx.Done():
		return i, ctx.Err()
	case k.starts <- struct{}{}:
	}
	status, err := k.driver.Start(ctx, spec)
	<-k.starts
	if err != nil {
		if ctx.Err() != nil {
			return i, ctx.Err()
		}
		k.log.WarnContext(ctx, "start instance", "instance", i.ID, "error", err)
		return k.crash(ctx, i.ID, refusal(err))
	}
	return k.store.UpdateInstance(ctx, i.ID, func(i run.Instance, _ time.Time) (run.Instance, error) {
		i.Started = status.Started
		if status.Addr.IsValid() {
			i.Addr = status.Addr.String()
		}
		return i, nil
	})
}

// cannotRun is the exit code of what was never started because the image or its
// command does not allow it, as a shell has it.
const cannotRun = 126

// stopCode is the exit code of what the stop signal ended: 128 + SIGTERM.
const stopCode = 128 + 15

// refusal describes a start that failed. A fault is about the release, which
// will not start the next time either; anything else is about the machine, which
// may (code -1).
func refusal(err error) run.Exit {
	f := fault.Of(err)
	if f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		return run.Exit{Code: -1, Reason: "could not start: " + err.Error(), At: time.Now().UTC()}
	}
	return run.Exit{Code: cannotRun, Reason: f.Message, At: time.Now().UTC()}
}

// watchOver follows the health of an instance that runs, until it ends.
func (k *Keeper) watchOver(ctx context.Context, i run.Instance, spec run.Spec, process app.Process) error {
	probing, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan run.Exit, 1)
	go func() {
		if exit, err := k.ended(probing, i.ID); err == nil {
			ended <- exit
			stop()
		}
	}()
	never := run.Probe(probing, k.driver, run.Target{
		Instance: i.ID, Addr: i.Addr, Port: spec.Port, Health: process.Health,
		Started: i.Started, WasHealthy: i.State != run.Starting,
	}, func(healthy bool) error {
		to := run.Unhealthy
		if healthy {
			to = run.Healthy
		}
		_, err := k.move(probing, i.ID, to, nil)
		return err
	})
	select {
	case exit := <-ended:
		_, err := k.crash(ctx, i.ID, exit)
		return err
	default:
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var unhealthy *run.NeverHealthy
	if !errors.As(never, &unhealthy) {
		return never
	}
	if err := k.driver.Stop(ctx, i.ID, process.StopGrace.Std()); err != nil {
		return fmt.Errorf("stop instance that never became healthy: %w", err)
	}
	// We ended it, and its release is the reason: the code must not be that of an
	// end nobody saw, which a rollout would try again.
	exit := run.Exit{Code: stopCode, Reason: unhealthy.Reason, At: time.Now().UTC()}
	if e, err := k.driver.Wait(ctx, i.ID); err == nil {
		exit.LastLines = e.LastLines
	}
	_, err := k.crash(ctx, i.ID, exit)
	return err
}

// ended waits for the end of an instance, also through a restart of what runs
// it below.
func (k *Keeper) ended(ctx context.Context, id run.InstanceID) (run.Exit, error) {
	retry := backoff.Policy{First: 100 * time.Millisecond, Max: 2 * time.Second}
	for n := 0; ; n++ {
		exit, err := k.driver.Wait(ctx, id)
		switch {
		case err == nil:
			return exit, nil
		case fault.Is(err, fault.NotFound):
			return run.Exit{Code: -1, Reason: "ended unseen", At: time.Now().UTC()}, nil
		}
		if err := retry.Wait(ctx, n); err != nil {
			return run.Exit{}, err
		}
	}
}

// crash writes down how an instance ended and buries it.
func (k *Keeper) crash(ctx context.Context, id run.InstanceID, exit run.Exit) (run.Instance, error) {
	i, err := k.move(ctx, id, run.Crashed, func(i *run.Instance) { i.LastExit = &exit })
	if err != nil {
		return i, err
	}
	k.log.InfoContext(ctx, "instance ended", "instance", id, "reason", exit.Reason)
	select {
	case k.dead <- id:
	case <-ctx.Done(): // whoever lets go of it removes it, or the next sweep does
	}
	return i, nil
}

// undertake buries what crash hands over, until ctx ends. Its context is the
// keeper's: that of who watched over an instance ends with the instance.
func (k *Keeper) undertake(ctx context.Context) {
	var graves sync.WaitGroup
	defer graves.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-k.dead:
			graves.Go(func() { k.bury(ctx, id) })
		}
	}
}

// bury removes what is left of an ended instance, but gives its address back
// only when no gateway sends to it any more. It does not hold up the restart,
// which has an address of its own. What it cannot finish before ctx ends, the
// next sweep does.
func (k *Keeper) bury(ctx context.Context, id run.InstanceID) {
	retry := backoff.Policy{First: 100 * time.Millisecond, Max: 30 * time.Second}
	for n := 0; ; n++ {
		err := k.router.Sync(ctx)
		if err == nil {
			err = k.driver.Remove(ctx, id)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		k.log.WarnContext(ctx, "remove ended instance", "instance", id, "error", err)
		if retry.Wait(ctx, n) != nil {
			return
		}
	}
}

// stop ends an instance that no gateway sends anything to.
func (k *Keeper) stop(ctx context.Context, g run.Group, i run.Instance) error {
	grace := app.DefaultStopGrace
	if g.ID != "" {
		if _, process, err := k.specs.Spec(ctx, g, i); err == nil {
			grace = process.StopGrace.Std()
		}
	}
	if i.State != run.Stopping {
		var err error
		if i, err = k.move(ctx, i.ID, run.Stopping, nil); err != nil {
			return err
		}
	}
	if err := k.driver.Stop(ctx, i.ID, grace); err != nil {
		return fmt.Errorf("stop instance: %w", err)
	}
	if err := k.driver.Remove(ctx, i.ID); err != nil {
		return fmt.Errorf("remove instance: %w", err)
	}
	_, err := k.move(ctx, i.ID, run.Stopped, nil)
	return err
}

// forget ends the record of an instance that does not run and is not wanted.
func (k *Keeper) forget(ctx context.Context, i run.Instance) error {
	if err := k.router.Sync(ctx); err != nil {
		return err
	}
	if err := k.driver.Remove(ctx, i.ID); err != nil {
		return fmt.Errorf("remove instance: %w", err)
	}
	_, err := k.move(ctx, i.ID, run.Stopped, nil)
	return err
}

// move changes the state of an instance, and more of it in the same transaction.
// A move that was made already is no error.
func (k *Keeper) move(ctx context.Context, id run.InstanceID, to run.State, more func(*run.Instance)) (run.Instance, error) {
	return k.store.UpdateInstance(ctx, id, func(i run.Instance, now time.Time) (run.Instance, error) {
		if i.State == to {
			return i, nil
		}
		moved, err := i.Move(to, now)
		if err == nil && more != nil {
			more(&moved)
		}
		return moved, err
	})
}
