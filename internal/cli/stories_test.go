package cli_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/run"
)

// stories are the operations: real ones in the store, whose steps do what the
// platform's would do there, and nothing on a machine.
func (p *platform) stories() map[operation.Kind]operation.Handler {
	return map[operation.Kind]operation.Handler{
		"push":       p.pushed,
		"restart":    p.restarted,
		"start":      p.settled(func(a *app.App) { a.State = app.Started }),
		"stop":       p.settled(func(a *app.App) { a.State = app.Stopped }),
		"scale":      p.scaled,
		"delete":     p.deleted,
		"bake":       p.baked,
		"gc":         p.oneStep("collect", "3 images, 120.0 MiB"),
		"rotate-key": p.oneStep("seal", "2 secrets"),
	}
}

// step carries a step out that says text when it is done.
func step(ctx context.Context, w *operation.Work, name, text string, do func() error) error {
	_, err := operation.Step(ctx, w, name, func(context.Context) (bool, operation.Outcome, error) {
		return true, operation.Outcome{Text: text}, do()
	})
	return err
}

func nothing() error { return nil }

// wait holds a story back where the test asked for it.
func (p *platform) wait(ctx context.Context, w *operation.Work) error {
	gate, ok := p.gates.Load(w.Kind)
	if !ok {
		return nil
	}
	select {
	case <-gate.(chan struct{}):
		return nil
	case <-w.Canceled():
		return fault.New(fault.Conflict, "", "canceled")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *platform) pushed(ctx context.Context, w *operation.Work) (any, error) {
	var in client.Push
	if err := w.Bind(&in); err != nil {
		return nil, err
	}
	text := "image " + in.Image
	if in.Image == "" {
		snap, err := p.store.Snapshot(ctx, in.Snapshot)
		if err != nil {
			return nil, err
		}
		text = fmt.Sprintf("%d files, %d B", snap.Files, snap.Bytes)
	}
	if err := step(ctx, w, "source", text, nothing); err != nil {
		return nil, err
	}
	if in.Image == "" {
		if err := p.built(ctx, w, in); err != nil {
			return nil, err
		}
	}
	img := artifact.Image{ID: artifact.ID(id.New()), App: w.App, Ref: artifact.Ref{Repository: "default/dev/" + in.App, Digest: foundation.Ref.Digest}, Bytes: 55 << 20, Processes: []app.Process{{Type: "web"}}}
	if err := step(ctx, w, "artifact", img.Ref.Repository+"@"+img.Ref.Short()+", 55.0 MiB", func() error {
		kept, err := p.store.AddImage(ctx, img)
		if err != nil {
			return err
		}
		_, err = p.store.UpdateApp(ctx, w.App, func(a *app.App) error {
			a.Image = string(kept.ID)
			a.Draft = a.Draft.WithEnv(in.Env)
			for process, s := range in.Processes {
				a.Draft = a.Draft.WithProcess(process, app.Overrides{Command: s.Command, MemoryMiB: s.MemoryMiB, Check: app.CheckType(s.Check), Path: s.Path})
			}
			return nil
		})
		return err
	}); err != nil {
		return nil, err
	}
	if in.NoStart {
		return client.PushResult{App: in.App, Image: img.Ref.String()}, nil
	}
	number, urls, err := p.replaced(ctx, w, "push")
	res := client.PushResult{App: in.App, Release: number, Image: img.Ref.String(), URLs: urls}
	if number > 1 {
		res.Undo = "naru rollback " + in.App
	}
	return res, err
}

func (p *platform) built(ctx context.Context, w *operation.Work, in client.Push) error {
	_, err := operation.Step(ctx, w, "build", func(ctx context.Context) (bool, operation.Outcome, error) {
		w.Info(ctx, "build", "node 22, npm")
		if err := p.wait(ctx, w); err != nil {
			return false, operation.Outcome{}, err
		}
		w.Output(ctx, "build", "npm ci")
		if strings.HasPrefix(in.App, "fails") {
			w.Output(ctx, "build", "npm error: no such package\x1b[2J")
			return false, operation.Outcome{}, fault.New(fault.Failed, "", "npm ci ended with exit 1").WithTry("run npm ci in the folder")
		}
		return true, operation.Outcome{Text: "node 22, npm, 4 steps (1 cached)"}, nil
	})
	return err
}

// replaced cuts a release and lets it run.
func (p *platform) replaced(ctx context.Context, w *operation.Work, reason string) (int, []string, error) {
	var rel release.Release
	if err := step(ctx, w, "release", "a new one", func() (err error) {
		rel, err = p.store.CutRelease(ctx, w.App, func(number int, now time.Time) (release.Release, error) {
			a, err := p.store.App(ctx, w.App)
			if err != nil {
				return release.Release{}, err
			}
			img, err := p.store.Image(ctx, artifact.ID(a.Image))
			if err != nil {
				return release.Release{}, err
			}
			return release.Cut(a, img, number, reason, w.Actor, now)
		})
		return err
	}); err != nil {
		return 0, nil, err
	}
	a, err := p.store.App(ctx, w.App)
	if err != nil {
		return 0, nil, err
	}
	for _, g := range mustHave(p.store.Groups(ctx, a.ID)) {
		if err := p.resize(ctx, g, 0); err != nil {
			return 0, nil, err
		}
	}
	if err := step(ctx, w, "run", "web 1 of 1 healthy", func() error {
		g, err := p.store.CreateGroup(ctx, run.Group{App: a.ID, Process: "web", Release: rel.ID, Size: max(1, a.Scale["web"])})
		if err != nil {
			return err
		}
		if err := p.resize(ctx, g, g.Size); err != nil {
			return err
		}
		_, err = p.store.StartRollout(ctx, rollout.Rollout{
			ID: rollout.ID(id.New()), App: a.ID, Release: rel.ID, MaxInFlight: 1, State: rollout.Done, New: []run.GroupID{g.ID},
		})
		return err
	}); err != nil {
		return 0, nil, err
	}
	urls := []string{}
	for _, r := range mustHave(p.store.RoutesOf(ctx, a.ID)) {
		urls = append(urls, "http://"+r.Host+strings.TrimSuffix(r.Path, "/")+"/")
	}
	if err := step(ctx, w, "route", fmt.Sprintf("%d routes", len(urls)), nothing); err != nil {
		return 0, nil, err
	}
	w.Info(ctx, "live", "%s", strings.Join(urls, " "))
	return rel.Number, urls, nil
}

func mustHave[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// resize gives a group its instances, all healthy.
func (p *platform) resize(ctx context.Context, g run.Group, n int) error {
	have, err := p.store.InstancesIn(ctx, g.ID)
	if err != nil {
		return err
	}
	for _, i := range have {
		for _, to := range []run.State{run.Draining, run.Stopping, run.Stopped} {
			if i.Index >= n && i.State.CanBecome(to) {
				if i, err = p.move(ctx, i, to); err != nil {
					return err
				}
			}
		}
	}
	for index := len(have); index < n; index++ {
		i := run.Instance{ID: run.InstanceID(id.New()), Group: g.ID, Index: index, State: run.Pending}
		if err := p.store.AddInstance(ctx, i); err != nil {
			return err
		}
		for _, to := range []run.State{run.Starting, run.Healthy} {
			if i, err = p.move(ctx, i, to); err != nil {
				return err
			}
		}
	}
	_, err = p.store.ResizeGroup(ctx, g.ID, n)
	return err
}

func (p *platform) move(ctx context.Context, i run.Instance, to run.State) (run.Instance, error) {
	return p.store.UpdateInstance(ctx, i.ID, func(i run.Instance, now time.Time) (run.Instance, error) {
		if to == run.Starting {
			i.Started = now
		}
		return i.Move(to, now)
	})
}

func (p *platform) restarted(ctx context.Context, w *operation.Work) (any, error) {
	var reason string
	if err := w.Bind(&reason); err != nil {
		return nil, err
	}
	number, urls, err := p.replaced(ctx, w, reason)
	return client.ReleaseResult{Release: number, URLs: urls}, err
}

func (p *platform) settled(change func(*app.App)) operation.Handler {
	return func(ctx context.Context, w *operation.Work) (any, error) {
		return nil, step(ctx, w, "run", "as wanted", func() error {
			_, err := p.store.UpdateApp(ctx, w.App, func(a *app.App) error { change(a); return nil })
			return err
		})
	}
}

func (p *platform) scaled(ctx context.Context, w *operation.Work) (any, error) {
	var to map[string]int
	if err := w.Bind(&to); err != nil {
		return nil, err
	}
	return nil, step(ctx, w, "run", fmt.Sprintf("web %d of %d healthy", to["web"], to["web"]), func() error {
		groups := mustHave(p.store.Groups(ctx, w.App))
		if len(groups) == 0 {
			return fault.New(fault.Conflict, "", "nothing runs").WithTry("naru push")
		}
		if _, err := p.store.UpdateApp(ctx, w.App, func(a *app.App) error { a.Scale = to; return nil }); err != nil {
			return err
		}
		return p.resize(ctx, groups[len(groups)-1], to["web"])
	})
}

func (p *platform) deleted(ctx context.Context, w *operation.Work) (any, error) {
	return nil, step(ctx, w, "run", "stopped", func() error {
		_, err := p.store.UpdateApp(ctx, w.App, func(a *app.App) error { a.State = app.Stopped; return nil })
		return err
	})
}

func (p *platform) baked(ctx context.Context, w *operation.Work) (any, error) {
	err := step(ctx, w, "resolve", "41 packages", nothing)
	return client.BakeResult{Name: foundation.Name, Ref: foundation.Ref.String()}, err
}

func (p *platform) oneStep(name, text string) operation.Handler {
	return func(ctx context.Context, w *operation.Work) (any, error) {
		return nil, step(ctx, w, name, text, nothing)
	}
}
