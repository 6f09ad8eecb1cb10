package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path"
	"strings"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/backoff"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/release"
	"naru/internal/run"
)

// Store is what tasks read and write. Each call is one transaction.
type Store interface {
	// CreateTask stores a task and gives it its number.
	CreateTask(ctx context.Context, t Task, evs ...event.Event) (Task, error)
	Task(ctx context.Context, id ID) (Task, error)
	// UpdateTask changes a task; an illegal move of its state is a Conflict.
	UpdateTask(ctx context.Context, id ID, change func(*Task, time.Time) error, evs ...event.Event) (Task, error)
	// OpenTasks returns all that have not ended.
	OpenTasks(ctx context.Context) ([]Task, error)

	App(ctx context.Context, id app.ID) (app.App, error)
	Release(ctx context.Context, id release.ID) (release.Release, error)
	Instances(ctx context.Context, a app.ID) ([]run.Instance, error)
	Groups(ctx context.Context, a app.ID) ([]run.Group, error)
}

// Specs says how a task is started.
type Specs interface {
	Task(ctx context.Context, rel release.Release, id run.InstanceID, command []string, memoryMiB, diskMiB int) (run.Spec, error)
}

// Limits of tasks.
type Limits struct {
	Timeout time.Duration // a task is stopped after this time
	Attach  time.Duration // how long a task waits for somebody to attach
}

// Runner runs tasks. One that was started goes on when naru stops, unless
// somebody was attached to it, and is found again.
type Runner struct {
	store  Store
	driver run.Driver
	specs  Specs
	limits Limits
	log    *slog.Logger

	mu      sync.Mutex // guards what follows
	holders map[ID]*holder
	base    context.Context // of tasks in the background; nil until Run
	work    sync.WaitGroup
}

// holder is who works on a task at the moment.
type holder struct {
	cancel context.CancelFunc
	waits  bool          // only for somebody to attach
	gone   chan struct{} // closed when the holder does no more
}

// NewRunner makes a runner.
func NewRunner(store Store, driver run.Driver, specs Specs, limits Limits, log *slog.Logger) *Runner {
	return &Runner{store: store, driver: driver, specs: specs, limits: limits, log: log, holders: map[ID]*holder{}}
}

// Run takes up the tasks that an earlier process left, then lets new ones begin,
// until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	r.base = ctx // before looking, so that no task falls in between
	r.mu.Unlock()
	defer r.work.Wait()
	left, err := r.store.OpenTasks(ctx)
	if err != nil {
		return fmt.Errorf("find unfinished tasks: %w", err)
	}
	for _, t := range left {
		r.goOn(t)
	}
	<-ctx.Done()
	return nil
}

// goOn carries on a task in the background.
func (r *Runner) goOn(t Task) {
	r.mu.Lock()
	base := r.base
	r.mu.Unlock()
	if base == nil {
		return // Run takes it up
	}
	ctx, cancel := context.WithCancel(base)
	h := &holder{cancel: cancel, waits: t.Attach && t.State == Pending, gone: make(chan struct{})}
	if !r.hold(t.ID, h) {
		cancel() // somebody attached before the wait for them began
		return
	}
	r.work.Go(func() {
		defer r.letGo(t.ID, h)
		switch {
		case t.Attach && t.State == Running:
			// Whoever was attached is gone with the process that served them.
			r.end(ctx, t, 0, "the connection to it was lost")
		case t.Attach:
			r.expire(ctx, t, h)
		default:
			if _, err := r.carryOut(ctx, t, nil); err != nil && ctx.Err() == nil {
				r.log.WarnContext(ctx, "task failed", "task", t.ID, "error", err)
			}
		}
	})
}

// expire ends a task that nobody attaches to.
func (r *Runner) expire(ctx context.Context, t Task, h *holder) {
	timer := time.NewTimer(r.limits.Attach)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
		r.mu.Lock()
		late := r.holders[t.ID] != h
		h.waits = false // from here on nobody may attach
		r.mu.Unlock()
		if !late {
			r.end(ctx, t, 0, "nobody attached to it")
		}
	}
}

// New is a task to be run.
type New struct {
	Name      string // "": the first word of the command
	Command   []string
	Release   release.Release
	MemoryMiB int
	DiskMiB   int
	Attach    bool
	TTY       bool
}

