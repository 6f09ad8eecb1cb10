package deliver

import (
	"context"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/secret"
	"naru/internal/source"
)

// KindStage makes an image of a package and ends there.
const KindStage operation.Kind = "stage"

// Staging says what image is to be made.
type Staging struct {
	Package source.PackageID     `json:"package"`
	Kind    source.PackageKind   `json:"kind"` // of the package; filled in
	Build   client.BuildSettings `json:"build,omitzero"`
}

// Staged is the result of a staging that is done.
type Staged struct {
	Image  artifact.ID     `json:"image"`
	Ref    string          `json:"ref"`
	Reused bool            `json:"reused,omitempty"` // no build ran
	Took   client.Duration `json:"took"`
}

// Stage starts the operation that makes an image of a package of an app; nothing
// that runs or is to run changes. One app's images are made one after the other,
// whatever else goes on with the app.
func (s *Service) Stage(ctx context.Context, by operation.Ask, in Staging) (operation.Operation, error) {
	p, err := s.store.Package(ctx, in.Package)
	if err != nil {
		return operation.Operation{}, err
	}
	if p.State != source.Ready {
		return operation.Operation{}, fault.New(fault.Conflict, "package", "package %s is %s: there is nothing to build", p.ID, p.State).
			WithTry("upload its files first")
	}
	in.Kind = p.Kind
	if p.Kind == source.Docker {
		if err := feature.Ask(ctx, feature.DiegoDocker); err != nil {
			return operation.Operation{}, err
		}
	}
	a, err := s.store.App(ctx, p.App)
	if err != nil {
		return operation.Operation{}, err
	}
	return s.submitOn(ctx, by, KindStage, "stage/"+string(a.ID), a, in, nil)
}

// stage is what a push does until it has an image.
func (s *Service) stage(ctx context.Context, w *operation.Work) (any, error) {
	began := w.Created
	var in Staging
	if err := w.Bind(&in); err != nil {
		return nil, err
	}
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return nil, err
	}
	p, err := s.store.Package(ctx, in.Package)
	if err != nil {
		return nil, err
	}
	img, reused, err := s.obtainPackage(ctx, w, a, p, in.Build)
	if err != nil {
		return nil, err
	}
	kept, err := operation.Step(ctx, w, "artifact", func(ctx context.Context) (artifact.ID, operation.Outcome, error) {
		var kept artifact.Image
		err := s.store.Together(ctx, func(ctx context.Context) (err error) {
			img.App = a.ID
			if kept, err = s.store.AddImage(ctx, img, event.Event{Kind: "image.built", Actor: w.Actor, Subject: img.Ref.String()}); err != nil {
				return err
			}
			return s.store.LinkImage(ctx, p.ID, kept.ID)
		})
		return kept.ID, imageOutcome(img), err
	})
	if err != nil {
		return nil, err
	}
	return Staged{Image: kept, Ref: img.Ref.String(), Reused: reused, Took: client.Duration(time.Since(began))}, nil
}

// obtainPackage is obtain with what the app's draft says: the environment is seen
// by the build, and a command stands in where the source names none.
func (s *Service) obtainPackage(ctx context.Context, w *operation.Work, a app.App, p source.Package, in client.BuildSettings) (artifact.Image, bool, error) {
	push := client.Push{App: a.Name, Build: in}
	if p.Kind == source.Docker {
		push.Image = p.Image
		login, err := s.login(ctx, p)
		if err != nil {
			return artifact.Image{}, false, err
		}
		image, reused, err := s.obtain(ctx, w, a, push, login)
		if f := fault.Of(err); login.User != "" && fault.Is(err, fault.Denied) {
			err = f.WithTry("check the user name and the password that came with the image")
		}
		return image, reused, err
	}
	push.Snapshot = p.Snapshot
	push.Build.Env = a.Draft.WithEnv(in.Env).Env
	snap, err := s.store.SnapshotByDigest(ctx, a.Space, p.Snapshot)
	if err != nil {
		return artifact.Image{}, false, err
	}
	if commands := commandsOf(a.Draft); len(commands) > 0 {
		r, err := s.recipe(ctx, snap, push.Build, nil)
		if len(r.Buildpacks) > 0 || fault.Is(err, fault.Invalid) { // what buildpacks start is known when they have worked
			push.Processes = commands
		}
	}
	return s.obtain(ctx, w, a, push, artifact.Credentials{})
}

