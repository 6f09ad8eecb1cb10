package foundry_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"naru/internal/artifact"
	"naru/internal/build"
	"naru/internal/build/bake"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/foundry"
	"naru/internal/pipeline/operation"
	"naru/internal/store"
)

// world is what outlives a foundry: a store on disk, a folder of papers, and the
// registry. It lives in a bubble of testing/synctest.
type world struct {
	*store.Store
	*foundry.Foundry
	dir   string
	bakes atomic.Int64
	bake  atomic.Pointer[func(ctx context.Context) error] // what a bake waits for; nil: nothing
	wake  atomic.Pointer[func()]
}

// baker stands for the real one, which downloads hundreds of packages.
type baker struct{ w *world }

func (b baker) Bake(ctx context.Context, spec bake.Spec, opt bake.Options) (bake.Result, error) {
	w := b.w
	w.bakes.Add(1)
	if opt.Progress != nil {
		opt.Progress(bake.Event{Kind: bake.Begun, Step: "packages"})
	}
	if wait := w.bake.Load(); wait != nil {
		if err := (*wait)(ctx); err != nil {
			return bake.Result{}, err
		}
	}
	img, err := random.Image(10, 1)
	return bake.Result{
		Image: img, Lock: bake.Lock{Version: 1, Foundation: spec.Foundation}, SBOM: []byte(`{"of":"` + spec.Foundation + `"}`), ABI: "glibc=2.41",
	}, err
}

// registry says where an image would be.
type registry struct{}

func (registry) Push(_ context.Context, img v1.Image, repository string) (artifact.Ref, error) {
	digest, err := img.Digest()
	return artifact.Ref{Repository: repository, Digest: digest.String()}, err
}

func (registry) Size(context.Context, artifact.Ref) (int64, error) { return 10, nil }

func (registry) Take(_ context.Context, _, repository string) (artifact.Ref, error) {
	return artifact.Ref{Repository: repository, Digest: "sha256:" + strings.Repeat("b", 64)}, nil
}

func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		st, err := store.Open(t.Context(), filepath.Join(dir, "store.db"), store.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, st.Close()) }) // after what lives on it
		w := &world{Store: st, dir: filepath.Join(dir, "papers")}
		w.restart()
		test(t, w)
		synctest.Wait()
	})
}

// restart makes a new foundry over what there is.
func (w *world) restart() {
	wake := func() {
		if wake := w.wake.Load(); wake != nil {
			(*wake)()
		}
	}
	w.Foundry = foundry.New(w.Store, baker{w}, registry{}, "registry.test", w.dir, wake, slog.New(slog.DiscardHandler))
}

// block makes bakes wait until the returned function is called with their end.
func (w *world) block() (end func(error)) {
	ends := make(chan struct{})
	var err error
	wait := func(ctx context.Context) error {
		select {
		case <-ends:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.bake.Store(&wait)
	return func(e error) { err = e; w.bake.Store(nil); close(ends) }
}

// operations carries out operations until the returned function is called.
func (w *world) operations(t *testing.T) (down func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r := operation.NewRunner(w.Store, w.Handlers(), 2, slog.New(slog.DiscardHandler))
	wake := r.Wake
	w.wake.Store(&wake)
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	down = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(down)
	synctest.Wait()
	return down
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is what somebody who asked for a foundation got.
type answer struct {
	build.Foundation
	err error
}

// ask lets somebody resolve a name.
func (w *world) ask(ctx context.Context, name string) <-chan answer {
	got := make(chan answer, 1)
	f := w.Foundry
	go func() {
		one, err := f.Resolve(ctx, name)
		got <- answer{one, err}
	}()
	synctest.Wait()
	return got
}

// Who asks for the same foundation at once, also under its other name, waits for
// one bake; whoever comes later finds it, also after a restart.
func TestEqualBakesAreOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		end := w.block()
		spec, err := bake.BuiltinSpec("node")
		must(t, err)
		var waiting []<-chan answer
		for _, name := range []string{"node", spec.Foundation, "node"} {
			waiting = append(waiting, w.ask(t.Context(), name))
		}
		other := w.ask(t.Context(), "python")
		if n := w.bakes.Load(); n != 2 {
			t.Errorf("%d bakes of two foundations", n)
		}
		end(nil)
		first := <-waiting[0]
		must(t, first.err)
		if !first.Tini || first.ABI != "glibc=2.41" || !strings.HasPrefix(first.Ref, "registry.test/foundations/node-") {
			t.Errorf("foundation = %+v", first.Foundation)
		}
		for _, w := range waiting[1:] {
			if got := <-w; got.err != nil || got.Digest != first.Digest {
				t.Errorf("another got %+v, %v", got.Foundation, got.err)
			}
		}
		if got := <-other; got.err != nil || got.Digest == first.Digest {
			t.Errorf("python = %+v, %v", got.Foundation, got.err)
		}
		w.restart()
		if got := <-w.ask(t.Context(), "node"); got.err != nil || got.Digest != first.Digest || w.bakes.Load() != 2 {
			t.Errorf("after a restart: %+v, %v, %d bakes", got.Foundation, got.err, w.bakes.Load())
		}
		events, err := w.Events(t.Context(), store.EventFilter{Kinds: []event.Kind{"foundation.baked"}})
		if err != nil || len(events) != 2 || events[0].Actor != event.System {
			t.Errorf("events %+v, %v", events, err)
		}
	})
}

