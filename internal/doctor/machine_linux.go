package doctor

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"naru/internal/disk"
)

func checkRoot(_ context.Context, env Env) Finding {
	if env.UID != 0 {
		return fail("sudo naru up", "user %d is not root, and containers with networks of their own need root", env.UID)
	}
	return ok("running as root")
}

// existing is the nearest folder above path that exists.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

func checkDisk(_ context.Context, env Env) Finding {
	dir := existing(env.Config.DataDir)
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fail("choose another folder with --data-dir", "the disk of %s cannot be looked at: %v", dir, err)
	}
	room, err := disk.Of(dir) // as who refuses pushes sees it: root has more
	if err != nil {
		return fail("choose another folder with --data-dir", "the disk of %s cannot be looked at: %v", dir, err)
	}
	free, total := uint64(room.Free), uint64(room.Total)
	reserve := uint64(env.Config.Reserve.DiskPercent)
	switch {
	case free < 16<<20:
		return fail("free space there, or move the data folder with --data-dir", "the disk of %s is full: %s of %s free", dir, mib(free), mib(total))
	case free*100 < total*reserve:
		return fail("free space there, or lower reserve.disk_percent", "the disk of %s has %s of %s free, less than the reserve of %d%%, so pushes are refused",
			dir, mib(free), mib(total), reserve)
	case fs.Files > 0 && fs.Ffree*100 < fs.Files:
		return fail("remove files there", "the disk of %s has %d of %d inodes free", dir, fs.Ffree, fs.Files)
	}
	return ok("%s of %s free in %s", mib(free), mib(total), dir)
}

func mib(bytes uint64) string {
	if bytes >= 10<<30 {
		return strconv.FormatUint(bytes>>30, 10) + " GiB"
	}
	return strconv.FormatUint(bytes>>20, 10) + " MiB"
}

func checkMemory(_ context.Context, env Env) Finding {
	text, err := os.ReadFile(filepath.Join(env.Proc, "meminfo"))
	if err != nil {
		return skipped("memory cannot be looked at: %v", err)
	}
	total, available := meminfo(string(text), "MemTotal"), meminfo(string(text), "MemAvailable")
	reserve := uint64(env.Config.Reserve.MemoryPercent)
	if available*100 < total*reserve {
		return warn("stop something, or lower reserve.memory_percent",
			"%s of %s memory available, less than the reserve of %d%%, so instances are refused", mib(available), mib(total), reserve)
	}
	return ok("%s of %s available", mib(available), mib(total))
}

