//go:build linux

package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/moby/sys/signal"

	"naru/internal/run"
	"naru/internal/run/spool"
)

// Stop asks an instance to end, and after the grace makes it.
func (d *Driver) Stop(ctx context.Context, id run.InstanceID, grace time.Duration) error {
	ctx = d.ctx(ctx)
	c, err := d.client.LoadContainer(ctx, string(id))
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop instance %s: %w", id, err)
	}
	task, err := c.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop instance %s: %w", id, err)
	}
	ended, err := task.Wait(ctx)
	if err != nil {
		return fmt.Errorf("stop instance %s: %w", id, err)
	}
	labels, err := c.Labels(ctx)
	if err != nil {
		return fmt.Errorf("stop instance %s: %w", id, err)
	}
	sig := syscall.SIGTERM
	if s, err := signal.ParseSignal(labels[labelSignal]); err == nil {
		sig = s
	}
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{sig, grace}, {syscall.SIGKILL, 30 * time.Second}} {
		var opts []client.KillOpts
		if step.signal == syscall.SIGKILL {
			opts = append(opts, client.WithKillAll)
		}
		if err := task.Kill(ctx, step.signal, opts...); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("stop instance %s: %w", id, err)
		}
		timer := time.NewTimer(step.wait)
		select {
		case <-ended:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
	return fmt.Errorf("stop instance %s: it does not end even when killed", id)
}

// Remove makes everything of an instance go away.
func (d *Driver) Remove(ctx context.Context, id run.InstanceID) error {
	ctx = d.ctx(ctx)
	unlock, err := d.starts.lock(ctx, string(id))
	if err != nil {
		return err
	}
	defer unlock()
	return d.remove(ctx, id)
}

// remove takes back what start made, in reverse, whatever of it is there.
func (d *Driver) remove(ctx context.Context, id run.InstanceID) error {
	var addr netip.Addr
	space := ""
	c, err := d.client.LoadContainer(ctx, string(id))
	switch {
	case err == nil:
		if labels, err := c.Labels(ctx); err == nil {
			var st run.Status
			if json.Unmarshal([]byte(labels[labelStatus]), &st) == nil {
				space = string(st.Space)
			}
			if a, err := netip.ParseAddr(labels[labelAddress]); err == nil {
				addr = a
			}
		}
		if task, err := c.Task(ctx, nil); err == nil {
			if _, err := task.Delete(ctx, client.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
				return fmt.Errorf("remove instance %s: %w", id, err)
			}
		}
		if err := c.Delete(ctx, client.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("remove instance %s: %w", id, err)
		}
	case errdefs.IsNotFound(err):
		if err := d.client.SnapshotService(snapshotter).Remove(ctx, string(id)); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("remove file system of instance %s: %w", id, err)
		}
	default:
		return fmt.Errorf("remove instance %s: %w", id, err)
	}
	d.watched.Delete(id)
	d.delivered.Delete(id)
	// Its log helper has seen the end of the output; a spool whose helper was
	// killed with it is ended here, so that it is read and freed.
	return errors.Join(d.net.detach(id, addr, space), os.RemoveAll(d.files(id)), d.endSpool(id))
}

// endSpool marks the end of an instance's output where nobody did.
func (d *Driver) endSpool(id run.InstanceID) error {
	deadline := time.Now().Add(2 * time.Second)
	for {
		_, ended, err := spool.Tail(d.spool(id), 1)
		if ended || err != nil {
			return nil
		}
		if time.Now().After(deadline) {
			return spool.Finish(d.spool(id))
		}
		time.Sleep(5 * time.Millisecond)
	}
}
