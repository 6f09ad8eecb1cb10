package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth/vault"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/quota"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/route/proxyproto"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/source"
	"naru/internal/store"
)

type netListener = net.Listener

// pipeline stores every wish as an operation that nobody carries out, and
// remembers what it was asked last.
type pipeline struct {
	store   *store.Store
	sources *source.Store

	mu      sync.Mutex // guards all below
	asked   []any
	fail    error                     // returned by Plan and Backup
	env     app.EnvChange             // of the last SetEnv
	attach  func(run.IO) (int, error) // what AttachTask and Exec do
	waiting []string                  // parts that are not ready
	creds   map[string]vault.Credential
	created int
}

func ask(actor string) operation.Ask { return operation.Ask{Actor: actor} }

func (p *pipeline) op(ctx context.Context, by operation.Ask, kind operation.Kind, space app.SpaceID, a app.ID, request any) (operation.Operation, error) {
	raw, err := json.Marshal(request)
	if err != nil {
		return operation.Operation{}, err
	}
	subject := string(a)
	if subject == "" {
		subject = string(kind)
	}
	return p.store.AddOperation(ctx, operation.Operation{
		ID: operation.ID(id.New()), Kind: kind, Space: space, App: a, Subject: subject, Actor: by.Actor, Key: by.Key, Request: raw,
	})
}

func (p *pipeline) onApp(ctx context.Context, by operation.Ask, kind operation.Kind, a app.ID, request any) (operation.Operation, error) {
	p.mu.Lock()
	p.asked = append(p.asked, request)
	p.mu.Unlock()
	have, err := p.store.App(ctx, a)
	if err != nil {
		return operation.Operation{}, err
	}
	return p.op(ctx, by, kind, have.Space, a, request)
}

func (p *pipeline) Plan(context.Context, operation.Ask, app.SpaceID, client.PlanRequest) (source.Snapshot, build.Recipe, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return source.Snapshot{Digest: "sha256:1"}, build.Recipe{Builder: "node", Found: "node 22"}, p.fail
}

func (p *pipeline) Push(ctx context.Context, by operation.Ask, space app.SpaceID, in client.Push) (operation.Operation, error) {
	return p.op(ctx, by, "push", space, "", in)
}

func (p *pipeline) Start(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "start", a, nil)
}

func (p *pipeline) Stop(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "stop", a, nil)
}

func (p *pipeline) Restart(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "restart", a, nil)
}

func (p *pipeline) Scale(ctx context.Context, by operation.Ask, a app.ID, processes map[string]int) (operation.Operation, error) {
	return p.onApp(ctx, by, "scale", a, processes)
}

func (p *pipeline) Rollback(ctx context.Context, by operation.Ask, a app.ID, to release.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "rollback", a, to)
}

func (p *pipeline) ChangeGroup(ctx context.Context, by operation.Ask, a app.ID, in client.GroupChange) (operation.Operation, error) {
	return p.onApp(ctx, by, "group", a, in)
}

func (p *pipeline) Delete(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.onApp(ctx, by, "delete", a, nil)
}

func (p *pipeline) CreateApp(ctx context.Context, _ operation.Ask, space app.SpaceID, name string) (app.App, error) {
	slug, err := app.Slug(name)
	if err != nil {
		return app.App{}, err
	}
	p.mu.Lock()
	p.created++
	p.mu.Unlock()
	return p.store.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: space, Name: name, Slug: slug, State: app.Started})
}

func (p *pipeline) SetEnv(ctx context.Context, by operation.Ask, a app.ID, change app.EnvChange, restart bool) (app.App, *operation.Operation, error) {
	p.mu.Lock()
	p.env = change
	p.mu.Unlock()
	names := []string{}
	for name := range change.Secrets {
		names = append(names, name)
	}
	out, err := p.store.UpdateApp(ctx, a, func(have *app.App) error {
		have.Draft = have.Draft.WithEnv(change.Set).WithSecrets(names...).WithoutEnv(change.Unset...)
		return nil
	})
	if err != nil || !restart {
		return out, nil, err
	}
	op, err := p.onApp(ctx, by, "set-env", a, change.Unset)
	return out, &op, err
}

