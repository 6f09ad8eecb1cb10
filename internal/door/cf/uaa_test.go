package cf_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"naru/internal/auth"
	"naru/internal/secret"
)

// grant asks the UAA for tokens.
func (w *world) grant(want int, form url.Values) map[string]any {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "POST", w.url+"/login/oauth/token", strings.NewReader(form.Encode()))
	must(w.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("cf", "")
	status, _, answer := w.send(req)
	if status != want {
		w.t.Fatalf("%s: got %d %v, want %d", form.Get("grant_type"), status, answer, want)
	}
	return answer
}

func text(answer map[string]any, key string) string {
	s, _ := answer[key].(string)
	return s
}

// use makes the world's requests those of the tokens.
func (w *world) use(tokens map[string]any) { w.token = text(tokens, "access_token") }

func TestTokensSayWhatClientsRead(t *testing.T) {
	w := newWorld(t)
	got := w.grant(200, url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {password}})
	if text(got, "token_type") != "bearer" || text(got, "refresh_token") == "" {
		t.Errorf("got %v", got)
	}
	claims := jwt.MapClaims{}
	token, _, err := jwt.NewParser().ParseUnverified(text(got, "access_token"), claims)
	must(t, err)
	if token.Method.Alg() != "ES256" {
		t.Errorf("signed by %s", token.Method.Alg())
	}
	for _, key := range []string{"user_name", "user_id", "origin", "jti"} {
		if s, ok := claims[key].(string); !ok || s == "" {
			t.Errorf("claim %s is %v", key, claims[key])
		}
	}
	if claims["revocable"] != true {
		t.Error("clients would not revoke it when they log out")
	}
}

// Others check tokens with the key that the UAA shows.
func TestTheKeyChecksTokens(t *testing.T) {
	w := newWorld(t)
	got := w.grant(200, url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {password}})
	key := w.ask(http.StatusOK, "GET", "/uaa/token_key", "")
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		b, err := base64.RawURLEncoding.DecodeString(text(key, name))
		must(t, err)
		point = append(point, b...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	must(t, err)
	token, err := jwt.Parse(text(got, "access_token"), func(*jwt.Token) (any, error) { return public, nil })
	if err != nil || token.Header["kid"] != key["kid"] {
		t.Errorf("token of %v: %v", token.Header["kid"], err)
	}
	all, _ := w.ask(http.StatusOK, "GET", "/uaa/token_keys", "")["keys"].([]any)
	if len(all) != 1 {
		t.Errorf("keys: %v", all)
	}
}

