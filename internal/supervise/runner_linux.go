package supervise

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// runner keeps one child running.
type runner struct {
	s     *supervisor
	child Child
	after []*runner
	heard chan message  // what the current process says
	first chan struct{} // closed when it is ready for the first time
	turns chan turn     // wishes for a new process

	mu     sync.Mutex // guards what follows
	proc   *handle    // nil between two lives
	rec    record
	status ChildStatus
}

func newRunner(s *supervisor, c Child) *runner {
	return &runner{
		s: s, child: c,
		heard:  make(chan message, 16),
		first:  make(chan struct{}),
		turns:  make(chan turn),
		status: ChildStatus{Name: c.Name, State: Starting, Since: time.Now(), Log: s.logPath(c)},
	}
}

// run starts the child, or goes on with the one found, and restarts it until
// ctx ends. The process is left to whoever ends ctx.
func (r *runner) run(ctx context.Context) error {
	if r.process() != nil {
		r.renew(ctx)
		if r.isReady() && !r.announced() {
			r.announceReady("found running")
		}
	}
	var began time.Time
	keep(ctx, func(ctx context.Context) life {
		began = time.Now()
		reason := r.live(ctx)
		return life{reason, r.readyFor(time.Now())}
	}, func(l life, deaths int, wait time.Duration) {
		r.died(ctx, l.reason, deaths, wait, began)
	})
	return nil
}

// live is one life of the child; it returns why that ended.
func (r *runner) live(ctx context.Context) (reason string) {
	p := r.process()
	if p == nil {
		for _, other := range r.after {
			select {
			case <-ctx.Done():
				return ""
			case <-other.first:
			}
		}
		h, rec, err := r.s.start(ctx, r.child)
		if err != nil {
			return err.Error()
		}
		r.set(h, rec)
		p = h
	}
	defer func() {
		if ctx.Err() == nil {
			r.forget(p)
		}
	}()
	for {
		reason, wish := r.watch(ctx, p)
		if wish == nil {
			return reason
		}
		r.take(ctx, *wish)
		p = r.process()
	}
}

// watch follows a process to its end, or until another one is wished for in its
// place. One that does not become ready in time is killed.
func (r *runner) watch(ctx context.Context, p *handle) (reason string, wish *turn) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()

	over := make(chan string, 1)
	workers.Go(func() {
		how, err := p.wait(watching)
		if err != nil {
			how = err.Error()
		}
		over <- how
	})
	ready := make(chan struct{}, 1)
	if r.child.Ready == ReadyOnDial && !r.isReady() {
		workers.Go(func() {
			if dial(watching, r.child.Dial) {
				ready <- struct{}{}
			}
		})
	}
	late := time.NewTimer(r.child.StartTimeout)
	defer late.Stop()
	var suffix string
	if r.isReady() {
		late.Stop()
	}
	for {
		turns := r.turns
		if !r.isReady() {
			turns = nil // one that just starts is new enough
		}
		select {
		case <-ctx.Done():
			return "", nil
		case how := <-over:
			return how + suffix, nil
		case <-ready:
			late.Stop()
			r.becameReady(ctx, "")
		case m := <-r.heard:
			if m.ready && !r.isReady() {
				late.Stop()
				r.becameReady(ctx, m.text)
			} else if m.text != "" {
				r.say(m.text)
			}
		case t := <-turns:
			return "", &t
		case <-late.C:
			suffix = fmt.Sprintf(" (not ready within %v)", r.child.StartTimeout)
			if err := p.signal(syscall.SIGKILL); err != nil {
				r.s.spec.Log.ErrorContext(ctx, "child not killed", "child", r.child.Name, "err", err)
			}
		}
	}
}

// dial waits until a unix socket takes connections.
func dial(ctx context.Context, path string) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// renew replaces a process found running that is not what would be started
// now: an older program, another configuration.
func (r *runner) renew(ctx context.Context) {
	want, err := fingerprint(r.child)
	old, rec := r.current()
	if err != nil || rec.Print == want {
		return
	}
	if !r.child.Handover {
		r.report("is replaced: its program or configuration changed")
		r.s.end(ctx, old, r.child.StopTimeout)
		r.forget(old)
		return
	}
	r.report("is handed over: its program or configuration changed")
	if err := r.handOver(ctx); err != nil {
		r.s.spec.Log.WarnContext(ctx, "child not handed over", "child", r.child.Name, "err", err)
	}
}

