package process

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/run"
)

// environOf reads the environment a process was started with.
func environOf(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return nil, os.ErrProcessDone // a zombie
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00"), nil
}

// tree returns a process and all below it.
func tree(pid int) []int {
	out := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			continue // ended meanwhile
		}
		for _, f := range bytes.Fields(text) {
			if child, err := strconv.Atoi(string(f)); err == nil {
				out = append(out, tree(child)...)
			}
		}
	}
	return out
}

// Usage adds what the instance wrote to its Load.
func (d *Driver) Usage(ctx context.Context, id run.InstanceID) (run.Usage, error) {
	u, err := d.Load(ctx, id)
	if err == nil {
		u.DiskBytes = diskUsage(d.dir(id))
	}
	return u, err
}

// Load adds up the instance's processes.
func (d *Driver) Load(_ context.Context, id run.InstanceID) (run.Usage, error) {
	_, state, err := d.known(id)
	if err != nil {
		return run.Usage{}, err
	}
	var u run.Usage
	page := int64(os.Getpagesize())
	const ticks = 100 // the kernel's unit in these files, whatever its own clock is
	for _, pid := range tree(state.PID) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // ended meanwhile
		}
		// The name before it may hold anything but a last bracket.
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(f) < 22 {
			continue
		}
		number := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n }
		u.CPU += time.Duration(number(11)+number(12)) * time.Second / ticks
		u.PIDs += int(number(17))
		u.MemoryBytes += number(21) * page
	}
	return u, nil
}

// Listening returns what the instance's processes listen on.
func (d *Driver) Listening(_ context.Context, id run.InstanceID) ([]netip.AddrPort, error) {
	_, state, err := d.known(id)
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, pid := range tree(state.PID) {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, fd := range fds {
			if target, err := os.Readlink(fd); err == nil {
				own[target] = true
			}
		}
	}
	var sockets []run.Socket
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", state.PID, table))
		if os.IsNotExist(err) && table == "tcp6" {
			continue // a machine without IPv6
		}
		if err != nil {
			return nil, fault.New(fault.Conflict, "instance", "instance %s does not run", id).WithCause(err)
		}
		found, err := run.ParseListening(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if own[fmt.Sprintf("socket:[%d]", s.Inode)] {
				sockets = append(sockets, s)
			}
		}
	}
	return run.Addrs(sockets), nil
}
