// Package foundry keeps the foundations that builds stand on: it bakes those
// that are asked for, keeps their lock files and bills of materials, and finds
// them by name.
package foundry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"naru/internal/artifact"
	"naru/internal/atomicfile"
	"naru/internal/build"
	"naru/internal/build/bake"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
)

// KindBake is the operation that bakes a foundation.
const KindBake operation.Kind = "bake"

// Store keeps which foundations there are. Each call is one transaction.
type Store interface {
	Foundation(ctx context.Context, name string) (artifact.Foundation, error)
	Foundations(ctx context.Context) ([]artifact.Foundation, error)
	SetFoundation(ctx context.Context, f artifact.Foundation, evs ...event.Event) (artifact.Foundation, error)
	AddOperation(ctx context.Context, op operation.Operation, evs ...event.Event) (operation.Operation, error)
}

// Baker makes the image of a declaration.
type Baker interface {
	Bake(ctx context.Context, spec bake.Spec, opt bake.Options) (bake.Result, error)
}

// Registry takes images in.
type Registry interface {
	Push(ctx context.Context, img v1.Image, repository string) (artifact.Ref, error)
	// Size returns the compressed size of an image's layers.
	Size(ctx context.Context, ref artifact.Ref) (int64, error)
	// Take copies an image of any registry into a repository.
	Take(ctx context.Context, reference, repository string) (artifact.Ref, error)
}

// Foundry finds and makes foundations.
type Foundry struct {
	store    Store
	baker    Baker
	registry Registry
	host     string // of the registry, as builds reach it
	dir      string // of lock files and bills of materials
	wake     func()
	log      *slog.Logger

	mu     sync.Mutex // guards baking
	baking map[string]*baking
}

// baking is a bake that several may wait for.
type baking struct {
	done chan struct{}
	f    artifact.Foundation
	err  error
}

// New makes a foundry; wake tells the operation runner that there is work.
func New(store Store, baker Baker, registry Registry, host, dir string, wake func(), log *slog.Logger) *Foundry {
	return &Foundry{store: store, baker: baker, registry: registry, host: host, dir: dir, wake: wake, log: log, baking: map[string]*baking{}}
}

// Handlers are the operations that the foundry carries out.
func (f *Foundry) Handlers() map[operation.Kind]operation.Handler {
	return map[operation.Kind]operation.Handler{KindBake: f.carryOut}
}

// request is the request of a bake.
type request struct {
	Spec string `json:"spec"`
}

// Bake starts the operation that bakes a declaration.
func (f *Foundry) Bake(ctx context.Context, by operation.Ask, spec []byte) (operation.Operation, error) {
	s, err := bake.ParseSpec("foundation.yaml", spec)
	if err != nil {
		return operation.Operation{}, err
	}
	encoded, err := json.Marshal(request{string(spec)})
	if err != nil {
		return operation.Operation{}, err
	}
	op, err := f.store.AddOperation(ctx, operation.Operation{
		ID: operation.ID(id.New()), Kind: KindBake, Subject: "foundation/" + s.Foundation, Actor: by.Actor, Key: by.Key,
		Request: encoded, State: operation.Queued,
	})
	if err == nil {
		f.wake()
	}
	return op, err
}

func (f *Foundry) carryOut(ctx context.Context, w *operation.Work) (any, error) {
	ctx, stop := w.Cancelable(ctx)
	defer stop()
	var in request
	if err := w.Bind(&in); err != nil {
		return nil, err
	}
	spec, err := bake.ParseSpec("foundation.yaml", []byte(in.Spec))
	if err != nil {
		return nil, err
	}
	return operation.Step(ctx, w, "bake", func(ctx context.Context) (client.BakeResult, operation.Outcome, error) {
		began := time.Now()
		old, _ := f.store.Foundation(ctx, spec.Foundation) // none is no error
		made, res, err := f.make(ctx, spec, w.Actor, func(e bake.Event) { say(ctx, w, e) })
		if err != nil {
			return client.BakeResult{}, operation.Outcome{}, err
		}
		out := client.BakeResult{
			Name: made.Name, Ref: made.Ref.String(), Same: old.Ref == made.Ref, Reused: res.Remembered,
			Took: client.Duration(time.Since(began)),
		}
		text := fmt.Sprintf("%s@%s, %d packages", made.Name, made.Ref.Short(), len(res.Lock.Packages))
		return out, operation.Outcome{Text: text, Skipped: out.Same && out.Reused}, nil
	})
}

// say turns what a bake tells into progress.
func say(ctx context.Context, w *operation.Work, e bake.Event) {
	switch e.Kind {
	case bake.Begun:
		w.Info(ctx, "bake", "%s", e.Step)
	case bake.Ended:
		w.Output(ctx, "bake", fmt.Sprintf("%s: %s", e.Step, e.Took.Round(time.Millisecond)))
	case bake.Warned:
		w.Info(ctx, "bake", "%s", e.Name)
	}
}

