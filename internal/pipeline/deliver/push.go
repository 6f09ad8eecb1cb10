package deliver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/artifact"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/size"
	"naru/internal/source"
)

// Push makes the app where it is missing, with its routes, and starts the
// operation that builds and runs it. What can be refused is refused here, before
// anything is built.
func (s *Service) Push(ctx context.Context, by operation.Ask, space app.SpaceID, in client.Push) (operation.Operation, error) {
	if err := s.checkPush(ctx, space, in); err != nil {
		return operation.Operation{}, err
	}
	a, err := s.store.AppNamed(ctx, space, in.App)
	known := err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		return operation.Operation{}, err
	}
	if !known {
		if a, err = newApp(space, in.App); err != nil {
			return operation.Operation{}, err
		}
	}
	if err := s.checkRoom(ctx, a, in); err != nil {
		return operation.Operation{}, err
	}
	if err := s.mayPush(ctx, a, in); err != nil {
		return operation.Operation{}, err
	}
	asked, err := s.checkStrategy(a, in.Strategy)
	if err != nil {
		return operation.Operation{}, err
	}
	if known {
		if _, asked, err = s.permitted(ctx, by.Actor, a, pushKind(in.ReliabilityFix, in.NoStart), asked); err != nil {
			return operation.Operation{}, err
		}
	}
	of := a.ID
	if !known {
		of = ""
	}
	if err := s.checkPromises(ctx, of, in.Promises); err != nil {
		return operation.Operation{}, err
	}
	mappings, err := mappingsOf(in.Routes)
	if err != nil {
		return operation.Operation{}, err
	}
	for i, w := range mappings {
		if err := s.allow(ctx, space, w); err != nil {
			return operation.Operation{}, ofRoute(i, err)
		}
	}
	return s.submit(ctx, by, KindPush, a, in, func(ctx context.Context) error {
		if known && s.strategy(asked, a).Second == app.Supersede {
			if err := s.store.SupersedeRollout(ctx, a.ID, by.Actor); err != nil {
				return err
			}
		}
		if !known {
			if _, err := s.store.CreateApp(ctx, a, event.Event{Kind: "app.created", Actor: by.Actor, Subject: a.Name}); err != nil {
				return err
			}
		}
		return s.mapPushed(ctx, by, a, mappings, in.NoRoute)
	})
}

func newApp(space app.SpaceID, name string) (app.App, error) {
	if err := app.CheckName("app", name); err != nil {
		return app.App{}, err
	}
	slug, err := app.Slug(name)
	if err != nil {
		return app.App{}, err
	}
	return app.App{ID: app.ID(id.New()), Space: space, Name: name, Slug: slug, State: app.Started}, nil
}

