package cf_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/secret"
	"naru/internal/source"
	"naru/internal/store"
)

// pushes is the part of a world that takes uploads in and builds them.
type pushes struct {
	stager   *stager
	source   *source.Store
	snapshot string // of one page
}

func newPushes(dir string, st *store.Store) pushes {
	return pushes{
		stager: newStager(st), source: source.New(filepath.Join(dir, "source"), source.Limits{MaxFile: 1 << 20, MaxFiles: 1000}),
	}
}

// stager is the pipeline's own but for builds: what is built of a package has the
// package's snapshot for its digest, and fails where its error says so.
type stager struct {
	*deliver.Service
	store *store.Store
	fail  *fault.Error // of the next builds
}

func newStager(st *store.Store) *stager {
	return &stager{store: st, Service: deliver.New(deliver.Parts{
		Store: st, Secrets: sealed{}, Wake: func() {},
	}, deliver.Config{}, slog.New(slog.DiscardHandler))}
}

// Stage stores the operation and carries it out.
func (s *stager) Stage(ctx context.Context, by operation.Ask, in deliver.Staging) (operation.Operation, error) {
	op, err := s.Service.Stage(ctx, by, in)
	if err != nil {
		return op, err
	}
	if _, _, err := s.store.TakeOperation(ctx); err != nil {
		return op, err
	}
	if s.fail != nil {
		return op, s.store.EndOperation(ctx, op.ID, operation.Failed, s.fail, nil, nil)
	}
	p, err := s.store.Package(ctx, in.Package)
	if err != nil {
		return op, err
	}
	origin := "static site"
	if p.Kind == source.Docker {
		origin = p.Image
	}
	img, err := s.store.AddImage(ctx, artifact.Image{
		ID: artifact.ID(id.New()), App: p.App, Ref: artifact.Ref{Repository: "default/dev/x", Digest: "sha256:" + strings.Repeat("e", 64)},
		Snapshot: p.Snapshot, RecipeKey: p.Snapshot, Origin: origin, Processes: []app.Process{{Type: app.Web, MemoryMiB: 256, DiskMiB: 1024}},
	})
	if err != nil {
		return op, err
	}
	if err := s.store.LinkImage(ctx, p.ID, img.ID); err != nil {
		return op, err
	}
	result, err := json.Marshal(deliver.Staged{Image: img.ID, Ref: img.Ref.String()})
	if err != nil {
		return op, err
	}
	return op, s.store.EndOperation(ctx, op.ID, operation.Done, nil, result, nil)
}

// sealed keeps no secret.
type sealed struct{}

func (sealed) SetSecrets(context.Context, app.ID, app.EnvChange) error { return nil }
func (sealed) Secrets(context.Context, app.ID, []string) (map[string]secret.Secret, error) {
	return map[string]secret.Secret{}, nil
}

// files are what is in every image: one page.
type files struct{}

func (files) Files(context.Context, artifact.Ref, artifact.Ref) (io.ReadCloser, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "app/index.html", Mode: 0o644, Size: 2}); err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte("hi")); err != nil {
		return nil, err
	}
	return io.NopCloser(&b), w.Close()
}

func room() error { return nil }

// page is the digest of a tree of one page.
func (w *world) page(text string) string {
	w.t.Helper()
	in, err := w.source.Begin(w.space.ID)
	must(w.t, err)
	defer in.Close()
	_, err = in.Add(w.t.Context(), "index.html", source.Plain, strings.NewReader(text))
	must(w.t, err)
	snap, err := in.Freeze(w.t.Context(), source.Origin{Kind: source.Directory})
	must(w.t, err)
	_, err = w.store.AddSnapshot(w.t.Context(), snap)
	must(w.t, err)
	return snap.Digest
}