// A failure is everybody's who waited, and nobody's who comes later.
func TestFailureReachesAllWhoWait(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		end := w.block()
		waiting := []<-chan answer{w.ask(t.Context(), "node"), w.ask(t.Context(), "node"), w.ask(t.Context(), "node")}
		broken := fault.New(fault.Failed, "mirror", "the signature is wrong")
		end(broken)
		for i, one := range waiting {
			if got := <-one; !errors.Is(got.err, broken) {
				t.Errorf("%d got %v", i, got.err)
			}
		}
		if w.bakes.Load() != 1 {
			t.Errorf("%d bakes", w.bakes.Load())
		}
		if got := <-w.ask(t.Context(), "node"); got.err != nil || w.bakes.Load() != 2 {
			t.Errorf("who came later got %v after %d bakes", got.err, w.bakes.Load())
		}
	})
}

// Who leaves takes nothing from the others, not even the first.
func TestLeavingCancelsNobodyElse(t *testing.T) {
	for i, name := range []string{"the first", "the second"} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				end := w.block()
				ctx, leave := context.WithCancel(t.Context())
				contexts := []context.Context{t.Context(), t.Context()}
				contexts[i] = ctx
				waiting := []<-chan answer{w.ask(contexts[0], "node"), w.ask(contexts[1], "node")}
				leave()
				if got := <-waiting[i]; !errors.Is(got.err, context.Canceled) {
					t.Errorf("who left got %v", got.err)
				}
				end(nil)
				if got := <-waiting[1-i]; got.err != nil || got.Digest == "" {
					t.Errorf("who stayed got %+v, %v", got.Foundation, got.err)
				}
				if w.bakes.Load() != 1 {
					t.Errorf("%d bakes", w.bakes.Load())
				}
			})
		})
	}
}

const spec = "foundation: tools:1\nfrom:\n  distribution: trixie\npackages: [curl]\n"

// asked asks for a bake.
func (w *world) asked(t *testing.T, key string) operation.Operation {
	t.Helper()
	op, err := w.Foundry.Bake(t.Context(), operation.Ask{Actor: "ada", Key: key}, []byte(spec))
	must(t, err)
	synctest.Wait()
	return op
}

func (w *world) is(t *testing.T, id operation.ID, want operation.State) {
	t.Helper()
	op, err := w.Operation(context.Background(), id)
	if err != nil || op.State != want {
		t.Fatalf("bake is %s (%v, %v), want %s", op.State, op.Error, err, want)
	}
}

// A bake that the process did not end is done by the next one, once.
func TestBakeGoesOnAfterARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.block()
		down := w.operations(t)
		op := w.asked(t, "key")
		if again := w.asked(t, "key"); again.ID != op.ID {
			t.Error("asking twice is not asking once")
		}
		w.is(t, op.ID, operation.Running)
		down()
		w.is(t, op.ID, operation.Running)
		w.bake.Store(nil)
		w.restart()
		w.operations(t)
		w.is(t, op.ID, operation.Done)
		if w.bakes.Load() != 2 {
			t.Errorf("%d bakes, want one for each process", w.bakes.Load())
		}
		made, err := w.Foundry.Foundation(t.Context(), "tools:1")
		must(t, err)
		lock, err := w.Lock(t.Context(), made)
		if err != nil || !strings.Contains(string(lock), "tools:1") {
			t.Errorf("lock %q, %v", lock, err)
		}
		sbom, err := w.SBOM(t.Context(), made)
		if err != nil || string(sbom) != `{"of":"tools:1"}` {
			t.Errorf("SBOM %q, %v", sbom, err)
		}
		if _, err := w.SBOM(t.Context(), artifact.Foundation{SBOM: "sha256:none"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("papers that are gone: %v", err)
		}
	})
}

func TestBakeCanBeCanceled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.block()
		ctx, cancel := context.WithCancel(context.Background())
		r := operation.NewRunner(w.Store, w.Handlers(), 1, slog.New(slog.DiscardHandler))
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		defer func() { cancel(); must(t, <-ended) }()
		op := w.asked(t, "")
		r.Wake()
		synctest.Wait()
		_, err := w.CancelOperation(t.Context(), operation.Ask{Actor: "ada"}, op.ID)
		must(t, err)
		r.Cancel(op.ID)
		synctest.Wait()
		w.is(t, op.ID, operation.Canceled)
		if _, err := w.Foundry.Foundation(t.Context(), "tools:1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("it is there all the same: %v", err)
		}
	})
}

func TestWrongDeclarationsAndNames(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := w.Foundry.Bake(t.Context(), operation.Ask{Actor: "ada"}, []byte("packages: 3")); !fault.Is(err, fault.Invalid) {
			t.Errorf("declaration: %v", err)
		}
		if got := <-w.ask(t.Context(), "cobol"); got.err == nil || w.bakes.Load() != 0 {
			t.Errorf("a name nobody knows: %+v, %v", got.Foundation, got.err)
		}
		got := <-w.ask(t.Context(), "docker.io/library/alpine:3")
		if got.err != nil || got.Tini || !strings.HasPrefix(got.Ref, "registry.test/foundations/taken-") || w.bakes.Load() != 0 {
			t.Errorf("an image of another registry: %+v, %v", got.Foundation, got.err)
		}
	})
}
