package supervise

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"naru/internal/fault"
	"naru/internal/supervise/inherit"
)

// adopt finds the children that an earlier supervisor left running and returns
// the sockets they hold for us.
func (s *supervisor) adopt(ctx context.Context) (map[string]int, error) {
	records, err := s.pids.living()
	if err != nil {
		return nil, err
	}
	for _, r := range s.runners {
		more, err := strays(s.spec, r.child, records)
		if err != nil {
			return nil, err
		}
		records = append(records, more...)
	}
	// The youngest of a name is the current one.
	slices.SortFunc(records, func(a, b record) int { return int(int64(b.Start) - int64(a.Start)) })
	sockets := map[string]int{}
	for _, rec := range records {
		proc, err := rec.open()
		if errors.Is(err, os.ErrProcessDone) || errors.Is(err, unix.ESRCH) {
			continue // just now
		}
		if err != nil {
			return nil, err
		}
		r := s.runner(rec.Child)
		switch {
		case rec.Leaving:
			s.addLeaver(leaver{proc, rec})
		case r == nil:
			s.print("%-11s is no longer wanted; stopping process %d", rec.Child, rec.PID)
			s.end(ctx, proc, 10*time.Second)
			s.forget(ctx, proc, rec)
		case r.process() != nil:
			s.leave(ctx, proc, rec)
		default:
			s.takeIn(ctx, r, proc, rec, sockets)
		}
	}
	return sockets, nil
}

// takeIn makes a found process the current one of its runner, if it gives its
// sockets back. One that does not would keep their addresses taken, so it goes.
func (s *supervisor) takeIn(ctx context.Context, r *runner, proc *handle, rec record, sockets map[string]int) {
	if len(r.child.Sockets) > 0 {
		got, err := inherit.Fetch(handoffPath(s.spec.RunDir, r.child))
		if err != nil {
			s.spec.Log.WarnContext(ctx, "child does not give its sockets back", "child", rec.Child, "pid", rec.PID, "err", err)
			s.print("%-11s does not give its sockets back; starting it anew", rec.Child)
			s.end(ctx, proc, r.child.StopTimeout)
			s.forget(ctx, proc, rec)
			return
		}
		maps.Copy(sockets, got)
	}
	s.print("%-11s adopted, process %d", rec.Child, rec.PID)
	r.set(proc, rec)
}

// leave tells a replaced process to finish and go. That is written down first,
// so that no later supervisor takes it for the current one.
func (s *supervisor) leave(ctx context.Context, proc *handle, rec record) leaver {
	rec.Leaving = true
	if err := s.pids.write(rec); err != nil {
		s.spec.Log.ErrorContext(ctx, "pid file not written", "child", rec.Child, "err", err)
	}
	if err := proc.signal(syscall.SIGTERM); err != nil {
		s.spec.Log.ErrorContext(ctx, "child not signalled", "child", rec.Child, "pid", rec.PID, "err", err)
	}
	l := leaver{proc, rec}
	s.addLeaver(l)
	s.thin(ctx, rec.Child)
	return l
}

// thin ends the oldest replaced processes of a child where there are too many:
// each holds the memory of a whole one.
func (s *supervisor) thin(ctx context.Context, child string) {
	of := slices.DeleteFunc(s.leaving(), func(l leaver) bool { return l.rec.Child != child })
	for _, l := range of[:max(0, len(of)-mostLeaving)] {
		s.print("%-11s process %d is ended with what it still had: %d others are finishing, too", child, l.rec.PID, mostLeaving)
		if err := l.proc.signal(syscall.SIGKILL); err != nil {
			s.spec.Log.ErrorContext(ctx, "child not killed", "child", child, "pid", l.rec.PID, "err", err)
		}
	}
}

func (s *supervisor) addLeaver(l leaver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leavers = append(s.leavers, l)
}

func (s *supervisor) leaving() []leaver {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.leavers)
}

// see waits for a leaving process to be gone.
func (s *supervisor) see(ctx context.Context, l leaver) {
	if _, err := l.proc.wait(ctx); err != nil {
		return // ctx ended; its pid file says that it is leaving
	}
	s.print("%-11s process %d has finished", l.rec.Child, l.rec.PID)
	s.mu.Lock()
	s.leavers = slices.DeleteFunc(s.leavers, func(other leaver) bool { return other.proc == l.proc })
	s.mu.Unlock()
	s.forget(ctx, l.proc, l.rec)
}

// forget drops a process that has ended.
func (s *supervisor) forget(ctx context.Context, proc *handle, rec record) {
	if err := s.pids.remove(rec); err != nil {
		s.spec.Log.ErrorContext(ctx, "pid file not removed", "child", rec.Child, "err", err)
	}
	proc.close()
}

// ownFolder gives a folder its mode, and refuses one of somebody else: in /tmp
// anyone may have made it before us.
func ownFolder(path string, mode os.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("look at folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || ok && int(owner.Uid) != os.Geteuid() {
		return fault.New(fault.Denied, "", "%s is not a folder of this user", path).
			WithTry("chown %d %s where you trust what is in it, or choose another folder with --data-dir or --run-dir", os.Geteuid(), path)
	}
	if info.Mode().Perm() == mode {
		return nil
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("protect folder: %w", err)
	}
	return nil
}
