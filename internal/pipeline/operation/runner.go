package operation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"naru/internal/backoff"
	"naru/internal/disk"
	"naru/internal/fault"
)

// Store is what the runner needs to be durable. Each call is one transaction.
type Store interface {
	// TakeOperation moves the oldest queued operation, whose subject no running
	// operation has, to Running and returns it; false where there is none.
	TakeOperation(ctx context.Context) (Operation, bool, error)
	// RetakeOperations returns all Running operations, each with one attempt
	// more: what a process that died was doing.
	RetakeOperations(ctx context.Context) ([]Operation, error)
	// ReportOperation appends progress lines, which get their Seq, and replaces
	// the operation's memory when memory is not nil.
	ReportOperation(ctx context.Context, id ID, memory json.RawMessage, lines []Progress) error
	// EndOperation moves a Running operation to an ended state and appends lines.
	EndOperation(ctx context.Context, id ID, to State, why *fault.Error, result json.RawMessage, lines []Progress) error
}

// Handler carries out one kind of operation. It is called again after a crash
// and must go on from what its steps remember. What it returns becomes the
// operation's result.
type Handler func(ctx context.Context, w *Work) (result any, err error)

// MaxAttempts bounds how often an operation is taken up again, so that one that
// kills the process does not do so for ever.
const MaxAttempts = 100

// Runner carries out operations, as many at once as it is allowed to, one at a
// time per subject.
type Runner struct {
	store    Store
	handlers map[Kind]Handler
	slots    chan struct{}
	wake     chan struct{}
	log      *slog.Logger

	taking sync.Mutex // held from taking operations until they are in work, so that a Cancel in between finds them

	mu   sync.Mutex // guards work; never held across the store
	work map[ID]*Work
}

// NewRunner makes a runner that carries out at most parallel operations at once.
func NewRunner(store Store, handlers map[Kind]Handler, parallel int, log *slog.Logger) *Runner {
	return &Runner{
		store: store, handlers: handlers, log: log,
		slots: make(chan struct{}, parallel), wake: make(chan struct{}, 1), work: map[ID]*Work{},
	}
}

// Wake tells the runner that an operation was queued.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Cancel asks a running operation to end early; the caller has stored the wish.
func (r *Runner) Cancel(id ID) {
	r.taking.Lock()
	defer r.taking.Unlock()
	r.mu.Lock()
	w := r.work[id]
	r.mu.Unlock()
	if w != nil {
		w.cancel()
	}
}

// Run takes up what was left running, then whatever is queued, until ctx ends;
// it returns when all work has stopped. Work that was stopped by ctx stays
// Running in the store and goes on next time.
func (r *Runner) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	left, err := r.retake(ctx)
	if err != nil {
		return fmt.Errorf("find unfinished operations: %w", err)
	}
	for _, w := range left {
		if !r.acquire(ctx) {
			return nil
		}
		r.start(ctx, &work, w)
	}
	retry := backoff.Policy{First: 100 * time.Millisecond, Max: 10 * time.Second}
	for failures := 0; ; {
		if err := r.drain(ctx, &work); err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "take operation", "error", err)
			if retry.Wait(ctx, failures) == nil {
				failures++
				continue
			}
		}
		failures = 0
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
	}
}

// drain starts queued operations until there is none that may run.
func (r *Runner) drain(ctx context.Context, work *sync.WaitGroup) error {
	for r.acquire(ctx) {
		if ok, err := r.take(ctx, work); err != nil || !ok {
			<-r.slots
			return err
		}
	}
	return ctx.Err()
}

// take starts the next operation in a slot that was acquired, if there is one.
func (r *Runner) take(ctx context.Context, work *sync.WaitGroup) (bool, error) {
	r.taking.Lock()
	defer r.taking.Unlock()
	op, ok, err := r.store.TakeOperation(ctx)
	if err == nil && ok {
		r.start(ctx, work, r.inWork(op))
	}
	return ok, err
}

// retake finds what an earlier process left running. All of it is in work from
// here on, also what waits for a slot, so that it can be canceled.
func (r *Runner) retake(ctx context.Context) (left []*Work, err error) {
	r.taking.Lock()
	defer r.taking.Unlock()
	ops, err := r.store.RetakeOperations(ctx)
	for _, op := range ops {
		left = append(left, r.inWork(op))
	}
	return left, err
}

