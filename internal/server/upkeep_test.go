//go:build linux

package server

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/config"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/packs"
	"naru/internal/release"
	"naru/internal/source"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

func TestStoppedAppsDoNotKeepReleasesForEver(t *testing.T) {
	st := storetest.Open(t, store.Options{})
	ctx := t.Context()
	_, space, err := st.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a, err := st.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: space.ID, Name: "shop", Slug: "shop", State: app.Stopped})
	if err != nil {
		t.Fatal(err)
	}
	img := artifact.Image{Processes: []app.Process{{Type: app.Web}}, Ref: artifact.Ref{Repository: "default/dev/shop", Digest: "sha256:1"}}
	for range 5 {
		_, err := st.CutRelease(ctx, a.ID, func(number int, now time.Time) (release.Release, error) {
			return release.Cut(a, img, number, "push", "ada", now)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	u := &upkeep{store: st, keep: config.Keep{Releases: 2}}
	text, err := u.forget(ctx)
	if err != nil || text != "3 releases and 0 images forgotten" {
		t.Errorf("forget() = %q, %v", text, err)
	}
	left, err := st.Releases(ctx, a.ID, 0)
	if err != nil || len(left) != 2 || left[0].Number != 5 {
		t.Errorf("left: %+v, %v, want the newest two", left, err)
	}
}

// A space that was deleted leaves nothing behind once its files have gone, not even
// the folder; files that were used in the last day wait.
func TestSourceOfGoneSpacesGoes(t *testing.T) {
	st := storetest.Open(t, store.Options{})
	frozen := source.New(t.TempDir(), source.Limits{})
	u := &upkeep{store: st, frozen: frozen}
	org, err := st.CreateOrg(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	stays, err := st.CreateSpace(t.Context(), org.ID, "stays")
	if err != nil {
		t.Fatal(err)
	}
	for _, space := range []app.SpaceID{stays.ID, "gone", "lately", source.Buildpacks} {
		if _, err := frozen.FromDirectory(t.Context(), space, dir, source.WalkOptions{}, source.Origin{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := frozen.Sweep(t.Context(), "gone", nil, -time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := u.sweepSource(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := frozen.Spaces()
	slices.Sort(left)
	if want := []app.SpaceID{stays.ID, source.Buildpacks, "lately"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("left are %v, %v, want %v", left, err, want)
	}
}

// What people uploaded is no app's, and stays.
func TestUploadedBuildpacksStay(t *testing.T) {
	st := storetest.Open(t, store.Options{})
	frozen := source.New(t.TempDir(), source.Limits{})
	u := &upkeep{store: st, frozen: frozen}
	shelf := packs.New(st, frozen, func() error { return nil })
	name := "words"
	b, err := shelf.Create(t.Context(), operation.Ask{Actor: "ada"}, packs.Change{Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"old", "new"} {
		var file bytes.Buffer
		z := tar.NewWriter(&file)
		err := z.WriteHeader(&tar.Header{Name: "bin/compile", Size: 3, Mode: 0o755, Format: tar.FormatUSTAR})
		if err == nil {
			_, err = z.Write([]byte(text))
		}
		if err == nil {
			err = z.Close()
		}
		if err == nil {
			_, err = shelf.Upload(t.Context(), operation.Ask{Actor: "ada"}, b.ID, "w.tar", &file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if b, err = shelf.One(t.Context(), b.ID); err != nil || !b.Ready() {
		t.Fatalf("it is %+v, %v", b, err)
	}
	keep, err := u.neededSource(t.Context(), source.Buildpacks)
	if err != nil || len(keep) != 1 || keep[0] != b.Digest {
		t.Fatalf("kept are %v, %v, want %s", keep, err, b.Digest)
	}
	swept, err := frozen.Sweep(t.Context(), source.Buildpacks, keep, -time.Hour)
	if err != nil || swept.Files == 0 {
		t.Errorf("swept %+v, %v: the old files had to go", swept, err)
	}
	if err := frozen.Checkout(t.Context(), b.Snapshot(), t.TempDir()); err != nil {
		t.Errorf("after the sweep: %v", err)
	}
}
