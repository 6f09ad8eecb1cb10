package deliver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/release"
)

// reasonRequest is the request of operations that make a release.
type reasonRequest struct {
	Reason string     `json:"reason"`
	To     release.ID `json:"to,omitempty"`
}

// Start starts a stopped app.
func (s *Service) Start(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	if err := s.mayRunImage(ctx, a, ""); err != nil {
		return operation.Operation{}, err
	}
	if err := s.mayRestart(ctx, by.Actor, a); err != nil {
		return operation.Operation{}, err
	}
	return s.ask(ctx, by, KindStart, a, reasonRequest{Reason: "start"})
}

// Stop stops an app; it keeps its releases, routes and settings.
func (s *Service) Stop(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return s.ask(ctx, by, KindStop, a, struct{}{})
}

// Restart replaces what runs by a release of the app's draft.
func (s *Service) Restart(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	if err := s.mayRunImage(ctx, a, ""); err != nil {
		return operation.Operation{}, err
	}
	if err := s.mayRestart(ctx, by.Actor, a); err != nil {
		return operation.Operation{}, err
	}
	return s.ask(ctx, by, KindRestart, a, reasonRequest{Reason: "restart"})
}

// Delete removes an app and everything of it.
func (s *Service) Delete(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return s.ask(ctx, by, KindDelete, a, struct{}{})
}

func (s *Service) ask(ctx context.Context, by operation.Ask, kind operation.Kind, id app.ID, request any) (operation.Operation, error) {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return operation.Operation{}, err
	}
	return s.submit(ctx, by, kind, a, request, nil)
}

// Scale sets the instances wanted of process types.
func (s *Service) Scale(ctx context.Context, by operation.Ask, id app.ID, processes map[string]int) (operation.Operation, error) {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return operation.Operation{}, err
	}
	rel, err := s.store.CurrentRelease(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return operation.Operation{}, err
	}
	for _, process := range slices.Sorted(maps.Keys(processes)) {
		if err := s.checkCount("processes."+process, processes[process]); err != nil {
			return operation.Operation{}, err
		}
		if _, ok := rel.Process(process); rel.ID != "" && !ok {
			return operation.Operation{}, fault.New(fault.NotFound, "processes."+process, "%s has no process %q; it has %v", a.Name, process, app.Types(rel.Processes)).
				WithTry("naru app %s", a.Name)
		}
	}
	if err := mayScale(ctx, a, processes, nil); err != nil {
		return operation.Operation{}, err
	}
	if err := s.checkScale(ctx, a, processes); err != nil {
		return operation.Operation{}, err
	}
	return s.submit(ctx, by, KindScale, a, processes, nil)
}

// Rollback goes back to a release, or to the one before the current.
func (s *Service) Rollback(ctx context.Context, by operation.Ask, id app.ID, to release.ID) (operation.Operation, error) {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return operation.Operation{}, err
	}
	if to == "" {
		if to, err = s.before(ctx, a); err != nil {
			return operation.Operation{}, err
		}
	}
	rel, err := s.store.Release(ctx, to)
	if err != nil {
		return operation.Operation{}, err
	}
	if rel.App != id {
		return operation.Operation{}, fault.New(fault.NotFound, "release", "release %s is not one of %s", to, a.Name).WithTry("naru releases %s", a.Name)
	}
	if err := s.mayGoBack(ctx, to); err != nil {
		return operation.Operation{}, err
	}
	kind, err := s.rollbackKind(ctx, a, to)
	if err != nil {
		return operation.Operation{}, err
	}
	if _, _, err := s.permitted(ctx, by.Actor, a, kind, app.Strategy{Kind: app.Rolling}); err != nil {
		return operation.Operation{}, err
	}
	return s.submit(ctx, by, KindRollback, a, reasonRequest{Reason: "rollback to " + rel.Name(), To: to}, nil)
}

// before finds what ran before the current release.
func (s *Service) before(ctx context.Context, a app.App) (release.ID, error) {
	current, err := s.store.CurrentRelease(ctx, a.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	rollouts, err := s.store.Rollouts(ctx, a.ID, 100)
	if err != nil {
		return "", err
	}
	for _, r := range rollouts { // newest first
		if r.Release == current.ID && r.From != "" && r.From != current.ID {
			return r.From, nil
		}
	}
	return "", fault.New(fault.Conflict, "release", "%s has no release before the current one", a.Name).WithTry("naru releases %s", a.Name)
}

// restart is the story of restart, and of set-env where the app runs.
func (s *Service) restart(ctx context.Context, w *operation.Work) (any, error) {
	var in reasonRequest
	if err := w.Bind(&in); err != nil {
		return nil, err
	}
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return nil, err
	}
	kind, err := s.changeKind(ctx, a)
	if err != nil {
		return nil, err
	}
	asked, err := s.admitted(ctx, w, a, kind, app.Strategy{})
	if err != nil {
		return nil, err
	}
	c, err := s.cut(ctx, w, in.Reason, asked)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, w, c)
}

// start runs an app that was stopped: the release it had, or a new one where its
// draft was edited meanwhile.
func (s *Service) start(ctx context.Context, w *operation.Work) (any, error) {
	return s.restart(ctx, w)
}