func (p *pipeline) Rename(ctx context.Context, _ operation.Ask, a app.ID, name string) (app.App, error) {
	if err := app.CheckName("name", name); err != nil {
		return app.App{}, err
	}
	return p.store.UpdateApp(ctx, a, func(have *app.App) error { have.Name = name; return nil })
}

func (p *pipeline) SetProcesses(ctx context.Context, _ operation.Ask, a app.ID, processes map[string]app.Overrides) (app.App, error) {
	return p.store.UpdateApp(ctx, a, func(have *app.App) error {
		for process, o := range processes {
			have.Draft = have.Draft.WithProcess(process, o)
		}
		return nil
	})
}

func (p *pipeline) MapRoute(ctx context.Context, by operation.Ask, a app.ID, in client.NewRoute) (route.Route, error) {
	have, err := p.store.App(ctx, a)
	if err != nil {
		return route.Route{}, err
	}
	if in.TCP == nil && !strings.Contains(in.Host, ".") {
		in.Host += ".localhost"
	}
	r, err := route.New(have.Space, in.Host, in.Path, time.Now())
	if in.TCP != nil {
		r, err = route.NewTCP(have.Space, in.Host, route.TCP{Port: in.TCP.Port, Proxy: proxyproto.Version(in.TCP.Proxy)}, time.Now())
	}
	if err != nil {
		return r, err
	}
	if in.When != nil {
		r.When = &route.When{Methods: in.When.Methods}
	}
	if r, err = r.With(route.NewDestination(a, in.Process, in.Port, route.Weight(in.Weight))); err != nil {
		return r, err
	}
	return p.store.SetRoute(ctx, r)
}

func (p *pipeline) ChangeRoute(ctx context.Context, _ operation.Ask, id route.ID, change route.Change) (route.Route, error) {
	r, err := p.store.Route(ctx, id)
	if err != nil {
		return r, err
	}
	if r.Terms, err = change.Apply(r.Terms); err != nil {
		return r, err
	}
	return p.store.SetRoute(ctx, r)
}

func (p *pipeline) UnmapRoute(ctx context.Context, _ operation.Ask, _ app.ID, r route.ID) error {
	return p.store.DeleteRoute(ctx, r)
}

func (p *pipeline) RunTask(ctx context.Context, by operation.Ask, a app.ID, in client.NewTask) (task.Task, error) {
	return p.store.CreateTask(ctx, task.Task{
		ID: task.ID(id.New()), App: a, Name: in.Command[0], Command: in.Command, State: task.Pending, By: by.Actor, MemoryMiB: 64, DiskMiB: 64,
	})
}

func (p *pipeline) CancelTask(ctx context.Context, _ operation.Ask, t task.ID) (task.Task, error) {
	return p.store.UpdateTask(ctx, t, func(have *task.Task, now time.Time) error {
		have.State, have.Ended = task.Canceled, now
		return nil
	})
}

func (p *pipeline) AttachTask(ctx context.Context, _ operation.Ask, _ task.ID, std run.IO) (int, error) {
	return p.run(ctx, std)
}

func (p *pipeline) Exec(ctx context.Context, _ operation.Ask, _ app.ID, process string, index int, x run.ExecSpec) (int, error) {
	p.mu.Lock()
	p.asked = append(p.asked, []any{process, index, x.Argv, x.TTY})
	p.mu.Unlock()
	return p.run(ctx, x.IO)
}

// run does what the test wants of a command, and dies with its context as a
// driver's does.
func (p *pipeline) run(ctx context.Context, std run.IO) (int, error) {
	p.mu.Lock()
	do := p.attach
	p.mu.Unlock()
	type end struct {
		code int
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		code, err := do(std)
		ended <- end{code, err}
	}()
	select {
	case <-ctx.Done():
		return -1, ctx.Err()
	case e := <-ended:
		return e.code, e.err
	}
}

func (p *pipeline) Bake(ctx context.Context, by operation.Ask, spec []byte) (operation.Operation, error) {
	return p.op(ctx, by, "bake", "", "", string(spec))
}

func (p *pipeline) RotateKey(ctx context.Context, by operation.Ask) (operation.Operation, error) {
	return p.op(ctx, by, "rotate-key", "", "", nil)
}