func TestLogoutAndPasswordChangeEndSessions(t *testing.T) {
	login := url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {password}}
	for name, end := range map[string]func(*world, map[string]any){
		"logout": func(w *world, tokens map[string]any) {
			w.ask(http.StatusNoContent, "DELETE", "/login/oauth/token/revoke/"+text(tokens, "jti"), "")
		},
		"password": func(w *world, _ map[string]any) {
			me := w.ask(http.StatusOK, "GET", "/uaa/userinfo", "")
			w.ask(http.StatusUnauthorized, "PUT", "/uaa/Users/"+text(me, "user_id")+"/password", `{"oldPassword":"wrong one","password":"another long one"}`)
			w.ask(http.StatusOK, "PUT", "/uaa/Users/"+text(me, "user_id")+"/password", `{"oldPassword":"`+password+`","password":"another long one"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := w.grant(200, login)
			second := w.grant(200, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(first, "refresh_token")}})
			w.use(second)
			w.ask(http.StatusOK, "GET", "/v3/organizations", "")
			end(w, second)
			if got := title(w.ask(http.StatusUnauthorized, "GET", "/v3/organizations", "")); got != "CF-InvalidAuthToken" {
				t.Errorf("got %s", got)
			}
			got := w.grant(http.StatusUnauthorized, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(second, "refresh_token")}})
			if text(got, "error") != "invalid_token" {
				t.Errorf("refresh: %v", got)
			}
		})
	}
}

// Clients that run at once share the refresh token of their login, as with a UAA:
// one of them must not take it from the others.
func TestRefreshTokensStay(t *testing.T) {
	w := newWorld(t)
	first := w.grant(200, url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {password}})
	for range 2 {
		again := w.grant(200, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(first, "refresh_token")}})
		if text(again, "refresh_token") != text(first, "refresh_token") {
			t.Error("the refresh token has changed")
		}
		w.use(again)
		w.ask(http.StatusOK, "GET", "/v3/apps", "")
	}
}

func TestAPITokensAreClientsAndPasswords(t *testing.T) {
	w := newWorld(t)
	who, err := w.auth.Authenticate(t.Context(), "admin", secret.New(password))
	must(t, err)
	token, _, err := w.auth.NewAPIToken(t.Context(), who, "ci", 0)
	must(t, err)
	asClient := w.grant(200, url.Values{"grant_type": {"client_credentials"}, "client_id": {"ci"}, "client_secret": {token.Reveal()}})
	asUser := w.grant(200, url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {token.Reveal()}})
	again := w.grant(200, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(asUser, "refresh_token")}})
	claims := jwt.MapClaims{}
	_, _, err = jwt.NewParser().ParseUnverified(text(asClient, "access_token"), claims)
	must(t, err)
	if _, person := claims["user_name"]; person || claims["client_id"] != "ci" {
		t.Errorf("a client's claims are %v", claims)
	}
	all := []map[string]any{asClient, asUser, again}
	for _, tokens := range all {
		w.use(tokens)
		w.ask(http.StatusOK, "GET", "/v3/apps", "")
	}
	w.ask(http.StatusNoContent, "DELETE", "/login/oauth/token/revoke/"+text(again, "jti"), "")
	w.ask(http.StatusUnauthorized, "GET", "/v3/apps", "")
	must(t, w.auth.RevokeAPIToken(t.Context(), who, "ci"))
	for _, tokens := range all {
		w.use(tokens)
		w.ask(http.StatusUnauthorized, "GET", "/v3/apps", "")
	}
	w.grant(http.StatusUnauthorized, url.Values{"grant_type": {"client_credentials"}, "client_id": {"ci"}, "client_secret": {token.Reveal()}})
}

// Where an access token is over, the client asks the UAA for another if the UAA
// says so in its own form.
func TestTheUAATellsOfTokensThatAreOver(t *testing.T) {
	w := newWorld(t)
	tokens := w.grant(200, url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {password}})
	w.use(tokens)
	w.ask(http.StatusNoContent, "DELETE", "/login/oauth/token/revoke/"+text(tokens, "jti"), "")
	for _, path := range []string{"/uaa/Users", "/uaa/userinfo", "/uaa/oauth/authorize", "/uaa/oauth/clients/x"} {
		if got := text(w.ask(http.StatusUnauthorized, "GET", path, ""), "error"); got != "invalid_token" {
			t.Errorf("%s: %q", path, got)
		}
	}
	w.token = ""
	if got := text(w.ask(http.StatusUnauthorized, "GET", "/uaa/Users", ""), "error"); got != "unauthorized" {
		t.Errorf("without a token: %q", got)
	}
}

// A program that logged in as a client asks after itself and takes roles, as the
// client does after create-space; they are its user's.
func TestRolesOfAClient(t *testing.T) {
	w := newWorld(t)
	who, err := w.auth.Authenticate(t.Context(), "admin", secret.New(password))
	must(t, err)
	token, _, err := w.auth.NewAPIToken(t.Context(), who, "ci", 0)
	must(t, err)
	role := func(guid string) string {
		return fmt.Sprintf(`{"type":"organization_manager","relationships":{"organization":{"data":{"guid":%q}},"user":{"data":{"guid":%q}}}}`, w.org.ID, guid)
	}
	w.use(w.grant(200, url.Values{"grant_type": {"client_credentials"}, "client_id": {"ci"}, "client_secret": {token.Reveal()}}))
	w.ask(200, "GET", "/uaa/oauth/clients/ci", "")
	w.ask(404, "GET", "/uaa/oauth/clients/other", "")
	w.ask(422, "POST", "/v3/roles", role("other"))
	given := w.ask(201, "POST", "/v3/roles", role("ci"))
	if got := fmt.Sprint(given["relationships"].(map[string]any)["user"]); got != fmt.Sprintf("map[data:map[guid:%s]]", who.UserID) {
		t.Errorf("the role is of %s", got)
	}
	w.login("admin")
	w.ask(404, "GET", "/uaa/oauth/clients/ci", "")
}

// The code that naru prints at its first start lets in once.
func TestOneTimeCodes(t *testing.T) {
	w := newWorld(t)
	admin, err := w.store.UserNamed(t.Context(), "admin", auth.Origin)
	must(t, err)
	code, err := w.auth.NewLoginCode(t.Context(), admin.ID)
	must(t, err)
	form := url.Values{"grant_type": {"password"}, "passcode": {code.Reveal()}}
	w.use(w.grant(200, form))
	w.ask(http.StatusOK, "GET", "/v3/apps", "")
	w.grant(401, form)
}

func TestWrongLogins(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		form   url.Values
		status int
		want   string
	}{
		"password": {url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {"no"}}, 401, "unauthorized"},
		"user":     {url.Values{"grant_type": {"password"}, "username": {"nobody"}, "password": {password}}, 401, "unauthorized"},
		"code":     {url.Values{"grant_type": {"password"}, "passcode": {"naru_code_x"}}, 401, "unauthorized"},
		"refresh":  {url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, 401, "invalid_token"},
		"client":   {url.Values{"grant_type": {"client_credentials"}, "client_id": {"a"}, "client_secret": {"b"}}, 401, "unauthorized"},
		"no name":  {url.Values{"grant_type": {"client_credentials"}, "client_secret": {"b"}}, 401, "unauthorized"},
		"grant":    {url.Values{"grant_type": {"implicit"}}, 400, "unsupported_grant_type"},
		"vouched":  {url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"a.b.c"}}, 401, "unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := text(w.grant(c.status, c.form), "error"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	// The client has its own words for this one.
	form := url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {"no"}}
	if got := text(w.grant(401, form), "error_description"); got != "Bad credentials" {
		t.Errorf("a wrong password: %q", got)
	}
	t.Run("too often", func(t *testing.T) {
		form := url.Values{"grant_type": {"password"}, "username": {"locked"}, "password": {"no"}}
		for range 6 {
			w.grant(401, form)
		}
		if got := w.grant(401, form); !strings.Contains(text(got, "error_description"), "has been locked") {
			t.Errorf("got %v", got)
		}
	})
}

// A provider of identities is named as a hint; only naru's own is there.
func TestOrigins(t *testing.T) {
	w := newWorld(t)
	form := url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {password}}
	for hint, want := range map[string]int{`{"origin":"naru"}`: 200, `{"origin":"uaa"}`: 200, `{"origin":"ldap"}`: 401, `{"origin":7}`: 401, "ldap": 401} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", w.url+"/login/oauth/token?login_hint="+url.QueryEscape(hint), strings.NewReader(form.Encode()))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		status, _, answer := w.send(req)
		if status != want || want == 401 && !strings.Contains(text(answer, "error_description"), "does not match an active Identity Provider") {
			t.Errorf("%s: got %d %v", hint, status, answer)
		}
	}
}

// At names of its own each part is at the root of its name, and what is not Cloud
// Foundry's at the name api is naru's own API's.
func TestNames(t *testing.T) {
	w := newWorld(t)
	others := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) })
	door := w.door.Beside(others)
	for url, want := range map[string]int{
		"http://api.naru.localhost/":                      200,
		"http://api.naru.localhost:8080/v3/info":          200,
		"http://API.naru.localhost/v3/apps":               401,
		"http://api.naru.localhost/v2/info":               404,
		"http://api.naru.localhost/v1/info":               418,
		"http://login.naru.localhost/login":               200,
		"http://uaa.naru.localhost/token_keys":            200,
		"http://log-cache.naru.localhost/api/v1/info":     200,
		"http://log-cache.naru.localhost/api/v1/read/abc": 401,
		"http://prometheus.naru.localhost/":               418,
		"http://shop.localhost/":                          418,
	} {
		rec := httptest.NewRecorder()
		door.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", url, nil))
		if rec.Code != want {
			t.Errorf("%s: got %d, want %d", url, rec.Code, want)
		}
		if url == "http://api.naru.localhost/" && !strings.Contains(rec.Body.String(), `"http://log-cache.naru.localhost"`) {
			t.Errorf("the root says %s", rec.Body)
		}
	}
}
