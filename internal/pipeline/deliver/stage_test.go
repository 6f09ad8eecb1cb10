package deliver_test

import (
	"testing"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/secret"
	"naru/internal/source"
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
	if end := p.await(t, op); end.State != operation.Failed || end.Error.Kind != fault.Denied {
		t.Errorf("with the wrong password: %s, %v", end.State, end.Error)
	}
	if err := p.DeletePackage(ctx, by, pack); err != nil {
		t.Fatal(err)
	}
	if sealed, err := p.store.SecretsOf(ctx, a.ID); err != nil || len(sealed) != 1 {
		t.Errorf("sealed after one of two is deleted: %d, %v", len(sealed), err)
	}
}
