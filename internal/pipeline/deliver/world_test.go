package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth/vault"
	"naru/internal/backoff"
	"naru/internal/build"
	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/observe/logs"
	"naru/internal/operate"
	"naru/internal/pipeline/admit"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/gate"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/route/domain"
	"naru/internal/route/domain/dnstest"
	"naru/internal/route/hub"
	"naru/internal/route/routetest"
	"naru/internal/run"
	"naru/internal/run/launch"
	"naru/internal/run/runtest"
	"naru/internal/run/spool"
	"naru/internal/secret"
	"naru/internal/source"
	"naru/internal/store"
)

// world is what outlives the control plane: the database, what runs, and the
// gateway.
type world struct {
	dir      string
	driver   *runtest.Fake
	gateway  *routetest.Gateway
	space    app.SpaceID
	memory   admit.Limits
	process  app.Process     // the platform's defaults
	releases chan string     // release commands that were begun; nil: nobody looks
	proof    bool            // hosts outside the apps domain have to be proved
	names    *dnstest.Server // what DNS has; nil: nothing answers
	budgets  gate.Reports    // of every app; nil: there is no gate
	killAt   int64           // the commit at which the next platform dies; 0: it does not
	waited   atomic.Int64    // how often deliveries waited for gateways
}

// counting counts who waits for gateways.
type counting struct {
	*operate.Traffic
	waited *atomic.Int64
}

func (c counting) Sync(ctx context.Context) error {
	c.waited.Add(1)
	return c.Traffic.Sync(ctx)
}

// drainTimeout is how long ordinary requests may take at an instance that leaves.
const drainTimeout = 2 * time.Second

