// Package launch assembles what a driver must know to start an instance of a
// release: limits, environment with secrets at their current values, and where
// the image is fetched.
package launch

import (
	"context"
	"fmt"
	"maps"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/fault"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/run/vcap"
	"naru/internal/secret"
)

// Store finds what an instance belongs to.
type Store interface {
	App(ctx context.Context, id app.ID) (app.App, error)
	Space(ctx context.Context, id app.SpaceID) (app.Space, error)
	Release(ctx context.Context, id release.ID) (release.Release, error)
}

// Secrets opens sealed settings of an app.
type Secrets interface {
	// Open returns the current values; a name without one is a NotFound.
	Open(ctx context.Context, a app.ID, names []string) (map[string]secret.Secret, error)
}

// Registry is where images are fetched, and how.
type Registry struct {
	Host        string // host:port
	Credentials func(ctx context.Context) (run.Credentials, error)
}

// Bounds are the platform's limits of an instance's output.
type Bounds struct {
	LogBytesPerSecond int
	LogLineBytes      int
	LogSpoolMiB       int
}

// Launcher assembles specs.
type Launcher struct {
	store    Store
	secrets  Secrets
	registry Registry
	bounds   Bounds
	extra    Extra
	around   Around
}

// Surroundings are what an instance is told of the platform that it runs on.
type Surroundings struct {
	API       string            // URL of the API that clients speak to
	Org       app.Org           //
	URIs      []string          // where the app answers, without scheme
	Bound     []service.Bound   // services of the app, with what they hold
	Variables map[string]string // that all apps have, unless they set them themselves
}

// Around finds what is around an app.
type Around func(ctx context.Context, a app.App, space app.Space) (Surroundings, error)

// Extra is what the platform adds to the environment of an instance that says
// nothing else: env is what it has.
type Extra func(rel release.Release, spec run.Spec, env run.Env) run.Env

// New makes a launcher.
func New(store Store, secrets Secrets, registry Registry, bounds Bounds) *Launcher {
	return &Launcher{store: store, secrets: secrets, registry: registry, bounds: bounds}
}

// Add has instances started with more in their environment.
func (l *Launcher) Add(e Extra) { l.extra = e }

// Surround has instances told of what is around them, as apps made for Cloud
// Foundry expect it.
func (l *Launcher) Surround(f Around) { l.around = f }

// complete adds what the platform adds, where the app says nothing.
func (l *Launcher) complete(rel release.Release, spec *run.Spec) {
	if l.extra == nil {
		return
	}
	for name, value := range l.extra(rel, *spec, spec.Env) {
		if _, said := spec.Env[name]; !said {
			spec.Env[name] = value
		}
	}
}

// Spec is what starts an instance of a group.
func (l *Launcher) Spec(ctx context.Context, g run.Group, i run.Instance) (run.Spec, app.Process, error) {
	rel, err := l.store.Release(ctx, g.Release)
	if err != nil {
		return run.Spec{}, app.Process{}, err
	}
	process, ok := rel.Process(g.Process)
	if !ok {
		return run.Spec{}, app.Process{}, fmt.Errorf("group %s: %s has no process %q", g.Name, rel.Name(), g.Process)
	}
	spec, told, err := l.base(ctx, rel, process)
	if err != nil {
		return run.Spec{}, process, err
	}
	spec.ID, spec.Group, spec.Index, spec.Command, spec.Port = i.ID, g.ID, i.Index, process.Command, process.Port
	if err := told.tell(rel, &spec); err != nil {
		return run.Spec{}, process, err
	}
	l.complete(rel, &spec)
	return spec, process, nil
}

