package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/secret"
)

func TestAccessTokenSaysWhatCloudFoundryReads(t *testing.T) {
	b := newBench(t)
	u := b.user(t, auth.Grant{Role: auth.Admin})
	tokens := b.login(t)
	parts := strings.Split(tokens.Access.Reveal(), ".")
	if len(parts) != 3 {
		t.Fatalf("the token has %d parts", len(parts))
	}
	var head, body map[string]any
	for i, into := range []*map[string]any{&head, &body} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		must(t, err)
		must(t, json.Unmarshal(text, into))
	}
	for name, want := range map[string]any{
		"user_id": string(u.ID), "user_name": "ada", "origin": "naru", "iss": "naru", "jti": tokens.ID,
		"exp": float64(b.clock.Now().Add(10 * time.Minute).Unix()), "iat": float64(b.clock.Now().Unix()),
	} {
		if body[name] != want {
			t.Errorf("claim %s = %v, want %v", name, body[name], want)
		}
	}
	if head["alg"] != "ES256" || !strings.Contains(fmt.Sprint(body["scope"]), "cloud_controller.admin") {
		t.Errorf("header %v, scope %v", head, body["scope"])
	}
	if strings.Contains(fmt.Sprintf("%v %+v", tokens, tokens), parts[2]) {
		t.Error("tokens print themselves")
	}
}

