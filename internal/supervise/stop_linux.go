package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// teardownTimeout bounds the drain of all instances at the end.
const teardownTimeout = 5 * time.Minute

// stop ends the children, last started first. Without Remove those that
// outlive us stay: that is what makes an upgrade a restart.
func (s *supervisor) stop(ctx context.Context) error {
	var errs []error
	var undrained error
	switch {
	case s.spec.Remove && !s.running():
		s.print("%-11s nothing of it runs; removing what it left", "naru")
	case s.spec.Remove && s.spec.Teardown != nil:
		limited, cancel := context.WithTimeout(ctx, teardownTimeout)
		release := context.AfterFunc(s.hurry, cancel)
		s.print("%-11s removing instances", "naru")
		if err := s.spec.Teardown(limited); err != nil {
			undrained = fmt.Errorf("remove instances: %w", err)
		}
		release()
		cancel()
	}
	for _, r := range slices.Backward(s.runners) {
		proc, rec := r.current()
		if proc == nil {
			continue
		}
		if r.child.Outlives && !s.spec.Remove {
			r.setState(Left)
			s.print("%-11s left running, process %d", r.child.Name, proc.PID)
			continue
		}
		s.end(ctx, proc, r.child.StopTimeout)
		s.forget(ctx, proc, rec)
		r.setState(Stopped)
		s.print("%-11s stopped", r.child.Name)
	}
	if s.spec.Remove {
		for _, l := range s.leaving() {
			s.end(ctx, l.proc, time.Second)
			s.forget(ctx, l.proc, l.rec)
		}
		if s.spec.Sweep == nil {
			errs = append(errs, undrained)
		} else if err := s.spec.Sweep(ctx); err != nil {
			errs = append(errs, undrained, fmt.Errorf("remove what is left: %w", err))
		} else if undrained != nil { // they are gone all the same
			s.print("%-11s instances were ended without being drained: %v", "naru", undrained)
		}
		return errors.Join(append(errs, removeUnmounted(s.spec.RunDir))...)
	}
	return errors.Join(append(errs, s.writeStatus())...)
}

// running reports whether any child is there.
func (s *supervisor) running() bool {
	return slices.ContainsFunc(s.runners, func(r *runner) bool {
		proc, _ := r.current()
		return proc != nil
	})
}

// end stops a process: TERM, and KILL when it takes longer than it may or when
// somebody is in a hurry. It returns when the process is gone.
func (s *supervisor) end(ctx context.Context, proc *handle, patience time.Duration) {
	ctx = context.WithoutCancel(ctx)
	if patience > 0 && s.hurry.Err() == nil {
		if err := proc.signal(syscall.SIGTERM); err == nil {
			limited, cancel := context.WithTimeout(ctx, patience)
			release := context.AfterFunc(s.hurry, cancel)
			_, err := proc.wait(limited)
			release()
			cancel()
			if err == nil {
				return
			}
		}
	}
	if err := proc.signal(syscall.SIGKILL); err != nil {
		s.spec.Log.ErrorContext(ctx, "process not killed", "pid", proc.PID, "err", err)
		return
	}
	if _, err := proc.wait(ctx); err != nil {
		s.spec.Log.ErrorContext(ctx, "process not gone", "pid", proc.PID, "err", err)
	}
}

// removeUnmounted removes a folder, unless something is still mounted below it:
// that would be emptied too, and may be anything.
func removeUnmounted(dir string) error {
	mounts, err := MountsBelow(dir)
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("remove %s: %s is still mounted", dir, mounts[0])
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove sockets: %w", err)
	}
	return nil
}
