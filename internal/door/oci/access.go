package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/distribution/distribution/v3/registry/auth"

	"naru/internal/artifact"
)

// access is the Registry as distribution's access controller. Distribution's own
// router says which repository and action a request is about, so that nothing
// here could read a path differently.
type access Registry

var _ auth.AccessController = (*access)(nil)

// challenge sends the client to the token endpoint for what it lacks.
type challenge struct {
	r       *Registry
	needs   []auth.Access
	because string // error code of RFC 6750; "" where no token came
}

func (c challenge) Error() string { return "a token is needed: " + c.because }

// SetHeaders names the endpoint and the scopes.
func (c challenge) SetHeaders(req *http.Request, w http.ResponseWriter) {
	value := fmt.Sprintf("Bearer realm=%q,service=%q", c.r.realm(req), service)
	var scopes []string
	actions := map[string][]string{}
	for _, a := range c.needs {
		of := a.Type + ":" + a.Name
		if actions[of] == nil {
			scopes = append(scopes, of)
		}
		actions[of] = append(actions[of], a.Action)
	}
	for i, of := range scopes {
		scopes[i] = of + ":" + strings.Join(actions[of], ",")
	}
	if len(scopes) > 0 {
		value += fmt.Sprintf(",scope=%q", strings.Join(scopes, " "))
	}
	if c.because != "" {
		value += fmt.Sprintf(",error=%q", c.because)
	}
	w.Header().Set("WWW-Authenticate", value)
}

// realm is the token endpoint under the name the client used.
func (r *Registry) realm(req *http.Request) string {
	if r.cfg.URL != "" {
		return strings.TrimSuffix(r.cfg.URL, "/") + "/v2/token"
	}
	scheme := "http"
	if req.TLS != nil || req.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + req.Host + "/v2/token"
}

// final answers in naru's words and keeps distribution from adding its own.
type final struct{ answer func(x *exchange) }

func (final) Error() string { return "refused" }

// SetHeaders sends the whole answer.
func (f final) SetHeaders(req *http.Request, _ http.ResponseWriter) {
	if x, ok := req.Context().Value(exchangeKey{}).(*exchange); ok {
		f.answer(x)
	}
}

// Authorized checks a request's token against what distribution says it needs.
func (a *access) Authorized(req *http.Request, needs ...auth.Access) (*auth.Grant, error) {
	r := (*Registry)(a)
	c, err := r.bearer(req, needs)
	if err != nil {
		return nil, err
	}
	for _, need := range needs {
		if c.holds(need.Type, need.Name, need.Action) {
			continue
		}
		err := r.lacking(req, c, need, needs)
		if _, refused := errors.AsType[final](err); refused && unmounted(req, need) {
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	if err := r.guardDelete(req, needs); err != nil {
		return nil, err
	}
	return &auth.Grant{User: auth.UserInfo{Name: c.Identity.Name}}, nil
}

// unmounted makes an ordinary upload of one that would take a layer over from a
// repository that may not be read: pushers ask for that on the word of another
// registry at the same host, and give up where they are refused.
func unmounted(req *http.Request, need auth.Access) bool {
	if req.Method != http.MethodPost || need.Action != "pull" || need.Name != req.Form.Get("from") {
		return false
	}
	req.Form.Del("from") // the handler reads the same form
	req.Form.Del("mount")
	return true
}

// bearer reads the token of a request.
func (r *Registry) bearer(req *http.Request, needs []auth.Access) (claims, error) {
	kind, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if token == "" || !strings.EqualFold(kind, "Bearer") {
		return claims{}, challenge{r: r, needs: needs}
	}
	c, err := r.token.read(token)
	if err != nil {
		return claims{}, challenge{r, needs, "invalid_token"}
	}
	if x, ok := req.Context().Value(exchangeKey{}).(*exchange); ok {
		x.user = c.Identity.Name
	}
	return c, nil
}

// lacking tells apart what another token would allow and what none will.
func (r *Registry) lacking(req *http.Request, c claims, need auth.Access, needs []auth.Access) error {
	ok, err := r.allowed(req.Context(), c.Identity, need.Name, need.Action)
	switch {
	case err != nil:
		return final{func(x *exchange) { r.refuseFault(x, req, err) }}
	case ok:
		return challenge{r, needs, "insufficient_scope"}
	case !wellNamed(need.Name):
		return final{func(x *exchange) {
			x.refuse(http.StatusForbidden, "DENIED", "%s is not a repository here: names are ORG/SPACE/APP or %s/NAME", need.Name, Foundations)
		}}
	}
	return final{func(x *exchange) {
		x.refuse(http.StatusForbidden, "DENIED", "%s may not %s %s", c.Identity.Name, need.Action, need.Name)
	}}
}

var aManifest = regexp.MustCompile(`/manifests/(sha256:[0-9a-f]{64})$`)

// guardDelete keeps clients from deleting an image that is needed.
func (r *Registry) guardDelete(req *http.Request, needs []auth.Access) error {
	m := aManifest.FindStringSubmatch(req.URL.Path)
	if req.Method != http.MethodDelete || m == nil || len(needs) == 0 || r.cfg.Kept == nil {
		return nil
	}
	ref := artifact.Ref{Repository: needs[0].Name, Digest: m[1]}
	used, err := r.needed(req.Context(), ref)
	if err != nil {
		return final{func(x *exchange) { r.refuseFault(x, req, err) }}
	}
	if used {
		return final{func(x *exchange) {
			x.refuse(http.StatusConflict, "DENIED", "a release needs %s; it is removed by itself when none does", ref)
		}}
	}
	return nil
}

// needed reports whether an image, or an index it is part of, is kept.
func (r *Registry) needed(ctx context.Context, ref artifact.Ref) (bool, error) {
	todo := []string{}
	for kept, err := range r.cfg.Kept(ctx) {
		if err != nil {
			return false, err
		}
		if kept.Repository == ref.Repository {
			todo = append(todo, kept.Digest)
		}
	}
	for seen := map[string]bool{}; len(todo) > 0; {
		digest := todo[0]
		todo = todo[1:]
		if digest == ref.Digest {
			return true, nil
		}
		if seen[digest] {
			continue
		}
		seen[digest] = true
		m, err := r.readManifest(digest)
		if errors.Is(err, errNoBlob) {
			continue
		}
		if err != nil {
			return false, err
		}
		todo = append(todo, m.manifests()...)
	}
	return false, nil
}
