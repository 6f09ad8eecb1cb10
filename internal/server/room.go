//go:build linux

package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/build"
	"naru/internal/build/bake"
	"naru/internal/build/buildkit"
	"naru/internal/client"
	"naru/internal/config"
	"naru/internal/disk"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/admit"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/foundry"
	"naru/internal/pipeline/task"
	"naru/internal/size"
	"naru/internal/store"
)

// machineMemory is what this machine has, or what the control group around naru
// leaves of it; 0 where that cannot be found out.
func machineMemory() config.Bytes {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	have := config.Bytes(uint64(info.Totalram) * uint64(info.Unit))
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
			have = min(have, config.Bytes(n))
		}
	}
	return have
}

// BuildMemory is what all builds at once may take here, in MiB: what naru up
// gives the build engine, and what the control plane promises to nobody.
func BuildMemory(c config.Config) int { return int(c.BuildMemory(machineMemory()) / config.MiB) }

// memoryLimits say how much may be promised to instances and tasks.
func memoryLimits(c config.Config) admit.Limits {
	l := admit.Limits{
		MachineMiB: int(machineMemory() / config.MiB), ReservePercent: c.Reserve.MemoryPercent, Overcommit: c.Reserve.MemoryOvercommit,
	}
	if c.Buildkit.Address == "" { // a build engine of others takes what others give it
		l.BuildsMiB = BuildMemory(c)
	}
	return l
}

// maxMemory is what one instance may ask for, in MiB: as configured, else what
// the machine has without the reserve; 0 where neither is known.
func maxMemory(c config.Config) int {
	if c.Instance.MaxMemory > 0 {
		return int(c.Instance.MaxMemory / config.MiB)
	}
	return int(machineMemory()/config.MiB) * (100 - c.Reserve.MemoryPercent) / 100
}

// processDefaults are what a process gets where nothing else is said.
func processDefaults(c config.Config) app.Process {
	return app.Process{
		MemoryMiB: int(c.Instance.Memory / config.MiB), DiskMiB: int(c.Instance.Disk / config.MiB),
		CPUMilli: int(c.Instance.CPU * 1000), PIDs: c.Instance.Pids,
		StopGrace: app.Duration(c.Instance.StopTimeout), Health: app.Health{StartTimeout: app.Duration(c.Instance.StartTimeout)},
	}
}

// diskReserve is what uploads, images and builds may not take.
func diskReserve(c config.Config) disk.Reserve {
	return disk.Reserve{Path: c.DataDir, Percent: c.Reserve.DiskPercent}
}

// DiskKept is the reserve in MiB; 0 where it cannot be found out. The build engine
// gives up its cache before the disk is down to it.
func DiskKept(c config.Config) int {
	room, err := disk.Of(c.DataDir)
	if err != nil {
		return 0
	}
	return int(room.Total / 100 * int64(c.Reserve.DiskPercent) >> 20)
}

// guarded does work that takes the disk: not below the reserve, and not on when
// it eats into it.
func guarded[T any](ctx context.Context, r disk.Reserve, many, one string, do func(context.Context) (T, error)) (T, error) {
	if err := r.Check(many); err != nil {
		var none T
		return none, err
	}
	ctx, stop := r.Guard(ctx, one)
	defer stop()
	out, err := do(ctx)
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		return out, context.Cause(ctx)
	case disk.Full(err) || strings.Contains(err.Error(), "no space left on device"):
		full := disk.Error(r.Path)
		full.Kind = fault.Conflict
		full.Message += "; " + one + " failed"
		if why := fault.Of(err); why.Kind != fault.Internal {
			full.Message += ": " + why.Message
		}
		return out, full.WithCause(err)
	}
	return out, err
}

// roomyBuilds are builds that leave the reserve alone. What one left behind that
// had no room is removed at once.
type roomyBuilds struct {
	builds
	reserve disk.Reserve
	cache   buildCache
	log     *slog.Logger
}

func (b roomyBuilds) Build(ctx context.Context, req build.Request) (build.Result, error) {
	res, err := guarded(ctx, b.reserve, "builds", "the build", func(ctx context.Context) (build.Result, error) { return b.builds.Build(ctx, req) })
	if err != nil {
		b.clear(context.WithoutCancel(ctx))
	}
	return res, err
}

