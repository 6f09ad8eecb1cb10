package cf_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"naru/internal/api/apitest"
	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/door/cf"
	"naru/internal/door/ssh"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/id"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/intake"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/packs"
	"naru/internal/pipeline/provide"
	"naru/internal/pipeline/quota"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

const password = "correct horse battery"

// world is a door on a real store, a real book of logs and real logins. Its
// pipeline carries out at once what the store alone can show.
type world struct {
	pushes

	t     testing.TB
	store *store.Store
	auth  *auth.Service
	book  *logs.Book
	org   app.Org
	space app.Space
	door  *cf.Door
	pipe  *pipeline
	url   string
	token string // of the last login

	provided *provide.Desk
	somebody auth.UserID // with a role in the organisation
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldWith(t, func(*cf.Config) {})
}

// newWorldWith is a world whose door is set up otherwise.
func newWorldWith(t testing.TB, change func(*cf.Config)) *world {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "store.db"), store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	log := slog.New(slog.DiscardHandler)
	book, err := logs.Open(filepath.Join(dir, "logs"), logs.Limits{Days: 7}, time.Now, log)
	must(t, err)
	t.Cleanup(func() { must(t, book.Close()) })
	org, space, err := st.Bootstrap(t.Context())
	must(t, err)
	key, err := auth.NewKey()
	must(t, err)
	switches := feature.NewBook(st)
	w := &world{
		t: t, store: st, book: book, org: org, space: space,
		auth: auth.New(st, key, auth.Config{
			Hash:     auth.HashCost{MemoryKiB: 64, Passes: 1, Threads: 1},
			Lockout:  auth.Lockout{First: time.Hour, Max: time.Hour}, // no test is so slow that a lock ends
			Features: switches.Now,
		}),
	}
	known := storetest.Directory{Store: st, Auth: w.auth}
	w.pushes = newPushes(dir, st)

	pipe := &pipeline{store: st}
	w.pipe = pipe
	w.provided = apitest.Provided(t, st, apitest.Drains(t, st, book))
	cfg := cf.Config{Build: "test", Domain: "naru.localhost", AppsDomain: "localhost", FailureShown: time.Hour, Glance: time.Millisecond, SSH: cf.SSH{Address: "0.0.0.0:2222", Fingerprint: "the key"}}
	change(&cfg)
	w.door = cf.New(cf.Services{
		Provided: w.provided,
		Sessions: w.auth, People: known, Places: known, Switches: switches, Apps: st, Images: st, Releases: st, Running: st, Rollouts: st, Routes: st,
		Quotas: quota.NewBook(st, pipe), Labels: st, Domains: st,
		Packages: st, Packs: packs.New(st, w.source, room), Stager: w.stager, Intake: intake.New(st, w.source, room), Files: files{},
		Meter: pipe, Logs: book, Operations: st, Lifecycle: pipe, Drafts: pipe, Mapper: pipe, Tasks: st, Runner: pipe, Events: st, Bases: st, Platform: pipe,
		Codes: ssh.NewCodes(time.Minute, time.Now), Features: st, Declarer: pipe, Deployer: pipe, Steerer: st, Past: st, Bindables: noServices{},
	}, key, cfg, log)
	srv := httptest.NewServer(w.door)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	_, err = st.SetFoundation(t.Context(), artifact.Foundation{
		Name: "base", Ref: artifact.Ref{Repository: "foundation/base", Digest: "sha256:" + strings.Repeat("c", 64)}, ABI: "glibc=2.41", Created: time.Now(),
	})
	must(t, err)
	w.snapshot = w.page("hello")
	w.user("admin", auth.Grant{Role: auth.Admin})
	return w
}

func (w *world) user(name string, roles ...auth.Grant) auth.User {
	w.t.Helper()
	u, err := w.auth.CreateUser(w.t.Context(), "test", name, secret.New(password), roles...)
	must(w.t, err)
	return u
}

