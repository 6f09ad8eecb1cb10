package cli_test

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth/vault"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/route/proxyproto"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/source"
)

func (p *platform) begin(ctx context.Context, by operation.Ask, kind operation.Kind, a app.App, request any) (operation.Operation, error) {
	raw, err := json.Marshal(request)
	if err != nil {
		return operation.Operation{}, err
	}
	subject := string(a.ID)
	if subject == "" {
		subject = string(kind)
	}
	op, err := p.store.AddOperation(ctx, operation.Operation{
		ID: operation.ID(id.New()), Kind: kind, Space: a.Space, App: a.ID, Subject: subject, Actor: by.Actor, Key: by.Key, Request: raw,
	})
	p.work.Wake()
	return op, err
}

func (p *platform) onApp(ctx context.Context, by operation.Ask, kind operation.Kind, id app.ID, request any) (operation.Operation, error) {
	a, err := p.store.App(ctx, id)
	if err != nil {
		return operation.Operation{}, err
	}
	return p.begin(ctx, by, kind, a, request)
}

func (p *platform) Plan(ctx context.Context, _ operation.Ask, space app.SpaceID, in client.PlanRequest) (source.Snapshot, build.Recipe, error) {
	snap, err := p.store.Snapshot(ctx, in.Snapshot)
	return snap, build.Recipe{Builder: "node", Found: "node 22, npm", Processes: []app.Process{{Type: "web", Command: []string{"node", "server.js"}}}}, err
}

func (p *platform) Push(ctx context.Context, by operation.Ask, space app.SpaceID, in client.Push) (operation.Operation, error) {
	a, err := p.store.AppNamed(ctx, space, in.App)
	if fault.Is(err, fault.NotFound) {
		a, err = p.CreateApp(ctx, by, space, in.App)
	}
	if err != nil {
		return operation.Operation{}, err
	}
	routes := in.Routes
	if have, err := p.store.RoutesOf(ctx, a.ID); err == nil && len(routes) == 0 && len(have) == 0 && !in.NoRoute {
		routes = []client.NewRoute{{Host: a.Slug, Path: "/"}}
	}
	for _, r := range routes {
		if _, err := p.MapRoute(ctx, by, a.ID, r); err != nil {
			return operation.Operation{}, err
		}
	}
	return p.begin(ctx, by, "push", a, in)
}

func (p *platform) Start(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "start", a, nil)
}

func (p *platform) Stop(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "stop", a, nil)
}

func (p *platform) Restart(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "restart", a, "restart")
}

func (p *platform) Scale(ctx context.Context, by operation.Ask, a app.ID, processes map[string]int) (operation.Operation, error) {
	return p.onApp(ctx, by, "scale", a, processes)
}

func (p *platform) Rollback(ctx context.Context, by operation.Ask, a app.ID, to release.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "restart", a, "rollback")
}

func (p *platform) ChangeGroup(ctx context.Context, by operation.Ask, a app.ID, in client.GroupChange) (operation.Operation, error) {
	return p.onApp(ctx, by, "scale", a, map[string]int{})
}

func (p *platform) Delete(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "delete", a, nil)
}

func (p *platform) Rename(ctx context.Context, _ operation.Ask, a app.ID, name string) (app.App, error) {
	if err := app.CheckName("name", name); err != nil {
		return app.App{}, err
	}
	return p.store.UpdateApp(ctx, a, func(have *app.App) error { have.Name = name; return nil })
}

func (p *platform) CreateApp(ctx context.Context, _ operation.Ask, space app.SpaceID, name string) (app.App, error) {
	slug, err := app.Slug(name)
	if err != nil {
		return app.App{}, err
	}
	return p.store.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: space, Name: name, Slug: slug, State: app.Started, Scale: map[string]int{"web": 1}})
}

func (p *platform) SetEnv(ctx context.Context, by operation.Ask, a app.ID, change app.EnvChange, restart bool) (app.App, *operation.Operation, error) {
	if err := change.Check(); err != nil {
		return app.App{}, nil, err
	}
	names, secrets := []string{}, []string{}
	for name := range change.Set {
		names = append(names, name)
	}
	for name := range change.Secrets {
		secrets = append(secrets, name)
	}
	out, err := p.store.UpdateApp(ctx, a, func(have *app.App) error {
		have.Draft = have.Draft.WithEnv(change.Set).WithSecrets(secrets...).WithoutEnv(change.Unset...)
		return nil
	})
	if err != nil || !restart || out.Image == "" {
		return out, nil, err
	}
	op, err := p.onApp(ctx, by, "restart", a, strings.TrimSpace("set-env "+strings.Join(append(names, secrets...), ", ")))
	return out, &op, err
}

