//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	apievents "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/typeurl/v2"
	"github.com/vishvananda/netlink"

	"naru/internal/run"
)

// Sweep removes instances that keep does not want and what starts left half
// done.
func (d *Driver) Sweep(ctx context.Context, keep func(run.InstanceID) bool) ([]run.InstanceID, error) {
	ctx = d.ctx(ctx)
	found := map[run.InstanceID]bool{}
	all, err := d.client.Containers(ctx)
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	for _, c := range all {
		found[run.InstanceID(c.ID())] = true
	}
	snaps := d.client.SnapshotService(snapshotter)
	if err := snaps.Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		if i.Kind == snapshots.KindActive && !strings.Contains(i.Name, " ") { // an unpack in progress has a space in its name
			found[run.InstanceID(i.Name)] = true
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("sweep file systems: %w", err)
	}
	for _, dir := range []string{d.net.namespaces(), filepath.Join(d.cfg.RunDir, "instances")} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("sweep: %w", err)
		}
		for _, e := range entries {
			found[run.InstanceID(e.Name())] = true
		}
	}
	var removed []run.InstanceID
	var errs []error
	kept := map[run.InstanceID]bool{}
	for id := range found {
		if keep(id) {
			kept[id] = true
			continue
		}
		if err := d.Remove(ctx, id); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, id)
	}
	return removed, errors.Join(append(errs, d.sweepAddresses(kept))...)
}

// sweepAddresses frees leases whose instance is gone, and what the rules know of
// them.
func (d *Driver) sweepAddresses(kept map[run.InstanceID]bool) error {
	leases, err := d.net.leases.all()
	errs := []error{err, d.net.leases.sweep()}
	for addr, owner := range leases {
		if !kept[owner] {
			errs = append(errs, d.net.release(owner, addr, ""))
		}
	}
	return errors.Join(errs...)
}

// Teardown removes all instances and everything of the driver outside the data
// folder.
func (d *Driver) Teardown(ctx context.Context) error {
	_, err := d.Sweep(ctx, func(run.InstanceID) bool { return false })
	errs := []error{err, d.net.rules.tearDown(ctx)}
	if link, err := netlink.LinkByName(d.net.bridge); err == nil {
		errs = append(errs, netlink.LinkDel(link))
	}
	errs = append(errs, removeCgroups(hostCgroups, filepath.Join("/naru", d.cfg.Hash)), os.RemoveAll(d.cfg.RunDir))
	return errors.Join(errs...)
}

// removeCgroups removes an empty group of every hierarchy.
func removeCgroups(root, group string) error {
	dirs, err := filepath.Glob(filepath.Join(root, "*", group))
	if err != nil {
		return err
	}
	if unified(root) {
		dirs = []string{filepath.Join(root, group)}
	}
	var errs []error
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() {
				errs = append(errs, removeDir(filepath.Join(dir, e.Name())))
			}
		}
		errs = append(errs, removeDir(dir))
		_ = os.Remove(filepath.Dir(dir)) // shared with other platforms: goes with the last one
	}
	return errors.Join(errs...)
}

func removeDir(dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// exitOf returns whose end an event tells of: an instance's, not that of a
// further command inside it.
func exitOf(e *events.Envelope) (string, bool) {
	if e == nil || e.Event == nil {
		return "", false
	}
	v, err := typeurl.UnmarshalAny(e.Event)
	if err != nil {
		return "", false
	}
	exit, ok := v.(*apievents.TaskExit)
	return exitID(exit), ok && exit.ID == exit.ContainerID
}

func exitID(e *apievents.TaskExit) string {
	if e == nil {
		return ""
	}
	return e.ContainerID
}
