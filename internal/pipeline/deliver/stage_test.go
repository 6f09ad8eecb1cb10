package deliver_test

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

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

// docker is a package of an image.
func (p *platform) docker(t *testing.T, a app.ID, image, user string, password secret.Secret) source.Package {
	t.Helper()
	pack, err := p.AddPackage(t.Context(), by, source.Package{
		ID: source.PackageID(id.New()), App: a, Kind: source.Docker, State: source.Ready, Image: image, Username: user,
	}, password)
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

// staged makes an image of a package.
func (p *platform) staged(t *testing.T, pack source.Package) artifact.ID {
	t.Helper()
	op, err := p.Stage(t.Context(), by, deliver.Staging{Package: pack.ID})
	p.done(t, op, err)
	made, err := p.store.ImagesOfPackage(t.Context(), pack.ID)
	if err != nil || len(made) != 1 {
		t.Fatalf("made of the package: %v, %v", made, err)
	}
	return made[0].ID
}

func TestAnImageIsMadeAndNothingStarts(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	a, err := p.CreateApp(ctx, by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	image := p.staged(t, p.docker(t, a.ID, "serve", "", secret.Secret{}))
	if now, err := p.store.App(ctx, a.ID); err != nil || now.Image != "" || len(p.healthy(t, a.ID)) != 0 {
		t.Fatalf("staging changed the app: %+v, %v", now, err)
	}

	now, err := p.SetImage(ctx, by, a.ID, image)
	if err != nil || now.Image != string(image) || now.State != app.Stopped || len(p.healthy(t, a.ID)) != 0 {
		t.Fatalf("SetImage() = %+v, %v; nothing may start", now, err)
	}
	op, err := p.Restart(ctx, by, a.ID)
	p.done(t, op, err)
	if got := p.healthy(t, a.ID); got[app.Web] != 1 {
		t.Errorf("after restart: %v", got)
	}

	// The second image waits for a restart, and the app runs on meanwhile.
	second := p.staged(t, p.docker(t, a.ID, "serve 2", "", secret.Secret{}))
	if now, err = p.SetImage(ctx, by, a.ID, second); err != nil || now.State != app.Started {
		t.Fatalf("SetImage() of an app that runs = %+v, %v", now, err)
	}
	if rel, err := p.store.CurrentRelease(ctx, a.ID); err != nil || rel.Number != 1 {
		t.Errorf("the current release is %v, %v", rel.Name(), err)
	}
}

func TestImagesOfOtherApps(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	shop, err := p.CreateApp(ctx, by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	other, err := p.CreateApp(ctx, by, w.space, "other")
	if err != nil {
		t.Fatal(err)
	}
	image := p.staged(t, p.docker(t, shop.ID, "serve", "", secret.Secret{}))
	if _, err := p.SetImage(ctx, by, other.ID, image); !fault.Is(err, fault.NotFound) {
		t.Errorf("SetImage() of another app's image = %v", err)
	}
}

func TestAPackageThatIsNotThereYet(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	a, err := p.CreateApp(t.Context(), by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	pack, err := p.AddPackage(t.Context(), by, source.Package{ID: source.PackageID(id.New()), App: a.ID, Kind: source.Bits, State: source.Awaiting}, secret.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Stage(t.Context(), by, deliver.Staging{Package: pack.ID}); !fault.Is(err, fault.Conflict) {
		t.Errorf("Stage() = %v", err)
	}
}

func TestThePasswordOfAPackage(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	a, err := p.CreateApp(ctx, by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	pack := p.docker(t, a.ID, "private", "ada", secret.New("hush"))
	op, err := p.Stage(ctx, by, deliver.Staging{Package: pack.ID})
	p.done(t, op, err)
	wrong := p.docker(t, a.ID, "private", "eve", secret.New("guess"))
	op, err = p.Stage(ctx, by, deliver.Staging{Package: wrong.ID})
	if err != nil {
		t.Fatal(err)
	}
	if end := p.await(t, op); end.State != operation.Failed || end.Error.Kind != fault.Denied || !strings.Contains(end.Error.Try, "the password that came with the image") {
		t.Errorf("with the wrong password: %s, %#v", end.State, end.Error)
	}
	if err := p.DeletePackage(ctx, by, pack); err != nil {
		t.Fatal(err)
	}
	if sealed, err := p.store.SecretsOf(ctx, a.ID); err != nil || len(sealed) != 1 {
		t.Errorf("sealed after one of two is deleted: %d, %v", len(sealed), err)
	}
}

// queued is a staging that was asked for while nothing carries it out.
func (w *world) queued(t *testing.T, pack source.Package) operation.Operation {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(w.dir, "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	asleep := deliver.New(deliver.Parts{Store: st, Wake: func() {}}, deliver.Config{}, slog.New(slog.DiscardHandler))
	op, err := asleep.Stage(t.Context(), by, deliver.Staging{Package: pack.ID})
	if err := errors.Join(err, st.Close()); err != nil {
		t.Fatal(err)
	}
	return op
}

// TestAStagingKilledAtEachCommit ends with one image of the package, wherever the
// platform dies.
func TestAStagingKilledAtEachCommit(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	a, err := p.CreateApp(t.Context(), by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	for n := int64(1); ; n += everyCommit() {
		pack := p.docker(t, a.ID, fmt.Sprintf("serve %d", n), "", secret.Secret{})
		p.down()
		op := w.queued(t, pack)
		w.killAt = n
		p = w.up(t)
		w.killAt = 0
		p.untilEnd(t, op.ID)
		p.down()
		killed := p.kill.Load() <= 0
		p = w.up(t)
		if end := p.await(t, op); end.State != operation.Done {
			t.Fatalf("killed at commit %d the staging is %s: %v", n, end.State, end.Error)
		}
		if made, err := p.store.ImagesOfPackage(t.Context(), pack.ID); err != nil || len(made) != 1 {
			t.Fatalf("killed at commit %d: made %v, %v", n, made, err)
		}
		if !killed {
			break
		}
		kills++
	}
	if kills == 0 {
		t.Error("nothing was killed")
	}
	t.Logf("%d commits", kills)
}

// An app that was never started runs commands in what a start would make of it, and
// makes no release twice of the same.
func TestCommandsRunInWhatAStartWouldMake(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	ctx := t.Context()
	a, err := p.CreateApp(ctx, by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ForTask(ctx, by, a.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("without an image: %v", err)
	}
	image := p.staged(t, p.docker(t, a.ID, "serve", "", secret.Secret{}))
	if _, err := p.SetImage(ctx, by, a.ID, image); err != nil {
		t.Fatal(err)
	}
	first, err := p.ForTask(ctx, by, a.ID)
	if err != nil || first.Number != 1 {
		t.Fatalf("never started: %+v, %v", first, err)
	}
	if again, err := p.ForTask(ctx, by, a.ID); err != nil || again.ID != first.ID {
		t.Errorf("again: %s, %v, want %s", again.ID, err, first.ID)
	}
	if _, _, err := p.SetEnv(ctx, by, a.ID, app.EnvChange{Set: map[string]string{"A": "1"}}, false); err != nil {
		t.Fatal(err)
	}
	second, err := p.ForTask(ctx, by, a.ID)
	if err != nil || second.Number != 2 || second.Env["A"] != "1" {
		t.Errorf("after a change: %+v, %v", second, err)
	}
	if now, err := p.store.App(ctx, a.ID); err != nil || now.State != app.Stopped || len(p.healthy(t, a.ID)) != 0 {
		t.Errorf("it started: %+v, %v", now, err)
	}
}
