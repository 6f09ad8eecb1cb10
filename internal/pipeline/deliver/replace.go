package deliver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
)

// cutting is what the release step remembers.
type cutting struct {
	Release release.ID
	Number  int
	Rollout rollout.ID
}

// cut freezes the app's image and draft as a release, unless that would equal
// the current one, and starts its rollout, in one transaction.
func (s *Service) cut(ctx context.Context, w *operation.Work, reason string, asked app.Strategy) (cutting, error) {
	return operation.Step(ctx, w, "release", func(ctx context.Context) (cutting, operation.Outcome, error) {
		return s.roll(ctx, w, asked, func(ctx context.Context, a app.App, old *release.Release) (release.Release, error) {
			return s.frozen(ctx, w.Actor, a, old, reason, w.Kind == KindPush)
		})
	})
}

// frozen is the release that an app's image and draft make: the old one where
// nothing differs from it, unless a new one is wanted always.
func (s *Service) frozen(ctx context.Context, actor string, a app.App, old *release.Release, reason string, always bool) (release.Release, error) {
	if a.Image == "" {
		return release.Release{}, fault.New(fault.Conflict, "app", "%s has no image yet", a.Name).WithTry("naru push")
	}
	img, err := s.store.Image(ctx, artifact.ID(a.Image))
	if err != nil {
		return release.Release{}, err
	}
	img = s.filled(a, img)
	now := time.Now().UTC()
	next, err := release.Cut(a, img, 0, reason, actor, now)
	if err != nil {
		return next, err
	}
	if old != nil && len(next.Changes(*old)) == 0 && !always {
		return *old, nil
	}
	return s.store.CutRelease(ctx, a.ID, func(number int, now time.Time) (release.Release, error) {
		return release.Cut(a, img, number, reason, actor, now)
	}, event.Event{Kind: "release.cut", Actor: actor, Subject: a.Name, Detail: map[string]any{"reason": reason}})
}

// ForTask is the release that a command of an app runs in: the one that the app
// runs, or, while it is stopped, what a start would make of its image and draft. An
// app that runs nothing but commands is never started.
func (s *Service) ForTask(ctx context.Context, by operation.Ask, id app.ID) (rel release.Release, err error) {
	if err := feature.Ask(ctx, feature.TaskCreation); err != nil {
		return rel, err
	}
	err = s.store.Together(ctx, func(ctx context.Context) error {
		a, err := s.store.App(ctx, id)
		if err != nil {
			return err
		}
		rel, err = s.store.CurrentRelease(ctx, id)
		if err != nil && !fault.Is(err, fault.NotFound) || err == nil && (a.State != app.Stopped || a.Image == "") {
			return err
		}
		newest, err := s.store.Releases(ctx, id, 1)
		if err != nil {
			return err
		}
		var old *release.Release
		if len(newest) > 0 {
			old = &newest[0]
		}
		rel, err = s.frozen(ctx, by.Actor, a, old, "task", false)
		return err
	})
	return rel, err
}

