package oci

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"naru/internal/fault"
	"naru/internal/id"
)

const (
	issuer   = "naru-registry"
	service  = "naru" // the audience of tokens
	maxScope = 32     // scopes in one request for a token
)

// tokens signs and reads what clients show with each request.
type tokens struct {
	key  *ecdsa.PrivateKey
	life time.Duration
}

// grant is what a token allows on one repository, in the form of distribution's
// token specification.
type grant struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

type claims struct {
	jwt.RegisteredClaims
	Identity Identity `json:"identity"`
	Access   []grant  `json:"access"`
}

// holds reports whether the token was given for an action.
func (c claims) holds(kind, name, action string) bool {
	return slices.ContainsFunc(c.Access, func(g grant) bool {
		return g.Type == kind && g.Name == name && slices.Contains(g.Actions, action)
	})
}

func (t tokens) sign(who Identity, access []grant, now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodES256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: who.Subject, Audience: jwt.ClaimStrings{service}, ID: id.New(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now.Add(-10 * time.Second)),
			ExpiresAt: jwt.NewNumericDate(now.Add(t.life)),
		},
		Identity: who, Access: access,
	}).SignedString(t.key)
}

// read checks a token. API tokens may be signed with the same key, so issuer and
// audience count as much as the signature.
func (t tokens) read(token string) (claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return &t.key.PublicKey, nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(issuer), jwt.WithAudience(service),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	return c, err
}

// serveToken gives a token for what is asked and allowed: what is not allowed is
// left out, as the specification has it. The user names themselves by basic
// authentication, or by a form with grant_type=password.
func (r *Registry) serveToken(x *exchange, req *http.Request) {
	user, password, ok := req.BasicAuth()
	switch req.Method {
	case http.MethodGet:
	case http.MethodPost:
		req.Body = http.MaxBytesReader(x, req.Body, 64<<10)
		if err := req.ParseForm(); err != nil {
			x.refuse(http.StatusBadRequest, "UNSUPPORTED", "the form cannot be read")
			return
		}
		if kind := req.PostForm.Get("grant_type"); !ok && kind != "password" {
			x.refuse(http.StatusBadRequest, "UNSUPPORTED", "grant_type %q is not known; log in with a user and a password or API token", kind)
			return
		}
		if !ok {
			user, password, ok = req.PostForm.Get("username"), req.PostForm.Get("password"), true
		}
	default:
		x.refuse(http.StatusMethodNotAllowed, "UNSUPPORTED", "tokens are asked for with GET or POST")
		return
	}
	if !ok {
		x.Header().Set("WWW-Authenticate", `Basic realm="naru"`)
		x.refuse(http.StatusUnauthorized, "UNAUTHORIZED", "log in first: docker login, with your user and password or an API token")
		return
	}
	x.user = user
	who, err := r.auth.Authenticate(req.Context(), user, password)
	if err != nil {
		r.refuseFault(x, req, err)
		return
	}
	access, err := r.grants(req, who)
	if err != nil {
		r.refuseFault(x, req, err)
		return
	}
	now := time.Now()
	token, err := r.token.sign(who, access, now)
	if err != nil {
		r.refuseFault(x, req, err)
		return
	}
	x.Header().Set("Content-Type", "application/json")
	x.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(x).Encode(map[string]any{ // the client has gone; nobody is left to tell
		"token": token, "access_token": token, "expires_in": int(r.token.life.Seconds()), "issued_at": now.UTC().Format(time.RFC3339),
	})
}

// grants answers the scopes of a request with what the identity may do.
func (r *Registry) grants(req *http.Request, who Identity) ([]grant, error) {
	var scopes []string
	for _, value := range req.Form["scope"] {
		scopes = append(scopes, strings.Fields(value)...)
	}
	for _, value := range req.URL.Query()["scope"] {
		scopes = append(scopes, strings.Fields(value)...)
	}
	if len(scopes) > maxScope {
		return nil, fault.New(fault.Invalid, "scope", "%d scopes in one request, at most %d are allowed", len(scopes), maxScope)
	}
	out := []grant{}
	for _, s := range scopes {
		g, ok := parseScope(s)
		if !ok {
			continue
		}
		if g.Type == "registry" {
			if g.Name == "catalog" {
				out = append(out, grant{g.Type, g.Name, []string{"*"}})
			}
			continue
		}
		var actions []string
		for _, a := range g.Actions {
			ok, err := r.allowed(req.Context(), who, g.Name, a)
			if err != nil {
				return nil, err
			}
			if ok {
				actions = append(actions, a)
			}
		}
		if len(actions) > 0 {
			out = append(out, grant{g.Type, g.Name, actions})
		}
	}
	return out, nil
}

// parseScope reads "repository:NAME:ACTION,ACTION"; a name may hold colons.
func parseScope(s string) (grant, bool) {
	kind, rest, ok := strings.Cut(s, ":")
	at := strings.LastIndexByte(rest, ':')
	if !ok || at < 0 {
		return grant{}, false
	}
	kind, _, _ = strings.Cut(kind, "(") // "repository(plugin)"
	if kind != "repository" && kind != "registry" {
		return grant{}, false
	}
	g := grant{Type: kind, Name: rest[:at]}
	for a := range strings.SplitSeq(rest[at+1:], ",") {
		switch {
		case a == "*" && kind == "repository":
			g.Actions = append(g.Actions, Pull, Push, Delete)
		case a != "":
			g.Actions = append(g.Actions, a)
		}
	}
	slices.Sort(g.Actions)
	g.Actions = slices.Compact(g.Actions)
	return g, true
}

// refuseFault tells a client what it can act on, and the log the rest.
func (r *Registry) refuseFault(x *exchange, req *http.Request, err error) {
	var f *fault.Error
	if errors.As(err, &f) {
		switch f.Kind {
		case fault.Unauthenticated:
			x.Header().Set("WWW-Authenticate", `Basic realm="naru"`)
			x.refuse(http.StatusUnauthorized, "UNAUTHORIZED", "%s", f.Message)
			return
		case fault.Denied:
			x.refuse(http.StatusForbidden, "DENIED", "%s", f.Message)
			return
		case fault.Invalid:
			x.refuse(http.StatusBadRequest, "UNSUPPORTED", "%s", f.Message)
			return
		case fault.TooLarge, fault.Unavailable:
			x.Header().Set("Retry-After", "5")
			x.refuse(http.StatusServiceUnavailable, "UNAVAILABLE", "%s", f.Message)
			return
		}
	}
	r.log.ErrorContext(req.Context(), "registry request failed", "path", req.URL.Path, "err", err)
	x.refuse(http.StatusInternalServerError, "UNKNOWN", "internal error")
}
