//go:build linux

package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"naru/internal/run"
)

// hostCgroups is where the machine mounts its hierarchies: one for each
// controller (version 1), or one for all (version 2).
const hostCgroups = "/sys/fs/cgroup"

// unified reports whether root is a version 2 hierarchy.
func unified(root string) bool {
	_, err := os.Stat(filepath.Join(root, "cgroup.controllers"))
	return err == nil
}

// cgroupUsage reads what a group uses.
func cgroupUsage(root, group string) (run.Usage, error) {
	var u run.Usage
	if unified(root) {
		dir := filepath.Join(root, group)
		memory, err := number(filepath.Join(dir, "memory.current"))
		if err != nil {
			return u, err
		}
		cache := field(filepath.Join(dir, "memory.stat"), "inactive_file")
		u.MemoryBytes = max(0, memory-cache)
		u.CPU = time.Duration(field(filepath.Join(dir, "cpu.stat"), "usage_usec")) * time.Microsecond
		pids, err := number(filepath.Join(dir, "pids.current"))
		u.PIDs = int(pids)
		return u, err
	}
	memory, err := number(filepath.Join(root, "memory", group, "memory.usage_in_bytes"))
	if err != nil {
		return u, err
	}
	cache := field(filepath.Join(root, "memory", group, "memory.stat"), "total_inactive_file")
	u.MemoryBytes = max(0, memory-cache)
	cpu, err := number(filepath.Join(root, "cpuacct", group, "cpuacct.usage"))
	if err != nil {
		return u, err
	}
	u.CPU = time.Duration(cpu)
	pids, err := number(filepath.Join(root, "pids", group, "pids.current"))
	u.PIDs = int(pids)
	return u, err
}

// oomKilled reports whether the kernel killed something of a group for its
// memory. It works until the group is removed, which is after its instance's end
// was seen.
func oomKilled(group string) bool {
	if unified(hostCgroups) {
		return field(filepath.Join(hostCgroups, group, "memory.events"), "oom_kill") > 0
	}
	return field(filepath.Join(hostCgroups, "memory", group, "memory.oom_control"), "oom_kill") > 0
}

// number reads a file that holds one.
func number(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}

// field reads a number from a file of "name number" lines; 0 where it is not.
func field(path, name string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