// clear makes room after a build. The engine lets go of what a failed step wrote
// a moment after it has told of the failure.
func (b roomyBuilds) clear(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, 3*time.Second)
	defer stop()
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	for b.reserve.Check("builds") != nil {
		if _, err := b.cache.Prune(ctx); err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "make room after a build", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// buildCache is what the build engine keeps to be faster the next time.
type buildCache struct {
	engine  *buildkit.Builder
	most    int64
	reserve disk.Reserve
}

// Prune brings the cache within its bound, and further down while less than twice
// the reserve of the disk is free.
func (c buildCache) Prune(ctx context.Context) (freed int64, err error) {
	room, err := disk.Of(c.reserve.Path)
	if err != nil {
		return 0, err
	}
	return c.engine.Prune(ctx, c.most, 2*room.Total/100*int64(c.reserve.Percent))
}

// roomyImports are copies of images that leave the reserve alone.
type roomyImports struct {
	imports
	reserve disk.Reserve
}

func (i roomyImports) Import(ctx context.Context, space app.SpaceID, reference, repository string, login artifact.Credentials) (artifact.Image, error) {
	return guarded(ctx, i.reserve, "images", "the copy of the image", func(ctx context.Context) (artifact.Image, error) {
		return i.imports.Import(ctx, space, reference, repository, login)
	})
}

// roomyBaker bakes and leaves the reserve alone.
type roomyBaker struct {
	foundry.Baker
	reserve disk.Reserve
}

func (b roomyBaker) Bake(ctx context.Context, spec bake.Spec, opt bake.Options) (bake.Result, error) {
	return guarded(ctx, b.reserve, "bakes", "the bake", func(ctx context.Context) (bake.Result, error) { return b.Baker.Bake(ctx, spec, opt) })
}

// roomyRegistry takes no new layers when builds would be stopped.
func roomyRegistry(next http.Handler, r disk.Reserve) http.Handler {
	r.Percent = (r.Percent + 1) / 2 // as for what is under way: a build that was let through ends with an upload
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost {
			if err := r.Check("images"); err != nil {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusInsufficientStorage)
				fmt.Fprintf(w, `{"errors":[{"code":"UNKNOWN","message":%q}]}`+"\n", err.Error())
				return
			}
		}
		next.ServeHTTP(w, req)
	})
}

// roomyTasks stores tasks for which there is room.
type roomyTasks struct {
	*store.Store
	delivery *deliver.Service
}

func (r roomyTasks) CreateTask(ctx context.Context, t task.Task, evs ...event.Event) (task.Task, error) {
	err := r.Together(ctx, func(ctx context.Context) (err error) {
		if err := r.delivery.AdmitTask(ctx, t); err != nil {
			return err
		}
		t, err = r.Store.CreateTask(ctx, t, evs...)
		return err
	})
	return t, err
}

// roomyPlatform tells also what is promised.
type roomyPlatform struct {
	*platform
	delivery *deliver.Service
}

// Doctor makes all checks, and says how much memory is promised.
func (p roomyPlatform) Doctor(ctx context.Context) ([]client.Finding, error) {
	out, err := p.platform.Doctor(ctx)
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	taken, room, counted, err := p.delivery.Promised(ctx)
	switch {
	case err != nil:
		return out, err
	case !counted:
		out = append(out, client.Finding{Check: "promised memory", Level: "ok", Message: "nobody counts: reserve.memory_overcommit is 0"})
	case taken > room:
		out = append(out, client.Finding{
			Check: "promised memory", Level: "warning", Message: fmt.Sprintf("%s are promised to instances and tasks, %s are there", size.MiB(taken), size.MiB(room)),
			Try: "naru scale APP n, or raise reserve.memory_overcommit",
		})
	default:
		out = append(out, client.Finding{
			Check: "promised memory", Level: "ok", Message: fmt.Sprintf("%s of %s are promised to instances and tasks", size.MiB(taken), size.MiB(room)),
		})
	}
	return out, nil
}
