package operate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"naru/internal/run"
)

// errChanged ends the context of a drain whose terms have changed.
var errChanged = errors.New("another deadline holds now")

// drain takes an instance out of traffic: out of the table, acknowledged, and
// until its last request has ended or a deadline is over. With patience, because
// the app goes on elsewhere, streams have a longer one of their own: the instance
// lingers with them, and nothing waits for it.
func (k *Keeper) drain(ctx context.Context, i run.Instance, patience bool) error {
	if i.State != run.Draining && i.State != run.Lingering {
		var err error
		if i, err = k.move(ctx, i.ID, run.Draining, nil); err != nil {
			return err
		}
	}
	if err := k.router.Sync(ctx); err != nil {
		return fmt.Errorf("take instance out of the table: %w", err)
	}
	var err error
	switch {
	case i.State == run.Lingering:
		limit := k.opts.DrainUpgrade
		if !patience {
			limit = min(limit, k.opts.DrainTimeout)
		}
		err = k.within(ctx, time.Until(i.Since.Add(limit)), i.ID, k.router.Idle)
	case patience:
		if err = k.within(ctx, k.opts.DrainTimeout, i.ID, k.router.Answered); err == nil && k.router.Streams(i.ID) {
			_, err = k.move(ctx, i.ID, run.Lingering, nil)
			return err
		}
	default:
		err = k.within(ctx, k.opts.DrainTimeout, i.ID, k.router.Idle)
	}
	if err != nil {
		return fmt.Errorf("wait until the instance is idle: %w", err)
	}
	_, err = k.store.UpdateInstance(ctx, i.ID, func(i run.Instance, _ time.Time) (run.Instance, error) {
		i.Drained = true
		return i, nil
	})
	return err
}

// within waits for what a gateway says of an instance, or so long.
func (k *Keeper) within(ctx context.Context, limit time.Duration, id run.InstanceID, wait func(context.Context, run.InstanceID) error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := wait(limited, id); err != nil && (limited.Err() == nil || ctx.Err() != nil) {
		return err // anything but the deadline
	}
	return nil
}
