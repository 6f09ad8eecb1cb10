package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"naru/internal/backoff"
	"naru/internal/config"
	"naru/internal/supervise"
)

// Sweep removes what a platform left outside its data folder after its own
// processes have gone: instances and their shims, mounts, network namespaces,
// bridges, rules, cgroups. Everything of that carries the hash of the data
// folder in its name or its environment.
func Sweep(ctx context.Context, c config.Config) error {
	name := Name(c)
	var errs []error
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"processes", func() error { return killAll(ctx, name) }},
		{"mounts", func() error { return unmountAll(c) }},
		{"network namespaces", func() error { return removeNamespaces(name) }},
		{"links", func() error { return removeLinks(name) }},
		{"rules", func() error { return removeTables(name) }},
		{"chains", func() error { return removeChains(ctx, name) }},
		{"cgroups", func() error { return removeCgroups(ctx, "/sys/fs/cgroup", name) }},
	} {
		if err := step.do(); err != nil {
			errs = append(errs, fmt.Errorf("remove %s: %w", step.what, err))
		}
	}
	return errors.Join(errs...)
}

// soon retries what the kernel does a moment later: a killed process leaves its
// cgroup, a namespace its mount.
var soon = backoff.Policy{First: 5 * time.Millisecond, Max: 200 * time.Millisecond}

// killAll ends every process that a child of the platform started, directly or
// through others: shims carry the mark, instances are their children.
func killAll(ctx context.Context, name string) error {
	for attempt := range 40 {
		left, err := family(name)
		if err != nil || len(left) == 0 {
			return err
		}
		for _, pid := range left {
			// ESRCH is a process that went while we looked.
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
		if err := soon.Wait(ctx, attempt); err != nil {
			return err
		}
	}
	left, err := family(name)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("processes %v do not end", left)
	}
	return err
}

// family lists the marked processes and their descendants, without ourselves
// and whoever started us, and without the dead.
func family(name string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	parent, marked := map[int]int{}, map[int]bool{}
	mark := []byte("NARU_CHILD=" + name + "/")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		state, ppid, ok := stat(e.Name())
		if !ok || state == "Z" || state == "X" {
			continue
		}
		parent[pid] = ppid
		environ, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err == nil && (bytes.HasPrefix(environ, mark) || bytes.Contains(environ, append([]byte{0}, mark...))) {
			marked[pid] = true
		}
	}
	spared := map[int]bool{}
	for pid := os.Getpid(); pid > 0; pid = parent[pid] {
		spared[pid] = true
	}
	var found []int
	for pid := range parent {
		for at := pid; at > 1; at = parent[at] {
			if marked[at] && !spared[at] {
				found = append(found, pid)
				break
			}
		}
	}
	slices.Sort(found)
	return slices.DeleteFunc(found, func(pid int) bool { return spared[pid] }), nil
}

func stat(pid string) (state string, ppid int, ok bool) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return "", 0, false
	}
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 2 {
		return "", 0, false
	}
	ppid, err = strconv.Atoi(f[1])
	return f[0], ppid, err == nil
}

// unmountAll looks only where our daemons mount: somebody's disk may be mounted
// elsewhere in the data folder.
func unmountAll(c config.Config) error {
	for _, dir := range []string{c.RunDir, containerdRoot(c), filepath.Join(c.DataDir, "buildkit")} {
		mounts, err := supervise.MountsBelow(dir)
		if err != nil {
			return err
		}
		for _, at := range mounts {
			// Detached: a reader somewhere else must not keep it.
			if err := unix.Unmount(at, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("unmount %s: %w", at, err)
			}
		}
	}
	return nil
}

func removeNamespaces(name string) error {
	found, err := filepath.Glob("/run/netns/*" + name + "*")
	if err != nil {
		return err
	}
	for _, path := range found {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeLinks removes bridges of the platform and what is plugged into them.
func removeLinks(name string) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	ours := map[int]bool{}
	for _, l := range links {
		ours[l.Attrs().Index] = strings.Contains(l.Attrs().Name, name)
	}
	for _, l := range links {
		a := l.Attrs()
		if !ours[a.Index] && !ours[a.MasterIndex] {
			continue
		}
		// The other end of a pair goes along with the first.
		var gone netlink.LinkNotFoundError
		if err := netlink.LinkDel(l); err != nil && !errors.As(err, &gone) && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("remove link %s: %w", a.Name, err)
		}
	}
	return nil
}

func removeTables(name string) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	tables, err := conn.ListTables()
	if err != nil {
		return err
	}
	for _, t := range tables {
		if strings.Contains(t.Name, name) {
			conn.DelTable(t)
		}
	}
	return conn.Flush()
}

// removeChains removes what was written through iptables: rules that mention
// the hash (jumps, comments, bridges), then the chains named after it.
func removeChains(ctx context.Context, name string) error {
	for _, family := range []string{"iptables", "ip6tables"} {
		save, err := exec.LookPath(family + "-save")
		if err != nil {
			continue // then nobody can have written any
		}
		out, err := exec.CommandContext(ctx, save).Output()
		if err != nil {
			return fmt.Errorf("list rules with %s: %w", save, err)
		}
		if !bytes.Contains(out, []byte(name)) {
			continue
		}
		cmd := exec.CommandContext(ctx, family+"-restore", "--noflush", "-w")
		cmd.Stdin = strings.NewReader(removals(string(out), name))
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("remove rules with %s-restore: %w: %s", family, err, text)
		}
	}
	return nil
}

// removals turns iptables-save's output into the input of iptables-restore
// that removes every rule and chain that mentions name.
func removals(saved, name string) string {
	var b strings.Builder
	var rules, chains []string
	for line := range strings.Lines(saved) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "*"):
			b.WriteString(line + "\n")
			rules, chains = nil, nil
		case strings.HasPrefix(line, ":") && strings.Contains(line, name):
			chain, _, _ := strings.Cut(line[1:], " ")
			chains = append(chains, chain)
		case strings.HasPrefix(line, "-A ") && strings.Contains(line, name):
			rules = append(rules, "-D "+line[3:])
		case line == "COMMIT":
			for _, rule := range rules {
				b.WriteString(rule + "\n")
			}
			for _, chain := range chains {
				b.WriteString("-X " + chain + "\n")
			}
			b.WriteString("COMMIT\n")
		}
	}
	return b.String()
}

// removeCgroups removes the groups named after the platform, in every
// hierarchy, the deepest first.
func removeCgroups(ctx context.Context, root, name string) error {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went while we looked
		}
		if err != nil {
			return err
		}
		if d.IsDir() && strings.Contains(path[len(root):], name) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, path := range slices.Backward(found) {
		for attempt := 0; ; attempt++ {
			err := unix.Rmdir(path)
			if err == nil || errors.Is(err, unix.ENOENT) {
				break
			}
			if attempt == 20 || !errors.Is(err, unix.EBUSY) {
				return fmt.Errorf("remove %s: %w", path, err)
			}
			if err := soon.Wait(ctx, attempt); err != nil {
				return err
			}
		}
	}
	return nil
}
