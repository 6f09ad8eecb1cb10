package cf

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/secret"
)

func (d *Door) uaaRoutes() []endpoint {
	all := []endpoint{
		{pattern: "GET /login", open: true, do: (*Door).prompts},
		{pattern: "GET /info", open: true, do: (*Door).prompts},
		{pattern: "POST /oauth/token", open: true, do: (*Door).token},
		{pattern: "DELETE /oauth/token/revoke/{token}", do: (*Door).revoke},
		{pattern: "GET /token_key", open: true, do: (*Door).tokenKey},
		{pattern: "GET /token_keys", open: true, do: (*Door).tokenKeys},
		{pattern: "GET /userinfo", do: (*Door).userInfo},
		{pattern: "GET /oauth/authorize", do: (*Door).authorize},
		{pattern: "GET /oauth/clients/{client}", do: (*Door).client},
		{pattern: "GET /Users", do: (*Door).findUsers},
		{pattern: "POST /Users", do: (*Door).createUser},
		{pattern: "DELETE /Users/{guid}", do: (*Door).deleteUser},
		{pattern: "PUT /Users/{guid}/password", do: (*Door).changePassword},
	}
	for i, e := range all {
		all[i].uaa, all[i].do = true, func(d *Door, c *call) error { return oauth(e.do(d, c)) }
	}
	return all
}

// oauthError is an error in the form of OAuth 2, as a UAA has it.
type oauthError struct {
	status      int
	Err         string `json:"error"`
	Description string `json:"error_description"`
}

func (e oauthError) Error() string { return e.Description }

// locked is the text by which the cf client knows that another try is useless.
const locked = "Your account has been locked because of too many failed attempts to login."

// Texts that the cf client knows, and says in its own words.
const (
	rejected = "Bad credentials"
	stranger = "The origin provided in the login_hint does not match an active Identity Provider, that supports password grant."
)

// oauth gives an error of naru's the form of the UAA's. What is none of them, and
// internal ones, stay what they are.
func oauth(err error) error {
	if err == nil {
		return nil
	}
	switch f := fault.Of(err); {
	case errors.Is(err, auth.ErrLocked):
		return oauthError{http.StatusUnauthorized, "unauthorized", locked}
	case f.Kind == fault.Unauthenticated:
		return oauthError{http.StatusUnauthorized, "unauthorized", f.Message}
	case f.Kind == fault.Unavailable:
		return oauthError{http.StatusServiceUnavailable, "temporarily_unavailable", f.Message}
	case f.Kind == fault.Denied:
		return oauthError{http.StatusForbidden, "insufficient_scope", "Insufficient scope for this resource"}
	case f.Kind == fault.NotFound:
		return oauthError{http.StatusNotFound, "scim_resource_not_found", f.Message}
	case f.Kind == fault.Conflict:
		return oauthError{http.StatusConflict, "scim_resource_already_exists", f.Message}
	case f.Kind == fault.Invalid, f.Kind == fault.Unsupported:
		return oauthError{http.StatusBadRequest, "invalid_scim_resource", told(f)}
	}
	return err
}

// unadmitted tells those without a login, or with one that is over, what they lack:
// clients fetch another access token where this one is called invalid, and nowhere
// else.
func unadmitted(err error) error {
	switch {
	case err == error(noToken):
		return oauthError{http.StatusUnauthorized, "unauthorized", "Full authentication is required to access this resource"}
	case fault.Is(err, fault.Unauthenticated):
		return oauthError{http.StatusUnauthorized, "invalid_token", fault.Of(err).Message}
	}
	return err
}

// prompts says what a login asks for.
func (d *Door) prompts(c *call) error {
	return c.ok(map[string]any{
		"app":       map[string]string{"version": "77.0.0"},
		"links":     map[string]string{"uaa": c.at.uaa, "login": c.at.login},
		"zone_name": "uaa", "entityID": c.at.login,
		"prompts": map[string][2]string{
			"username": {"text", "User"}, "password": {"password", "Password"}, "passcode": {"password", "One-time code"},
		},
		"timestamp": time.Now().UTC().Format(time.RFC3339),
	})
}

// assertion is the grant of those whom another authority vouches for.
const assertion = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// origin refuses a login by way of an identity provider that is not there. naru's
// own users are, to clients, those of the UAA.
func (c *call) origin() error {
	hint := c.r.URL.Query().Get("login_hint")
	if hint == "" {
		return nil
	}
	var in struct {
		Origin string `json:"origin"`
	}
	if json.Unmarshal([]byte(hint), &in) != nil || in.Origin != auth.Origin && in.Origin != "uaa" {
		return oauthError{http.StatusUnauthorized, "unauthorized", stranger}
	}
	return nil
}

