// Package serve runs the parts of a process: started top to bottom, stopped
// bottom to top, on one screen.
package serve

import (
	"context"
	"errors"
	"fmt"
)

// Part is something that runs until its context ends. Run must return soon after
// that, with everything it started stopped.
type Part struct {
	Name string
	Run  func(ctx context.Context) error
}

// Ordered runs the parts until ctx ends or one of them returns, then stops them
// in reverse order, each only after the one below it has returned. A part that
// returns while ctx still lasts stops all others; its error, or that it returned
// at all, is the result.
func Ordered(ctx context.Context, parts ...Part) error {
	type running struct {
		Part
		stop context.CancelFunc
		done chan error
	}
	first := make(chan struct{}, len(parts))
	group := make([]running, 0, len(parts))
	for _, p := range parts {
		pctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := running{p, stop, make(chan error, 1)}
		go func() {
			r.done <- r.Run(pctx)
			first <- struct{}{}
		}()
		group = append(group, r)
	}
	var early bool
	select {
	case <-ctx.Done():
	case <-first:
		early = ctx.Err() == nil
	}
	var errs []error
	for i := len(group) - 1; i >= 0; i-- {
		r := group[i]
		var returned bool
		var err error
		select {
		case err = <-r.done:
			returned = true
		default:
			r.stop()
			err = <-r.done
		}
		r.stop()
		switch {
		case err != nil && !errors.Is(err, context.Canceled):
			errs = append(errs, fmt.Errorf("%s: %w", r.Name, err))
		case returned && early:
			errs = append(errs, fmt.Errorf("%s: stopped by itself", r.Name))
		}
	}
	return errors.Join(errs...)
}
