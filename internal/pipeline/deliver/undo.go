package deliver

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

// wish is what people want of an app, as far as an operation may change it: the
// draft and what stands beside it.
type wish struct {
	State    app.State      `json:"state"`
	Image    string         `json:"image"`
	Draft    app.Config     `json:"draft"`
	Strategy app.Strategy   `json:"strategy"`
	Scale    map[string]int `json:"scale,omitempty"`
}

func wishOf(a app.App) wish {
	return wish{State: a.State, Image: a.Image, Draft: a.Draft, Strategy: a.Strategy, Scale: a.Scale}
}

// edit is what an operation changed of an app. It stays in the operation's
// memory, so that it can be taken back also by a later process and after the
// operation has ended.
type edit struct {
	Before wish `json:"before"`
	After  wish `json:"after"`
}

// editName is where an operation keeps its edit; no step has this name.
const editName = "edit"

// keepEdit keeps how the operation's app was and what it has become, in the
// caller's transaction. The first that was kept stays: an attempt that died after
// its commit has edited already.
func (s *Service) keepEdit(ctx context.Context, w *operation.Work, before app.App) error {
	op, err := s.store.Operation(ctx, w.ID)
	if err != nil {
		return err
	}
	if _, known, err := operation.Kept[edit](op, editName); err != nil || known {
		return err
	}
	after, err := s.store.App(ctx, w.App)
	if err != nil {
		return err
	}
	return operation.Keep(ctx, w, editName, edit{wishOf(before), wishOf(after)})
}

// takeBack makes an app's draft, image, scale, strategy and state what they were
// before an operation that did not end well, but for what somebody else has
// changed since: of each single setting the last word counts. An app on which
// nothing ever ran has nothing to go back to: it keeps what was pushed and is
// stopped, so that it can be mended and started, or deleted. ro is the rollout of
// the operation, nil where none began. Taking back twice is taking back once.
func (s *Service) takeBack(ctx context.Context, actor string, id operation.ID, of app.ID, ro *rollout.Rollout, why string) error {
	take := func(sizes bool) error {
		return s.store.Together(ctx, func(ctx context.Context) error { return s.takenBack(ctx, actor, id, of, ro, why, sizes) })
	}
	if ro != nil && ro.State == rollout.Failed {
		return take(false) // what runs is left to a person
	}
	err := take(true)
	if err != nil && ctx.Err() == nil {
		return take(false) // others have the room meanwhile
	}
	return err
}

// takenBack is takeBack in a transaction; without sizes the scale stays.
func (s *Service) takenBack(ctx context.Context, actor string, id operation.ID, of app.ID, ro *rollout.Rollout, why string, sizes bool) error {
	now, err := s.store.App(ctx, of)
	if err != nil {
		return err
	}
	next := now
	current, err := s.store.CurrentRelease(ctx, of)
	switch {
	case fault.Is(err, fault.NotFound):
		next.State = app.Stopped
	case err != nil:
		return err
	default:
		if next, err = s.undone(ctx, id, now, current, ro != nil); err != nil {
			return err
		}
		if !sizes {
			next.Scale, next.State = now.Scale, now.State
		}
	}
	if reflect.DeepEqual(wishOf(next), wishOf(now)) {
		return nil
	}
	if _, err := s.store.UpdateApp(ctx, of, func(a *app.App) error {
		*a = next
		return nil
	}, event.Event{Kind: "app.restored", Actor: actor, Subject: now.Name, Detail: map[string]any{"reason": why}}); err != nil {
		return err
	}
	if next.State == now.State && maps.Equal(next.Scale, now.Scale) {
		return nil
	}
	if err := s.room.Resize(ctx, next); err != nil {
		return err
	}
	return s.fit(ctx, next)
}

// pushFailed takes back what a push changed. Where it was to be the app's first
// release, it says how to go on.
func (s *Service) pushFailed(ctx context.Context, w *operation.Work, why error) error {
	if err := s.takeBack(ctx, w.Actor, w.ID, w.App, nil, fault.Of(why).Message); err != nil {
		w.Log.WarnContext(ctx, "take back a push", "error", err)
		return why
	}
	a, err := s.store.App(ctx, w.App)
	f := *fault.Of(why)
	if err != nil || f.Kind == fault.Internal {
		return why
	}
	if _, err := s.store.CurrentRelease(ctx, a.ID); !fault.Is(err, fault.NotFound) {
		return why
	}
	next := fmt.Sprintf("naru push tries again, naru delete %s removes the app", a.Name)
	if a.Image != "" {
		next = fmt.Sprintf("mend its settings (naru set-env) and naru start %s, or push again; naru delete %s removes the app", a.Name, a.Name)
	}
	if f.Try != "" {
		next = f.Try + "; then " + next
	}
	return f.WithTry("%s", next)
}

