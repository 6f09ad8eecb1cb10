package storetest

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth/vault"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/release"
	"naru/internal/source"
	"naru/internal/store"
)

func secrets(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	must(t, w.SetSecrets(ctx, w.app.ID, map[string]string{"A": "old.1", "B": "old.2"}, happened("app.env", "shop")))
	must(t, w.SetSecrets(ctx, w.app.ID, map[string]string{"A": "new.3"}))
	mustBe(t, w.SetSecrets(ctx, "nobody", map[string]string{"A": "x"}), fault.NotFound)
	must(t, w.DeleteSecrets(ctx, w.app.ID, []string{"C"}))
	got, err := w.SecretsOf(ctx, w.app.ID)
	must(t, err)
	if want := map[string]string{"A": "new.3", "B": "old.2"}; !maps.Equal(got, want) {
		t.Errorf("secrets = %v, want %v", got, want)
	}

	c := vault.Credential{Space: w.space.ID, Host: "git.example.com", Kind: vault.Git, Username: "bot", By: "ada"}
	must(t, w.SetCredential(ctx, c, "old.4"))
	c.Username = "robot"
	must(t, w.SetCredential(ctx, c, "old.5"))
	have, sealed, err := w.Credential(ctx, w.space.ID, c.Host, vault.Git)
	must(t, err)
	if have.Username != "robot" || sealed != "old.5" || have.Created.IsZero() {
		t.Errorf("credential = %+v, %q", have, sealed)
	}
	list, err := w.Credentials(ctx, w.space.ID)
	must(t, err)
	if len(list) != 1 || list[0] != have {
		t.Errorf("credentials = %+v, want %+v", list, have)
	}
	_, _, err = w.Credential(ctx, w.space.ID, c.Host, vault.Registry)
	mustBe(t, err, fault.NotFound)

	for _, limit := range []int{1, 2, 10} {
		old, err := w.SealedNotWith(ctx, "new", limit)
		must(t, err)
		if len(old) != min(limit, 2) || old[0].Value != "old.2" {
			t.Errorf("sealed with another key: %+v", old)
		}
	}
	old, err := w.SealedNotWith(ctx, "new", 10)
	must(t, err)
	must(t, w.SetSecrets(ctx, w.app.ID, map[string]string{"B": "new.6"})) // meanwhile
	for _, s := range old {
		must(t, w.Reseal(ctx, s, "new.again"))
	}
	got, err = w.SecretsOf(ctx, w.app.ID)
	must(t, err)
	if got["B"] != "new.6" {
		t.Errorf("resealing undid a change: %v", got)
	}
	if old, err := w.SealedNotWith(ctx, "new", 10); err != nil || len(old) != 0 {
		t.Errorf("still sealed with another key: %+v, %v", old, err)
	}
	must(t, w.DeleteCredential(ctx, w.space.ID, c.Host, vault.Git))
	mustBe(t, w.DeleteCredential(ctx, w.space.ID, c.Host, vault.Git), fault.NotFound)
}

