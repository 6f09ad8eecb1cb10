package provide_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"naru/internal/api/apitest"
	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/auth/vault"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/provide"
	"naru/internal/secret"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

var by = operation.Ask{Actor: "ada"}

// bench is a desk on a real store with real drains, and an app.
type bench struct {
	*provide.Desk
	t      *testing.T
	store  *store.Store
	drains *drain.Desk
	app    app.App
}

func newBench(t *testing.T) *bench {
	t.Helper()
	st := storetest.Open(t, store.Options{})
	_, space, err := st.Bootstrap(t.Context())
	must(t, err)
	a, err := st.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: space.ID, Name: "shop", Slug: "shop"})
	must(t, err)
	book, err := logs.Open(t.TempDir(), logs.Limits{Days: 7}, time.Now, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, book.Close()) })
	ring, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	must(t, err)
	drains := apitest.Drains(t, st, book)
	return &bench{provide.New(st, vault.New(st, func() *secret.Keyring { return ring }, nil), drains, 3), t, st, drains, a}
}

// make makes a service.
func (b *bench) make(name, credentials, logDrain string) service.Service {
	b.t.Helper()
	text := secret.New(credentials)
	one, err := b.CreateService(b.t.Context(), by, b.app.Space, provide.Change{Name: &name, Credentials: &text, Drain: &logDrain})
	must(b.t, err)
	return one
}

func TestALogDrainComesAndGoesWithItsBinding(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	one := b.make("logs", "", "syslog://127.0.0.1:9")
	names := func() (out []string) {
		t.Helper()
		all, err := b.store.Drains(ctx, b.app.Space, b.app.ID)
		must(t, err)
		for _, d := range all {
			out = append(out, d.Name+" "+d.Shown)
		}
		return out
	}
	if got := names(); len(got) != 0 {
		t.Errorf("before: %v", got)
	}
	binding, err := b.Bind(ctx, by, b.app.ID, one.ID, "")
	must(t, err)
	if got := names(); len(got) != 1 || got[0] != "logs@shop syslog://127.0.0.1:9" {
		t.Errorf("bound: %v", got)
	}
	if err := b.drains.Delete(ctx, "ada", b.app.Space, "logs@shop"); !fault.Is(err, fault.Conflict) {
		t.Errorf("deleted beside its binding: %v", err)
	}
	elsewhere := "syslog://127.0.0.1:10"
	_, err = b.ChangeService(ctx, by, one.ID, provide.Change{Drain: &elsewhere})
	must(t, err)
	if got := names(); len(got) != 1 || got[0] != "logs@shop syslog://127.0.0.1:10" {
		t.Errorf("moved: %v", got)
	}
	bad := "ftp://h"
	if _, err := b.ChangeService(ctx, by, one.ID, provide.Change{Drain: &bad}); !fault.Is(err, fault.Invalid) {
		t.Errorf("to what cannot be drained to: %v", err)
	}
	must(t, b.Unbind(ctx, by, service.Standing{Binding: binding, ServiceName: "logs", AppName: "shop"}))
	if got := names(); len(got) != 0 {
		t.Errorf("unbound: %v", got)
	}
}

func TestWhatIsTooMuchForAnEnvironmentIsNotBound(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	credentials := `{"a":"` + strings.Repeat("x", service.MaxCredentials-100) + `"}`
	first, second := b.make("a", credentials, ""), b.make("b", credentials, "")
	_, err := b.Bind(ctx, by, b.app.ID, first.ID, "")
	must(t, err)
	if _, err := b.Bind(ctx, by, b.app.ID, second.ID, ""); !fault.Is(err, fault.TooLarge) {
		t.Fatalf("err = %v", err)
	}
	if bound, err := b.Bound(ctx, b.app.ID); err != nil || len(bound) != 1 {
		t.Errorf("%d are bound, %v", len(bound), err)
	}
	small := secret.New("{}")
	_, err = b.ChangeService(ctx, by, second.ID, provide.Change{Credentials: &small})
	must(t, err)
	_, err = b.Bind(ctx, by, b.app.ID, second.ID, "")
	must(t, err)
	large := secret.New(credentials)
	if _, err := b.ChangeService(ctx, by, second.ID, provide.Change{Credentials: &large}); !fault.Is(err, fault.TooLarge) {
		t.Errorf("made too much afterwards: %v", err)
	}
	if c, err := b.Content(ctx, second.ID); err != nil || c.JSON() != "{}" {
		t.Errorf("what was refused is kept, %v", err)
	}
}

func TestBindingByName(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	b.make("db", `{"uri":"postgres://h/d"}`, "")
	first, made, err := b.BindNamed(ctx, by, b.app.ID, "db", "primary")
	must(t, err)
	again, madeAgain, err := b.BindNamed(ctx, by, b.app.ID, "db", "other")
	must(t, err)
	if !made || madeAgain || again.ID != first.ID || again.Name != "primary" {
		t.Errorf("made %v %+v, then %v %+v", made, first, madeAgain, again)
	}
	if _, _, err := b.BindNamed(ctx, by, b.app.ID, "gone", ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("a service that is not there: %v", err)
	}
}

func TestASpaceHasAsManyServicesAsItMay(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a", "b", "c"} {
		b.make(name, "", "")
	}
	name := "d"
	_, err := b.CreateService(t.Context(), by, b.app.Space, provide.Change{Name: &name})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "services.max") {
		t.Errorf("one more: %v", err)
	}
}

func TestVariables(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	if got, err := b.Variables(ctx, provide.Running); err != nil || len(got) != 0 {
		t.Errorf("before: %v, %v", got, err)
	}
	_, err := b.SetVariables(ctx, by, provide.Running, app.EnvChange{Set: map[string]string{"A": "1", "B": "2"}})
	must(t, err)
	got, err := b.SetVariables(ctx, by, provide.Running, app.EnvChange{Set: map[string]string{"A": "3"}, Unset: []string{"B", "C"}})
	if err != nil || len(got) != 1 || got["A"] != "3" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := b.Variables(ctx, provide.Staging); err != nil || len(got) != 0 {
		t.Errorf("of the other group: %v, %v", got, err)
	}
	for name, change := range map[string]app.EnvChange{
		"naru's":   {Set: map[string]string{"PORT": "1"}},
		"VCAP":     {Set: map[string]string{"VCAP_X": "1"}},
		"too much": {Set: map[string]string{"A": strings.Repeat("x", 65<<10)}},
	} {
		if _, err := b.SetVariables(ctx, by, provide.Running, change); err == nil {
			t.Errorf("%s is set", name)
		}
	}
	if _, err := b.Variables(ctx, "other"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a group that is not there: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
