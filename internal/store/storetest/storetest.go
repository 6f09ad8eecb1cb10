// Package storetest holds the one suite that the store passes on each engine,
// and stores that are ready for other packages' tests.
package storetest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/store"
)

// Open returns a store on SQLite on disk that is closed when the test ends.
func Open(t testing.TB, opts store.Options) *store.Store {
	t.Helper()
	return OpenAt(t, filepath.Join(t.TempDir(), "store.db"), opts)
}

// OpenAt is Open at a path or URL.
func OpenAt(t testing.TB, where string, opts store.Options) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), where, opts)
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	return st
}

// Opener opens a fresh, empty store on one engine.
type Opener func(t testing.TB, opts store.Options) *store.Store

// Suite runs every test on stores that open returns.
func Suite(t *testing.T, open Opener) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, open Opener)
	}{
		{"transactions", transactions},
		{"wakeups", wakeups},
		{"places", places},
		{"users", users},
		{"tokens", tokens},
		{"apps", apps},
		{"secrets", secrets},
		{"source to release", sourceToRelease},
		{"packages", packages},
		{"buildpacks", buildpacks},
		{"instances", instances},
		{"rollouts", rollouts},
		{"strategies", strategies},
		{"verdicts", verdicts},
		{"tasks", tasks},
		{"routes", routes},
		{"conditions", conditions},
		{"certificates", certificates},
		{"drains", drains},
		{"services", services},
		{"holders", holders},
		{"pulse", pulse},
		{"TCP routes", tcpRoutes},
		{"operations", operations},
		{"whole", whole},
		{"at once", atOnce},
		{"upkeep", upkeep},
		{"standing", standing},
		{"forgetting", forgetting},
		{"task events", taskEvents},
		{"policies", policies},
		{"alerts", alerts},
		{"objectives", objectives},
		{"probes", probes},
		{"maintenance", maintenance},
		{"quotas", quotas},
		{"features", features},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// world is a store with a space and an app in it.
type world struct {
	*store.Store
	org   app.Org
	space app.Space
	app   app.App
}

// newWorld opens a store and makes the app "shop" in default/dev.
func newWorld(t testing.TB, open Opener, opts store.Options) world {
	t.Helper()
	st := open(t, opts)
	org, space, err := st.Bootstrap(t.Context())
	must(t, err)
	w := world{Store: st, org: org, space: space}
	w.app = w.newApp(t, "shop")
	return w
}

func (w world) newApp(t testing.TB, name string) app.App {
	t.Helper()
	return w.newAppIn(t, w.space.ID, name)
}

func (w world) newAppIn(t testing.TB, space app.SpaceID, name string) app.App {
	t.Helper()
	slug, err := app.Slug(name)
	must(t, err)
	a, err := w.CreateApp(t.Context(), app.App{
		ID: app.ID(id.New()), Space: space, Name: name, Slug: slug, State: app.Started,
	}, happened("app.created", name))
	must(t, err)
	return a
}

// newRelease cuts a release of an app from an image that nobody built.
func (w world) newRelease(t testing.TB, a app.App) release.Release {
	t.Helper()
	img := artifact.Image{
		ID: artifact.ID(id.New()), App: a.ID, Ref: ref("default/dev/"+a.Slug, 'a'),
		Processes: []app.Process{{Type: "web", Port: 3000}, {Type: "worker"}},
	}
	rel, err := w.CutRelease(t.Context(), a.ID, func(number int, now time.Time) (release.Release, error) {
		return release.Cut(a, img, number, "push", "ada", now)
	}, happened("release.cut", a.Name))
	must(t, err)
	return rel
}

// newGroup makes a group of a release.
func (w world) newGroup(t testing.TB, a app.App, rel release.ID, process string, size int) run.Group {
	t.Helper()
	g, err := w.CreateGroup(t.Context(), run.Group{App: a.ID, Process: process, Release: rel, Size: size})
	must(t, err)
	return g
}

// newInstance adds an instance and moves it through states.
func (w world) newInstance(t testing.TB, g run.Group, index int, through ...run.State) run.Instance {
	t.Helper()
	now := time.Now().UTC()
	i := run.Instance{
		ID: run.InstanceID(id.New()), Group: g.ID, Index: index, State: run.Pending, Created: now, Since: now,
	}
	must(t, w.AddInstance(t.Context(), i))
	for _, to := range through {
		var err error
		i, err = w.UpdateInstance(t.Context(), i.ID, func(i run.Instance, now time.Time) (run.Instance, error) {
			i.Addr = "10.64.0.7:8080"
			return i.Move(to, now)
		})
		must(t, err)
	}
	return i
}

// ref is an image whose digest repeats one hexadecimal digit.
func ref(repository string, digit byte) artifact.Ref {
	hex := make([]byte, 64)
	for i := range hex {
		hex[i] = digit
	}
	return artifact.Ref{Repository: repository, Digest: "sha256:" + string(hex)}
}

func happened(kind event.Kind, subject string) event.Event {
	return event.Event{Kind: kind, Actor: "ada", Subject: subject}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustBe wants an error of a kind.
func mustBe(t testing.TB, err error, kind fault.Kind) *fault.Error {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("err = %v, want one of kind %s", err, kind)
	}
	return fault.Of(err)
}

// kinds lists the kinds of all events.
func kinds(t testing.TB, st *store.Store) []event.Kind {
	t.Helper()
	all, err := st.Events(context.Background(), store.EventFilter{})
	must(t, err)
	var out []event.Kind
	for _, ev := range all {
		out = append(out, ev.Kind)
	}
	return out
}