// login makes the world's requests those of a user.
func (w *world) login(name string) {
	w.t.Helper()
	t, err := w.auth.Login(w.t.Context(), name, secret.New(password))
	must(w.t, err)
	w.token = t.Access.Reveal()
}

// do sends a request as who is logged in.
func (w *world) do(method, path, body string) (status int, header http.Header, answer map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	must(w.t, err)
	if w.token != "" {
		req.Header.Set("Authorization", "bearer "+w.token)
	}
	return w.send(req)
}

func (w *world) send(req *http.Request) (status int, header http.Header, answer map[string]any) {
	w.t.Helper()
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	must(w.t, err)
	if len(raw) > 0 && strings.Contains(res.Header.Get("Content-Type"), "json") {
		must(w.t, json.Unmarshal(raw, &answer))
	}
	return res.StatusCode, res.Header, answer
}

// ask is do that must have a status.
func (w *world) ask(want int, method, path, body string) map[string]any {
	w.t.Helper()
	status, _, answer := w.do(method, path, body)
	if status != want {
		w.t.Fatalf("%s %s: got %d %v, want %d", method, path, status, answer, want)
	}
	return answer
}

// shop is an app with an image, a release, one healthy instance and a route.
func (w *world) shop(name string) app.App {
	w.t.Helper()
	ctx := w.t.Context()
	a, err := w.store.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: w.space.ID, Name: name, Slug: name, State: app.Started})
	must(w.t, err)
	ref := artifact.Ref{Repository: "default/dev/" + name, Digest: "sha256:" + strings.Repeat("a", 64)}
	img, err := w.store.AddImage(ctx, artifact.Image{
		ID: artifact.ID(id.New()), App: a.ID, Ref: ref, Snapshot: w.snapshot, Origin: "static site",
		Foundation: "127.0.0.1:5000/foundation/base@sha256:" + strings.Repeat("c", 64), RecipeKey: name,
	})
	must(w.t, err)
	a, err = w.store.UpdateApp(ctx, a.ID, func(a *app.App) error { a.Image = string(img.ID); return nil })
	must(w.t, err)
	rel, err := w.store.CutRelease(ctx, a.ID, func(n int, now time.Time) (release.Release, error) {
		return release.Cut(a, img, n, "push", "admin", now)
	})
	must(w.t, err)
	g, err := w.store.CreateGroup(ctx, run.Group{ID: run.GroupID(id.New()), App: a.ID, Space: w.space.ID, Process: "web", Release: rel.ID, Size: 1})
	must(w.t, err)
	now := time.Now()
	i := run.Instance{ID: run.InstanceID(id.New()), Group: g.ID, State: run.Pending, Created: now, Since: now}
	must(w.t, w.store.AddInstance(ctx, i))
	for _, to := range []run.State{run.Starting, run.Healthy} {
		_, err = w.store.UpdateInstance(ctx, i.ID, func(i run.Instance, now time.Time) (run.Instance, error) {
			i.Addr, i.Started = "10.0.0.2:8080", now
			return i.Move(to, now)
		})
		must(w.t, err)
	}
	r, err := route.New(w.space.ID, name+".localhost", "/", now)
	must(w.t, err)
	r, err = r.With(route.NewDestination(a.ID, "", 0, 0))
	must(w.t, err)
	_, err = w.store.SetRoute(ctx, r)
	must(w.t, err)
	return a
}

// pipeline does what is asked of it as far as the store shows it: no instance runs.
type pipeline struct {
	store *store.Store

	mu   sync.Mutex
	open operation.ID // still on its way
}

