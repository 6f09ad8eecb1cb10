package auth_test

import (
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/secret"
)

// What an API token was exchanged for ends with it, and not later than it.
func TestAPITokensAreExchanged(t *testing.T) {
	b := newBench(t)
	b.user(t)
	who := b.verify(t, b.login(t))
	token, _, err := b.NewAPIToken(t.Context(), who, "ci", 2*time.Minute)
	must(t, err)
	for _, name := range []string{"ci", who.Name, ""} {
		tokens, err := b.Exchange(t.Context(), name, token, false)
		must(t, err)
		if got := b.verify(t, tokens); got.UserID != who.UserID || got.Session != "" || got.Token != tokens.ID {
			t.Errorf("%q: %+v", name, got)
		}
	}
	for _, wrong := range []struct {
		name   string
		token  secret.Secret
		client bool
	}{{"somebody else", token, false}, {"", token, true}, {"ci", secret.New("naru_pat_x"), false}} {
		_, err := b.Exchange(t.Context(), wrong.name, wrong.token, wrong.client)
		mustBe(t, err, fault.Unauthenticated)
	}
	one, err := b.Exchange(t.Context(), "ci", token, true)
	must(t, err)
	other, err := b.Exchange(t.Context(), "ci", token, true)
	must(t, err)
	mustBe(t, b.RevokeAccess(t.Context(), b.verify(t, one), other.ID), fault.NotFound)
	must(t, b.RevokeAccess(t.Context(), b.verify(t, one), one.ID))
	_, err = b.Verify(t.Context(), one.Access.Reveal())
	mustBe(t, err, fault.Unauthenticated)
	b.verify(t, other)
	b.clock.pass(3 * time.Minute)
	_, err = b.Verify(t.Context(), other.Access.Reveal())
	mustBe(t, err, fault.Unauthenticated)

	token, _, err = b.NewAPIToken(t.Context(), who, "next", time.Hour)
	must(t, err)
	if one, err = b.Exchange(t.Context(), "next", token, false); err != nil {
		t.Fatal(err)
	}
	b.verify(t, one)
	must(t, b.RevokeAPIToken(t.Context(), who, "next"))
	_, err = b.Verify(t.Context(), one.Access.Reveal())
	mustBe(t, err, fault.Unauthenticated)
}