// Start stores a task and starts it, unless it waits for somebody to attach.
func (r *Runner) Start(ctx context.Context, by operation.Ask, a app.ID, in New) (Task, error) {
	if err := feature.Ask(ctx, feature.TaskCreation); err != nil {
		return Task{}, err
	}
	if len(in.Command) == 0 || in.Command[0] == "" {
		return Task{}, fault.New(fault.Invalid, "command", "a command is needed").WithTry("naru run APP -- COMMAND")
	}
	if strings.ContainsRune(strings.Join(in.Command, "")+in.Name, 0) {
		return Task{}, fault.New(fault.Invalid, "command", "there is a NUL character in it, which no program can be given").WithTry("leave it out")
	}
	if in.Name == "" {
		in.Name = path.Base(in.Command[0])
	}
	t, err := r.store.CreateTask(ctx, Task{
		ID: ID(id.New()), App: a, Release: in.Release.ID, Name: in.Name, Command: in.Command,
		MemoryMiB: in.MemoryMiB, DiskMiB: in.DiskMiB, Attach: in.Attach, TTY: in.TTY,
		Instance: run.InstanceID(id.New()), State: Pending, By: by.Actor, Created: time.Now().UTC(),
	}, event.Event{Kind: "task.created", Actor: by.Actor})
	if err != nil {
		return t, err
	}
	r.goOn(t)
	return t, nil
}

// Attach runs a task that waits for it, connected to io, and returns its exit
// code. An end of ctx ends the task.
func (r *Runner) Attach(ctx context.Context, tid ID, io run.IO) (int, error) {
	t, err := r.store.Task(ctx, tid)
	if err != nil {
		return 0, err
	}
	if !t.Attach || t.State != Pending {
		return 0, fault.New(fault.Conflict, "task", "task %d is %s and does not wait for anybody", t.Number, t.State).
			WithTry("naru logs APP --source TASK")
	}
	ctx, stop := context.WithCancel(ctx)
	h := &holder{cancel: stop, gone: make(chan struct{})}
	if !r.hold(tid, h) {
		stop()
		return 0, fault.New(fault.Conflict, "task", "somebody else attached to task %d", t.Number)
	}
	defer r.letGo(tid, h)
	return r.carryOut(ctx, t, &io)
}

// Cancel ends a task.
func (r *Runner) Cancel(ctx context.Context, by operation.Ask, tid ID) (Task, error) {
	t, err := r.store.UpdateTask(ctx, tid, func(t *Task, now time.Time) error {
		if t.State.Ended() {
			return fault.New(fault.Conflict, "task", "task %d has ended already", t.Number)
		}
		t.State, t.Reason, t.Ended = Canceled, "canceled by "+by.Actor, now
		return nil
	}, event.Event{Kind: "task.canceled", Actor: by.Actor})
	if err != nil {
		return t, err
	}
	r.mu.Lock()
	h := r.holders[tid]
	r.mu.Unlock()
	if h != nil {
		h.cancel()
		select {
		case <-h.gone: // from here on nobody starts the instance
		case <-ctx.Done():
			return t, ctx.Err()
		}
	}
	return t, r.remove(ctx, t)
}

// carryOut starts the task's instance, or finds it running, and waits for its
// end. A task is never tried twice: when nobody saw how it ended, it failed.
func (r *Runner) carryOut(ctx context.Context, t Task, io *run.IO) (int, error) {
	began := time.Now()
	if t.State == Running {
		began = t.Started // by an earlier process, whose time counts
	}
	ctx, stop := context.WithDeadline(ctx, began.Add(r.limits.Timeout))
	defer stop()
	if t.State == Pending {
		if err := r.begin(ctx, &t, io); err != nil {
			if ctx.Err() == nil {
				r.end(ctx, t, 0, fault.Of(err).Message)
			} else {
				r.cutOff(ctx, t, "was not started within ")
			}
			return 0, err
		}
	}
	exit, err := r.ended(ctx, t.Instance)
	switch {
	case err == nil:
		r.end(ctx, t, exit.Code, exit.Reason)
		return exit.Code, nil
	case fault.Is(err, fault.NotFound):
		r.end(ctx, t, -1, "ended unseen")
	default:
		r.cutOff(ctx, t, "still ran after ")
	}
	return -1, err
}

// cutOff ends a task whose context is over, unless it goes on without us.
func (r *Runner) cutOff(ctx context.Context, t Task, late string) {
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		r.end(ctx, t, -1, late+r.limits.Timeout.String())
	case ctx.Err() != nil && t.Attach:
		r.end(ctx, t, -1, "whoever was attached left")
	}
}

