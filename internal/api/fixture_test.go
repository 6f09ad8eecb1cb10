package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/api/apitest"
	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/feature"
	"naru/internal/observe/logs"
	"naru/internal/observe/meter"
	"naru/internal/observe/traces"
	"naru/internal/pipeline/gate"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/packs"
	"naru/internal/pipeline/quota"
	"naru/internal/route"
	"naru/internal/route/domain"
	"naru/internal/route/domain/dnstest"
	"naru/internal/secret"
	"naru/internal/source"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

// world is an API on a real store, a real book of logs and real logins, with a
// pipeline that only writes down what it was asked.
type world struct {
	t     *testing.T
	store *store.Store
	auth  *auth.Service
	key   *auth.Key
	book  *logs.Book
	pipe  *pipeline
	org   app.Org
	space app.Space
	url   string
	logs  *lines // what the API wrote to its log
	meter metrics
	certs apitest.Certificates
	gate  *gate.Gate
	names *dnstest.Server // what DNS has

	traces *traces.Store

	reports reports // of objectives
	alerts  *apitest.Alerts
}

// metrics are of one table.
type metrics struct {
	*meter.Meter
	table *route.Table
	homes map[app.ID]meter.Home

	breakers map[string]route.BreakerState
}

func (m metrics) WriteMetrics(_ context.Context, out io.Writer, r meter.Reader) error {
	return m.Write(out, meter.Listed(m.table, func(a app.ID) meter.Home { return m.homes[a] }), r)
}

func (m metrics) Breakers() map[string]route.BreakerState { return m.breakers }

const password = "correct horse battery"

func newWorld(t *testing.T, cfg api.Config) *world {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "store.db"), store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	book, err := logs.Open(filepath.Join(dir, "logs"), logs.Limits{Days: 7}, time.Now, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, book.Close()) })
	org, space, err := st.Bootstrap(t.Context())
	must(t, err)
	key, err := auth.NewKey()
	must(t, err)
	switches := feature.NewBook(st)
	w := &world{
		reports: reports{}, t: t, store: st, key: key, book: book, org: org, space: space, logs: &lines{},
		auth: auth.New(st, key, auth.Config{Hash: auth.HashCost{MemoryKiB: 64, Passes: 1, Threads: 1}, Features: switches.Now}),
	}
	known := storetest.Directory{Store: st, Auth: w.auth}
	w.traces = apitest.Traces(t)
	w.alerts = apitest.NewAlerts(t, st)
	w.pipe = &pipeline{store: st, sources: source.New(filepath.Join(dir, "source"), source.Limits{})}
	w.meter = metrics{meter.New(meter.Limits{}), &route.Table{}, map[app.ID]meter.Home{}, map[string]route.BreakerState{}}
	w.gate = gate.New(st, w.reports, time.Now, slog.New(slog.DiscardHandler))
	drains := apitest.Drains(t, st, book)
	handler := api.New(api.Services{
		Verdicts: st, PastJudge: judging.NewPast(sampled{}, nil, time.Second),
		Sessions: w.auth, People: known, Places: known, Features: switches, Labels: st, Apps: st, Releases: st, Running: st, Rollouts: st, Accounts: w.teller(), Deliveries: w.teller(), Quotas: quota.NewBook(st, w.pipe), Budgets: w.gate, Promises: promised(st), Routes: st, Tasks: st, Operations: st, Events: st,
		Logs: book, Pushes: w.pipe, Lifecycle: w.pipe, Drafts: w.pipe, Mapper: w.pipe, TaskRunner: w.pipe, Bakery: w.pipe, Upkeep: w.pipe,
		Meter: w.pipe, Metrics: w.meter, Sources: w.pipe, Foundations: w.pipe, Credentials: w.pipe, Certificates: &w.certs, Domains: w.domains(), Drains: drains, Provided: apitest.Provided(t, st, drains), Alerts: w.alerts, Traces: w.traces, Platform: w.pipe,
		Packs: packs.New(st, w.pipe.sources, func() error { return nil }),
	}, cfg, slog.New(slog.NewJSONHandler(w.logs, nil)))
	ctx, stop := context.WithCancel(context.Background())
	srv := httptest.NewUnstartedServer(handler)
	srv.Config.BaseContext = func(netListener) context.Context { return ctx }
	srv.Start()
	t.Cleanup(func() { stop(); srv.Close() })
	w.url = srv.URL
	_, err = w.auth.CreateUser(t.Context(), "test", "root", secret.New(password), auth.Grant{Role: auth.Admin})
	must(t, err)
	return w
}

// domains asks a name server of the test's own.
func (w *world) domains() *domain.Desk {
	w.names = dnstest.New(w.t)
	return domain.New(domain.Config{
		Required: true, Apps: "localhost", Resolver: w.names.Addr, Timeout: time.Minute, Secret: []byte("secret"),
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	}, w.store)
}

// user makes a user with roles.
func (w *world) user(name string, roles ...auth.Grant) {
	w.t.Helper()
	_, err := w.auth.CreateUser(w.t.Context(), "test", name, secret.New(password), roles...)
	must(w.t, err)
}

// token logs a user in.
func (w *world) token(name string) string {
	w.t.Helper()
	tokens, err := w.auth.Login(auth.From(w.t.Context(), name), name, secret.New(password))
	must(w.t, err)
	return tokens.Access.Reveal()
}

// client is a client logged in as a user, "" for nobody.
func (w *world) client(name string) *client.Client {
	w.t.Helper()
	o := client.Options{Patience: -1}
	if name != "" {
		o.Session = client.Static(w.token(name))
	}
	c, err := client.New(w.url, o)
	must(w.t, err)
	return c
}

func (w *world) dev(name string) *client.InSpace { return w.client(name).In("", "") }

// app makes an app.
func (w *world) app(name string) app.App {
	w.t.Helper()
	a, err := w.pipe.CreateApp(w.t.Context(), ask("test"), w.space.ID, name)
	must(w.t, err)
	return a
}

// do sends a request as it is.
func (w *world) do(method, path, token, body string, header ...string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, reader(body))
	must(w.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, res.Body.Close()) })
	return res
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