// proves waits until the new process is ready. The old one serves meanwhile.
func (r *runner) proves(ctx context.Context, p *handle) (reason string, ok bool) {
	limited, stop := context.WithTimeout(ctx, r.child.StartTimeout)
	defer stop()
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	over := make(chan error, 1)
	workers.Go(func() {
		over <- p.gone(limited)
	})
	for {
		select {
		case err := <-over:
			if err == nil {
				return "ended: " + lastLines(r.s.logPath(r.child), 0, 3), false
			}
			return "was not ready in time", false
		case m := <-r.heard:
			if m.ready {
				r.becameReady(ctx, m.text)
				return "", true
			}
		}
	}
}

func (r *runner) died(ctx context.Context, reason string, deaths int, wait time.Duration, began time.Time) {
	r.mu.Lock()
	r.status.Restarts++
	r.status.Reason = reason
	r.status.PID = 0
	r.status.Since = time.Now()
	r.status.State = Starting
	if wait > 0 {
		r.status.State = Failing
	}
	r.mu.Unlock()
	r.s.change()
	r.s.spec.Log.WarnContext(ctx, "child died", "child", r.child.Name, "reason", reason, "deaths", deaths,
		"lived", time.Since(began), "next_try_in", wait)
	if wait == 0 {
		r.report("died, " + reason + "; restarting")
		return
	}
	r.report(fmt.Sprintf("keeps dying (%d times), %s; next try in %v; the end of %s:\n%s",
		deaths, reason, wait.Round(10*time.Millisecond), r.s.logPath(r.child), lastLines(r.s.logPath(r.child), 0, 5)))
}

func (r *runner) becameReady(ctx context.Context, text string) {
	r.mu.Lock()
	r.rec.Ready = true
	rec := r.rec
	r.mu.Unlock()
	if err := r.s.pids.write(rec); err != nil {
		r.s.spec.Log.ErrorContext(ctx, "pid file not written", "child", r.child.Name, "err", err)
	}
	r.announceReady(text)
}

func (r *runner) announceReady(text string) {
	r.mu.Lock()
	r.status.State = Ready
	r.status.Since = time.Now()
	r.status.Text = text
	r.mu.Unlock()
	r.s.change()
	r.report(strings.TrimSpace("ready " + text))
	select {
	case <-r.first:
	default:
		close(r.first) // only this goroutine does
	}
}

func (r *runner) say(text string) {
	r.mu.Lock()
	r.status.Text = text
	r.mu.Unlock()
	r.s.change()
}

func (r *runner) report(text string) { r.s.print("%-11s %s", r.child.Name, text) }

func (r *runner) process() *handle {
	h, _ := r.current()
	return h
}

func (r *runner) current() (*handle, record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc, r.rec
}

func (r *runner) set(h *handle, rec record) {
	r.mu.Lock()
	r.proc, r.rec = h, rec
	r.status.PID = h.PID
	r.mu.Unlock()
	r.s.owns(r, h.PID)
	r.s.change()
}

// forget is called when the process has ended.
func (r *runner) forget(h *handle) {
	r.mu.Lock()
	rec := r.rec
	r.proc = nil
	r.mu.Unlock()
	r.s.forget(context.Background(), h, rec)
}

// hear queues a message. Readiness is never dropped; a line of text may be,
// when nobody is watching the process just now.
func (r *runner) hear(m message) {
	if m.ready {
		r.heard <- m
		return
	}
	select {
	case r.heard <- m:
	default:
	}
}

// announced reports that it was said to be ready before.
func (r *runner) announced() bool {
	select {
	case <-r.first:
		return true
	default:
		return false
	}
}

func (r *runner) isReady() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rec.Ready
}

// readyFor is how long it had been ready at now; below 0 when it was not.
func (r *runner) readyFor(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.State != Ready {
		return -1
	}
	return now.Sub(r.status.Since)
}
