package buildkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Prepare does what must be done before the daemon starts, besides its files:
// the rules around its bridge, and the cgroup that all its commands share. Doing
// it again changes nothing.
func (d Daemon) Prepare(ctx context.Context) error {
	if err := d.limit("/sys/fs/cgroup"); err != nil {
		return fmt.Errorf("limit builds: %w", err)
	}
	return d.Network(d.Reachable...).Up(ctx)
}

// cgroup is the parent of the commands' cgroups.
func (d Daemon) cgroup() string {
	if d.Cgroup != "" {
		return d.Cgroup
	}
	return "/naru-build-" + d.hash()
}

// period of the processors' quota, in microseconds.
const period = 100_000

// limit writes the limits into the parent cgroup, of version 2 where root is
// one, else into the hierarchies of version 1.
func (d Daemon) limit(root string) error {
	memory, quota := strconv.Itoa(d.MemoryMiB<<20), strconv.Itoa(d.CPUMilli*period/1000)
	var files [][2]string
	switch _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); {
	case d.MemoryMiB == 0 && d.CPUMilli == 0:
		return nil
	case err == nil:
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory +cpu"), 0); err != nil {
			return fmt.Errorf("enable controllers: %w", err)
		}
		dir := filepath.Join(root, d.cgroup())
		if d.MemoryMiB > 0 {
			files = append(files, [2]string{filepath.Join(dir, "memory.max"), memory})
		}
		if d.CPUMilli > 0 {
			files = append(files, [2]string{filepath.Join(dir, "cpu.max"), quota + " " + strconv.Itoa(period)})
		}
	case errors.Is(err, os.ErrNotExist):
		if d.MemoryMiB > 0 {
			files = append(files, [2]string{filepath.Join(root, "memory", d.cgroup(), "memory.limit_in_bytes"), memory})
		}
		if d.CPUMilli > 0 {
			dir := filepath.Join(root, "cpu", d.cgroup())
			files = append(files, [2]string{filepath.Join(dir, "cpu.cfs_period_us"), strconv.Itoa(period)}, [2]string{filepath.Join(dir, "cpu.cfs_quota_us"), quota})
		}
	default:
		return err
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f[0]), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f[0], []byte(f[1]), 0o644); err != nil {
			return err
		}
	}
	return nil
}
