package build

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
)

// The wrappers are put together from the inside out:
//
//	var b Builder = buildkit.New(...)
//	b = Logging(b, log)
//	b = Limiting(b, 4)
//	b = Remembering(b, images)
//	b = Resolving(b, foundations)

// Images remembers what was built. The store keeps it; an image that the
// registry no longer has is not to be returned.
type Images interface {
	// Image returns the result of a recipe key, and whether there is one.
	Image(ctx context.Context, key string) (Result, bool, error)
	// Keep remembers a result under its RecipeKey.
	Keep(ctx context.Context, r Result) error
}

// Remembering returns a builder that builds equal requests once. A request that asks
// for a fresh build gets one.
func Remembering(next Builder, images Images) Builder { return remembering{next, images} }

type remembering struct {
	next   Builder
	images Images
}

// Build looks the recipe key up before it builds.
func (c remembering) Build(ctx context.Context, req Request) (Result, error) {
	start := time.Now()
	key, err := RecipeKey(req)
	if err != nil {
		return Result{}, err
	}
	if !req.Fresh {
		res, ok, err := c.images.Image(ctx, key)
		if err != nil {
			return Result{}, fmt.Errorf("look up recipe key: %w", err)
		}
		if ok {
			res.Cached, res.Steps, res.Took = true, StepCount{}, time.Since(start)
			return res, nil
		}
	}
	res, err := c.next.Build(ctx, req)
	if err != nil {
		return Result{}, err
	}
	res.RecipeKey = key
	if err := c.images.Keep(ctx, res); err != nil {
		return Result{}, fmt.Errorf("remember image %s: %w", res.Ref, err)
	}
	return res, nil
}

// Resolving returns a builder that finds the foundations of a recipe first and
// refuses a pair that does not fit together.
func Resolving(next Builder, foundations Foundations) Builder { return resolving{next, foundations} }

type resolving struct {
	next        Builder
	foundations Foundations
}

// Build fills Request.Foundations.
func (r resolving) Build(ctx context.Context, req Request) (Result, error) {
	names := req.Recipe.Foundations
	for _, f := range []struct {
		name string
		into *Foundation
	}{{names.Build, &req.Foundations.Build}, {names.Run, &req.Foundations.Run}} {
		if f.name == "" || f.into.Ref != "" {
			continue
		}
		found, err := r.resolve(ctx, req, f.name)
		if err != nil {
			return Result{}, fmt.Errorf("find foundation %s: %w", f.name, err)
		}
		*f.into = found
	}
	if d := req.Recipe.Dockerfile; d != nil && len(d.Stands) > 0 {
		req.Foundations.Named = map[string]Foundation{}
		for _, name := range d.Stands {
			found, err := r.foundations.Resolve(ctx, name)
			if err != nil {
				return Result{}, fmt.Errorf("find foundation %s: %w", name, err)
			}
			req.Foundations.Named[name] = found
		}
	}
	if err := fits(names, req.Foundations); err != nil {
		return Result{}, err
	}
	return r.next.Build(ctx, req)
}

// resolve finds a foundation and says so: one that was never used on this
// platform is baked first, which takes a while.
func (r resolving) resolve(ctx context.Context, req Request, name string) (Foundation, error) {
	tell, start := req.Progress, time.Now()
	if tell == nil {
		tell = func(Event) {}
	}
	step := "foundation " + name
	tell(Event{Kind: Started, Step: step, At: start})
	found, err := r.foundations.Resolve(ctx, name)
	if err != nil {
		tell(Event{Kind: StepFailed, Step: step, Text: err.Error(), At: time.Now()})
		return found, err
	}
	tell(Event{Kind: Done, Step: step, Took: time.Since(start), At: time.Now()})
	return found, nil
}

// fits refuses a run foundation on which what was built cannot run: both say
// what they are and they differ in a part that both name.
func fits(names Names, r Resolved) error {
	have := abiParts(r.Run.ABI)
	for part, built := range abiParts(r.Build.ABI) {
		if runs, ok := have[part]; ok && runs != built {
			return fault.New(fault.Conflict, "foundation", "%s has %s %s, but %s, which the app is built on, has %s", names.Run, part, runs, names.Build, built).
				WithTry("choose a foundation with %s %s, or use a Dockerfile", part, built)
		}
	}
	return nil
}

// Limiting returns a builder that runs at most n builds at once, and one per
// space; others wait their turn.
func Limiting(next Builder, n int) Builder {
	return &limited{next: next, slots: make(chan struct{}, n), spaces: map[app.SpaceID]*turn{}}
}

type limited struct {
	next   Builder
	slots  chan struct{}
	mu     sync.Mutex // guards spaces
	spaces map[app.SpaceID]*turn
}

// turn is a space's one place; it is dropped with the last who waits for it.
type turn struct {
	place   chan struct{}
	waiting int
}

// Build waits for the space's turn, then for a slot of the machine.
func (l *limited) Build(ctx context.Context, req Request) (Result, error) {
	t := l.join(req.Space)
	defer l.leave(req.Space, t)
	if err := take(ctx, t.place); err != nil {
		return Result{}, fmt.Errorf("wait for another build of the space: %w", err)
	}
	defer func() { <-t.place }()
	if err := take(ctx, l.slots); err != nil {
		return Result{}, fmt.Errorf("wait for other builds: %w", err)
	}
	defer func() { <-l.slots }()
	return l.next.Build(ctx, req)
}

func (l *limited) join(space app.SpaceID) *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.spaces[space]
	if !ok {
		t = &turn{place: make(chan struct{}, 1)}
		l.spaces[space] = t
	}
	t.waiting++
	return t
}

func (l *limited) leave(space app.SpaceID, t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.waiting--; t.waiting == 0 {
		delete(l.spaces, space)
	}
}

func take(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Logging returns a builder that writes one line per build.
func Logging(next Builder, log *slog.Logger) Builder { return logged{next, log} }

type logged struct {
	next Builder
	log  *slog.Logger
}

// Build logs how a build ended. The error is the caller's to report; here it is
// only counted by its kind.
func (l logged) Build(ctx context.Context, req Request) (Result, error) {
	start := time.Now()
	res, err := l.next.Build(ctx, req)
	attrs := []any{"repository", req.Target.Repository, "builder", req.Recipe.Builder, "snapshot", req.SnapshotDigest, "took", time.Since(start)}
	if err != nil {
		l.log.InfoContext(ctx, "build failed", append(attrs, "kind", fault.Of(err).Kind)...)
		return res, err
	}
	l.log.InfoContext(ctx, "build done", append(attrs, "image", res.Ref.Short(), "bytes", res.Bytes, "steps", res.Steps.Total, "remembered", res.Steps.Cached)...)
	return res, nil
}