func sourceToRelease(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	elsewhere, err := w.CreateSpace(ctx, w.org.ID, "elsewhere")
	must(t, err)

	t.Run("snapshots belong to a space", func(t *testing.T) {
		snap := source.Snapshot{
			ID: id.New(), Space: w.space.ID, Digest: "sha256:1", Files: 3, Bytes: 1 << 40,
			Origin: source.Origin{Kind: source.Git, URL: "https://x", Commit: "abc", Dirty: true},
		}
		kept, err := w.AddSnapshot(ctx, snap, happened("snapshot.taken", "x"))
		must(t, err)
		again := snap
		again.ID = id.New()
		if twice, err := w.AddSnapshot(ctx, again); err != nil || twice != kept {
			t.Errorf("the same again = %+v, %v, want %+v", twice, err, kept)
		}
		for _, find := range []func() (source.Snapshot, error){
			func() (source.Snapshot, error) { return w.Snapshot(ctx, snap.ID) },
			func() (source.Snapshot, error) { return w.SnapshotByDigest(ctx, w.space.ID, "sha256:1") },
		} {
			if got, err := find(); err != nil || got != kept {
				t.Errorf("read %+v, %v, want %+v", got, err, kept)
			}
		}
		_, err = w.SnapshotByDigest(ctx, elsewhere.ID, "sha256:1")
		mustBe(t, err, fault.NotFound)
		if all, err := w.Snapshots(ctx, ""); err != nil || len(all) != 1 {
			t.Errorf("snapshots = %v, %v", all, err)
		}
		must(t, w.DeleteSnapshot(ctx, snap.ID))
	})

	other := w.newApp(t, "other")
	image := func(a app.App, digit byte, key string) artifact.Image {
		img, err := w.AddImage(ctx, artifact.Image{
			ID: artifact.ID(id.New()), App: a.ID, Ref: ref("default/dev/"+a.Slug, digit), Snapshot: "sha256:1", RecipeKey: key,
			Origin: "node 22", Foundation: "f@sha256:2", Processes: []app.Process{{Type: "web", Command: []string{"node", "."}}}, Bytes: 99,
		})
		must(t, err)
		return img
	}

	t.Run("an equal recipe was built before, in this space", func(t *testing.T) {
		mine, theirs := image(w.app, '1', "key"), image(other, '2', "key")
		if again := image(w.app, '1', "key"); again.ID != mine.ID {
			t.Errorf("the same image again is %s, want %s", again.ID, mine.ID)
		}
		for _, want := range []artifact.Image{mine, theirs} {
			got, err := w.ImageByRecipe(ctx, w.space.ID, want.App, "key")
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("ImageByRecipe = %+v, %v, want %+v", got, err, want)
			}
		}
		_, err := w.ImageByRecipe(ctx, elsewhere.ID, w.app.ID, "key")
		mustBe(t, err, fault.NotFound)
		image(w.app, '3', "")
		_, err = w.ImageByRecipe(ctx, w.space.ID, w.app.ID, "")
		mustBe(t, err, fault.NotFound)
		if got, err := w.ImageOf(ctx, w.app.ID, mine.Ref); err != nil || got.ID != mine.ID {
			t.Errorf("ImageOf = %+v, %v", got, err)
		}
		if got, err := w.Image(ctx, theirs.ID); err != nil || got.Bytes != 99 {
			t.Errorf("Image = %+v, %v", got, err)
		}
	})

	t.Run("releases are numbered without gaps and never change", func(t *testing.T) {
		a, err := w.UpdateApp(ctx, w.app.ID, func(a *app.App) error {
			a.Draft = a.Draft.WithEnv(map[string]string{"A": "1"}).WithSecrets("S")
			return nil
		})
		must(t, err)
		first := w.newRelease(t, a)
		refused := errors.New("refused")
		_, err = w.CutRelease(ctx, a.ID, func(int, time.Time) (release.Release, error) { return release.Release{}, refused })
		if !errors.Is(err, refused) {
			t.Errorf("err = %v", err)
		}
		second := w.newRelease(t, a)
		if first.Number != 1 || second.Number != 2 {
			t.Errorf("numbers %d and %d", first.Number, second.Number)
		}
		got, err := w.ReleaseNumbered(ctx, a.ID, 1)
		if err != nil || !reflect.DeepEqual(got, first) {
			t.Errorf("read\n%+v, %v, want\n%+v", got, err, first)
		}
		_, err = w.ReleaseNumbered(ctx, a.ID, 7)
		if f := mustBe(t, err, fault.NotFound); f.Message != "release v7 of shop does not exist" || f.Try != "naru releases shop" {
			t.Errorf("message %q, try %q", f.Message, f.Try)
		}
		all, err := w.Releases(ctx, a.ID, 0)
		must(t, err)
		if len(all) != 2 || all[0].Number != 2 {
			t.Errorf("releases = %+v", all)
		}
		_, err = w.CurrentRelease(ctx, a.ID)
		mustBe(t, err, fault.NotFound) // none was rolled out
	})

	t.Run("foundations", func(t *testing.T) {
		f := artifact.Foundation{Name: "node:22", Ref: ref("foundations/node", '4'), Lock: "sha256:5", ABI: "node=127", SBOM: "sha256:6", Bytes: 7}
		_, err := w.SetFoundation(ctx, f)
		must(t, err)
		f.Ref = ref("foundations/node", '5')
		kept, err := w.SetFoundation(ctx, f)
		must(t, err)
		if got, err := w.Foundation(ctx, "node:22"); err != nil || got != kept || got.Ref != f.Ref {
			t.Errorf("foundation = %+v, %v, want %+v", got, err, kept)
		}
		_, err = w.Foundation(ctx, "cobol:85")
		mustBe(t, err, fault.NotFound)
	})

	t.Run("what must stay, stays", func(t *testing.T) {
		n, err := w.ForgetImages(ctx, time.Now().Add(time.Hour))
		must(t, err)
		if n != 3 {
			t.Errorf("forgot %d images, want the 3 that no release uses", n)
		}
		var kept []artifact.Ref
		for r, err := range w.KeptImages(ctx) {
			must(t, err)
			kept = append(kept, r)
		}
		want := []artifact.Ref{ref("default/dev/shop", 'a'), ref("foundations/node", '5')}
		slices.SortFunc(kept, func(a, b artifact.Ref) int { return compare(a.Repository, b.Repository) })
		if !slices.Equal(kept, want) {
			t.Errorf("kept %v, want %v", kept, want)
		}
		must(t, w.DeleteFoundation(ctx, "node:22"))
		for range 3 {
			w.newRelease(t, w.app)
		}
		needed, err := w.ReleaseNumbered(ctx, w.app.ID, 1)
		must(t, err)
		w.newGroup(t, w.app, needed.ID, "web", 1)
		if n, err := w.ForgetReleases(ctx, w.app.ID, 2); err != nil || n != 2 {
			t.Errorf("ForgetReleases = %d, %v, want 2: of five the newest two stay, and the one of a group", n, err)
		}
		if rel := w.newRelease(t, w.app); rel.Number != 6 {
			t.Errorf("the next release is %s", rel.Name())
		}
	})
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
