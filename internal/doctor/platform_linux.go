package doctor

import (
	"context"
	"errors"
	"os"

	"naru/internal/fault"
	"naru/internal/secret"
	"naru/internal/supervise"
)

func checkLock(_ context.Context, env Env) Finding {
	dir := env.Config.DataDir
	pid, stale, err := supervise.Holder(dir)
	switch {
	case err != nil:
		return fail("look at the folder's owner: ls -ld "+dir, "the lock of %s cannot be read: %v", dir, err)
	case pid > 0:
		return ok("naru up runs, process %d", pid)
	case stale:
		return warn("naru up, which goes on with what is running; or naru down, which removes it",
			"the last naru up on %s was killed and left its lock behind", dir)
	}
	return ok("no naru up runs on %s", dir)
}

func childOf(env Env, name string) (supervise.ChildStatus, bool) {
	if pid, _, err := supervise.Holder(env.Config.DataDir); err != nil || pid == 0 {
		return supervise.ChildStatus{}, false
	}
	st, found, err := supervise.ReadStatus(env.Config.RunDir)
	if err != nil || !found {
		return supervise.ChildStatus{}, false
	}
	for _, c := range st.Children {
		if c.Name == name {
			return c, true
		}
	}
	return supervise.ChildStatus{}, false
}

func checkProcesses(_ context.Context, env Env) Finding {
	if pid, _, err := supervise.Holder(env.Config.DataDir); err != nil || pid == 0 {
		return skipped("no naru up runs")
	}
	st, found, err := supervise.ReadStatus(env.Config.RunDir)
	if err != nil || !found {
		return warn("read the logs in "+env.Config.LogDir(), "the state of naru's processes is not known")
	}
	for _, c := range st.Children {
		switch c.State {
		case supervise.Failing:
			return fail("read "+c.Log, "%s keeps dying: %s (%d restarts)", c.Name, c.Reason, c.Restarts)
		case supervise.Starting:
			return warn("read "+c.Log, "%s is not ready yet", c.Name)
		}
	}
	return ok("all %d are ready", len(st.Children))
}

func checkKey(_ context.Context, env Env) Finding {
	path := env.Config.KeyPath()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(env.Config.StorePath()); err == nil {
			return fail("put it back from a backup: naru restore FILE", "the key %s is gone, and nothing sealed with it can be opened", path)
		}
		return ok("will be made at the first start")
	}
	if err != nil {
		return fail("ls -l "+path, "the key cannot be looked at: %v", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fail("chmod 600 "+path, "the key %s can be read by others (mode %o)", path, info.Mode().Perm())
	}
	if _, err := secret.LoadKeyring(path); err != nil {
		return fail("put it back from a backup: naru restore FILE", "the key %s cannot be read: %v", path, err)
	}
	return ok("%s is readable", path)
}

func checkSchema(ctx context.Context, env Env) Finding {
	have, want, err := env.Schema(ctx)
	wrong := fault.Of(err)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ok("will be made at the first start")
	case err != nil && wrong.Kind == fault.Unsupported:
		return fail(wrong.Try, "the store does not fit this naru: %s", wrong.Message)
	case err != nil:
		return fail("read "+env.Config.LogDir()+"/server.log, or put it back from a backup: naru restore FILE", "the store %s cannot be read: %v", env.Config.StorePath(), err)
	case have > want:
		return warn("install the naru that wrote it, or a newer one", "the store has schema %d of a newer naru, this one writes %d and can work on it", have, want)
	case have < want:
		return warn("naru up, which brings it up to date; take a naru backup before", "the store has schema %d, this naru writes %d", have, want)
	}
	return ok("schema %d", have)
}