// roll makes a release with pick and starts its rollout; the app is started. An
// operation has at most one rollout, of the same id: an attempt that died after
// the commit is known by it.
func (s *Service) roll(ctx context.Context, w *operation.Work, asked app.Strategy, pick func(ctx context.Context, a app.App, old *release.Release) (release.Release, error)) (cutting, operation.Outcome, error) {
	if ro, err := s.store.Rollout(ctx, rollout.ID(w.ID)); err == nil {
		rel, err := s.store.Release(ctx, ro.Release)
		return cutting{rel.ID, rel.Number, ro.ID}, operation.Outcome{Text: rel.Name(), Data: rel.Number}, err
	} else if !fault.Is(err, fault.NotFound) {
		return cutting{}, operation.Outcome{}, err
	}
	if err := s.givesWay(ctx, w); err != nil {
		return cutting{}, operation.Outcome{}, err
	}
	if err := s.clear(ctx, w); err != nil {
		return cutting{}, operation.Outcome{}, err
	}
	var c cutting
	var text string
	err := s.whenThereIsRoom(ctx, w, "release", func(ctx context.Context) error {
		before, err := s.store.App(ctx, w.App)
		if err != nil {
			return err
		}
		a, err := s.store.UpdateApp(ctx, w.App, func(a *app.App) error {
			a.State = app.Started
			return nil
		})
		if err != nil {
			return err
		}
		var old *release.Release
		if current, err := s.store.CurrentRelease(ctx, a.ID); err == nil {
			old = &current
		} else if !fault.Is(err, fault.NotFound) {
			return err
		}
		rel, err := pick(ctx, a, old)
		if err != nil {
			return err
		}
		if err := s.keepEdit(ctx, w, before); err != nil {
			return err
		}
		if a, err = s.store.App(ctx, a.ID); err != nil { // pick may have changed it
			return err
		}
		r := rollout.Rollout{
			ID: rollout.ID(w.ID), App: a.ID, Release: rel.ID, Spec: s.strategy(asked, a),
			State: rollout.Preparing,
		}
		if r.MaxInFlight, err = s.inFlight(ctx, a, rel.Processes, r.Spec); err != nil {
			return err
		}
		groups, err := s.store.Groups(ctx, a.ID)
		if err != nil {
			return err
		}
		slices.SortStableFunc(groups, func(x, y run.Group) int { return x.Created.Compare(y.Created) })
		for _, g := range groups {
			if !g.Retired {
				r.Old = append(r.Old, g.ID)
			}
		}
		text = rel.Name()
		if old != nil {
			r.From = old.ID
			if changes := rel.Changes(*old); len(changes) > 0 {
				text += ": " + strings.Join(changes, " and ") + " changed since " + old.Name()
			} else if rel.ID == old.ID {
				text += ": nothing changed"
			} else {
				text += ": equal to " + old.Name()
			}
		}
		if r, err = s.store.StartRollout(ctx, r, event.Event{Kind: "rollout.started", Actor: w.Actor, Subject: a.Name, Detail: map[string]any{"release": rel.Number, "strategy": r.Spec.String()}}); err != nil {
			return err
		}
		c = cutting{rel.ID, rel.Number, r.ID}
		return nil
	})
	return c, operation.Outcome{Text: text, Data: c.Number}, err
}

