//go:build linux

package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"

	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/run/spool"
)

// List returns every instance that was started and not removed.
func (d *Driver) List(ctx context.Context) ([]run.Status, error) {
	ctx = d.ctx(ctx)
	all, err := d.client.Containers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	var out []run.Status
	for _, c := range all {
		st, started, err := d.status(ctx, c)
		if err != nil {
			return nil, err
		}
		if started || st.Exit != nil {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b run.Status) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out, nil
}

// status says what is known of a container; started is false for one that has
// no process: it was never made, or the machine was started anew.
func (d *Driver) status(ctx context.Context, c client.Container) (st run.Status, started bool, err error) {
	labels, err := c.Labels(ctx)
	if errdefs.IsNotFound(err) {
		return st, false, nil
	}
	if err != nil {
		return st, false, fmt.Errorf("look at instance %s: %w", c.ID(), err)
	}
	if err := json.Unmarshal([]byte(labels[labelStatus]), &st); err != nil {
		return st, false, nil // not one of ours
	}
	task, err := c.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		// Its shim is gone: killed, or the machine was started anew.
		st.Phase = run.Exited
		st.Exit = &run.Exit{Code: -1, Reason: run.Reason(-1, 0, false, 0), At: time.Now().UTC()}
		return st, false, nil
	}
	if err != nil {
		st.Phase = run.Unknown
		return st, true, nil
	}
	now, err := task.Status(ctx)
	if err != nil {
		st.Phase = run.Unknown
		return st, true, nil
	}
	switch now.Status {
	case client.Created:
		return st, false, nil
	case client.Stopped:
		st.Phase = run.Exited
		exit := d.exit(st.ID, labels, int(now.ExitStatus), now.ExitTime)
		st.Exit = &exit
	default:
		st.Phase, st.PID = run.Running, int(task.Pid())
	}
	return st, true, nil
}

// exit describes how an instance ended.
func (d *Driver) exit(id run.InstanceID, labels map[string]string, code int, at time.Time) run.Exit {
	e := run.Exit{Code: code, At: at.UTC()}
	if code > 128 && code < 128+65 {
		e.Signal = code - 128
	}
	memory, err := strconv.Atoi(labels[labelMemory])
	if err != nil {
		memory = 0
	}
	e.OOM = e.Signal == int(syscall.SIGKILL) && oomKilled(d.cgroup(id)) || code != 0 && oomKilled(d.cgroup(id))
	e.Reason = run.Reason(e.Code, e.Signal, e.OOM, memory)
	if reason := labels[labelReason]; reason != "" {
		e.Reason = reason
	}
	e.LastLines = d.lastLines(id)
	return e
}