// carry stores an operation and carries it out.
func (p *pipeline) carry(ctx context.Context, by operation.Ask, kind operation.Kind, id2 app.ID, step string, do func() error) (operation.Operation, error) {
	a, err := p.store.App(ctx, id2)
	if err != nil {
		return operation.Operation{}, err
	}
	op, err := p.store.AddOperation(ctx, operation.Operation{
		ID: operation.ID(id.New()), Kind: kind, Space: a.Space, App: a.ID, Subject: string(a.ID), Actor: by.Actor, Request: json.RawMessage("{}"),
	})
	if err != nil {
		return op, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != "" { // one works on an app at a time
		if err := p.store.EndOperation(ctx, p.open, operation.Done, nil, nil, nil); err != nil {
			return op, err
		}
		p.open = ""
	}
	if _, _, err := p.store.TakeOperation(ctx); err != nil {
		return op, err
	}
	if err := do(); err != nil {
		return op, p.store.EndOperation(ctx, op.ID, operation.Failed, fault.Of(err), nil, nil)
	}
	if step == "" {
		return op, p.store.EndOperation(ctx, op.ID, operation.Done, nil, nil, nil)
	}
	p.open = op.ID
	// It is on its way: who waits for the step must not wait for the end.
	return op, p.store.ReportOperation(ctx, op.ID, nil, []operation.Progress{{Operation: op.ID, Seq: 1, Step: step, Status: operation.StepDone}})
}

func (p *pipeline) state(ctx context.Context, by operation.Ask, kind operation.Kind, a app.ID, step string, to app.State) (operation.Operation, error) {
	return p.carry(ctx, by, kind, a, step, func() error {
		_, err := p.store.UpdateApp(ctx, a, func(a *app.App) error { a.State = to; return nil })
		return err
	})
}

func (p *pipeline) Start(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.state(ctx, by, "start", a, "release", app.Started)
}

func (p *pipeline) Stop(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	op, err := p.state(ctx, by, "stop", a, "", app.Stopped)
	return op, err
}

func (p *pipeline) Restart(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.state(ctx, by, "restart", a, "", app.Started)
}

func (p *pipeline) Scale(ctx context.Context, by operation.Ask, a app.ID, processes map[string]int) (operation.Operation, error) {
	return p.carry(ctx, by, "scale", a, "", func() error {
		_, err := p.store.UpdateApp(ctx, a, func(a *app.App) error { a.Scale = processes; return nil })
		if processes["web"] > 100 {
			return fault.New(fault.Invalid, "processes.web", "too many")
		}
		return err
	})
}

func (p *pipeline) Delete(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error) {
	return p.carry(ctx, by, "delete", a, "", func() error { return p.remove(ctx, a) })
}

// remove takes everything of an app away.
func (p *pipeline) remove(ctx context.Context, a app.ID) error {
	routes, err := p.store.RoutesOf(ctx, a)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if err := p.store.DeleteRoute(ctx, r.ID); err != nil {
			return err
		}
	}
	instances, err := p.store.Instances(ctx, a)
	if err != nil {
		return err
	}
	for _, i := range instances {
		for _, to := range []run.State{run.Draining, run.Stopping, run.Stopped} {
			_, err := p.store.UpdateInstance(ctx, i.ID, func(i run.Instance, now time.Time) (run.Instance, error) { return i.Move(to, now) })
			if err != nil {
				return err
			}
		}
	}
	return p.store.DeleteApp(ctx, a)
}

func (p *pipeline) CreateApp(ctx context.Context, _ operation.Ask, space app.SpaceID, name string) (app.App, error) {
	slug, err := app.Slug(name)
	if err != nil {
		return app.App{}, err
	}
	return p.store.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: space, Name: name, Slug: slug, State: app.Started})
}

func (p *pipeline) SetEnv(ctx context.Context, _ operation.Ask, a app.ID, change app.EnvChange, _ bool) (app.App, *operation.Operation, error) {
	if err := change.Check(); err != nil {
		return app.App{}, nil, err
	}
	out, err := p.store.UpdateApp(ctx, a, func(have *app.App) error {
		have.Draft = have.Draft.WithEnv(change.Set).WithoutEnv(change.Unset...)
		return nil
	})
	return out, nil, err
}