func (p *platform) SetProcesses(ctx context.Context, _ operation.Ask, a app.ID, processes map[string]app.Overrides) (app.App, error) {
	return p.store.UpdateApp(ctx, a, func(have *app.App) error {
		for process, o := range processes {
			have.Draft = have.Draft.WithProcess(process, o)
		}
		return nil
	})
}

func (p *platform) MapRoute(ctx context.Context, by operation.Ask, a app.ID, in client.NewRoute) (route.Route, error) {
	if in.TCP == nil && !strings.Contains(in.Host, ".") {
		in.Host += ".localhost"
	}
	r, err := route.New(p.space.ID, in.Host, in.Path, time.Now())
	if in.TCP != nil {
		r, err = route.NewTCP(p.space.ID, in.Host, route.TCP{
			Port: in.TCP.Port, Proxy: proxyproto.Version(in.TCP.Proxy), Connections: in.TCP.Connections,
			Timeouts: route.StreamTimeouts{Idle: app.Duration(in.TCP.Idle)},
		}, time.Now())
	}
	if err != nil {
		return r, err
	}
	if in.When != nil {
		r.When = &route.When{Methods: in.When.Methods}
		for _, m := range in.When.Match {
			r.When.Match = append(r.When.Match, route.Match(m))
		}
		if r.When, err = r.When.Normal("when"); err != nil {
			return r, err
		}
	}
	host, path := r.Place()
	others, err := p.store.RoutesAt(ctx, host, path)
	if err != nil {
		return r, err
	}
	for _, other := range others {
		if other.When.Key() == r.When.Key() {
			r = other
		}
	}
	if r, err = r.With(route.NewDestination(a, in.Process, in.Port, route.Weight(in.Weight))); err != nil {
		return r, err
	}
	if r, err = p.store.SetRoute(ctx, r); err != nil {
		return r, err
	}
	patch, err := json.Marshal(in.TermsChange)
	if err != nil {
		return r, err
	}
	change, err := route.ParseChange(patch)
	if err != nil || change.Empty() {
		return r, err
	}
	return p.ChangeRoute(ctx, by, r.ID, change)
}

func (p *platform) ChangeRoute(ctx context.Context, _ operation.Ask, id route.ID, change route.Change) (route.Route, error) {
	r, err := p.store.Route(ctx, id)
	if err != nil {
		return r, err
	}
	if r.Terms, err = change.Apply(r.Terms); err != nil {
		return r, err
	}
	return p.store.SetRoute(ctx, r)
}

func (p *platform) UnmapRoute(ctx context.Context, _ operation.Ask, _ app.ID, r route.ID) error {
	return p.store.DeleteRoute(ctx, r)
}

func (p *platform) RunTask(ctx context.Context, by operation.Ask, a app.ID, in client.NewTask) (task.Task, error) {
	rel, err := p.store.CurrentRelease(ctx, a)
	if err != nil {
		return task.Task{}, err
	}
	return p.store.CreateTask(ctx, task.Task{
		ID: task.ID(id.New()), App: a, Release: rel.ID, Name: in.Command[0], Command: in.Command, State: task.Pending, By: by.Actor, MemoryMiB: 64, DiskMiB: 64,
	})
}

func (p *platform) CancelTask(ctx context.Context, _ operation.Ask, t task.ID) (task.Task, error) {
	return p.store.UpdateTask(ctx, t, func(have *task.Task, now time.Time) error {
		have.State, have.Ended = task.Canceled, now
		return nil
	})
}

func (p *platform) AttachTask(ctx context.Context, by operation.Ask, id task.ID, std run.IO) (int, error) {
	t, err := p.store.Task(ctx, id)
	if err != nil {
		return 0, err
	}
	return p.Exec(ctx, by, t.App, "web", 0, run.ExecSpec{Argv: t.Command, IO: std})
}

func (p *platform) Exec(ctx context.Context, _ operation.Ask, _ app.ID, process string, index int, x run.ExecSpec) (int, error) {
	if process != "web" || index > 0 {
		return 0, fault.New(fault.NotFound, "instance", "there is no instance %s/%d", process, index).WithTry("naru app shop")
	}
	p.mu.Lock()
	inner := p.inner
	p.mu.Unlock()
	return inner(x)
}

func (p *platform) Bake(ctx context.Context, by operation.Ask, spec []byte) (operation.Operation, error) {
	return p.begin(ctx, by, "bake", app.App{}, string(spec))
}

func (p *platform) RotateKey(ctx context.Context, by operation.Ask) (operation.Operation, error) {
	return p.begin(ctx, by, "rotate-key", app.App{}, nil)
}