// lastLines waits a moment for the log helper to write what it has read.
func (d *Driver) lastLines(id run.InstanceID) []string {
	deadline := time.Now().Add(500 * time.Millisecond)
	for {
		lines, ended, err := spool.Tail(d.spool(id), run.LastLines)
		if ended || err != nil || time.Now().After(deadline) {
			return lines
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Wait returns how an instance ended, as soon as it has.
func (d *Driver) Wait(ctx context.Context, id run.InstanceID) (run.Exit, error) {
	ctx = d.ctx(ctx)
	unknown := fault.New(fault.NotFound, "instance", "instance %s is not known", id)
	c, err := d.client.LoadContainer(ctx, string(id))
	if errdefs.IsNotFound(err) {
		return run.Exit{}, unknown
	}
	if err != nil {
		return run.Exit{}, fmt.Errorf("wait for instance %s: %w", id, err)
	}
	task, err := c.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		st, _, err := d.status(ctx, c)
		if err == nil && st.Exit != nil {
			return *st.Exit, nil
		}
		return run.Exit{}, unknown
	}
	if err != nil {
		return run.Exit{}, fmt.Errorf("wait for instance %s: %w", id, err)
	}
	ended, err := task.Wait(ctx)
	if err != nil {
		return run.Exit{}, fmt.Errorf("wait for instance %s: %w", id, err)
	}
	select {
	case <-ctx.Done():
		return run.Exit{}, ctx.Err()
	case s := <-ended:
		code, at, err := s.Result()
		if err != nil {
			return run.Exit{}, fmt.Errorf("wait for instance %s: %w", id, err)
		}
		if err := d.waitDelivered(ctx, id); err != nil {
			return run.Exit{}, err
		}
		labels, err := c.Labels(ctx)
		if err != nil {
			labels = map[string]string{} // removed already; its words are lost, its end is not
		}
		return d.exit(id, labels, int(code), at), nil
	}
}

// Watch reports ends and stops instances that wrote more than they may.
func (d *Driver) Watch(ctx context.Context, ended func(run.Status)) error {
	ctx = d.ctx(ctx)
	events, errs := d.client.Subscribe(ctx, `topic=="/tasks/exit"`)
	tick := time.NewTicker(d.cfg.DiskEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-errs:
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watch instances: %w", err)
		case e := <-events:
			if id, ok := exitOf(e); ok {
				if c, err := d.client.LoadContainer(ctx, id); err == nil {
					if st, started, err := d.status(ctx, c); err == nil && started && st.Phase == run.Exited {
						ended(st)
					}
				}
			}
		case <-tick.C:
			if err := d.checkDisks(ctx); err != nil && ctx.Err() == nil {
				d.log.WarnContext(ctx, "measure disks of instances", "error", err)
			}
		}
	}
}

// checkDisks stops every instance that wrote more than its limit. A file system
// with project quotas would refuse the write itself; overlayfs on most machines
// has none, so what was written is measured.
func (d *Driver) checkDisks(ctx context.Context) error {
	all, err := d.client.Containers(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		labels, err := c.Labels(ctx)
		if err != nil {
			continue // removed meanwhile
		}
		limit, err := strconv.Atoi(labels[labelDisk])
		if err != nil || limit == 0 || labels[labelReason] != "" {
			continue
		}
		used, err := d.client.SnapshotService(snapshotter).Usage(ctx, c.ID())
		if err != nil || used.Size <= int64(limit)<<20 {
			continue
		}
		if _, err := c.SetLabels(ctx, map[string]string{labelReason: run.DiskReason(limit)}); err != nil {
			return err
		}
		if task, err := c.Task(ctx, nil); err == nil {
			if err := task.Kill(ctx, syscall.SIGKILL, client.WithKillAll); err != nil && !errdefs.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}

// Usage returns what an instance uses now.
func (d *Driver) Usage(ctx context.Context, id run.InstanceID) (run.Usage, error) {
	ctx = d.ctx(ctx)
	u, err := d.Load(ctx, id)
	if err != nil {
		return u, err
	}
	if s, err := d.client.SnapshotService(snapshotter).Usage(ctx, string(id)); err == nil {
		u.DiskBytes = s.Size
	}
	return u, nil
}

// Listening returns what an instance listens on.
func (d *Driver) Listening(ctx context.Context, id run.InstanceID) ([]netip.AddrPort, error) {
	ctx = d.ctx(ctx)
	c, err := d.client.LoadContainer(ctx, string(id))
	if err != nil {
		return nil, fault.New(fault.NotFound, "instance", "instance %s is not known", id).WithCause(err)
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return nil, fault.New(fault.NotFound, "instance", "instance %s does not run", id).WithCause(err)
	}
	return listening(int(task.Pid()))
}

// listening reads the socket tables of a process's network namespace.
func listening(pid int) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "net", table))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read sockets of instance: %w", err)
		}
		sockets, err := run.ParseListening(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("read sockets of instance: %w", err)
		}
		for _, s := range sockets {
			out = append(out, s.Addr)
		}
	}
	slices.SortFunc(out, func(a, b netip.AddrPort) int { return a.Compare(b) })
	return slices.Compact(out), nil
}