func TestForgedAndSpoiltTokensAreRefused(t *testing.T) {
	b := newBench(t)
	u := b.user(t)
	good := b.login(t).Access.Reveal()
	parsed, _, err := jwt.NewParser().ParseUnverified(good, jwt.MapClaims{})
	must(t, err)
	claims := parsed.Claims.(jwt.MapClaims)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	forge := func(method jwt.SigningMethod, key any) string {
		token := jwt.NewWithClaims(method, claims)
		token.Header["kid"] = parsed.Header["kid"]
		text, err := token.SignedString(key)
		must(t, err)
		return text
	}
	parts := strings.Split(good, ".")
	claims["user_id"] = string(u.ID)
	for name, token := range map[string]string{
		"empty":              "",
		"not a token":        "hello",
		"no signature":       parts[0] + "." + parts[1] + ".",
		"another's payload":  parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"user_id":"x"}`)) + "." + parts[2],
		"alg none":           forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"another key":        forge(jwt.SigningMethodES256, other),
		"another algorithm":  forge(jwt.SigningMethodEdDSA, edwards),
		"key id as a secret": forge(jwt.SigningMethodHS256, []byte(parsed.Header["kid"].(string))),
		"unknown API token":  "naru_pat_" + strings.Repeat("A", 43),
		"very long":          strings.Repeat("a.", 1<<20),
	} {
		if _, err := b.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: err = %v, want Unauthenticated", name, err)
		}
	}
	if _, err := b.Verify(t.Context(), good); err != nil {
		t.Errorf("the good one: %v", err)
	}
	b.clock.pass(10*time.Minute + 2*time.Second)
	_, err = b.Verify(t.Context(), good)
	if f := mustBe(t, err, fault.Unauthenticated); f.Message != "the access token has expired" || f.Try != "naru login" {
		t.Errorf("message %q, try %q", f.Message, f.Try)
	}
}

func TestTokensOutliveARestart(t *testing.T) {
	b := newBench(t)
	b.user(t)
	path := filepath.Join(t.TempDir(), "keys", "token.pem")
	first, err := auth.LoadKey(path)
	must(t, err)
	tokens, err := auth.New(b.store, first, b.cfg).Login(t.Context(), "ada", secret.New("correct horse"))
	must(t, err)
	second, err := auth.LoadKey(path)
	must(t, err)
	_, err = auth.New(b.store, second, b.cfg).Verify(t.Context(), tokens.Access.Reveal())
	must(t, err)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key = %v, %v", info.Mode(), err)
	}
	must(t, os.WriteFile(path, []byte("not a key"), 0o600))
	_, err = auth.LoadKey(path)
	mustBe(t, err, fault.Invalid)
}

func TestRefreshRotatesAndTheftEndsTheSession(t *testing.T) {
	b := newBench(t)
	b.user(t)
	first := b.login(t)
	second, err := b.Refresh(t.Context(), first.Refresh)
	must(t, err)

	// The answer was lost: the client asks again with what it has.
	b.clock.pass(59 * time.Second)
	_, err = b.Refresh(t.Context(), first.Refresh)
	must(t, err)

	b.clock.pass(2 * time.Second)
	_, err = b.Refresh(t.Context(), first.Refresh)
	if f := mustBe(t, err, fault.Unauthenticated); !strings.Contains(f.Message, "used twice") {
		t.Errorf("message = %q", f.Message)
	}
	_, err = b.Refresh(t.Context(), second.Refresh)
	mustBe(t, err, fault.Unauthenticated)
	_, err = b.Verify(t.Context(), second.Access.Reveal())
	mustBe(t, err, fault.Unauthenticated)
}

// One that follows logs and others that come and go share what was written down at
// the login: each may use it, as long as the session is used at all.
func TestAStandingSessionIsShared(t *testing.T) {
	b := newBench(t)
	b.user(t)
	shared, err := b.Standing(t.Context(), b.login(t))
	must(t, err)
	for range 3 {
		b.clock.pass(29 * 24 * time.Hour)
		got, err := b.Refresh(t.Context(), shared.Refresh)
		must(t, err)
		if got.Refresh.Reveal() != shared.Refresh.Reveal() {
			t.Error("the refresh token has changed")
		}
		b.verify(t, got)
	}
	b.clock.pass(30 * 24 * time.Hour)
	_, err = b.Refresh(t.Context(), shared.Refresh)
	mustBe(t, err, fault.Unauthenticated)

	again, err := b.Standing(t.Context(), b.login(t))
	must(t, err)
	must(t, b.Logout(t.Context(), b.verify(t, again)))
	_, err = b.Refresh(t.Context(), again.Refresh)
	mustBe(t, err, fault.Unauthenticated)
}

func TestSessionEndsWhenItIsNotUsed(t *testing.T) {
	b := newBench(t)
	b.user(t)
	tokens := b.login(t)
	for range 3 { // used in time, it goes on for longer than one token lives
		b.clock.pass(29 * 24 * time.Hour)
		var err error
		tokens, err = b.Refresh(t.Context(), tokens.Refresh)
		must(t, err)
	}
	b.clock.pass(30 * 24 * time.Hour)
	_, err := b.Refresh(t.Context(), tokens.Refresh)
	mustBe(t, err, fault.Unauthenticated)
}

func TestLogoutEndsOneSessionAtOnce(t *testing.T) {
	b := newBench(t)
	b.user(t)
	here, there := b.login(t), b.login(t)
	must(t, b.Logout(t.Context(), b.verify(t, here)))
	_, err := b.Verify(t.Context(), here.Access.Reveal())
	mustBe(t, err, fault.Unauthenticated)
	_, err = b.Refresh(t.Context(), here.Refresh)
	mustBe(t, err, fault.Unauthenticated)
	b.verify(t, there)
	who := b.verify(t, there)
	mustBe(t, b.RevokeAccess(t.Context(), who, "somebody else's"), fault.NotFound)
	must(t, b.RevokeAccess(t.Context(), who, there.ID))
	_, err = b.Verify(t.Context(), there.Access.Reveal())
	mustBe(t, err, fault.Unauthenticated)
}

func TestLoginCodeWorksOnceAndNotForLong(t *testing.T) {
	b := newBench(t)
	u := b.user(t)
	code, err := b.NewLoginCode(t.Context(), u.ID)
	must(t, err)
	tokens, err := b.LoginWithCode(t.Context(), code)
	must(t, err)
	if who := b.verify(t, tokens); who.Name != "ada" {
		t.Errorf("logged in as %q", who.Name)
	}
	_, err = b.LoginWithCode(t.Context(), code)
	mustBe(t, err, fault.Unauthenticated)
	late, err := b.NewLoginCode(t.Context(), u.ID)
	must(t, err)
	b.clock.pass(15 * time.Minute)
	_, err = b.LoginWithCode(t.Context(), late)
	mustBe(t, err, fault.Unauthenticated)
}

func TestAPITokens(t *testing.T) {
	b := newBench(t)
	b.user(t)
	who := b.verify(t, b.login(t))
	token, kept, err := b.NewAPIToken(t.Context(), who, "ci", time.Hour)
	must(t, err)
	_, _, err = b.NewAPIToken(t.Context(), who, "ci", time.Hour)
	mustBe(t, err, fault.Conflict)
	_, _, err = b.NewAPIToken(t.Context(), who, "long", 100*365*24*time.Hour)
	mustBe(t, err, fault.Invalid)

	for name, pass := range map[string]secret.Secret{
		"API token": token, "access token": b.login(t).Access, "password": secret.New("correct horse"),
	} {
		got, err := b.Authenticate(t.Context(), "ada", pass)
		if err != nil || got.UserID != who.UserID {
			t.Errorf("with %s: %+v, %v", name, got, err)
		}
		if _, err := b.Authenticate(t.Context(), "bob", pass); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("with %s under another name: %v", name, err)
		}
	}
	have, err := b.APITokens(t.Context(), who)
	must(t, err)
	if len(have) != 1 || !have[0].LastUsed.Equal(b.clock.Now()) || have[0].Hash == token.Reveal() {
		t.Errorf("tokens = %+v, want one that was used now", have)
	}
	b.clock.pass(time.Hour)
	_, err = b.Verify(t.Context(), token.Reveal())
	mustBe(t, err, fault.Unauthenticated)
	must(t, b.RevokeAPIToken(t.Context(), who, kept.ID))
	mustBe(t, b.RevokeAPIToken(t.Context(), who, "ci"), fault.NotFound)
}