// inWork makes the work of an operation that was taken.
func (r *Runner) inWork(op Operation) *Work {
	w := newWork(op, r.store, r.log.With("operation", op.ID, "kind", op.Kind, "subject", op.Subject))
	r.mu.Lock()
	r.work[op.ID] = w
	r.mu.Unlock()
	if op.Cancel {
		w.cancel()
	}
	return w
}

// acquire waits for a slot; false when ctx ended first.
func (r *Runner) acquire(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case r.slots <- struct{}{}:
		return true
	}
}

// start carries out an operation in a slot that was acquired.
func (r *Runner) start(ctx context.Context, work *sync.WaitGroup, w *Work) {
	work.Go(func() {
		defer func() {
			<-r.slots
			r.mu.Lock()
			delete(r.work, w.ID)
			r.mu.Unlock()
			r.Wake() // its subject is free again
		}()
		r.carryOut(ctx, w)
	})
}

// carryOut runs the handler and stores how it ended.
func (r *Runner) carryOut(ctx context.Context, w *Work) {
	result, err := r.call(ctx, w)
	if ctx.Err() != nil && err != nil {
		w.flush(context.WithoutCancel(ctx))
		return // the process stops; the operation goes on in the next one
	}
	to, why := Done, (*fault.Error)(nil)
	switch {
	case err != nil && w.isCanceled():
		to, why = Canceled, fault.New(fault.Conflict, "", "canceled")
	case err != nil:
		to, why = Failed, fault.Of(err)
		if why.Kind == fault.Internal {
			why = fault.Of(disk.Explain(err, ""))
		}
	}
	if why != nil && why.Kind == fault.Internal {
		w.Log.ErrorContext(ctx, "operation failed", "error", err)
	}
	end, err := json.Marshal(result)
	if err != nil {
		w.Log.ErrorContext(ctx, "encode result of an operation", "error", err)
		end = nil
	}
	lines := w.take()
	retry := backoff.Policy{First: 50 * time.Millisecond, Max: 5 * time.Second}
	for n := 0; ; n++ {
		if err = r.store.EndOperation(context.WithoutCancel(ctx), w.ID, to, why, end, lines); err == nil {
			return
		}
		if n == 1 {
			lines = thinned(lines) // what does not fit on a full disk in whole may fit without most of its output
		}
		if n%10 == 0 {
			w.Log.ErrorContext(ctx, "store the end of an operation", "error", err)
		}
		if kind := fault.Of(err).Kind; kind == fault.NotFound || kind == fault.Conflict {
			return // trying again changes nothing
		}
		if retry.Wait(ctx, n) != nil {
			return // it stays Running, and the next process ends it
		}
	}
}

// call runs the handler of an operation; a panic is an error of that operation
// alone.
func (r *Runner) call(ctx context.Context, w *Work) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.Log.ErrorContext(ctx, "operation panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	handler, ok := r.handlers[w.Kind]
	switch {
	case !ok:
		return nil, fault.New(fault.Unsupported, "kind", "this version of naru cannot carry out %q", w.Kind)
	case w.Attempts > MaxAttempts:
		return nil, fault.New(fault.Failed, "", "given up after %d attempts", MaxAttempts)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case w.isCanceled() && w.fresh():
		return nil, context.Canceled
	}
	return handler(ctx, w)
}

// thinned leaves the last lines of output, and all lines that tell of steps.
func thinned(lines []Progress) []Progress {
	const last = 100
	output := 0
	for _, l := range lines {
		if l.Status == StepLog {
			output++
		}
	}
	if output <= last {
		return lines
	}
	left := output - last
	var kept []Progress
	for _, l := range lines {
		if l.Status == StepLog {
			if output--; output >= last {
				continue
			}
			if output == last-1 {
				note := l
				note.Text = fmt.Sprintf("(%d lines of output could not be stored)", left)
				kept = append(kept, note)
			}
		}
		kept = append(kept, l)
	}
	return kept
}