func (p *pipeline) SetProcesses(ctx context.Context, _ operation.Ask, a app.ID, processes map[string]app.Overrides) (app.App, error) {
	return p.store.UpdateApp(ctx, a, func(have *app.App) error {
		for process, o := range processes {
			have.Draft = have.Draft.WithProcess(process, o)
		}
		return nil
	})
}

func (p *pipeline) MapRoute(ctx context.Context, _ operation.Ask, a app.ID, in client.NewRoute) (route.Route, error) {
	host, path := in.Host, in.Path
	if in.TCP != nil {
		host, path = route.Route{TCP: &route.TCP{Port: in.TCP.Port}}.Place()
	}
	have, err := p.store.RoutesAt(ctx, host, path)
	if err != nil {
		return route.Route{}, err
	}
	r, err := have[0].With(route.NewDestination(a, in.Process, in.Port, 0))
	if err != nil {
		return r, err
	}
	return p.store.SetRoute(ctx, r)
}

func (p *pipeline) ReserveRoute(ctx context.Context, _ operation.Ask, space app.SpaceID, host, path string) (route.Route, error) {
	r, err := route.New(space, host, path, time.Now())
	if err != nil {
		return r, err
	}
	have, err := p.store.RoutesAt(ctx, r.Host, r.Path)
	if err != nil {
		return r, err
	}
	if len(have) > 0 {
		return r, route.Exists(r.Host, r.Path)
	}
	return p.store.SetRoute(ctx, r)
}

func (p *pipeline) ReservePort(ctx context.Context, _ operation.Ask, space app.SpaceID, port int) (route.Route, error) {
	if port == 0 {
		port = 24230 // free in every test
	}
	r, err := route.NewTCP(space, "", route.TCP{Port: port}, time.Now())
	if err != nil {
		return r, err
	}
	host, path := r.Place()
	have, err := p.store.RoutesAt(ctx, host, path)
	if err != nil {
		return r, err
	}
	if len(have) > 0 {
		return r, route.PortTaken(port)
	}
	return p.store.SetRoute(ctx, r)
}

func (p *pipeline) FreeRoute(ctx context.Context, _ operation.Ask, id route.ID, destination string) error {
	r, err := p.store.Route(ctx, id)
	if err != nil {
		return err
	}
	r.Destinations = slices.DeleteFunc(r.Destinations, func(d route.Destination) bool { return d.ID == destination })
	_, err = p.store.SetRoute(ctx, r)
	return err
}

func (p *pipeline) DropRoute(ctx context.Context, _ operation.Ask, id route.ID) error {
	return p.store.DeleteRoute(ctx, id)
}

func (p *pipeline) RunTask(ctx context.Context, by operation.Ask, a app.ID, in client.NewTask) (task.Task, error) {
	return p.store.CreateTask(ctx, task.Task{
		ID: task.ID(id.New()), App: a, Name: in.Name, Command: in.Command, State: task.Pending, By: by.Actor, MemoryMiB: 64, DiskMiB: 64,
	})
}

func (p *pipeline) CancelTask(ctx context.Context, _ operation.Ask, t task.ID) (task.Task, error) {
	return p.store.UpdateTask(ctx, t, func(t *task.Task, _ time.Time) error { t.State = task.Canceled; return nil })
}

func (p *pipeline) Usage(context.Context, run.InstanceID) (run.Usage, error) {
	return run.Usage{MemoryBytes: 1 << 20, DiskBytes: 4096, CPU: time.Millisecond}, nil
}

func (p *pipeline) Taken(context.Context, []app.SpaceID) (map[quota.Resource]int, error) {
	return map[quota.Resource]int{}, nil
}

func (p *pipeline) Builders(context.Context) ([]client.Builder, error) {
	var out []client.Builder
	for _, name := range []string{"dockerfile", "node", "go", "python", "maven", "gradle", "jar", "java", "procfile", "static"} {
		out = append(out, client.Builder{Name: name, Detects: "files of " + name})
	}
	return out, nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