// ended waits for the end of a task's instance, also through a restart of what
// runs it below.
func (r *Runner) ended(ctx context.Context, id run.InstanceID) (run.Exit, error) {
	retry := backoff.Policy{First: 100 * time.Millisecond, Max: 2 * time.Second}
	for n := 0; ; n++ {
		exit, err := r.driver.Wait(ctx, id)
		if err == nil || fault.Is(err, fault.NotFound) || ctx.Err() != nil {
			return exit, err
		}
		if retry.Wait(ctx, n) != nil {
			return exit, err
		}
	}
}

func (r *Runner) begin(ctx context.Context, t *Task, io *run.IO) error {
	rel, err := r.store.Release(ctx, t.Release)
	if err != nil {
		return err
	}
	spec, err := r.specs.Task(ctx, rel, t.Instance, t.Command, t.MemoryMiB, t.DiskMiB)
	if err != nil {
		return err
	}
	spec.IO = io
	// Stored before it starts: a crash in between leaves a task that "ended
	// unseen", never one that ran twice.
	*t, err = r.store.UpdateTask(ctx, t.ID, func(t *Task, now time.Time) error {
		t.State, t.Started = Running, now
		return nil
	})
	if err != nil {
		return err
	}
	_, err = r.driver.Start(ctx, spec)
	return err
}

// errEnded says that a task has ended already: it was canceled meanwhile, and
// nothing happened that is worth an event.
var errEnded = errors.New("the task has ended")

// end writes down how a task ended and removes its instance. It works with a
// deadline of its own, for the task's may be over.
func (r *Runner) end(ctx context.Context, t Task, code int, reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := r.remove(ctx, t); err != nil {
		r.log.WarnContext(ctx, "remove task", "task", t.ID, "error", err)
	}
	_, err := r.store.UpdateTask(ctx, t.ID, func(t *Task, now time.Time) error {
		if t.State.Ended() {
			return errEnded
		}
		t.ExitCode, t.Ended = code, now
		if t.State == Running && code == 0 && reason == run.Reason(0, 0, false, 0) {
			t.State = Succeeded
		} else {
			t.State, t.Reason = Failed, reason
		}
		return nil
	}, event.Event{Kind: "task.ended", Actor: event.System, Detail: map[string]any{"exit_code": code, "reason": reason}})
	if err != nil && !errors.Is(err, errEnded) {
		r.log.ErrorContext(ctx, "store the end of a task", "task", t.ID, "error", err)
	}
}

func (r *Runner) remove(ctx context.Context, t Task) error {
	if err := r.driver.Stop(ctx, t.Instance, app.DefaultStopGrace); err != nil {
		return err
	}
	return r.driver.Remove(ctx, t.Instance)
}

// Exec runs a command in an instance of a process type.
func (r *Runner) Exec(ctx context.Context, a app.ID, process string, index int, x run.ExecSpec) (int, error) {
	i, err := r.find(ctx, a, process, index)
	if err != nil {
		return 0, err
	}
	return r.driver.Exec(ctx, i.ID, x)
}

// Dial connects to HOST:PORT from inside an instance of a process type.
func (r *Runner) Dial(ctx context.Context, a app.ID, process string, index int, addr string) (net.Conn, error) {
	i, err := r.find(ctx, a, process, index)
	if err != nil {
		return nil, err
	}
	return r.driver.Dial(ctx, i.ID, addr)
}

// find returns the instance at an index that is furthest on.
func (r *Runner) find(ctx context.Context, a app.ID, process string, index int) (run.Instance, error) {
	if process == "" {
		process = app.Web
	}
	groups, err := r.store.Groups(ctx, a)
	if err != nil {
		return run.Instance{}, err
	}
	have, err := r.store.Instances(ctx, a)
	if err != nil {
		return run.Instance{}, err
	}
	rank := map[run.State]int{run.Healthy: 3, run.Unhealthy: 2, run.Starting: 1}
	var best run.Instance
	for _, g := range groups {
		for _, i := range have {
			if g.Process == process && i.Group == g.ID && i.Index == index && rank[i.State] > rank[best.State] {
				best = i
			}
		}
	}
	if best.ID == "" {
		return best, fault.New(fault.NotFound, "instance", "no instance %d of %s runs", index, process).WithTry("naru app APP")
	}
	return best, nil
}

// hold makes h work on a task; whoever only waited there leaves. It is false
// when somebody works on it already.
func (r *Runner) hold(t ID, h *holder) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before := r.holders[t]; before != nil {
		if !before.waits {
			return false
		}
		before.cancel()
	}
	r.holders[t] = h
	return true
}

// letGo ends the hold, unless somebody else has taken the task over.
func (r *Runner) letGo(t ID, h *holder) {
	h.cancel()
	defer close(h.gone)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.holders[t] == h {
		delete(r.holders, t)
	}
}