// platform is one life of the control plane.
type platform struct {
	*deliver.Service
	store *store.Store
	gate  *gate.Gate
	kill  *atomic.Int64 // commits until it dies; below 1: never
	dead  <-chan struct{}
	down  func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), driver: runtest.NewDriver()}
	w.gateway = routetest.NewGateway(filepath.Join(w.dir, "hub.sock"))
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := w.gateway.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); group.Wait() })
	t.Cleanup(func() {
		if err := w.driver.Teardown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) domains(st *store.Store) *domain.Desk {
	cfg := domain.Config{Required: w.proof, Apps: "apps.test", Resolver: "127.0.0.1:1", Timeout: time.Minute, Secret: []byte("secret")}
	if w.names != nil {
		cfg.Resolver = w.names.Addr
	}
	return domain.New(cfg, st)
}

// up starts a control plane over what there is; its down waits for everything.
func (w *world) up(t *testing.T) *platform {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &platform{kill: new(atomic.Int64), dead: ctx.Done()}
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	st, err := store.Open(ctx, filepath.Join(w.dir, "store.db"), store.Options{AfterCommit: func(int64) {
		if p.kill.Add(-1) == 0 {
			cancel()
			runtime.Goexit() // whoever committed comes no further, as after kill -9
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, space, err := st.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.space, p.store = space.ID, st
	p.kill.Store(w.killAt)
	ring, err := secret.LoadKeyring(filepath.Join(w.dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	safe := vault.New(st, func() *secret.Keyring { return ring }, nil)
	gateways := hub.New(hub.Config{Interval: time.Millisecond, Settle: time.Millisecond, Tripped: st.TripRollouts}, log)
	ln, err := hub.Listen(filepath.Join(w.dir, "hub.sock"), 0)
	if err != nil {
		t.Fatal(err)
	}
	traffic := operate.NewTraffic(st, gateways, log)
	launcher := launch.New(st, opener{safe}, launch.Registry{Host: "registry.test"}, launch.Bounds{LogBytesPerSecond: 1 << 20, LogSpoolMiB: 1})
	keeper := operate.NewKeeper(st, w.driver, launcher, traffic, operate.Options{
		Policy: run.Policy{Restart: backoff.Policy{First: time.Millisecond, Max: 50 * time.Millisecond}, Unhealthy: 30 * time.Second},
		Starts: 4, DrainTimeout: drainTimeout, DrainUpgrade: time.Hour, FullPass: time.Second, SweepPatience: 5 * time.Second,
	}, log)
	var ops *operation.Runner
	var allowed deliver.Gate
	if w.budgets != nil {
		p.gate = gate.New(st, w.budgets, time.Now, log)
		allowed = p.gate
	}
	p.Service = deliver.New(deliver.Parts{
		Gate:  allowed,
		Store: st, Sources: noSource{}, Git: noSource{}, Images: imported{}, Builds: noSource{}, Secrets: safe, Router: counting{traffic, &w.waited}, Domains: w.domains(st),
		Logs: noLogs{}, Rollouts: rollout.NewRunner(st, traffic, rollout.Options{Releaser: w, Settle: time.Millisecond}, log), Wake: func() { ops.Wake() },
	}, deliver.Config{
		AppsDomain: "apps.test", WorkDir: w.dir, MaxInstances: 100, KeepReleases: 10, Memory: w.memory, Defaults: w.process,
		URL:       func(host, path string) string { return "http://" + host + path },
		StreamURL: route.Route.Name, TCPPorts: config.TCPRange{Host: "127.0.0.1", First: 20000, Last: 20001}, Secure: true, PlatformDomain: "naru.apps.test",
	}, log)
	ops = operation.NewRunner(st, p.Handlers(), 4, log)
	var parts sync.WaitGroup
	for name, part := range map[string]func(context.Context) error{
		"hub": func(ctx context.Context) error { return gateways.Run(ctx, ln) }, "traffic": traffic.Run, "keeper": keeper.Run, "operations": ops.Run,
		"watch": p.Watch,
	} {
		parts.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	p.down = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(p.down)
	return p
}

// await follows an operation to its end.
func (p *platform) await(t *testing.T, op operation.Operation) operation.Operation {
	t.Helper()
	sub := p.store.Listen(store.OperationTopic(op.ID))
	defer sub.Close()
	late := time.After(30 * time.Second)
	for {
		now, err := p.store.Operation(t.Context(), op.ID)
		if err != nil {
			t.Fatal(err)
		}
		if now.State.Ended() {
			return now
		}
		select {
		case <-sub.C:
		case <-late:
			t.Fatalf("%s is still %s", op.Kind, now.State)
		}
	}
}

// done is await for what must end well.
func (p *platform) done(t *testing.T, op operation.Operation, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if end := p.await(t, op); end.State != operation.Done {
		t.Fatalf("%s is %s: %v", op.Kind, end.State, end.Error)
	}
}

type opener struct{ *vault.Vault }

func (o opener) Open(ctx context.Context, a app.ID, names []string) (map[string]secret.Secret, error) {
	return o.Secrets(ctx, a, names)
}

// imported makes images that behave as their reference says: "exit 3".
type imported struct{}

func (imported) Import(_ context.Context, _ app.SpaceID, reference, repository string, login artifact.Credentials) (artifact.Image, error) {
	if reference == "private" && (login.User != "ada" || login.Password.Reveal() != "hush") {
		return artifact.Image{}, fault.New(fault.Denied, "image", "the registry refuses %q", login.User)
	}
	digest := fmt.Sprintf("sha256:%064x", []byte(reference))
	command := append([]string{runtest.TestApp}, strings.Fields(reference)...)
	processes := []app.Process{{Type: app.Web, Command: command}, {Type: "worker", Command: []string{"/forever"}}}
	if work, ok := strings.CutPrefix(reference, "release "); ok {
		processes = []app.Process{{Type: app.Web, Command: []string{runtest.TestApp, "serve"}}, {Type: app.ReleaseType, Command: []string{work}}}
	}
	return artifact.Image{
		ID: artifact.ID(id.New()), Ref: artifact.Ref{Repository: repository, Digest: digest[:71]}, Origin: reference, Bytes: 1,
		Processes: processes,
	}, nil
}

var errNoSource = errors.New("these tests push images only")

type noSource struct{}

func (noSource) Fetch(context.Context, source.Snapshot) (fs.FS, error) { return nil, errNoSource }
func (noSource) Checkout(context.Context, source.Snapshot, string) error {
	return errNoSource
}
func (noSource) Clone(context.Context, app.SpaceID, string, string, string, func(string)) (source.Snapshot, error) {
	return source.Snapshot{}, errNoSource
}
func (noSource) Build(context.Context, build.Request) (build.Result, error) {
	return build.Result{}, errNoSource
}

type noLogs struct{}

func (noLogs) Append(context.Context, []logs.Line, map[string]spool.Offset) error { return nil }
func (noLogs) Forget(context.Context, app.ID) error                               { return nil }

// served is an instance that visitors reach at a host.
func (w *world) served(host string) (instance string, err error) {
	instance, end, err := w.gateway.Begin(host, "/")
	if err == nil {
		end()
	}
	return instance, err
}

// RunRelease stands for the release command: "bad" fails, "endless" lasts until it
// is stopped.
func (w *world) RunRelease(ctx context.Context, rel release.Release, say func(string)) error {
	p, _ := rel.Process(app.ReleaseType)
	say("begins")
	if w.releases != nil {
		w.releases <- p.Command[0]
	}
	switch p.Command[0] {
	case "bad":
		return errors.New("exit 3")
	case "endless":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}
