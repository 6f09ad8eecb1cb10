package storetest

import (
	"reflect"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/source"
	"naru/internal/store"
)

// packages are what is uploaded and not built yet.
func packages(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	add := func() source.Package {
		p, err := w.AddPackage(ctx, source.Package{ID: source.PackageID(id.New()), App: w.app.ID, Kind: source.Bits, State: source.Awaiting}, happened("package.added", "x"))
		must(t, err)
		return p
	}
	first := add()
	if first.Space != w.space.ID || first.Created.IsZero() {
		t.Errorf("a new package is %+v", first)
	}
	_, err := w.AddPackage(ctx, source.Package{ID: source.PackageID(id.New()), App: "none"})
	mustBe(t, err, fault.NotFound)

	t.Run("an upload is taken once", func(t *testing.T) {
		ready := func(p *source.Package) error { p.State, p.Snapshot = source.Ready, "sha256:1"; return nil }
		got, err := w.UpdatePackage(ctx, first.ID, ready)
		must(t, err)
		if again, err := w.Package(ctx, first.ID); err != nil || !reflect.DeepEqual(again, got) || got.Snapshot != "sha256:1" {
			t.Errorf("read %+v, %v, want %+v", again, err, got)
		}
		if _, err := w.UpdatePackage(ctx, first.ID, func(p *source.Package) error { p.State = source.Awaiting; return nil }); err == nil {
			t.Error("what is ready waited again")
		}
	})

	t.Run("images know what they were made of", func(t *testing.T) {
		second := add()
		img, err := w.AddImage(ctx, artifact.Image{ID: artifact.ID(id.New()), App: w.app.ID, Ref: ref("default/dev/shop", '7'), Snapshot: "sha256:1", RecipeKey: "k"})
		must(t, err)
		for range 2 { // twice is once
			must(t, w.LinkImage(ctx, first.ID, img.ID))
		}
		must(t, w.LinkImage(ctx, second.ID, img.ID))
		must(t, w.LinkImage(ctx, "none", img.ID))
		of, err := w.PackageImages(ctx, w.app.ID)
		if err != nil || len(of) != 1 || of[img.ID] != second.ID {
			t.Errorf("made of %v, %v, want %s", of, err, second.ID)
		}
		if made, err := w.ImagesOfPackage(ctx, first.ID); err != nil || len(made) != 1 || made[0].ID != img.ID {
			t.Errorf("made %v, %v", made, err)
		}
		must(t, w.DeletePackage(ctx, second.ID, happened("package.deleted", "x")))
		must(t, w.DeletePackage(ctx, second.ID))
		_, err = w.Package(ctx, second.ID)
		mustBe(t, err, fault.NotFound)
		if of, err := w.PackageImages(ctx, w.app.ID); err != nil || of[img.ID] != first.ID {
			t.Errorf("without the newest it is made of %v, %v", of, err)
		}
	})

	t.Run("what never came is waited for no longer", func(t *testing.T) {
		waiting := add()
		n, err := w.SpoilPackages(ctx, time.Now().Add(time.Hour), "nothing came")
		must(t, err)
		got, err := w.Package(ctx, waiting.ID)
		must(t, err)
		if n != 1 || got.State != source.Spoilt || got.Error != "nothing came" {
			t.Errorf("%d spoilt: %+v", n, got)
		}
	})

	t.Run("how to build stays with the app", func(t *testing.T) {
		want := app.Build{Docker: true, Buildpacks: []string{"node"}, Foundation: "node:22", Env: map[string]string{"A": "b"}}
		_, err := w.UpdateApp(ctx, w.app.ID, func(a *app.App) error { a.Build = want; return nil })
		must(t, err)
		if a, err := w.App(ctx, w.app.ID); err != nil || !reflect.DeepEqual(a.Build, want) {
			t.Errorf("read %+v, %v, want %+v", a.Build, err, want)
		}
	})

	t.Run("packages go with their app", func(t *testing.T) {
		must(t, w.DeleteApp(ctx, w.app.ID))
		if all, err := w.Packages(ctx, w.app.ID); err != nil || len(all) != 0 {
			t.Errorf("left: %v, %v", all, err)
		}
	})
}
