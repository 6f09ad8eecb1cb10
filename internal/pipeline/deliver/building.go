package deliver

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/size"
	"naru/internal/source"
)

// built is what the steps of a push remember of a build.
type built struct {
	Image  artifact.Image
	Reused bool
}

// obtain makes or fetches the image of a push; login opens the registry of one that
// is fetched, zero: as the space does.
func (s *Service) obtain(ctx context.Context, w *operation.Work, a app.App, in client.Push, login artifact.Credentials) (artifact.Image, bool, error) {
	repository, err := s.repository(ctx, a)
	if err != nil {
		return artifact.Image{}, false, err
	}
	// Only what is yet to be obtained may be canceled here: what was obtained by an
	// earlier attempt may be in a rollout that has to be carried to an end.
	ctx, stop := w.Cancelable(ctx)
	defer stop()
	if in.Image != "" {
		b, err := operation.Step(ctx, w, "source", func(ctx context.Context) (built, operation.Outcome, error) {
			img, err := s.images.Import(ctx, a.Space, in.Image, repository, login)
			return built{Image: img}, operation.Outcome{Text: "image " + in.Image}, err
		})
		return b.Image, false, err
	}
	snap, err := operation.Step(ctx, w, "source", func(ctx context.Context) (source.Snapshot, operation.Outcome, error) {
		snap, err := s.freeze(ctx, w, a, in.Source)
		return snap, operation.Outcome{Text: describeSource(snap), Data: snap.Digest}, err
	})
	if err != nil {
		return artifact.Image{}, false, err
	}
	b, err := operation.Step(ctx, w, "build", func(ctx context.Context) (built, operation.Outcome, error) {
		return s.build(ctx, w, a, snap, in, repository)
	})
	return b.Image, b.Reused, err
}

// freeze finds the snapshot of a push, or makes it from a repository.
func (s *Service) freeze(ctx context.Context, w *operation.Work, a app.App, in client.Source) (source.Snapshot, error) {
	if in.Git == nil {
		return s.snapshot(ctx, a.Space, in.Snapshot)
	}
	snap, err := s.git.Clone(ctx, a.Space, in.Git.URL, in.Git.Ref, in.Git.Dir, func(line string) {
		w.Output(ctx, "source", line)
	})
	if err != nil {
		return snap, err
	}
	return s.store.AddSnapshot(ctx, snap)
}

func describeSource(snap source.Snapshot) string {
	text := fmt.Sprintf("%d files, %s", snap.Files, size.Text(snap.Bytes))
	if c := snap.Origin.Commit; c != "" {
		text = c[:min(10, len(c))] + ", " + text
		if snap.Origin.Dirty {
			text += ", with changes that are not committed"
		}
	}
	return text
}

