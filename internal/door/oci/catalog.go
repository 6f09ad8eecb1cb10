package oci

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/distribution/distribution/v3/registry/auth"
)

// maxCatalog is the most names in one answer.
const maxCatalog = 1000

// serveCatalog lists the repositories that the user may pull from.
func (r *Registry) serveCatalog(x *exchange, req *http.Request) {
	if !isRead(req.Method) {
		x.refuse(http.StatusMethodNotAllowed, "UNSUPPORTED", "the catalog can only be read")
		return
	}
	needs := []auth.Access{{Resource: auth.Resource{Type: "registry", Name: "catalog"}, Action: "*"}}
	c, err := r.bearer(req, needs)
	if err == nil && !c.holds("registry", "catalog", "*") {
		err = challenge{r, needs, "insufficient_scope"}
	}
	if err != nil {
		if ch, ok := err.(auth.Challenge); ok { //nolint:errorlint // made two lines above
			ch.SetHeaders(req, x)
		}
		x.refuse(http.StatusUnauthorized, "UNAUTHORIZED", "a token for the catalog is needed")
		return
	}
	n, last := maxCatalog, req.URL.Query().Get("last")
	if s := req.URL.Query().Get("n"); s != "" {
		if n, err = strconv.Atoi(s); err != nil || n < 1 {
			x.refuse(http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "n must be a number above zero (got %q)", s)
			return
		}
		n = min(n, maxCatalog)
	}
	all, err := r.repositories()
	if err != nil {
		r.refuseFault(x, req, err)
		return
	}
	names := []string{}
	more := false
	for _, name := range all {
		if name <= last {
			continue
		}
		ok, err := r.allowed(req.Context(), c.Identity, name, Pull)
		if err != nil {
			r.refuseFault(x, req, err)
			return
		}
		if !ok {
			continue
		}
		if len(names) == n {
			more = true
			break
		}
		names = append(names, name)
	}
	if more {
		next := url.Values{"n": {strconv.Itoa(n)}, "last": {names[len(names)-1]}}
		x.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?%s>; rel="next"`, next.Encode()))
	}
	x.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(x).Encode(map[string][]string{"repositories": names}) // the client has gone; nobody is left to tell
}