func (p *pipeline) CollectGarbage(ctx context.Context, by operation.Ask) (operation.Operation, error) {
	return p.op(ctx, by, "gc", "", "", nil)
}

func (p *pipeline) Usage(context.Context, run.InstanceID) (run.Usage, error) {
	return run.Usage{MemoryBytes: 1 << 20, CPU: 1500 * time.Millisecond}, nil
}

func (p *pipeline) Missing(ctx context.Context, space app.SpaceID, hashes []string) ([]string, error) {
	return p.sources.Missing(ctx, space, hashes)
}

func (p *pipeline) Receive(ctx context.Context, space app.SpaceID, tar io.Reader) (source.Received, error) {
	return p.sources.Receive(ctx, space, tar)
}

func (p *pipeline) Freeze(ctx context.Context, _ operation.Ask, space app.SpaceID, m source.Manifest, from source.Origin) (source.Snapshot, error) {
	snap, err := p.sources.Freeze(ctx, space, m, from)
	if err != nil {
		return snap, err
	}
	return p.store.AddSnapshot(ctx, snap)
}

func (p *pipeline) Unpack(ctx context.Context, _ operation.Ask, space app.SpaceID, _ client.ArchiveType, archive io.Reader) (source.Snapshot, error) {
	snap, err := p.sources.FromArchive(ctx, space, archive, "upload.tar.gz", source.ArchiveOptions{})
	if err != nil {
		return snap, err
	}
	return p.store.AddSnapshot(ctx, snap)
}

func (p *pipeline) Snapshot(ctx context.Context, space app.SpaceID, name string) (source.Snapshot, error) {
	return p.store.SnapshotByDigest(ctx, space, name)
}

func (p *pipeline) Foundations(context.Context) ([]artifact.Foundation, error) {
	return []artifact.Foundation{foundation}, nil
}

var foundation = artifact.Foundation{Name: "node:22", Ref: artifact.Ref{Repository: "naru/node", Digest: "sha256:" + strings.Repeat("a", 64)}}

func (p *pipeline) Foundation(_ context.Context, name string) (artifact.Foundation, error) {
	if name != foundation.Name {
		return artifact.Foundation{}, fault.New(fault.NotFound, "foundation", "foundation %q does not exist", name).WithTry("naru foundations")
	}
	return foundation, nil
}

func (p *pipeline) Lock(context.Context, artifact.Foundation) ([]byte, error) {
	return []byte("{}"), nil
}
func (p *pipeline) SBOM(context.Context, artifact.Foundation) ([]byte, error) {
	return []byte("{}"), nil
}

func (p *pipeline) Credentials(context.Context, app.SpaceID) ([]vault.Credential, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []vault.Credential{}
	for _, c := range p.creds {
		out = append(out, c)
	}
	return out, nil
}

func (p *pipeline) SetCredential(_ context.Context, by operation.Ask, c vault.Credential, password secret.Secret) (vault.Credential, error) {
	if password.Reveal() == "wrong" {
		return c, fault.New(fault.Invalid, "password", "%s refused it", c.Host).WithTry("check the token at %s", c.Host)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.By = by.Actor
	p.creds = map[string]vault.Credential{c.Host: c}
	return c, nil
}

func (p *pipeline) DeleteCredential(context.Context, operation.Ask, app.SpaceID, string, vault.Kind) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.creds = nil
	return nil
}

func (p *pipeline) Info(context.Context) (client.Info, error) {
	return client.Info{Version: "test"}, nil
}

func (p *pipeline) Waiting(context.Context) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

func (p *pipeline) Doctor(context.Context) ([]client.Finding, error)   { return nil, nil }
func (p *pipeline) Builders(context.Context) ([]client.Builder, error) { return nil, nil }

func (p *pipeline) Backup(_ context.Context, w io.Writer, withKey bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if withKey {
		_, err := w.Write([]byte("half of "))
		return errors.Join(err, p.fail)
	}
	_, err := w.Write([]byte("backup"))
	return err
}

// lines is a log that a test may read.
type lines struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func reader(body string) io.Reader {
	if body == "" {
		return nil
	}
	return strings.NewReader(body)
}

func (p *pipeline) Taken(context.Context, []app.SpaceID) (map[quota.Resource]int, error) {
	return map[quota.Resource]int{quota.Memory: 256}, nil
}