func (p *platform) CollectGarbage(ctx context.Context, by operation.Ask) (operation.Operation, error) {
	return p.begin(ctx, by, "gc", app.App{}, nil)
}

func (p *platform) Usage(context.Context, run.InstanceID) (run.Usage, error) {
	return run.Usage{MemoryBytes: 30 << 20, DiskBytes: 4096, CPU: 1500 * time.Millisecond, PIDs: 7}, nil
}

func (p *platform) Missing(ctx context.Context, space app.SpaceID, hashes []string) ([]string, error) {
	return p.files.Missing(ctx, space, hashes)
}

func (p *platform) Receive(ctx context.Context, space app.SpaceID, tar io.Reader) (source.Received, error) {
	p.mu.Lock()
	cut := p.cut
	p.cut = nil
	p.mu.Unlock()
	if cut != nil {
		_, _ = p.files.Receive(ctx, space, io.LimitReader(tar, 9<<20)) // what came whole is kept
		close(cut)
		<-ctx.Done()
		return source.Received{}, fault.New(fault.Unavailable, "", "the server is stopping")
	}
	return p.files.Receive(ctx, space, tar)
}

func (p *platform) Freeze(ctx context.Context, _ operation.Ask, space app.SpaceID, m source.Manifest, from source.Origin) (source.Snapshot, error) {
	snap, err := p.files.Freeze(ctx, space, m, from)
	if err != nil {
		return snap, err
	}
	return p.store.AddSnapshot(ctx, snap)
}

func (p *platform) Unpack(ctx context.Context, _ operation.Ask, space app.SpaceID, _ client.ArchiveType, archive io.Reader) (source.Snapshot, error) {
	snap, err := p.files.FromArchive(ctx, space, archive, "upload", source.ArchiveOptions{})
	if err != nil {
		return snap, err
	}
	return p.store.AddSnapshot(ctx, snap)
}

func (p *platform) Snapshot(ctx context.Context, space app.SpaceID, name string) (source.Snapshot, error) {
	return p.store.SnapshotByDigest(ctx, space, name)
}

func (p *platform) Foundations(context.Context) ([]artifact.Foundation, error) {
	return []artifact.Foundation{foundation}, nil
}

func (p *platform) Foundation(_ context.Context, name string) (artifact.Foundation, error) {
	if name != foundation.Name {
		return artifact.Foundation{}, fault.New(fault.NotFound, "foundation", "foundation %q does not exist", name).WithTry("naru foundations")
	}
	return foundation, nil
}

func (p *platform) Lock(context.Context, artifact.Foundation) ([]byte, error) {
	return []byte(`{"packages":[]}`), nil
}

func (p *platform) SBOM(context.Context, artifact.Foundation) ([]byte, error) {
	return []byte(`{"bomFormat":"CycloneDX"}`), nil
}

func (p *platform) Credentials(context.Context, app.SpaceID) ([]vault.Credential, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []vault.Credential{}
	for _, c := range p.creds {
		out = append(out, c)
	}
	return out, nil
}

func (p *platform) SetCredential(_ context.Context, by operation.Ask, c vault.Credential, password secret.Secret) (vault.Credential, error) {
	if password.Reveal() == "wrong" {
		return c, fault.New(fault.Invalid, "password", "%s refused it", c.Host).WithTry("check the token at %s", c.Host)
	}
	if c.Kind == "" {
		c.Kind = vault.Registry
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.By, c.Updated = by.Actor, time.Now()
	p.creds[c.Host] = c
	return c, nil
}

func (p *platform) DeleteCredential(_ context.Context, _ operation.Ask, _ app.SpaceID, host string, _ vault.Kind) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.creds[host]; !ok {
		return fault.New(fault.NotFound, "host", "there is no credential for %s", host).WithTry("naru credentials")
	}
	delete(p.creds, host)
	return nil
}

func (p *platform) Info(context.Context) (client.Info, error) {
	return client.Info{
		Version: "test", Apps: "http://localhost", AppsDomain: "localhost", Driver: "process", Notice: "instances are not isolated",
		DefaultOrg: "default", DefaultSpace: "dev", Registry: "127.0.0.1:5000",
	}, nil
}

func (p *platform) Waiting(context.Context) []string                 { return nil }
func (p *platform) Doctor(context.Context) ([]client.Finding, error) { return nil, nil }
func (p *platform) Backup(context.Context, io.Writer, bool) error    { return nil }
func (p *platform) Builders(context.Context) ([]client.Builder, error) {
	return []client.Builder{{Name: "node", Detects: "package.json", Foundations: []string{"node"}}}, nil
}