// Task is what a one-off command needs to run in a release: the environment and
// limits of its web process, but for what is asked for.
func (l *Launcher) Task(ctx context.Context, rel release.Release, id run.InstanceID, command []string, memoryMiB, diskMiB int) (run.Spec, error) {
	process, ok := rel.Process(app.Web)
	if !ok {
		process = app.Process{Type: app.Web}.Resolve(app.Overrides{})
	}
	process.Type = "task"
	if memoryMiB > 0 {
		process.MemoryMiB = memoryMiB
	}
	if diskMiB > 0 {
		process.DiskMiB = diskMiB
	}
	spec, told, err := l.base(ctx, rel, process)
	if err != nil {
		return run.Spec{}, err
	}
	spec.ID, spec.Command, spec.Task = id, command, true
	if err := told.tell(rel, &spec); err != nil {
		return run.Spec{}, err
	}
	l.complete(rel, &spec)
	return spec, nil
}

// base is what all instances of a process have in common, and what is to be told
// to each.
func (l *Launcher) base(ctx context.Context, rel release.Release, process app.Process) (spec run.Spec, t told, err error) {
	a, err := l.store.App(ctx, rel.App)
	if err != nil {
		return spec, t, err
	}
	space, err := l.store.Space(ctx, a.Space)
	if err != nil {
		return spec, t, err
	}
	if l.around != nil {
		t = told{app: a, space: space}
		if t.around, err = l.around(ctx, a, space); err != nil {
			return spec, t, err
		}
	}
	env := run.PlainEnv(t.around.Variables)
	maps.Copy(env, run.PlainEnv(rel.Env))
	open, err := l.secrets.Open(ctx, a.ID, rel.Secrets)
	if fault.Is(err, fault.NotFound) {
		return spec, t, fault.New(fault.Failed, "env", "a secret of %s %s is gone: %v", a.Name, rel.Name(), err).
			WithTry("naru set-env %s --secret NAME", a.Name)
	}
	if err != nil {
		return spec, t, err
	}
	maps.Copy(env, open)
	limits := run.LimitsOf(process)
	limits.LogBytesPerSecond, limits.LogLineBytes, limits.LogSpoolMiB = l.bounds.LogBytesPerSecond, l.bounds.LogLineBytes, l.bounds.LogSpoolMiB
	return run.Spec{
		App: a.ID, AppName: a.Slug, Space: a.Space, Release: rel.ID, Process: process.Type,
		Image: run.Image{Ref: rel.Image, Host: l.registry.Host, Credentials: l.registry.Credentials},
		Env:   env, Limits: limits, AllowRoot: space.AllowRoot,
	}, t, nil
}

// told is what an instance is told of where it is. The zero value tells nothing.
type told struct {
	app    app.App
	space  app.Space
	around Surroundings
}

// tell writes the variables that no app can set otherwise.
func (t told) tell(rel release.Release, spec *run.Spec) error {
	if t.app.ID == "" {
		return nil
	}
	about := vcap.Application{
		API: t.around.API, Name: t.app.Name, URIs: t.around.URIs, SpaceName: t.space.Name, Space: string(t.space.ID),
		Org: string(t.around.Org.ID), OrgName: t.around.Org.Name, ID: string(t.app.ID), Version: string(rel.ID), Instance: string(spec.ID),
		Limits: vcap.Limits{Descriptors: vcap.Descriptors, MemoryMiB: spec.Limits.MemoryMiB, DiskMiB: spec.Limits.DiskMiB},
	}
	if !spec.Task {
		about.Process, about.ProcessType, about.Index = vcap.ProcessID(string(t.app.ID), spec.Process), spec.Process, &spec.Index
	}
	if spec.Port > 0 {
		about.Host, about.Port = "0.0.0.0", spec.Port
	}
	text, err := about.Text()
	if err != nil {
		return fmt.Errorf("write VCAP_APPLICATION: %w", err)
	}
	services, err := vcap.Services(t.around.Bound)
	if err != nil {
		return err
	}
	spec.Env["VCAP_APPLICATION"] = secret.New(text)
	spec.Env["VCAP_SERVICES"] = secret.New(services)
	spec.Env["MEMORY_LIMIT"] = secret.New(fmt.Sprintf("%dm", spec.Limits.MemoryMiB))
	if uri := vcap.Database(t.around.Bound); uri != "" {
		spec.Env["DATABASE_URL"] = secret.New(uri)
	}
	return nil
}