// make bakes, pushes and records a foundation.
func (f *Foundry) make(ctx context.Context, spec bake.Spec, actor string, tell func(bake.Event)) (artifact.Foundation, bake.Result, error) {
	res, err := f.baker.Bake(ctx, spec, bake.Options{Progress: tell})
	if err != nil {
		return artifact.Foundation{}, res, err
	}
	ref, err := f.registry.Push(ctx, res.Image, repository(spec.Foundation))
	if err != nil {
		return artifact.Foundation{}, res, err
	}
	size, err := f.registry.Size(ctx, ref)
	if err != nil {
		return artifact.Foundation{}, res, err
	}
	lock := res.Lock.Encode()
	made := artifact.Foundation{Name: spec.Foundation, Ref: ref, Lock: digest(lock), ABI: res.ABI, SBOM: digest(res.SBOM), Bytes: size}
	if err := errors.Join(f.keep(made.Lock, lock), f.keep(made.SBOM, res.SBOM)); err != nil {
		return made, res, err
	}
	made, err = f.store.SetFoundation(ctx, made, event.Event{
		Kind: "foundation.baked", Actor: actor, Subject: made.Name, Detail: map[string]any{"digest": ref.Digest},
	})
	return made, res, err
}

// Resolve returns the image of a foundation's name, or of an image reference. One
// of naru's own that was not baked yet is baked now.
func (f *Foundry) Resolve(ctx context.Context, name string) (build.Foundation, error) {
	if strings.Contains(name, "/") || strings.Contains(name, "@") {
		return f.take(ctx, name)
	}
	known, err := f.find(ctx, name)
	if err != nil {
		return build.Foundation{}, err
	}
	return build.Foundation{Name: name, Ref: known.Ref.At(f.host), Digest: known.Ref.Digest, ABI: known.ABI, Tini: true}, nil
}

// find looks a foundation up under its own name and the one it stands for.
func (f *Foundry) find(ctx context.Context, name string) (artifact.Foundation, error) {
	known, err := f.store.Foundation(ctx, name)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return known, err
	}
	spec, err := bake.BuiltinSpec(name)
	if err != nil {
		return known, err
	}
	if known, err = f.store.Foundation(ctx, spec.Foundation); err == nil || !fault.Is(err, fault.NotFound) {
		return known, err
	}
	return f.once(ctx, spec)
}

// once bakes a foundation for whoever waits for it at the moment.
func (f *Foundry) once(ctx context.Context, spec bake.Spec) (artifact.Foundation, error) {
	f.mu.Lock()
	b, under := f.baking[spec.Foundation]
	if !under {
		b = &baking{done: make(chan struct{})}
		f.baking[spec.Foundation] = b
		go func() {
			// Whoever asked first may leave; the others still want it.
			b.f, _, b.err = f.make(context.WithoutCancel(ctx), spec, event.System, nil)
			f.mu.Lock()
			delete(f.baking, spec.Foundation)
			f.mu.Unlock()
			close(b.done)
		}()
	}
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return artifact.Foundation{}, ctx.Err()
	case <-b.done:
		return b.f, b.err
	}
}

// take brings an image that is not ours into the registry, so that its digest is
// fixed and builds need no credentials for it.
func (f *Foundry) take(ctx context.Context, reference string) (build.Foundation, error) {
	sum := sha256.Sum256([]byte(reference))
	ref, err := f.registry.Take(ctx, reference, "foundations/taken-"+hex.EncodeToString(sum[:6]))
	if err != nil {
		return build.Foundation{}, err
	}
	return build.Foundation{Name: reference, Ref: ref.At(f.host), Digest: ref.Digest}, nil
}

// Foundations lists what was baked.
func (f *Foundry) Foundations(ctx context.Context) ([]artifact.Foundation, error) {
	return f.store.Foundations(ctx)
}

// Foundation returns one that was baked.
func (f *Foundry) Foundation(ctx context.Context, name string) (artifact.Foundation, error) {
	return f.store.Foundation(ctx, name)
}

// Lock returns a foundation's lock file.
func (f *Foundry) Lock(_ context.Context, one artifact.Foundation) ([]byte, error) {
	return f.read("lock", one.Lock)
}

// SBOM returns what is in a foundation, as CycloneDX JSON.
func (f *Foundry) SBOM(_ context.Context, one artifact.Foundation) ([]byte, error) {
	return f.read("SBOM", one.SBOM)
}

func (f *Foundry) path(digest string) string {
	return filepath.Join(f.dir, strings.TrimPrefix(digest, "sha256:")+".json")
}

func (f *Foundry) keep(digest string, text []byte) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("keep papers of foundation: %w", err)
	}
	return atomicfile.Write(f.path(digest), text, 0o600)
}

func (f *Foundry) read(what, digest string) ([]byte, error) {
	text, err := os.ReadFile(f.path(digest))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "", "the foundation has no %s", what).WithTry("bake it again")
	}
	return text, err
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// repository is where a foundation's images are: a colon cannot be part of it.
func repository(name string) string { return "foundations/" + strings.ReplaceAll(name, ":", "-") }
