//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/run/process/ward"
	"naru/internal/run/spool"
)

// killTime is how long a killed instance may take to be gone.
const killTime = 15 * time.Second

// Stop asks an instance to end, and after the grace makes it.
func (d *Driver) Stop(ctx context.Context, id run.InstanceID, grace time.Duration) error {
	_, state, err := d.known(id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if d.signal(id, state, syscall.SIGTERM) {
		gone, err := d.gone(ctx, id, grace)
		if gone || err != nil {
			return err
		}
	}
	return d.kill(ctx, id, state)
}

// signal tells naru-init, if it lives.
func (d *Driver) signal(id run.InstanceID, state ward.State, s syscall.Signal) bool {
	return ward.Alive(d.dir(id)) && syscall.Kill(state.Init, s) == nil
}

// kill ends an instance now.
func (d *Driver) kill(ctx context.Context, id run.InstanceID, state ward.State) error {
	if !d.signal(id, state, syscall.SIGUSR1) {
		return nil // naru-init takes all of the instance along when it goes
	}
	gone, err := d.gone(ctx, id, killTime)
	if err != nil || gone {
		return err
	}
	_ = syscall.Kill(-state.PID, syscall.SIGKILL) // naru-init is stuck: both may have ended meanwhile
	_ = syscall.Kill(state.Init, syscall.SIGKILL)
	if gone, err := d.gone(ctx, id, killTime); err != nil || gone {
		return err
	}
	return fmt.Errorf("stop instance %s: it does not end even when killed", id)
}

// gone waits until an instance's naru-init has ended.
func (d *Driver) gone(ctx context.Context, id run.InstanceID, wait time.Duration) (bool, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for ward.Alive(d.dir(id)) {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-deadline.C:
			return false, nil
		case <-tick.C:
		}
	}
	return true, nil
}

// Remove makes everything of an instance go away.
func (d *Driver) Remove(ctx context.Context, id run.InstanceID) error {
	unlock, err := d.lock(ctx, string(id))
	if err != nil {
		return err
	}
	defer unlock()
	_, state, err := d.known(id)
	if err == nil {
		if err := d.kill(ctx, id, state); err != nil {
			return err
		}
		d.mu.Lock()
		delivered := d.attached[id]
		d.mu.Unlock()
		if delivered != nil {
			<-delivered
		}
	}
	return d.remove(id)
}

// remove takes back what start made, whatever of it is there.
func (d *Driver) remove(id run.InstanceID) error {
	d.mu.Lock()
	delete(d.attached, id)
	for addr, owner := range d.ports {
		if owner == id {
			delete(d.ports, addr)
		}
	}
	d.mu.Unlock()
	return errors.Join(os.RemoveAll(d.dir(id)), spool.Finish(d.spool(id)))
}

// Sweep removes instances that keep does not want, and what starts and pulls
// left half done.
func (d *Driver) Sweep(ctx context.Context, keep func(run.InstanceID) bool) ([]run.InstanceID, error) {
	ids, err := d.ids()
	if err != nil {
		return nil, err
	}
	var removed []run.InstanceID
	var errs []error
	for _, id := range ids {
		if _, _, err := d.known(id); err == nil && keep(id) {
			continue
		}
		if err := d.Remove(ctx, id); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, id)
	}
	entries, err := os.ReadDir(d.images())
	errs = append(errs, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".unpack-") {
			errs = append(errs, os.RemoveAll(filepath.Join(d.images(), e.Name())))
		}
	}
	return removed, errors.Join(errs...)
}

// Teardown removes all instances and unpacked images.
func (d *Driver) Teardown(ctx context.Context) error {
	_, err := d.Sweep(ctx, func(run.InstanceID) bool { return false })
	return errors.Join(err, os.RemoveAll(d.cfg.Dir))
}