// commandsOf are the commands that a draft gives to process types.
func commandsOf(c app.Config) map[string]client.PushedProcess {
	out := map[string]client.PushedProcess{}
	for process, o := range c.Processes {
		if o.Command != "" {
			out[process] = client.PushedProcess{ProcessSettings: client.ProcessSettings{Command: o.Command}}
		}
	}
	return out
}

// login opens what the image of a package is fetched with; none: what the space
// has.
func (s *Service) login(ctx context.Context, p source.Package) (artifact.Credentials, error) {
	if p.Username == "" {
		return artifact.Credentials{}, nil
	}
	open, err := s.secrets.Secrets(ctx, p.App, []string{p.Secret()})
	if err != nil {
		return artifact.Credentials{}, err
	}
	return artifact.Credentials{User: p.Username, Password: open[p.Secret()]}, nil
}

// AddPackage keeps what an app is to be built of. The password is that of an
// image's registry and may be zero.
func (s *Service) AddPackage(ctx context.Context, by operation.Ask, p source.Package, password secret.Secret) (source.Package, error) {
	err := s.store.Together(ctx, func(ctx context.Context) (err error) {
		if p, err = s.store.AddPackage(ctx, p, event.Event{Kind: "package.added", Actor: by.Actor, Subject: string(p.ID), Detail: map[string]any{"kind": p.Kind}}); err != nil {
			return err
		}
		if p.Username == "" {
			return nil
		}
		return s.secrets.SetSecrets(ctx, p.App, app.EnvChange{Secrets: map[string]secret.Secret{p.Secret(): password}})
	})
	return p, err
}

// AdoptPackage keeps a package for an image that was made without one and has its
// id, so that it can be made again. Twice is once.
func (s *Service) AdoptPackage(ctx context.Context, by operation.Ask, p source.Package) error {
	return s.store.Together(ctx, func(ctx context.Context) error {
		if _, err := s.store.Package(ctx, p.ID); !fault.Is(err, fault.NotFound) {
			return err
		}
		if _, err := s.store.AddPackage(ctx, p, event.Event{Kind: "package.added", Actor: by.Actor, Subject: string(p.ID)}); err != nil {
			return err
		}
		return s.store.LinkImage(ctx, p.ID, artifact.ID(p.ID))
	})
}

// DeletePackage forgets a package, and what its image is fetched with.
func (s *Service) DeletePackage(ctx context.Context, by operation.Ask, p source.Package) error {
	return s.store.Together(ctx, func(ctx context.Context) error {
		if err := s.secrets.SetSecrets(ctx, p.App, app.EnvChange{Unset: []string{p.Secret()}}); err != nil {
			return err
		}
		return s.store.DeletePackage(ctx, p.ID, event.Event{Kind: "package.deleted", Actor: by.Actor, App: string(p.App), Subject: string(p.ID)})
	})
}

// SetImage makes an image of an app what its next release is cut from, and starts
// nothing. An app that has never had one is stopped until somebody starts it.
func (s *Service) SetImage(ctx context.Context, by operation.Ask, id app.ID, image artifact.ID) (app.App, error) {
	img, err := s.store.Image(ctx, image)
	if err != nil {
		return app.App{}, err
	}
	if img.App != id {
		return app.App{}, fault.New(fault.NotFound, "image", "image %s is not one of the app's", image)
	}
	return s.store.UpdateApp(ctx, id, func(a *app.App) error {
		if a.Image == "" {
			a.State = app.Stopped
		}
		a.Image = string(image)
		return nil
	}, event.Event{Kind: "image.chosen", Actor: by.Actor, Detail: map[string]any{"image": img.Ref.String()}})
}

// CopyImage gives an app an image of another's.
func (s *Service) CopyImage(ctx context.Context, by operation.Ask, image artifact.ID, to app.ID) (artifact.Image, error) {
	img, err := s.store.Image(ctx, image)
	if err != nil {
		return img, err
	}
	img.ID, img.App = artifact.ID(id.New()), to
	return s.store.AddImage(ctx, img, event.Event{Kind: "image.copied", Actor: by.Actor, Subject: img.Ref.String()})
}

// DeleteImage forgets an image that no release and no draft needs.
func (s *Service) DeleteImage(ctx context.Context, by operation.Ask, image artifact.ID) error {
	return s.store.DeleteImage(ctx, image, event.Event{Kind: "image.deleted", Actor: by.Actor, Subject: string(image)})
}
