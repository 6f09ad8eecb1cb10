package vault_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/secret"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

// host takes one password, as a registry only.
type host struct{ password string }

func (h host) Test(_ context.Context, c vault.Credential, password secret.Secret) error {
	if c.Kind == vault.Registry && password.Reveal() == h.password {
		return nil
	}
	return fault.New(fault.Invalid, "password", "%s answered 401", c.Host)
}

type bench struct {
	*vault.Vault
	store *store.Store
	ring  *secret.Keyring
	space app.SpaceID
	app   app.ID
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{store: storetest.Open(t, store.Options{})}
	ring, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	must(t, err)
	b.ring = ring
	b.Vault = vault.New(b.store, func() *secret.Keyring { return b.ring }, host{"right"})
	_, space, err := b.store.Bootstrap(t.Context())
	must(t, err)
	a, err := b.store.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: space.ID, Name: "shop", Slug: "shop"})
	must(t, err)
	b.space, b.app = space.ID, a.ID
	return b
}

func TestSecretsOfAnApp(t *testing.T) {
	b := newBench(t)
	set := func(c app.EnvChange) { t.Helper(); must(t, b.SetSecrets(t.Context(), b.app, c)) }
	set(app.EnvChange{Secrets: map[string]secret.Secret{"A": secret.New("1"), "B": secret.New("2"), "C": secret.New("3")}})
	set(app.EnvChange{Secrets: map[string]secret.Secret{"A": secret.New("one")}, Set: map[string]string{"B": "plain"}, Unset: []string{"C"}})
	open, err := b.Secrets(t.Context(), b.app, []string{"A"})
	must(t, err)
	if len(open) != 1 || open["A"].Reveal() != "one" {
		t.Errorf("%d secrets, A right: %v", len(open), open["A"].Reveal() == "one")
	}
	for _, name := range []string{"B", "C"} {
		_, err := b.Secrets(t.Context(), b.app, []string{"A", name})
		if f := fault.Of(err); f == nil || f.Kind != fault.Conflict || !strings.Contains(f.Message, name) {
			t.Errorf("%s: err = %v, want a Conflict that names it", name, err)
		}
	}
	sealed, err := b.store.SecretsOf(t.Context(), b.app)
	must(t, err)
	if text := fmt.Sprint(sealed, open); strings.Contains(text, "one") {
		t.Error("a secret is stored or printed in clear")
	}
}

func TestSecretsJoinTheCallersTransaction(t *testing.T) {
	b := newBench(t)
	err := b.store.Together(t.Context(), func(ctx context.Context) error {
		must(t, b.SetSecrets(ctx, b.app, app.EnvChange{Secrets: map[string]secret.Secret{"A": secret.New("1")}}))
		return fault.New(fault.Conflict, "", "no after all")
	})
	if !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	if sealed, err := b.store.SecretsOf(t.Context(), b.app); err != nil || len(sealed) != 0 {
		t.Errorf("secrets = %v, %v, want none", sealed, err)
	}
}

func TestCredentialsAreTriedAndKeptSealed(t *testing.T) {
	b := newBench(t)
	ctx, by := t.Context(), operation.Ask{Actor: "ada"}
	_, err := b.SetCredential(ctx, by, vault.Credential{Space: b.space, Host: "registry.example.com", Username: "bot"}, secret.New("wrong"))
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("err = %v, want what the host said", err)
	}
	if have, err := b.Credentials(ctx, b.space); err != nil || len(have) != 0 {
		t.Errorf("kept %v, %v, although the host refused it", have, err)
	}
	c, err := b.SetCredential(ctx, by, vault.Credential{Space: b.space, Host: "Registry.example.com", Username: "bot"}, secret.New("right"))
	must(t, err)
	if c.Kind != vault.Registry || c.By != "ada" || c.Created.IsZero() || c.Host != "registry.example.com" {
		t.Errorf("kept %+v", c)
	}
	got, password, ok, err := b.Credential(ctx, b.space, "registry.example.com", vault.Registry)
	if err != nil || !ok || got.Username != "bot" || password.Reveal() != "right" {
		t.Errorf("read %+v, %v, %v", got, ok, err)
	}
	if _, _, ok, err := b.Credential(ctx, b.space, "registry.example.com", vault.Git); ok || err != nil {
		t.Errorf("git credentials: %v, %v, want none", ok, err)
	}
	for _, bad := range []string{"", "https://x", "a b", "u@h", "h/p"} {
		if _, err := b.SetCredential(ctx, by, vault.Credential{Space: b.space, Host: bad}, secret.New("right")); !fault.Is(err, fault.Invalid) {
			t.Errorf("host %q: err = %v, want Invalid", bad, err)
		}
	}
	must(t, b.DeleteCredential(ctx, by, b.space, "registry.example.com", ""))
	if err := b.DeleteCredential(ctx, by, b.space, "registry.example.com", ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestResealGoesOnWhereItStopped(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	secrets := map[string]secret.Secret{}
	for n := range 150 {
		secrets[fmt.Sprintf("S%d", n)] = secret.New(fmt.Sprint(n))
	}
	must(t, b.SetSecrets(ctx, b.app, app.EnvChange{Secrets: secrets}))
	_, err := b.SetCredential(ctx, operation.Ask{Actor: "ada"}, vault.Credential{Space: b.space, Host: "h", Kind: vault.Registry}, secret.New("right"))
	must(t, err)
	rotated, err := b.ring.Rotated()
	must(t, err)
	b.ring = rotated

	stopped := vault.New(&dying{Store: b.store, after: 40}, func() *secret.Keyring { return b.ring }, host{})
	if n, err := stopped.Reseal(ctx); err == nil || n != 40 {
		t.Fatalf("Reseal = %d, %v, want 40 and the error", n, err)
	}
	if n, err := b.Reseal(ctx); err != nil || n != 111 {
		t.Errorf("Reseal = %d, %v, want the other 111", n, err)
	}
	b.ring = rotated.Newest()
	open, err := b.Secrets(ctx, b.app, []string{"S0", "S149"})
	must(t, err)
	if open["S149"].Reveal() != "149" {
		t.Error("a resealed value changed")
	}
	if _, password, _, err := b.Credential(ctx, b.space, "h", vault.Registry); err != nil || password.Reveal() != "right" {
		t.Errorf("the credential does not open: %v", err)
	}
}

func TestResealNamesWhatNoKeyOpens(t *testing.T) {
	b := newBench(t)
	must(t, b.store.SetSecrets(t.Context(), b.app, map[string]string{"LOST": "ffffffff.AAAA"}))
	must(t, b.SetSecrets(t.Context(), b.app, app.EnvChange{Secrets: map[string]secret.Secret{"ZZZ": secret.New("1")}}))
	rotated, err := b.ring.Rotated()
	must(t, err)
	b.ring = rotated
	n, err := b.Reseal(t.Context())
	if n != 1 || err == nil || !strings.Contains(err.Error(), "LOST") {
		t.Errorf("Reseal = %d, %v, want 1 and the name of the other", n, err)
	}
	_, err = b.Secrets(t.Context(), b.app, []string{"LOST"})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("err = %v, want Unavailable with the way out", err)
	}
}

// dying fails after some values were replaced.
type dying struct {
	*store.Store
	after int
}

func (d *dying) Reseal(ctx context.Context, old vault.Sealed, value string) error {
	if d.after--; d.after < 0 {
		return context.Canceled
	}
	return d.Store.Reseal(ctx, old, value)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
