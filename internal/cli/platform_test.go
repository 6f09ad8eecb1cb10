package cli_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/api/apitest"
	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/auth/vault"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
	"naru/internal/observe/meter"
	"naru/internal/observe/traces"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/packs"
	"naru/internal/route"
	"naru/internal/route/domain"
	"naru/internal/route/domain/dnstest"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/source"
	"naru/internal/store"
)

const password = "correct horse battery"

// platform is naru's API on a real store, with real logins, real source and real
// operations. Only what would need a machine is played: builds and instances
// succeed at once, or fail as the app's name asks for.
type platform struct {
	t     testing.TB
	store *store.Store
	auth  *auth.Service
	book  *logs.Book
	files *source.Store
	work  *operation.Runner
	space app.Space
	gates sync.Map // operation kind: channel that its handler waits for

	mu     sync.Mutex // guards all below
	creds  map[string]vault.Credential
	certs  apitest.Certificates
	drains *drain.Desk
	traces *traces.Store
	names  *dnstest.Server // what DNS has
	hosts  *domain.Desk
	inner  func(run.ExecSpec) (int, error) // what commands inside do
	cut    chan struct{}                   // closed by the next upload, which then breaks; nil: it does not

	addr   string
	server *http.Server
	stop   func()

	switches *feature.Book
}

func newPlatform(t testing.TB) *platform {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "store.db"), store.Options{})
	must(t, err)
	book, err := logs.Open(filepath.Join(dir, "logs"), logs.Limits{Days: 7}, time.Now, slog.New(slog.DiscardHandler))
	must(t, err)
	_, space, err := st.Bootstrap(t.Context())
	must(t, err)
	key, err := auth.NewKey()
	must(t, err)
	switches := feature.NewBook(st)
	p := &platform{
		t: t, store: st, switches: switches, book: book, space: space, creds: map[string]vault.Credential{}, inner: programs,
		files: source.New(filepath.Join(dir, "source"), source.Limits{}),
		auth:  auth.New(st, key, auth.Config{Hash: auth.HashCost{MemoryKiB: 64, Passes: 1, Threads: 1}, Features: switches.Now}),
		addr:  "127.0.0.1:0", names: dnstest.New(t),
	}
	p.hosts = domain.New(domain.Config{
		Required: true, Apps: "localhost", Resolver: p.names.Addr, Timeout: time.Minute, Secret: []byte("secret"),
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	}, st)
	_, err = p.auth.CreateUser(t.Context(), "test", "admin", secret.New(password), auth.Grant{Role: auth.Admin})
	must(t, err)
	t.Cleanup(func() {
		must(t, book.Close())
		must(t, st.Close())
	})
	p.drains = apitest.Drains(t, st, book)
	p.traces = apitest.Traces(t)
	p.start()
	t.Cleanup(p.halt)
	return p
}

// counted is that every group has the same traffic.
type counted struct{}

func (counted) WriteMetrics(context.Context, io.Writer, meter.Reader) error { return nil }

func (counted) Requests(...string) (uint64, bool) { return 7, true }

func (counted) Rates(groups ...string) map[string]meter.Rate {
	out := map[string]meter.Rate{}
	for _, g := range groups {
		out[g] = meter.Rate{PerSecond: 12.4, Failed: 0.05}
	}
	return out
}

// Breakers tells of one that no group has.
func (counted) Breakers() map[string]route.BreakerState {
	return map[string]route.BreakerState{"other": route.BreakerOpen}
}

// start begins to answer, at the same address as before.
func (p *platform) start() {
	p.t.Helper()
	p.work = operation.NewRunner(p.store, p.stories(), 4, slog.New(slog.DiscardHandler))
	handler := api.New(api.Services{
		Verdicts: p.store, PastJudge: judging.NewPast(nil, nil, time.Second),
		Sessions: p.auth, People: p.store, Places: p.store, Labels: p.store, Apps: p.store, Releases: p.store, Running: p.store, Rollouts: p.store, Accounts: p.teller(), Deliveries: p.teller(), Budgets: p.gate(), Routes: p.store,
		Tasks: p.store, Operations: p.store, Events: p.store, Logs: p.book, Pushes: p, Lifecycle: p, Drafts: p, Mapper: p,
		TaskRunner: p, Bakery: p, Upkeep: p, Meter: p, Metrics: counted{}, Sources: p, Foundations: p, Credentials: p, Certificates: &p.certs, Domains: p.hosts, Drains: p.drains, Provided: apitest.Provided(p.t, p.store, p.drains), Traces: p.traces, Platform: p,
		Features: p.switches, Packs: packs.New(p.store, p.files, func() error { return nil }),
	}, api.Config{}, slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", p.addr)
	must(p.t, err)
	p.addr = listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	p.server = &http.Server{Handler: handler, BaseContext: func(net.Listener) context.Context { return ctx }}
	var parts sync.WaitGroup
	parts.Go(func() { _ = p.server.Serve(listener) })
	parts.Go(func() { _ = p.work.Run(ctx) })
	p.stop = func() {
		stop()
		_ = p.server.Close()
		parts.Wait()
	}
	p.work.Wake()
}

// halt stops answering, as a process that dies does; what was stored stays.
func (p *platform) halt() { p.stop() }

func (p *platform) url() string { return "http://" + p.addr }

// hold lets operations of a kind wait until the returned function is called.
func (p *platform) hold(kind operation.Kind) (release func()) {
	gate := make(chan struct{})
	p.gates.Store(kind, gate)
	return sync.OnceFunc(func() { close(gate) })
}

// token logs the admin in for good.
func (p *platform) token() string {
	p.t.Helper()
	tokens, err := p.auth.Login(auth.From(p.t.Context(), "admin"), "admin", secret.New(password))
	must(p.t, err)
	return tokens.Access.Reveal()
}

// say puts a line into an app's log.
func (p *platform) say(name string, lines ...string) {
	p.t.Helper()
	a, err := p.store.AppNamed(p.t.Context(), p.space.ID, name)
	must(p.t, err)
	for _, text := range lines {
		must(p.t, p.book.Append(p.t.Context(), []logs.Line{{
			Time: time.Now(), App: a.ID, Source: "APP", Process: "web", Instance: "i", Stream: "stdout", Text: text,
		}}, nil))
	}
}

// programs are the commands that the played instances know.
func programs(x run.ExecSpec) (int, error) {
	if len(x.Argv) == 3 && x.Argv[0] == "/bin/sh" {
		_, err := io.WriteString(x.Stdout, "shell runs: "+x.Argv[2]+"\n")
		return 0, err
	}
	switch x.Argv[0] {
	case "cat":
		_, err := io.Copy(x.Stdout, x.Stdin)
		return 0, err
	case "fail":
		_, err := io.WriteString(x.Stderr, "it went wrong\n")
		return 42, err
	case "/bin/sh":
		_, err := io.WriteString(x.Stdout, "a shell\n")
		return 0, err
	}
	return 127, fault.New(fault.Failed, "command", "there is no program %q in the image", x.Argv[0]).WithTry("naru exec shop -- ls /bin")
}

var foundation = artifact.Foundation{
	Name: "node:22", Ref: artifact.Ref{Repository: "naru/node", Digest: "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"},
	ABI: "node=127", Bytes: 60 << 20, Lock: "sha256:1f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