// checkPush refuses what cannot end well.
func (s *Service) checkPush(ctx context.Context, space app.SpaceID, in client.Push) error {
	if err := s.checkSource(ctx, space, in.Source); err != nil {
		return err
	}
	if m := in.Metadata; m != nil {
		if err := (label.Change{Labels: m.Labels, Annotations: m.Annotations}).Check(); err != nil {
			return err
		}
	}
	for name := range in.Env {
		if err := app.CheckEnvName("env."+name, name); err != nil {
			return err
		}
	}
	for _, process := range slices.Sorted(maps.Keys(in.Processes)) {
		field := "processes." + process
		if err := app.CheckProcessType(field, process); err != nil {
			return err
		}
		if err := s.checkMemory(field+".memory_mib", in.Processes[process].MemoryMiB); err != nil {
			return err
		}
		if err := merge(app.Overrides{}, in.Processes[process].ProcessSettings).Metrics.Check(field + ".metrics"); err != nil {
			return err
		}
		if n := in.Processes[process].Instances; n != nil {
			if err := s.checkCount(field+".instances", *n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) checkSource(ctx context.Context, space app.SpaceID, in client.Source) error {
	given := 0
	for _, one := range []bool{in.Snapshot != "", in.Git != nil, in.Image != ""} {
		if one {
			given++
		}
	}
	if given != 1 {
		return fault.New(fault.Invalid, "source", "one of snapshot, git and image is needed (got %d)", given).
			WithTry("naru push in a folder, naru push --git URL, or naru push --image REF")
	}
	if in.Snapshot != "" {
		_, err := s.snapshot(ctx, space, in.Snapshot)
		return err
	}
	return nil
}

func (s *Service) checkCount(field string, n int) error {
	if n < 0 || n > s.cfg.MaxInstances {
		return fault.New(fault.Invalid, field, "%d is not a number of instances from 0 to %d", n, s.cfg.MaxInstances).
			WithTry("the platform's limit is the setting instance.max")
	}
	return nil
}

// checkMemory refuses more than the machine has for one instance: it would be
// promised and never there.
func (s *Service) checkMemory(field string, mib int) error {
	if s.cfg.MaxMemoryMiB > 0 && mib > s.cfg.MaxMemoryMiB {
		return fault.New(fault.Invalid, field, "an instance may have at most %s here (asked for %s)", run.MiB(s.cfg.MaxMemoryMiB), run.MiB(mib)).
			WithTry("ask for less; the platform's limit is the setting instance.max_memory")
	}
	return nil
}

// snapshot finds a snapshot of the space by id or digest.
func (s *Service) snapshot(ctx context.Context, space app.SpaceID, ref string) (source.Snapshot, error) {
	if strings.HasPrefix(ref, "sha256:") {
		return s.store.SnapshotByDigest(ctx, space, ref)
	}
	snap, err := s.store.Snapshot(ctx, ref)
	if err == nil && snap.Space != space {
		return source.Snapshot{}, fault.New(fault.NotFound, "snapshot", "snapshot %q does not exist", ref)
	}
	return snap, err
}

// push is the main story, and what is left of it when it does not end well.
func (s *Service) push(ctx context.Context, w *operation.Work) (any, error) {
	result, err := s.pushed(ctx, w)
	if err == nil || ctx.Err() != nil {
		return result, err
	}
	return nil, s.pushFailed(ctx, w, err)
}

// pushed is source, build, artifact, release, run, route, live.
func (s *Service) pushed(ctx context.Context, w *operation.Work) (any, error) {
	began := w.Created
	var in client.Push
	if err := w.Bind(&in); err != nil {
		return nil, err
	}
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return nil, err
	}
	asked, err := strategyOf(in.Strategy)
	if err != nil {
		return nil, err
	}
	if asked, err = s.admitted(ctx, w, a, pushKind(in.ReliabilityFix, in.NoStart), asked); err != nil {
		return nil, err
	}
	img, reused, err := s.obtain(ctx, w, a, in, artifact.Credentials{})
	if err != nil {
		return nil, err
	}
	if err := s.keepImage(ctx, w, a, img, in); err != nil {
		return nil, err
	}
	result := client.PushResult{App: a.Name, Image: img.Ref.String(), Reused: reused, URLs: []string{}}
	if in.NoStart {
		result.Took = client.Duration(time.Since(began))
		return result, s.keepPromises(ctx, w, a.ID, in.Promises)
	}
	reason := "push"
	if in.ReliabilityFix {
		reason = release.ReliabilityFix
	}
	cut, err := s.cut(ctx, w, reason, asked)
	if err != nil {
		return nil, err
	}
	if err := s.replace(ctx, w, cut); err != nil {
		return nil, err
	}
	if result.URLs, err = s.arrive(ctx, w, a); err != nil {
		return nil, err
	}
	result.Release, result.Took = cut.Number, client.Duration(time.Since(began))
	if cut.Number > 1 {
		result.Undo = "naru rollback " + a.Name
	}
	if err := s.keepPromises(ctx, w, a.ID, in.Promises); err != nil {
		return nil, err
	}
	s.live(ctx, w, result.URLs)
	return result, nil
}

// keepImage records the image, and makes it what the app's next release is cut
// from, together with what the push said about the app.
func (s *Service) keepImage(ctx context.Context, w *operation.Work, a app.App, img artifact.Image, in client.Push) error {
	_, err := operation.Step(ctx, w, "artifact", func(ctx context.Context) (artifact.ID, operation.Outcome, error) {
		var kept artifact.Image
		err := s.store.Together(ctx, func(ctx context.Context) (err error) {
			img.App = a.ID
			before, err := s.store.App(ctx, a.ID)
			if err != nil {
				return err
			}
			if kept, err = s.store.AddImage(ctx, img, event.Event{Kind: "image.built", Actor: w.Actor, Subject: img.Ref.String()}); err != nil {
				return err
			}
			if _, err = s.store.UpdateApp(ctx, a.ID, func(a *app.App) error {
				a.Image = string(kept.ID)
				if !in.NoStart {
					a.State = app.Started
				}
				applyPush(a, in)
				return nil
			}); err != nil {
				return err
			}
			if err := s.label(ctx, w.Actor, before, in.Metadata); err != nil {
				return err
			}
			return s.keepEdit(ctx, w, before)
		})
		return kept.ID, imageOutcome(img), err
	})
	return err
}

// label writes labels and annotations on an app.
func (s *Service) label(ctx context.Context, actor string, a app.App, in *client.LabelChange) error {
	if in == nil {
		return nil
	}
	d := Declaration{App: a.ID, Name: a.Name, Metadata: &label.Change{Labels: in.Labels, Annotations: in.Annotations}}
	for _, do := range s.declares {
		if err := do(ctx, actor, a, d); err != nil {
			return err
		}
	}
	return nil
}

func imageOutcome(img artifact.Image) operation.Outcome {
	return operation.Outcome{Text: fmt.Sprintf("%s@%s, %s", img.Ref.Repository, img.Ref.Short(), size.Text(img.Bytes)), Data: img.Ref.String()}
}

// applyPush brings what a push says into an app's draft.
func applyPush(a *app.App, in client.Push) {
	if asked, err := strategyOf(in.Strategy); err == nil && in.Strategy != nil && in.Strategy.Keep {
		a.Strategy = asked
	}
	if len(in.Env) > 0 {
		a.Draft = a.Draft.WithEnv(in.Env)
	}
	for process, p := range in.Processes {
		a.Draft = a.Draft.WithProcess(process, merge(a.Draft.Processes[process], p.ProcessSettings))
		if p.Instances != nil {
			if a.Scale == nil {
				a.Scale = map[string]int{}
			}
			a.Scale[process] = *p.Instances
		}
	}
}

// merge lays settings over overrides; what is not set stays.
func merge(o app.Overrides, p client.ProcessSettings) app.Overrides {
	if p.Command != "" {
		o.Command = p.Command
	}
	if p.MemoryMiB != 0 {
		o.MemoryMiB = p.MemoryMiB
	}
	if p.DiskMiB != 0 {
		o.DiskMiB = p.DiskMiB
	}
	if p.CPUMilli != 0 {
		o.CPUMilli = p.CPUMilli
	}
	if p.Check != "" {
		o.Check = app.CheckType(p.Check)
	}
	if p.Path != "" {
		o.Path = p.Path
	}
	if p.StartTimeout != 0 {
		o.StartTimeout = app.Duration(p.StartTimeout)
	}
	if p.StopGrace != 0 {
		o.StopGrace = app.Duration(p.StopGrace)
	}
	if p.Interval != 0 {
		o.Interval = app.Duration(p.Interval)
	}
	if p.Timeout != 0 {
		o.Timeout = app.Duration(p.Timeout)
	}
	if m := p.Metrics; m != nil {
		o.Metrics = app.Metrics{Path: m.Path, Port: m.Port, Interval: app.Duration(m.Interval)}
	}
	return o
}

func settingsOf(in map[string]client.PushedProcess) map[string]client.ProcessSettings {
	out := map[string]client.ProcessSettings{}
	for process, p := range in {
		out[process] = p.ProcessSettings
	}
	return out
}

// repository is where an app's images live: org/space/slug.
func (s *Service) repository(ctx context.Context, a app.App) (string, error) {
	name, err := s.store.SpaceName(ctx, a.Space)
	if err != nil {
		return "", err
	}
	return Repository(name, a.Slug)
}

// Repository is the image repository of an app in a space named ORG/SPACE, whose
// names may hold characters that a repository may not. Two spaces never share
// one: who may push to a repository follows from its name.
func Repository(space, slug string) (string, error) {
	org, sp, ok := strings.Cut(space, "/")
	orgPart, err1 := repositoryPart(org)
	spacePart, err2 := repositoryPart(sp)
	if !ok || err1 != nil || err2 != nil {
		return "", errors.Join(fmt.Errorf("space %q has no repository", space), err1, err2)
	}
	return orgPart + "/" + spacePart + "/" + slug, nil
}

// repositoryPart is a name as part of a repository. Different names may have the
// same slug ("Ops", "ops"), and the platform's own folder is taken; such names
// get a mark that no slug can end in.
func repositoryPart(name string) (string, error) {
	slug, err := app.Slug(name)
	if err != nil || slug == name && name != "foundations" {
		return slug, err
	}
	sum := sha256.Sum256([]byte(name))
	return slug + "_" + hex.EncodeToString(sum[:8]), nil
}