// clear ends a rollout that is in the way: one that is only watched ends well,
// one whose operation ended without it (it panicked, or was given up) is taken
// back. Nobody else would, and no other rollout of the app could begin.
func (s *Service) clear(ctx context.Context, w *operation.Work) error {
	newest, err := s.store.Rollouts(ctx, w.App, 1)
	if err != nil || len(newest) == 0 || newest[0].State.Ended() {
		return err
	}
	ro, action := newest[0], rollout.Abort
	if ro.State == rollout.Watching {
		action = rollout.Promote
		w.Info(ctx, "release", "the rollout before is not watched any longer")
	} else {
		w.Info(ctx, "release", "an earlier rollout was left unfinished and is taken back first")
	}
	if ro.State != rollout.Aborting {
		if _, err := s.store.SteerRollout(ctx, ro.ID, action, w.Actor); err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	_, err = s.rollouts.Run(ctx, ro.ID, &listener{w: w})
	return err
}

// replace carries the rollout out, until all traffic is where it belongs, and
// tells how it goes. When what ran before runs again, the app's image and draft go
// back too, so that the next restart does not try the same thing once more.
func (s *Service) replace(ctx context.Context, w *operation.Work, c cutting) error {
	_, err := operation.Step(ctx, w, "run", func(ctx context.Context) (rollout.State, operation.Outcome, error) {
		hear := &listener{w: w}
		ro, err := s.rollouts.Promoted(ctx, c.Rollout, w.Canceled(), hear)
		if err != nil {
			return ro.State, operation.Outcome{}, err
		}
		if err := s.wentBack(ctx, w.Actor, ro); err != nil {
			return ro.State, operation.Outcome{}, err
		}
		if ro.State == rollout.Watching {
			s.watched()
			w.Info(ctx, "run", "what ran before stays ready for %s: naru rollback brings it back at once", ro.Spec.Watch)
		}
		return ro.State, operation.Outcome{Text: hear.last}, nil
	})
	return err
}

// wentBack takes back what the rollout's operation changed of the app when the
// rollout did not end well, and says why.
func (s *Service) wentBack(ctx context.Context, actor string, ro rollout.Rollout) error {
	if ro.State == rollout.Done || ro.State == rollout.Watching {
		return nil
	}
	rel, err := s.store.Release(ctx, ro.Release)
	if err != nil {
		return err
	}
	a, err := s.store.App(ctx, ro.App)
	if err != nil {
		return err
	}
	if err := s.takeBack(ctx, actor, operation.ID(ro.ID), a.ID, &ro, ro.Reason); err != nil {
		return err
	}
	return ro.Err(a, rel)
}

// listener tells the followers of an operation how its rollout goes.
type listener struct {
	w          *operation.Work
	last, note string
}

// Moved reports a change once.
func (l *listener) Moved(ctx context.Context, ro rollout.Rollout, lanes []rollout.Lane) {
	if text := progressOf(ro, lanes); text != l.last {
		l.last = text
		l.w.Info(ctx, "run", "%s", text)
	}
}

// Noted passes a note on once.
func (l *listener) Noted(ctx context.Context, text string) {
	if text != l.note {
		l.note = text
		l.w.Info(ctx, "run", "%s", text)
	}
}

// progressOf says in a line how far a rollout is.
func progressOf(ro rollout.Rollout, lanes []rollout.Lane) string {
	var parts []string
	for _, lane := range lanes {
		if lane.New == nil || lane.New.Size == 0 && lane.Want == 0 {
			continue
		}
		want := lane.Want
		if lane.Routed && ro.State != rollout.Aborting {
			want = max(lane.New.Size, rollout.InstancesFor(lane.Want, ro.Weight()))
		}
		part := fmt.Sprintf("%s %d of %d healthy", lane.Process, lane.New.Healthy, want)
		old := 0
		for _, o := range lane.Old {
			old += o.Present
		}
		if old > 0 {
			part += fmt.Sprintf(", %d old", old)
		}
		if old > 0 && lane.New.Weight >= 0 {
			part += fmt.Sprintf(", %d %% of traffic", lane.New.Weight)
		}
		parts = append(parts, part)
	}
	text := strings.Join(parts, "; ")
	if text == "" {
		text = "no instance wanted"
	}
	switch {
	case ro.State == rollout.Releasing:
		text = "the release command runs"
	case ro.State == rollout.Paused:
		text = "paused until it is resumed: " + text
	case ro.State == rollout.Aborting:
		text = "going back (" + ro.Reason + "): " + text
	case ro.Step < len(ro.Spec.Steps):
		text = fmt.Sprintf("step %d of %d: %s", ro.Step+1, len(ro.Spec.Steps)+1, text)
	}
	return text
}

// Output passes on the last lines of an instance that does not work.
func (l *listener) Output(ctx context.Context, who, line string) {
	l.w.Output(ctx, "run", who+" | "+line)
}

// settle waits until an app's live groups have the instances wanted and no
// other. It does not undo anything: an instance that does not work is an error
// that says why.
func (s *Service) settle(ctx context.Context, w *operation.Work) (operation.Outcome, error) {
	changed, stop := s.store.WatchApp(w.App)
	defer stop()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return operation.Outcome{}, err
	}
	last := ""
	for {
		groups, err := s.store.Groups(ctx, w.App)
		if err != nil {
			return operation.Outcome{}, err
		}
		have, err := s.store.Instances(ctx, w.App)
		if err != nil {
			return operation.Outcome{}, err
		}
		if err := s.router.Sync(ctx); err != nil {
			return operation.Outcome{}, err
		}
		text, settled, ill := count(groups, have)
		if text != last {
			w.Info(ctx, "run", "%s", text)
			last = text
		}
		switch {
		case ill != nil:
			for _, line := range ill.LastExit.LastLines {
				w.Output(ctx, "run", line)
			}
			return operation.Outcome{}, fault.New(fault.Failed, "", "%s; instance %d does not work: %s", text, ill.Index, ill.LastExit.Reason).
				WithTry("naru logs %s", a.Name)
		case settled:
			return operation.Outcome{Text: text}, nil
		}
		select {
		case <-ctx.Done():
			return operation.Outcome{}, ctx.Err()
		case <-w.Canceled():
			return operation.Outcome{}, fault.New(fault.Conflict, "", "canceled while waiting: %s", text)
		case <-changed:
		case <-tick.C:
		}
	}
}

// count says how far the groups are, and finds an instance that crashes again
// and again.
func count(groups []run.Group, have []run.Instance) (text string, settled bool, ill *run.Instance) {
	settled = true
	var parts []string
	for _, g := range groups {
		healthy, present := 0, 0
		for _, i := range have {
			if i.Group != g.ID || i.State == run.Lingering && run.GoesOn(groups, g.Process) {
				continue
			}
			present++ // a crashed one, too: what it leaves on the machine is removed before its record
			if i.State == run.Healthy {
				healthy++
			}
			if g.Size > 0 && i.State == run.Crashed && i.Crashes >= 3 && i.LastExit != nil && ill == nil {
				ill = &i
			}
		}
		settled = settled && healthy == g.Size && present == g.Size
		if g.Size > 0 || present > 0 {
			parts = append(parts, fmt.Sprintf("%s %d of %d healthy", g.Process, healthy, g.Size))
		}
	}
	if len(parts) == 0 {
		return "no instance", settled, ill
	}
	return strings.Join(parts, ", "), settled, ill
}
