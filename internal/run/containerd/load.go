//go:build linux

package containerd

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"naru/internal/fault"
	"naru/internal/run"
)

// Load returns what an instance uses now, but for its disk, which would have to
// be walked through. It asks the kernel alone.
func (d *Driver) Load(_ context.Context, id run.InstanceID) (run.Usage, error) {
	group := d.cgroup(id)
	u, err := cgroupUsage(hostCgroups, group)
	if err != nil {
		return u, fault.New(fault.NotFound, "instance", "instance %s does not run", id).WithCause(err)
	}
	if pid, ok := member(hostCgroups, group); ok {
		if text, err := os.ReadFile(filepath.Join("/proc", pid, "net", "dev")); err == nil {
			u.Received, u.Sent = traffic(string(text))
		}
	}
	return u, nil
}

// member is a process of a group.
func member(root, group string) (pid string, ok bool) {
	path := filepath.Join(root, "pids", group, "cgroup.procs")
	if unified(root) {
		path = filepath.Join(root, group, "cgroup.procs")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	pid, _, _ = strings.Cut(string(text), "\n")
	return pid, pid != ""
}

// traffic reads what an instance's interface took and sent from the kernel's
// table of interfaces.
func traffic(table string) (received, sent int64) {
	for line := range strings.Lines(table) {
		name, counts, ok := strings.Cut(line, ":")
		f := strings.Fields(counts)
		if !ok || strings.TrimSpace(name) != "eth0" || len(f) < 9 {
			continue
		}
		received, _ = strconv.ParseInt(f[0], 10, 64) // the kernel writes numbers
		sent, _ = strconv.ParseInt(f[8], 10, 64)
	}
	return received, sent
}
