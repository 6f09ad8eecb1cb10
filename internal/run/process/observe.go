//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/run/process/ward"
)

func (d *Driver) ids() ([]run.InstanceID, error) {
	entries, err := os.ReadDir(d.instances())
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	var ids []run.InstanceID
	for _, e := range entries { // sorted by name
		ids = append(ids, run.InstanceID(e.Name()))
	}
	return ids, nil
}

// List returns every instance that was started and not removed.
func (d *Driver) List(context.Context) ([]run.Status, error) {
	ids, err := d.ids()
	if err != nil {
		return nil, err
	}
	var out []run.Status
	for _, id := range ids {
		st, err := d.status(id)
		if fault.Is(err, fault.NotFound) {
			continue // being started, or removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

// Wait returns how an instance ended, as soon as it has.
func (d *Driver) Wait(ctx context.Context, id run.InstanceID) (run.Exit, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if _, _, err := d.known(id); err != nil {
			return run.Exit{}, err
		}
		if !ward.Alive(d.dir(id)) {
			break
		}
		select {
		case <-ctx.Done():
			return run.Exit{}, ctx.Err()
		case <-tick.C:
		}
	}
	d.mu.Lock()
	delivered := d.attached[id]
	d.mu.Unlock()
	if delivered != nil {
		select {
		case <-ctx.Done():
			return run.Exit{}, ctx.Err()
		case <-delivered:
		}
	}
	st, err := d.status(id)
	if err != nil {
		return run.Exit{}, err
	}
	return *st.Exit, nil
}

// Watch reports ends and stops instances that wrote more than they may.
func (d *Driver) Watch(ctx context.Context, ended func(run.Status)) error {
	tick := time.NewTicker(5 * poll)
	defer tick.Stop()
	runs := map[run.InstanceID]bool{}
	measured := time.Now()
	for first := true; ; first = false {
		ids, err := d.ids()
		if err != nil {
			return err
		}
		now := map[run.InstanceID]bool{}
		for _, id := range ids {
			_, finished, err := ward.ReadExit(d.dir(id))
			was, seen := runs[id]
			running := !finished && err == nil && ward.Alive(d.dir(id))
			now[id] = running
			// What is new and has ended already did both between two looks; what
			// had ended before the first look was not watched.
			if !running && (was || !seen && !first) {
				if st, err := d.status(id); err == nil && st.Exit != nil {
					ended(st)
				} else {
					delete(now, id) // being started: look again
				}
			}
		}
		runs = now
		if time.Since(measured) >= d.cfg.DiskEvery {
			d.enforceDisk(ctx, runs)
			measured = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// enforceDisk stops instances that wrote more than they may.
func (d *Driver) enforceDisk(ctx context.Context, running map[run.InstanceID]bool) {
	for id, runs := range running {
		r, state, err := d.known(id)
		if !runs || err != nil || r.DiskMiB == 0 || diskUsage(d.dir(id)) <= int64(r.DiskMiB)<<20 {
			continue
		}
		why := run.DiskReason(r.DiskMiB)
		err = os.WriteFile(filepath.Join(d.dir(id), "reason"), []byte(why), 0o600)
		if err := errors.Join(err, d.kill(ctx, id, state)); err != nil {
			d.log.ErrorContext(ctx, "stop instance for its disk", "instance", id, "error", err)
		}
	}
}

// diskUsage is what an instance wrote: files that are not links to its image's.
func diskUsage(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // removed meanwhile
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			return nil
		}
		size += info.Size()
		return nil
	})
	return size
}
