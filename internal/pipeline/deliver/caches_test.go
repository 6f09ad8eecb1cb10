package deliver_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/build"
	"naru/internal/id"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/source"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

// asked builds nothing and tells what was asked for.
type asked struct{ requests chan build.Request }

func (a asked) Build(_ context.Context, req build.Request) (build.Result, error) {
	a.requests <- req
	return build.Result{Ref: artifact.Ref{Repository: req.Target.Repository, Digest: "sha256:" + strings.Repeat("a", 64)}, RecipeKey: req.Cache, Origin: "buildpack words 1.2"}, nil
}

func TestCachesAreEmptied(t *testing.T) {
	st := storetest.Open(t, store.Options{})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, space, err := st.Bootstrap(t.Context())
	ok(err)
	dir := t.TempDir()
	files := source.New(filepath.Join(dir, "source"), source.Limits{})
	builds := asked{make(chan build.Request, 1)}
	var ops *operation.Runner
	log := slog.New(slog.DiscardHandler)
	s := deliver.New(deliver.Parts{Store: st, Sources: files, Builds: builds, Logs: noLogs{}, Wake: func() { ops.Wake() }}, deliver.Config{WorkDir: dir}, log)
	ops = operation.NewRunner(st, s.Handlers(), 1, log)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ops.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })

	snap, err := freeze(t.Context(), files, space.ID, map[string]string{"index.html": "hello"}, source.Origin{Kind: source.Directory})
	ok(err)
	snap, err = st.AddSnapshot(t.Context(), snap)
	ok(err)
	by := operation.Ask{Actor: "ada"}
	shop, err := s.Skeleton(t.Context(), by, space.ID, "shop", app.Build{Stack: "cflinuxfs4"})
	ok(err)
	other, err := s.Skeleton(t.Context(), by, space.ID, "other", app.Build{})
	ok(err)
	p := &platform{store: st}
	cache := func(a app.App) string {
		t.Helper()
		one, err := st.AddPackage(t.Context(), source.Package{ID: source.PackageID(id.New()), App: a.ID, Kind: source.Bits, State: source.Ready, Snapshot: snap.Digest})
		ok(err)
		op, err := s.Stage(t.Context(), by, deliver.Staging{Package: one.ID})
		p.done(t, op, err)
		return (<-builds.requests).Cache
	}
	different := func(why, before, now string) {
		t.Helper()
		if before == now || now == "" {
			t.Errorf("%s: caches are %q, before %q", why, now, before)
		}
	}
	if a, b := cache(shop), cache(other); a != "" || b != "" {
		t.Errorf("nothing was emptied, and the caches are %q and %q", a, b)
	}
	ok(s.EmptyCache(t.Context(), by, shop.ID))
	first := cache(shop)
	different("emptied", "", first)
	if got := cache(other); got != "" {
		t.Errorf("that of another app became %q", got)
	}
	_, err = s.SetBuild(t.Context(), by, shop.ID, app.Build{Stack: "cflinuxfs3"})
	ok(err)
	if got := cache(shop); got != first {
		t.Errorf("how to build was said anew, and the cache is %q, was %q", got, first)
	}
	ok(s.EmptyCache(t.Context(), by, shop.ID))
	second := cache(shop)
	different("emptied again", first, second)
	ok(s.EmptyCaches(t.Context(), by))
	different("all emptied", second, cache(shop))
	different("all emptied, another app", "", cache(other))

	images, err := st.Images(t.Context(), shop.ID)
	ok(err)
	if len(images) != 4 || images[0].Origin != "buildpack words 1.2" {
		t.Errorf("images %+v", images)
	}
}