// build turns a snapshot into an image.
func (s *Service) build(ctx context.Context, w *operation.Work, a app.App, snap source.Snapshot, in client.Push, repository string) (built, operation.Outcome, error) {
	recipe, err := s.recipe(ctx, snap, in.Build, settingsOf(in.Processes))
	if err != nil {
		return built{}, operation.Outcome{}, err
	}
	w.Info(ctx, "build", "%s", recipe.Found)
	for _, hint := range recipe.Warnings {
		w.Info(ctx, "build", "%s", hint)
	}
	dir, err := os.MkdirTemp(s.cfg.WorkDir, "build-")
	if err != nil {
		return built{}, operation.Outcome{}, fmt.Errorf("make work folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Mkdir(filepath.Join(dir, "source"), 0o700); err != nil {
		return built{}, operation.Outcome{}, fmt.Errorf("make work folder: %w", err)
	}
	if err := s.sources.Checkout(ctx, snap, filepath.Join(dir, "source")); err != nil {
		return built{}, operation.Outcome{}, err
	}
	if err := s.unpack(ctx, a.Space, recipe.Buildpacks, dir); err != nil {
		return built{}, operation.Outcome{}, err
	}
	cache, err := s.cacheOf(ctx, a)
	if err != nil {
		return built{}, operation.Outcome{}, err
	}
	stage := &staging{work: w, app: a.ID, book: s.logs}
	stop := stage.follow(ctx)
	res, err := s.builds.Build(ctx, build.Request{
		App: a.ID, MemoryMiB: memoryOf(a, in.Processes), Stack: in.Build.Stack, Recipe: recipe, Dir: filepath.Join(dir, "source"), SnapshotDigest: snap.Digest, Space: a.Space,
		Target: build.Target{Repository: repository}, SourceCommit: snap.Origin.Commit,
		Env: in.Build.Env, Fresh: in.Build.Fresh, Cache: cache,
		Progress: func(e build.Event) { stage.hear(ctx, e) },
	})
	stop()
	if err != nil {
		return built{}, operation.Outcome{}, err
	}
	for _, hint := range res.Warnings {
		w.Info(ctx, "build", "%s", hint)
	}
	img := artifact.Image{
		ID: artifact.ID(id.New()), App: a.ID, Ref: res.Ref, Snapshot: snap.Digest, RecipeKey: res.RecipeKey,
		Origin: cmp.Or(res.Origin, recipe.Found), Foundation: res.Foundation, Processes: res.Processes, Bytes: res.Bytes,
	}
	out := operation.Outcome{Text: img.Origin + ", unchanged: nothing to build", Skipped: true}
	if !res.Cached {
		out = operation.Outcome{Text: fmt.Sprintf("%s, %d steps (%d cached)", img.Origin, res.Steps.Total, res.Steps.Cached)}
	}
	return built{img, res.Cached}, out, nil
}

// memoryOf is what an instance of web gets; 0: what is usual.
func memoryOf(a app.App, in map[string]client.PushedProcess) int {
	return cmp.Or(in[app.Web].MemoryMiB, a.Draft.Processes[app.Web].MemoryMiB)
}

// recipe looks at a snapshot and says how it is built.
func (s *Service) recipe(ctx context.Context, snap source.Snapshot, in client.BuildSettings, processes map[string]client.ProcessSettings) (build.Recipe, error) {
	tree, err := s.sources.Fetch(ctx, snap)
	if err != nil {
		return build.Recipe{}, err
	}
	opts := build.Options{
		Builder: in.Builder, Foundation: in.Foundation, Dockerfile: in.Dockerfile, Target: in.Target, BuildArgs: in.Args,
	}
	for _, process := range slices.Sorted(maps.Keys(processes)) {
		p := app.Process{Type: process}
		if command := processes[process].Command; command != "" {
			p.Command = app.Shell(command)
		}
		opts.Processes = append(opts.Processes, p)
	}
	return s.recipeOf(ctx, snap.Space, tree, in, opts)
}

// Plan says what a push would build.
func (s *Service) Plan(ctx context.Context, by operation.Ask, space app.SpaceID, in client.PlanRequest) (source.Snapshot, build.Recipe, error) {
	if err := s.checkSource(ctx, space, in.Source); err != nil {
		return source.Snapshot{}, build.Recipe{}, err
	}
	if in.Image != "" {
		return source.Snapshot{}, build.Recipe{}, fault.New(fault.Invalid, "image", "an image is not built, so there is no plan").
			WithTry("naru push --image %s", in.Image)
	}
	var snap source.Snapshot
	var err error
	if in.Git != nil {
		if snap, err = s.git.Clone(ctx, space, in.Git.URL, in.Git.Ref, in.Git.Dir, func(string) {}); err == nil {
			snap, err = s.store.AddSnapshot(ctx, snap)
		}
	} else {
		snap, err = s.snapshot(ctx, space, in.Snapshot)
	}
	if err != nil {
		return snap, build.Recipe{}, err
	}
	recipe, err := s.recipe(ctx, snap, in.Build, in.Processes)
	return snap, recipe, err
}
