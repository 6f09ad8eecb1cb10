// Package operate keeps what is live as it should be while the world changes:
// instances that crash are restarted, those that are too many are drained and
// stopped, and the gateway's table follows. It never changes what is wanted:
// sizes and releases are package pipeline's.
package operate

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/run"
)

// Store is what the keeper reads and writes. Each call is one transaction.
type Store interface {
	// LiveApps returns the apps that have a group or an instance.
	LiveApps(ctx context.Context) ([]app.ID, error)
	// Groups returns an app's groups.
	Groups(ctx context.Context, id app.ID) ([]run.Group, error)
	// Instances returns an app's instances that are not Stopped.
	Instances(ctx context.Context, id app.ID) ([]run.Instance, error)
	// Instance returns one instance, whatever its state.
	Instance(ctx context.Context, id run.InstanceID) (run.Instance, error)
	// HasInstance reports whether an instance, or a task's instance, may still run.
	HasInstance(ctx context.Context, id run.InstanceID) (bool, error)
	// AddInstances stores the intent to start instances: all of them or none. It is
	// a Conflict when the index of one is held by a live instance.
	AddInstances(ctx context.Context, all ...run.Instance) error
	// ReplaceInstance moves old from Crashed to Stopped and adds the one in its place.
	ReplaceInstance(ctx context.Context, old run.InstanceID, i run.Instance) error
	// UpdateInstance changes an instance; an illegal move of its state is a Conflict.
	UpdateInstance(ctx context.Context, id run.InstanceID, change func(run.Instance, time.Time) (run.Instance, error)) (run.Instance, error)
	// Subscribe returns a channel that gets the app whenever something of it was
	// committed, and a function that ends that. Slow readers miss nothing but see
	// several changes as one.
	Subscribe() (apps <-chan app.ID, stop func())
}

// Specs says how an instance is started.
type Specs interface {
	// Spec assembles all a driver must know, secrets resolved to their current values.
	Spec(ctx context.Context, g run.Group, i run.Instance) (run.Spec, app.Process, error)
}

// Router moves traffic; *Traffic is the real one.
type Router interface {
	// Sync returns when all gateways serve a table that is as new as the store
	// was when Sync was called.
	Sync(ctx context.Context) error
	// Idle returns when no gateway has a request at the instance, which must be
	// out of the table; Answered when all that are left there are streams:
	// WebSockets, answers that go on, and the like.
	Idle(ctx context.Context, id run.InstanceID) error
	Answered(ctx context.Context, id run.InstanceID) error
	// Streams reports whether a gateway has a stream at the instance.
	Streams(id run.InstanceID) bool
}

// Options of a keeper.
type Options struct {
	Policy        run.Policy
	Starts        int           // instances being started at once on this machine
	DrainTimeout  time.Duration // how long requests in flight may hold up a stop
	DrainUpgrade  time.Duration // how long streams may, once no other request is left
	FullPass      time.Duration // how often every app is looked at, whatever was reported
	SweepPatience time.Duration // how long the first sweep waits for a gateway
}

// Keeper keeps every app's instances as its groups want them.
type Keeper struct {
	store  Store
	driver run.Driver
	specs  Specs
	router Router
	opts   Options
	log    *slog.Logger
	starts chan struct{}
	dead   chan run.InstanceID // what crashed and is still to be removed
}

// NewKeeper makes a keeper; Run does the work.
func NewKeeper(store Store, driver run.Driver, specs Specs, router Router, opts Options, log *slog.Logger) *Keeper {
	return &Keeper{
		store: store, driver: driver, specs: specs, router: router, opts: opts, log: log,
		starts: make(chan struct{}, max(1, opts.Starts)), dead: make(chan run.InstanceID),
	}
}

// Run removes what an earlier process left half done, then keeps all apps until
// ctx ends. Instances go on running when it returns.
func (k *Keeper) Run(ctx context.Context) error {
	if err := k.sweep(ctx); err != nil {
		k.log.ErrorContext(ctx, "sweep leftovers", "error", err)
	}
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { k.watch(ctx) })
	group.Go(func() { k.undertake(ctx) })

	changed, stop := k.store.Subscribe()
	defer stop()
	wards := map[app.ID]*ward{}
	done := make(chan app.ID)
	wake := func(id app.ID) {
		w, ok := wards[id]
		if !ok {
			w = newWard(k, id)
			wards[id] = w
			group.Go(func() {
				w.run(ctx)
				select {
				case done <- id:
				case <-ctx.Done():
				}
			})
		}
		w.wake()
	}
	tick := time.NewTicker(k.opts.FullPass)
	defer tick.Stop()
	for first := true; ; first = false {
		if first {
			k.wakeAll(ctx, wake)
		}
		select {
		case <-ctx.Done():
			return nil
		case id := <-changed:
			wake(id)
		case id := <-done:
			delete(wards, id)
			if has, err := k.hasWork(ctx, id); err == nil && has { // it got something while it ended
				wake(id)
			}
		case <-tick.C:
			k.wakeAll(ctx, wake)
		}
	}
}

func (k *Keeper) wakeAll(ctx context.Context, wake func(app.ID)) {
	apps, err := k.store.LiveApps(ctx)
	if err != nil {
		if ctx.Err() == nil {
			k.log.ErrorContext(ctx, "list live apps", "error", err)
		}
		return
	}
	for _, id := range apps {
		wake(id)
	}
}

func (k *Keeper) hasWork(ctx context.Context, id app.ID) (bool, error) {
	groups, err := k.store.Groups(ctx, id)
	if err != nil {
		return false, err
	}
	have, err := k.store.Instances(ctx, id)
	return len(groups)+len(have) > 0, err
}

// sweep removes instances that the store does not want and what starts left
// half done. An address is free for another app only when no gateway sends to
// it any more, hence the Sync before.
func (k *Keeper) sweep(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, k.opts.SweepPatience)
	defer cancel()
	if err := k.router.Sync(wait); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		k.log.WarnContext(ctx, "no gateway has the routing table yet", "error", err)
	}
	var failed error
	removed, err := k.driver.Sweep(ctx, func(id run.InstanceID) bool {
		keep, err := k.store.HasInstance(ctx, id)
		if err != nil {
			failed = fmt.Errorf("look up instance %s: %w", id, err)
			return true // what is not known to be garbage stays
		}
		return keep
	})
	if len(removed) > 0 {
		k.log.InfoContext(ctx, "swept leftovers", "instances", removed)
	}
	if err != nil {
		return err
	}
	return failed
}

// watch lets the driver enforce what the kernel does not. How instances end is
// seen by whoever tends them.
func (k *Keeper) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := k.driver.Watch(ctx, func(run.Status) {})
		if ctx.Err() != nil {
			return
		}
		k.log.WarnContext(ctx, "watch instances", "error", err)
		pause(ctx, time.Second)
	}
}
