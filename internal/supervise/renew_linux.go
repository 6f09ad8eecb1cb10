package supervise

import (
	"context"
	"os"
	"time"

	"naru/internal/fault"
)

// turn is a wish for a new process that waits for its runner.
type turn struct {
	began time.Time
	done  chan<- outcome // has room for one
}

type outcome struct {
	renewal Renewal
	err     error
}

// wanted does what somebody at the desk asked for.
func (s *supervisor) wanted(ctx context.Context, w wish) (Renewal, error) {
	r := s.runner(w.Renew)
	if r == nil || !r.child.Handover {
		return Renewal{}, fault.New(fault.Unsupported, "", "%q cannot be replaced while it works", w.Renew).WithTry("naru gateway reload")
	}
	done := make(chan outcome, 1)
	// A process that is watched is replaced at once, behind others who asked before.
	late := time.NewTimer(r.child.StartTimeout + deskTimeout)
	defer late.Stop()
	select {
	case r.turns <- turn{time.Now(), done}:
	case <-late.C:
		r.mu.Lock()
		st := r.status
		r.mu.Unlock()
		return Renewal{}, fault.New(fault.Unavailable, "", "the %s is %s: %s", w.Renew, st.State, st.Reason).WithTry("naru doctor; tail %s", st.Log)
	case <-ctx.Done():
		return Renewal{}, ctx.Err()
	}
	select {
	case o := <-done:
		return o.renewal, o.err
	case <-ctx.Done():
		return Renewal{}, ctx.Err()
	}
}

// take carries a wish out and answers it. Nobody else waits for the process
// meanwhile.
func (r *runner) take(ctx context.Context, t turn) {
	old := r.process()
	r.report("is handed over: a new process was asked for")
	err := r.handOver(ctx)
	if err != nil {
		t.done <- outcome{err: err}
		return
	}
	now := r.process()
	r.mu.Lock()
	text := r.status.Text
	r.mu.Unlock()
	t.done <- outcome{renewal: Renewal{Child: r.child.Name, Old: old.PID, New: now.PID, Text: text, Took: time.Since(t.began)}}
}

// handOver starts a new process on the same sockets and, when it is ready, tells
// the old one to finish what it has. On error the old one is in its place.
func (r *runner) handOver(ctx context.Context) error {
	old, rec := r.current()
	stays := func(why string) error {
		r.report("stays as it was, the new one " + why)
		return fault.New(fault.Failed, "", "the new %s process %s; the old one serves on", r.child.Name, why).
			WithTry("tail %s", r.s.logPath(r.child))
	}
	var before int64
	if info, err := os.Stat(r.s.logPath(r.child)); err == nil {
		before = info.Size()
	}
	fresh, freshRec, err := r.s.start(ctx, r.child)
	if err != nil {
		why := "did not start: " + err.Error()
		if said := lastLines(r.s.logPath(r.child), before, 3); said != "" {
			why += ": " + said
		}
		return stays(why)
	}
	// From here on what is heard comes from the new one.
	r.set(fresh, freshRec)
	if reason, ok := r.proves(ctx, fresh); !ok {
		r.s.end(ctx, fresh, 0)
		r.s.forget(ctx, fresh, freshRec)
		r.set(old, rec)
		return stays(reason)
	}
	l := r.s.leave(ctx, old, rec)
	r.s.workers.Go(func() { r.s.see(ctx, l) })
	return nil
}
