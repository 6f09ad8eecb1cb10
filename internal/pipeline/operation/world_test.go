package operation_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/store"
)

// world is what outlives a runner: a store on disk. It lives in a bubble of
// testing/synctest.
type world struct {
	*store.Store
	kill  atomic.Int64                   // commits until the process dies; below 1: never
	die   atomic.Pointer[func()]         // ends the runner as the end of its process does
	fails atomic.Pointer[func() error]   // what the store answers in place of writing; nil: it works
	apps  map[string]operation.Operation // a template for each app
}

// inWorld runs a test with a fresh store that knows the apps "shop" and "blog".
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{apps: map[string]operation.Operation{}}
		st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), store.Options{AfterCommit: func(int64) {
			if w.kill.Add(-1) == 0 {
				(*w.die.Load())()
				runtime.Goexit() // whoever committed comes no further, as after kill -9
			}
		}})
		must(t, err)
		t.Cleanup(func() { must(t, st.Close()) }) // after what lives on it
		w.Store = st
		_, space, err := st.Bootstrap(t.Context())
		must(t, err)
		for _, name := range []string{"shop", "blog"} {
			a, err := st.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: space.ID, Name: name, Slug: name, State: app.Started},
				event.Event{Kind: "app.created", Actor: "ada", Subject: name})
			must(t, err)
			w.apps[name] = operation.Operation{
				Kind: "push", Space: a.Space, App: a.ID, Subject: string(a.ID), Actor: "ada", Request: []byte(`{}`), State: operation.Queued,
			}
		}
		test(t, w)
	})
}

// ask queues an operation of an app.
func (w *world) ask(t *testing.T, name string) operation.Operation {
	t.Helper()
	op := w.apps[name]
	op.ID = operation.ID(id.New())
	op, err := w.AddOperation(t.Context(), op)
	must(t, err)
	return op
}

// life is one process that carries out operations.
type life struct {
	*operation.Runner
	dead <-chan struct{} // closed when it is told to end
	down func()          // ends it and waits until nothing of it works any more
}

// start begins a life with a handler.
func (w *world) start(t *testing.T, parallel int, handler operation.Handler) life {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	die := func() { cancel() }
	w.die.Store(&die)
	r := operation.NewRunner(w, map[operation.Kind]operation.Handler{"push": handler}, parallel, slog.New(slog.NewTextHandler(t.Output(), nil)))
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	down := sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(down)
	return life{r, ctx.Done(), down}
}

// failWith makes the writes of a runner fail until it is called with nil.
func (w *world) failWith(err error) {
	if err == nil {
		w.fails.Store(nil)
		return
	}
	answer := func() error { return err }
	w.fails.Store(&answer)
}

func (w *world) failing() error {
	if answer := w.fails.Load(); answer != nil {
		return (*answer)()
	}
	return nil
}

func (w *world) TakeOperation(ctx context.Context) (operation.Operation, bool, error) {
	if err := w.failing(); err != nil {
		return operation.Operation{}, false, err
	}
	return w.Store.TakeOperation(ctx)
}

func (w *world) ReportOperation(ctx context.Context, id operation.ID, memory json.RawMessage, lines []operation.Progress) error {
	if err := w.failing(); err != nil {
		return err
	}
	return w.Store.ReportOperation(ctx, id, memory, lines)
}

func (w *world) EndOperation(ctx context.Context, id operation.ID, to operation.State, why *fault.Error, result json.RawMessage, lines []operation.Progress) error {
	if err := w.failing(); err != nil {
		return err
	}
	return w.Store.EndOperation(ctx, id, to, why, result, lines)
}

// find reads an operation.
func (w *world) find(t *testing.T, id operation.ID) operation.Operation {
	t.Helper()
	op, err := w.Operation(context.Background(), id)
	must(t, err)
	return op
}

// lines reads what an operation reported, and checks that nothing is missing.
func (w *world) lines(t *testing.T, id operation.ID) []operation.Progress {
	t.Helper()
	all, err := w.Progress(context.Background(), id, 0, 100_000)
	must(t, err)
	for i, l := range all {
		if l.Seq != int64(i+1) {
			t.Fatalf("line %d of %s has the number %d", i+1, id, l.Seq)
		}
	}
	return all
}

// ended fails the test unless an operation is in a state.
func (w *world) ended(t *testing.T, id operation.ID, want operation.State) operation.Operation {
	t.Helper()
	op := w.find(t, id)
	if op.State != want {
		t.Fatalf("operation is %s (%v), want %s", op.State, op.Error, want)
	}
	return op
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errStore = errors.New("database is locked")