// undone is an app without what an operation changed. What was tried and did not
// work is not tried again, also where the operation did not bring it: the image
// is then that of what runs.
func (s *Service) undone(ctx context.Context, id operation.ID, now app.App, current release.Release, tried bool) (app.App, error) {
	op, err := s.store.Operation(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return now, err
	}
	e, known, err := operation.Kept[edit](op, editName)
	if err != nil {
		return now, err
	}
	next := now
	if known {
		next = e.undo(now)
	}
	if !tried || known && (e.Before.Image != e.After.Image || now.Image != e.After.Image) {
		return next, nil
	}
	img, err := s.store.ImageOf(ctx, now.ID, current.Image)
	if err == nil {
		next.Image = string(img.ID)
	} else if !fault.Is(err, fault.NotFound) {
		return now, err
	}
	return next, nil
}

// undo is an app without the edit, but for what somebody changed after it.
func (e edit) undo(now app.App) app.App {
	b, a := e.Before, e.After
	now.State = restored(b.State, a.State, now.State)
	now.Image = restored(b.Image, a.Image, now.Image)
	if reflect.DeepEqual(now.Strategy, a.Strategy) {
		now.Strategy = b.Strategy
	}
	now.Scale = restoredScale(b.Scale, a.Scale, now.Scale)
	for _, name := range slices.Concat(variables(b.Draft), variables(a.Draft)) {
		had, pushed := variableOf(b.Draft, name), variableOf(a.Draft, name)
		switch {
		case had == pushed || variableOf(now.Draft, name) != pushed:
		case had.secret:
			now.Draft = now.Draft.WithSecrets(name)
		case had.plain:
			now.Draft = now.Draft.WithEnv(map[string]string{name: had.value})
		default:
			now.Draft = now.Draft.WithoutEnv(name)
		}
	}
	for process, pushed := range a.Draft.Processes {
		had, was := b.Draft.Processes[process]
		have, is := now.Draft.Processes[process]
		if !is || had == pushed {
			continue
		}
		o := restoredOverrides(had, pushed, have)
		now.Draft = now.Draft.WithProcess(process, o) // a copy: it may be changed
		if !was && o == (app.Overrides{}) {
			delete(now.Draft.Processes, process)
		}
	}
	return now
}

// restored is a setting without an edit: as before where it still is as after.
func restored[T comparable](before, after, now T) T {
	if now == after {
		return before
	}
	return now
}

func restoredOverrides(before, after, now app.Overrides) app.Overrides {
	return app.Overrides{
		Command:      restored(before.Command, after.Command, now.Command),
		MemoryMiB:    restored(before.MemoryMiB, after.MemoryMiB, now.MemoryMiB),
		DiskMiB:      restored(before.DiskMiB, after.DiskMiB, now.DiskMiB),
		CPUMilli:     restored(before.CPUMilli, after.CPUMilli, now.CPUMilli),
		Check:        restored(before.Check, after.Check, now.Check),
		Path:         restored(before.Path, after.Path, now.Path),
		StartTimeout: restored(before.StartTimeout, after.StartTimeout, now.StartTimeout),
		StopGrace:    restored(before.StopGrace, after.StopGrace, now.StopGrace),
		Interval:     restored(before.Interval, after.Interval, now.Interval),
		Timeout:      restored(before.Timeout, after.Timeout, now.Timeout),
		Metrics:      restored(before.Metrics, after.Metrics, now.Metrics),
	}
}

// restoredScale is a scale without an edit; a process type that is not in it has
// the number it has by default.
func restoredScale(before, after, now map[string]int) map[string]int {
	out := maps.Clone(now)
	for process, pushed := range after {
		had, was := before[process]
		n, is := now[process]
		switch {
		case !is || n != pushed || was && had == pushed:
		case was:
			out[process] = had
		default:
			delete(out, process)
		}
	}
	return out
}

// variable is what a draft says of one name of the environment.
type variable struct {
	plain, secret bool
	value         string
}

func variables(c app.Config) []string {
	return append(slices.Collect(maps.Keys(c.Env)), c.Secrets...)
}

func variableOf(c app.Config, name string) variable {
	value, plain := c.Env[name]
	return variable{plain: plain, secret: slices.Contains(c.Secrets, name), value: value}
}