// meminfo returns a line of /proc/meminfo in bytes.
func meminfo(text, key string) uint64 {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == key+":" {
			kib, err := strconv.ParseUint(f[1], 10, 54)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

// maxSkew is how wrong a clock may be: certificates and tokens still work.
const maxSkew = 2 * time.Minute

func checkClock(ctx context.Context, env Env) Finding {
	const cure = "timedatectl set-ntp true, or set it with: date -s"
	now := env.Now()
	// A clock behind the newest file of this very program needs no second opinion.
	if exe, err := os.Executable(); err == nil {
		if info, err := os.Stat(exe); err == nil && now.Before(info.ModTime().Add(-24*time.Hour)) {
			return fail(cure, "the clock says %s, which is before this program was installed (%s)",
				now.UTC().Format(time.DateTime), info.ModTime().UTC().Format(time.DateTime))
		}
	}
	if real, host, found := askTime(ctx, env); found {
		if skew := now.Sub(real).Abs(); skew > maxSkew {
			return fail(cure, "the clock says %s, %s says %s: certificates and tokens will be refused",
				now.UTC().Format(time.DateTime), host, real.UTC().Format(time.DateTime))
		}
		return ok("the clock agrees with %s", host)
	}
	var tx unix.Timex
	if state, err := unix.Adjtimex(&tx); err == nil && state == unix.TIME_ERROR {
		return warn("timedatectl set-ntp true", "the clock is not kept in step by anything, and no mirror could be asked")
	}
	return ok("the clock is kept in step")
}

// askTime reads the Date that a mirror answers with. Plain HTTP, because a
// wrong clock is what makes TLS fail.
func askTime(ctx context.Context, env Env) (real time.Time, host string, found bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, host := range env.NamesUsed {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+host+"/", nil)
		if err != nil {
			continue
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		if real, err := http.ParseTime(res.Header.Get("Date")); err == nil {
			return real, host, true
		}
	}
	return time.Time{}, "", false
}

func checkCgroups(_ context.Context, env Env) Finding {
	const cure = "boot with cgroup_enable=memory, or give this machine (or its container) these controllers"
	root := filepath.Join(env.Sys, "fs", "cgroup")
	want := []string{"cpu", "memory", "pids"}
	if text, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); err == nil {
		return controllers("v2", strings.Fields(string(text)), want, cure)
	}
	var have []string
	for _, name := range want {
		if _, err := os.Stat(filepath.Join(root, name, "cgroup.procs")); err == nil {
			have = append(have, name)
		}
	}
	return controllers("v1", have, want, cure)
}

func controllers(version string, have, want []string, cure string) Finding {
	var missing []string
	for _, name := range want {
		if !slices.Contains(have, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fail(cure, "cgroup controllers are missing: %s; limits cannot be kept", strings.Join(missing, ", "))
	}
	return ok("cgroup %s with cpu, memory and pids", version)
}

func checkOverlay(_ context.Context, env Env) Finding {
	text, err := os.ReadFile(filepath.Join(env.Proc, "filesystems"))
	if err != nil || !strings.Contains(string(text), "\toverlay\n") {
		return fail("modprobe overlay", "this kernel has no overlay file system, on which instances get their disks")
	}
	dir := existing(env.Config.DataDir)
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return fail("put it on a volume or a tmpfs with --data-dir", "%s is an overlay itself (a container's own disk), and overlays cannot be stacked on it", dir)
	}
	return ok("overlay file system available")
}

func checkForwarding(_ context.Context, env Env) Finding {
	text, err := os.ReadFile(filepath.Join(env.Proc, "sys/net/ipv4/ip_forward"))
	if err != nil {
		return skipped("cannot be looked at: %v", err)
	}
	if strings.TrimSpace(string(text)) != "1" {
		return warn("sysctl -w net.ipv4.ip_forward=1", "IP forwarding is off, so instances and builds reach nothing outside until naru switches it on")
	}
	return ok("IP forwarding is on")
}

func checkBridge(_ context.Context, env Env) Finding {
	if _, err := os.Stat(filepath.Join(env.Proc, "sys/net/bridge")); err == nil {
		return ok("br_netfilter is loaded; bridged packets pass the rules of the IP tables, too")
	}
	if _, err := os.Stat(filepath.Join(env.Sys, "module/bridge")); err == nil {
		return ok("bridges available")
	}
	if text, err := os.ReadFile(filepath.Join(env.Proc, "modules")); err == nil && strings.Contains("\n"+string(text), "\nbridge ") {
		return ok("bridges available")
	}
	if builtin(env, "bridge") {
		return ok("bridges available")
	}
	return warn("modprobe bridge", "no sign of the kernel's bridge module, which the networks of instances need")
}

// builtin reports whether a module is part of the running kernel, or would be
// loaded on first use.
func builtin(env Env, module string) bool {
	release, err := os.ReadFile(filepath.Join(env.Proc, "sys/kernel/osrelease"))
	if err != nil {
		return false
	}
	dir := filepath.Join("/lib/modules", strings.TrimSpace(string(release)))
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		text, err := os.ReadFile(filepath.Join(dir, list))
		if err == nil && strings.Contains(string(text), fmt.Sprintf("/%s.ko", module)) {
			return true
		}
	}
	_, err = os.Stat(dir)
	return err != nil // a kernel without modules has everything it will ever have
}