// rollback makes a release equal to an old one. The draft goes back too: what is
// shown as the app's settings is what runs.
func (s *Service) rollback(ctx context.Context, w *operation.Work) (any, error) {
	var in reasonRequest
	if err := w.Bind(&in); err != nil {
		return nil, err
	}
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return nil, err
	}
	kind, err := s.rollbackKind(ctx, a, in.To)
	if err != nil {
		return nil, err
	}
	if _, err := s.admitted(ctx, w, a, kind, app.Strategy{Kind: app.Rolling}); err != nil {
		return nil, err
	}
	if back, ok, err := s.atOnce(ctx, w, in.To); err != nil || ok {
		return back, err
	}
	c, err := operation.Step(ctx, w, "release", func(ctx context.Context) (cutting, operation.Outcome, error) {
		return s.roll(ctx, w, app.Strategy{Kind: app.Rolling, Guard: app.Guarding{Off: true}}, func(ctx context.Context, a app.App, _ *release.Release) (release.Release, error) {
			return s.again(ctx, w, a, in.To, in.Reason)
		})
	})
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, w, c)
}

// again makes a release equal to an old one, and the draft with it.
func (s *Service) again(ctx context.Context, w *operation.Work, a app.App, to release.ID, reason string) (release.Release, error) {
	old, err := s.store.Release(ctx, to)
	if err != nil {
		return old, err
	}
	img, err := s.store.ImageOf(ctx, a.ID, old.Image)
	if err != nil {
		return old, err
	}
	if _, err := s.store.UpdateApp(ctx, a.ID, func(a *app.App) error {
		a.Image, a.Draft = string(img.ID), old.Draft()
		return nil
	}); err != nil {
		return old, err
	}
	return s.store.CutRelease(ctx, a.ID, func(number int, now time.Time) (release.Release, error) {
		return release.Again(old, number, reason, w.Actor, now), nil
	}, event.Event{Kind: "release.cut", Actor: w.Actor, Subject: a.Name, Detail: map[string]any{"reason": reason}})
}

// finish runs what was cut and says where it answers.
func (s *Service) finish(ctx context.Context, w *operation.Work, c cutting) (any, error) {
	if err := s.replace(ctx, w, c); err != nil {
		return nil, err
	}
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return nil, err
	}
	urls, err := s.urls(ctx, a)
	if err != nil {
		return nil, err
	}
	s.live(ctx, w, urls)
	return client.ReleaseResult{App: a.Name, Release: c.Number, URLs: urls, Took: client.Duration(time.Since(w.Created))}, nil
}

// stop takes all instances away and keeps the rest.
func (s *Service) stop(ctx context.Context, w *operation.Work) (any, error) {
	return nil, s.resize(ctx, w, event.Event{Kind: "app.stopped", Actor: w.Actor}, func(a *app.App) { a.State = app.Stopped })
}

// scale sets sizes and waits until they are there.
func (s *Service) scale(ctx context.Context, w *operation.Work) (any, error) {
	var processes map[string]int
	if err := w.Bind(&processes); err != nil {
		return nil, err
	}
	detail := map[string]any{}
	for process, n := range processes {
		detail[process] = n
	}
	return nil, s.resize(ctx, w, event.Event{Kind: "app.scaled", Actor: w.Actor, Detail: detail}, func(a *app.App) {
		a.Scale = scaled(*a, processes)
	})
}

// resize changes what is wanted of an app, and its groups with it, in one
// transaction, and waits until that is so.
func (s *Service) resize(ctx context.Context, w *operation.Work, ev event.Event, change func(*app.App)) error {
	_, err := operation.Step(ctx, w, "scale", func(ctx context.Context) (bool, operation.Outcome, error) {
		return true, operation.Outcome{Text: "stored"}, s.whenThereIsRoom(ctx, w, "scale", func(ctx context.Context) error {
			a, err := s.store.App(ctx, w.App)
			if err != nil {
				return err
			}
			ev.Subject = a.Name
			if a, err = s.store.UpdateApp(ctx, w.App, func(a *app.App) error { change(a); return nil }, ev); err != nil {
				return err
			}
			if err := s.room.Resize(ctx, a); err != nil {
				return err
			}
			return s.fit(ctx, a)
		})
	})
	if err != nil {
		return err
	}
	_, err = operation.Step(ctx, w, "run", func(ctx context.Context) (bool, operation.Outcome, error) {
		out, err := s.settle(ctx, w)
		return true, out, err
	})
	return err
}

// fit gives an app's groups the sizes that are wanted of it, in the caller's
// transaction.
func (s *Service) fit(ctx context.Context, a app.App) error {
	groups, err := s.store.Groups(ctx, a.ID)
	if err != nil {
		return err
	}
	under, err := s.store.Rollouts(ctx, a.ID, 1)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if want := a.Wanted(g.Process); !g.Retired && g.Size != want && (want == 0 || !s.setAside(g, under) && !beside(g, under)) {
			if _, err := s.store.ResizeGroup(ctx, g.ID, want); err != nil {
				return err
			}
		}
	}
	return nil
}

// delete takes the app out of the table, then its instances away, then
// everything else of it.
func (s *Service) delete(ctx context.Context, w *operation.Work) (any, error) {
	a, err := s.store.App(ctx, w.App)
	if fault.Is(err, fault.NotFound) {
		return nil, nil // an earlier attempt came to the end
	}
	if err != nil {
		return nil, err
	}
	_, err = operation.Step(ctx, w, "route", func(ctx context.Context) (bool, operation.Outcome, error) {
		n, err := s.unmapAll(ctx, w.Actor, a)
		return true, operation.Outcome{Text: fmt.Sprintf("%d removed", n)}, err
	})
	if err != nil {
		return nil, err
	}
	if err := s.resize(ctx, w, event.Event{Kind: "app.stopped", Actor: w.Actor}, func(a *app.App) { a.State = app.Stopped }); err != nil {
		return nil, err
	}
	if err := s.logs.Forget(ctx, a.ID); err != nil {
		return nil, err
	}
	return nil, s.store.DeleteApp(ctx, a.ID, event.Event{Kind: "app.deleted", Actor: w.Actor, Subject: a.Name})
}
