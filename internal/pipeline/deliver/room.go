package deliver

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/admit"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/quota"
	"naru/internal/pipeline/task"
)

// whenThereIsRoom makes a change in one transaction. While rollouts of other
// apps have the room that it needs, it waits: they end by themselves.
func (s *Service) whenThereIsRoom(ctx context.Context, w *operation.Work, step string, change func(ctx context.Context) error) error {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for said := false; ; said = true {
		err := s.store.Together(ctx, change)
		var busy *admit.Busy
		if !errors.As(err, &busy) {
			return err
		}
		if !said {
			w.Info(ctx, step, "waits: %s", busy.Error())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.Canceled():
			return busy.Unwrap()
		case <-again.C:
		}
	}
}

// checkScale refuses what will not fit, before anything is stored; the operation
// asks again when it makes the change.
func (s *Service) checkScale(ctx context.Context, a app.App, processes map[string]int) error {
	a.Scale = scaled(a, processes)
	return unlessBusy(s.room.Resize(ctx, a))
}

// scaled is an app's scale with some numbers set.
func scaled(a app.App, processes map[string]int) map[string]int {
	scale := maps.Clone(a.Scale)
	if scale == nil {
		scale = map[string]int{}
	}
	maps.Copy(scale, processes)
	return scale
}

// checkRoom refuses a push that will not fit, before anything is built. What its
// image will say is not known yet: what runs, what the push and the app's draft
// say, and the defaults stand for it.
func (s *Service) checkRoom(ctx context.Context, a app.App, in client.Push) error {
	if in.NoStart {
		return nil
	}
	var img artifact.Image
	if old, err := s.store.CurrentRelease(ctx, a.ID); err == nil {
		for _, p := range old.Processes {
			img.Processes = append(img.Processes, app.Process{Type: p.Type, MemoryMiB: p.MemoryMiB})
		}
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	a.Scale, a.State = maps.Clone(a.Scale), app.Started
	applyPush(&a, in)
	for _, process := range slices.Concat([]string{app.Web}, slices.Sorted(maps.Keys(a.Scale))) {
		if !slices.ContainsFunc(img.Processes, func(p app.Process) bool { return p.Type == process }) {
			img.Processes = append(img.Processes, app.Process{Type: process})
		}
	}
	processes := s.filled(a, img).Processes
	for i, p := range processes {
		processes[i] = p.Resolve(a.Draft.Processes[p.Type])
	}
	_, err := s.room.Rollout(ctx, a, processes, 1)
	return unlessBusy(err)
}

// unlessBusy lets pass what only has to wait.
func unlessBusy(err error) error {
	var busy *admit.Busy
	if errors.As(err, &busy) {
		return nil
	}
	return err
}

// AdmitTask refuses a task that does not fit. It belongs into the transaction
// that stores the task.
func (s *Service) AdmitTask(ctx context.Context, t task.Task) error {
	err := s.room.Task(ctx, t)
	var busy *admit.Busy
	if errors.As(err, &busy) {
		return busy.Unwrap()
	}
	return err
}

// Promised is how much memory instances and tasks were promised and how much
// there is to promise, in MiB; ok is false where nobody counts.
func (s *Service) Promised(ctx context.Context) (taken, room int, ok bool, err error) {
	return s.room.Promised(ctx)
}

// Taken is what apps and tasks of spaces take of what quotas limit.
func (s *Service) Taken(ctx context.Context, spaces []app.SpaceID) (map[quota.Resource]int, error) {
	return s.room.Taken(ctx, spaces)
}

// filled is an image whose processes have the platform's defaults where neither
// it nor the app's draft says anything; the draft still wins over the image.
func (s *Service) filled(a app.App, img artifact.Image) artifact.Image {
	d := s.cfg.Defaults
	img.Processes = slices.Clone(img.Processes)
	if len(img.Processes) == 0 && len(a.Draft.Processes) == 0 {
		img.Processes = []app.Process{{Type: app.Web}}
	}
	for process, o := range a.Draft.Processes {
		known := slices.ContainsFunc(img.Processes, func(p app.Process) bool { return p.Type == process })
		if !known && o.Command != "" {
			img.Processes = append(img.Processes, app.Process{Type: process})
		}
	}
	for i := range img.Processes {
		p := &img.Processes[i]
		p.MemoryMiB, p.DiskMiB = cmp.Or(p.MemoryMiB, d.MemoryMiB), cmp.Or(p.DiskMiB, d.DiskMiB)
		p.CPUMilli, p.PIDs = cmp.Or(p.CPUMilli, d.CPUMilli), cmp.Or(p.PIDs, d.PIDs)
		p.StopGrace = cmp.Or(p.StopGrace, d.StopGrace)
		p.Health.StartTimeout = cmp.Or(p.Health.StartTimeout, d.Health.StartTimeout)
	}
	return img
}
