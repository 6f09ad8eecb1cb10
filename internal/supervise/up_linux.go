package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// supervisor is one run of Up.
type supervisor struct {
	spec    Spec
	pids    pids
	held    held
	runners []*runner
	hurry   context.Context
	workers sync.WaitGroup // beside the runners; all end with their context
	out     sync.Mutex     // one line at a time
	writing sync.Mutex     // one status file at a time

	mu      sync.Mutex // guards what follows
	owners  map[int]*runner
	early   map[int]message // said by a process before we had noted its pid
	leavers []leaver
}

// leaver is a process that was replaced and finishes its work.
type leaver struct {
	proc *handle
	rec  record
}

// Up keeps the children of spec running until ctx ends, then stops them as the
// spec says. Children that an earlier supervisor of the same folders left
// behind are adopted, sockets included. The error is a fault when another
// supervisor has the folder or an address is taken.
func Up(ctx context.Context, spec Spec) error {
	if err := makeFolders(spec); err != nil {
		return err
	}
	lock, err := Acquire(spec.DataDir)
	if err != nil {
		return err
	}
	hurry, stopHurry := until(spec.Hurry)
	defer stopHurry()
	s := newSupervisor(spec, hurry)
	return errors.Join(s.run(ctx), lock.Release())
}

func newSupervisor(spec Spec, hurry context.Context) *supervisor {
	s := &supervisor{
		spec: spec, pids: pids(filepath.Join(spec.RunDir, "pids")),
		hurry:  hurry,
		owners: map[int]*runner{}, early: map[int]message{},
	}
	for _, c := range spec.Children {
		s.runners = append(s.runners, newRunner(s, c))
	}
	for _, r := range s.runners {
		for _, name := range r.child.After {
			if other := s.runner(name); other != nil {
				r.after = append(r.after, other)
			}
		}
	}
	return s
}

func (s *supervisor) run(ctx context.Context) error {
	ear, err := listenForNotices(s.spec.RunDir)
	if err != nil {
		return err
	}
	found, err := s.adopt(ctx)
	if err != nil {
		return err
	}
	if s.held, err = hold(ctx, s.spec.Sockets, found); err != nil {
		return err
	}
	defer s.held.close()

	letGo, stopLetGo := until(s.spec.LetGo)
	defer stopLetGo()
	running, end := context.WithCancel(ctx)
	defer end()
	context.AfterFunc(letGo, end)

	desk, err := openDesk(s.spec.RunDir, s.wanted)
	if err != nil {
		return err
	}
	if err := s.keep(running, ear, desk); err != nil {
		return err
	}
	if letGo.Err() != nil && ctx.Err() == nil {
		return nil // whoever asked takes over
	}
	return s.stop(context.WithoutCancel(ctx))
}

// keep runs everything until ctx ends. The children stay.
func (s *supervisor) keep(ctx context.Context, ear *ear, desk *desk) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return ear.run(ctx, s.deliver) })
	g.Go(func() error { return desk.run(ctx) })
	g.Go(func() error { return s.announce(ctx) })
	g.Go(func() error { return s.boundLogs(ctx) })
	for _, r := range s.runners {
		g.Go(func() error { return r.run(ctx) })
	}
	for _, l := range s.leaving() {
		g.Go(func() error { s.see(ctx, l); return nil })
	}
	err := g.Wait()
	s.workers.Wait()
	return err
}

// announce tells the caller, once, when all children are ready.
func (s *supervisor) announce(ctx context.Context) error {
	for _, r := range s.runners {
		select {
		case <-ctx.Done():
			return nil
		case <-r.first:
		}
	}
	if s.spec.Ready != nil {
		s.spec.Ready(ctx)
	}
	return nil
}

func (s *supervisor) boundLogs(ctx context.Context) error {
	if s.spec.LogBytes <= 0 {
		return nil
	}
	var paths []string
	for _, r := range s.runners {
		paths = append(paths, s.logPath(r.child))
	}
	return boundLogs(ctx, 10*time.Second, s.spec.LogBytes, paths, s.spec.Log)
}

// makeFolders makes what the supervisor itself needs. The run folder may be
// entered by all, because a gateway without rights must reach its sockets, but
// not listed; each socket has a mode of its own.
func makeFolders(spec Spec) error {
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{
		{spec.DataDir, 0o711},
		{filepath.Join(spec.DataDir, "logs"), 0o700},
		{spec.RunDir, 0o711},
		{filepath.Join(spec.RunDir, "pids"), 0o700},
	} {
		if err := os.MkdirAll(dir.path, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := ownFolder(dir.path, dir.mode); err != nil {
			return err
		}
	}
	return nil
}

// until is a context that ends when the channel is closed; a nil channel never is.
func until(ch <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	if ch != nil {
		go func() {
			select {
			case <-ch:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

func (s *supervisor) runner(name string) *runner {
	i := slices.IndexFunc(s.runners, func(r *runner) bool { return r.child.Name == name })
	if i < 0 {
		return nil
	}
	return s.runners[i]
}

// owns notes whose process a pid is and hands over what it has said already.
func (s *supervisor) owns(r *runner, pid int) {
	s.mu.Lock()
	for old, owner := range s.owners {
		if owner == r {
			delete(s.owners, old)
		}
	}
	s.owners[pid] = r
	m, said := s.early[pid]
	delete(s.early, pid)
	s.mu.Unlock()
	if said {
		r.hear(m)
	}
}

// deliver hands a message to the runner of the process that sent it.
func (s *supervisor) deliver(pid int, m message) {
	s.mu.Lock()
	r := s.owners[pid]
	if r == nil {
		if len(s.early) > 64 { // strangers are talking
			clear(s.early)
		}
		m.ready = m.ready || s.early[pid].ready
		s.early[pid] = m
	}
	s.mu.Unlock()
	if r != nil {
		r.hear(m)
	}
}

func (s *supervisor) print(format string, args ...any) {
	if s.spec.Out != nil {
		s.out.Lock()
		defer s.out.Unlock()
		fmt.Fprintf(s.spec.Out, format+"\n", args...) // nothing to do about a closed terminal
	}
}