// token gives tokens for what people and programs have.
func (d *Door) token(c *call) error {
	if err := c.form(); err != nil {
		return err
	}
	f, ctx := c.r.PostForm, c.ctx()
	id, secretText, basic := c.r.BasicAuth()
	var t auth.Tokens
	var err error
	switch f.Get("grant_type") {
	case "password":
		if err := c.origin(); err != nil {
			return err
		}
		password := secret.New(f.Get("password"))
		switch code := f.Get("passcode"); {
		case code != "":
			t, err = d.standing(ctx)(d.Sessions.LoginWithCode(ctx, secret.New(strings.TrimSpace(code))))
		case auth.IsAPIToken(password):
			t, err = d.exchange(c, f.Get("username"), password, false)
		default:
			t, err = d.standing(ctx)(d.Sessions.Login(ctx, f.Get("username"), password))
			if fault.Is(err, fault.Unauthenticated) && !errors.Is(err, auth.ErrLocked) {
				return oauthError{http.StatusUnauthorized, "unauthorized", rejected}
			}
		}
	case "refresh_token":
		refresh := secret.New(f.Get("refresh_token"))
		if auth.IsAPIToken(refresh) {
			t, err = d.exchange(c, "", refresh, false)
		} else {
			t, err = d.Sessions.Refresh(ctx, refresh)
		}
		if fault.Is(err, fault.Unauthenticated) {
			return oauthError{http.StatusUnauthorized, "invalid_token", fault.Of(err).Message}
		}
	case "client_credentials":
		if !basic || f.Get("client_id") != "" {
			id, secretText = f.Get("client_id"), f.Get("client_secret")
		}
		t, err = d.Sessions.Exchange(ctx, id, secret.New(secretText), true)
	case assertion:
		return oauthError{http.StatusUnauthorized, "unauthorized", "naru takes no assertions: log in with a password, a one-time code or an API token"}
	default:
		return oauthError{http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant type"}
	}
	if err != nil {
		return err
	}
	out := map[string]any{
		"access_token": t.Access.Reveal(), "token_type": "bearer", "expires_in": int(time.Until(t.Expires).Seconds()),
		"scope": strings.Join(t.Scope, " "), "jti": t.ID,
	}
	if !t.Refresh.IsZero() {
		out["refresh_token"] = t.Refresh.Reveal()
	}
	return c.ok(out)
}

// standing gives those who logged in a refresh token that stays the same, as the
// UAA does: clients write it down, and several run at once with it.
func (d *Door) standing(ctx context.Context) func(auth.Tokens, error) (auth.Tokens, error) {
	return func(t auth.Tokens, err error) (auth.Tokens, error) {
		if err != nil {
			return t, err
		}
		return d.Sessions.Standing(ctx, t)
	}
}

// exchange lets an API token stand in for a password. It refreshes itself.
func (d *Door) exchange(c *call, name string, token secret.Secret, client bool) (auth.Tokens, error) {
	t, err := d.Sessions.Exchange(c.ctx(), name, token, client)
	t.Refresh = token
	return t, err
}

// form reads a form of the body; what is in the address is not looked at.
func (c *call) form() error {
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, 64<<10)
	if err := c.r.ParseForm(); err != nil {
		return oauthError{http.StatusBadRequest, "invalid_request", "the form cannot be read"}
	}
	return nil
}

// client tells a program that logged in as one of itself. There are no others: a
// program uses the API token of a user, and may do what the user may.
func (d *Door) client(c *call) error {
	name := c.r.PathValue("client")
	if c.who.Client == "" || name != c.who.Client {
		return oauthError{http.StatusNotFound, "not_found", "naru has no clients; programs use the API tokens of users"}
	}
	return c.ok(map[string]any{"client_id": name, "name": name, "authorized_grant_types": []string{"client_credentials"}})
}

func (d *Door) revoke(c *call) error {
	if err := d.Sessions.RevokeAccess(c.ctx(), c.who, c.r.PathValue("token")); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// jwk is the public half of the key that signs access tokens.
func (d *Door) jwk() map[string]any {
	point, err := d.key.Public().Bytes() // 0x04, X, Y
	if err != nil {
		panic(err) // the key was made by us
	}
	half := 1 + (len(point)-1)/2
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": d.key.ID(), "x": b64(point[1:half]), "y": b64(point[half:]),
	}
}

func (d *Door) tokenKey(c *call) error { return c.ok(d.jwk()) }

func (d *Door) tokenKeys(c *call) error { return c.ok(map[string]any{"keys": []any{d.jwk()}}) }

func (d *Door) userInfo(c *call) error {
	return c.ok(map[string]any{
		"user_id": c.who.UserID, "sub": c.who.UserID, "user_name": c.who.Name, "name": c.who.Name, "origin": c.who.Origin,
		"email": "", "email_verified": false,
	})
}
