//go:build linux

package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"

	"naru/internal/auth"
	"naru/internal/config"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/store"
)

// TestWhoReadsAndWritesMetrics is the table of who may read the metrics of which
// of two spaces, and write into them.
func TestWhoReadsAndWritesMetrics(t *testing.T) {
	ctx := t.Context()
	st, err := store.Open(ctx, filepath.Join(t.TempDir(), "store.db"), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	org, dev, err := st.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	prod, err := st.CreateSpace(ctx, org.ID, "prod", event.Event{Kind: "space.created", Actor: "test", Subject: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	o := &observed{state: st}
	in := func(role auth.Role, spaces ...int) (all []auth.Grant) {
		for _, i := range spaces {
			g := auth.Grant{Role: role, Org: org.ID}
			switch i {
			case 1:
				g.Space = dev.ID
			case 2:
				g.Space = prod.ID
			}
			all = append(all, g)
		}
		return all
	}
	for name, c := range map[string]struct {
		who    auth.Identity
		reads  string // numbers of spaces, or all
		writes string // what "", default/dev, default/prod and default/gone lead to
	}{
		"nobody":            {who: auth.Identity{}, reads: "[]", writes: "denied not_found not_found not_found"},
		"without a role":    {who: auth.Identity{UserID: "u"}, reads: "[]", writes: "denied not_found not_found not_found"},
		"auditor of dev":    {who: auth.Identity{UserID: "u", Grants: in(auth.SpaceAuditor, 1)}, reads: "[1]", writes: "denied denied not_found not_found"},
		"developer of dev":  {who: auth.Identity{UserID: "u", Grants: in(auth.SpaceDeveloper, 1)}, reads: "[1]", writes: "dev dev not_found not_found"},
		"developer of both": {who: auth.Identity{UserID: "u", Grants: in(auth.SpaceDeveloper, 1, 2)}, reads: "[1 2]", writes: "invalid dev prod not_found"},
		"manager of all":    {who: auth.Identity{UserID: "u", Grants: in(auth.OrgManager, 0)}, reads: "[1 2]", writes: "denied denied denied not_found"},
		"admin":             {who: auth.Identity{UserID: "u", Admin: true}, reads: "all", writes: "invalid dev prod not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := o.Reader(ctx, c.who)
			if err != nil {
				t.Fatal(err)
			}
			var seen []int
			for i, id := range []string{string(dev.ID), string(prod.ID)} {
				if slices.Contains(r.Spaces, id) {
					seen = append(seen, i+1)
				}
			}
			got := fmt.Sprint(seen)
			if r.All {
				got = "all"
			}
			if got != c.reads {
				t.Errorf("reads %s, want %s", got, c.reads)
			}
			var wrote string
			for _, space := range []string{"", "default/dev", "default/prod", "default/gone"} {
				p, err := o.Writable(ctx, c.who, space)
				if err != nil {
					kind := fault.Of(err).Kind
					if c.who.UserID == "" && kind == fault.Unauthenticated { // a named space asks for a login first
						kind = fault.NotFound
					}
					wrote += string(kind) + " "
					continue
				}
				wrote += p.Space + " "
			}
			if wrote != c.writes+" " {
				t.Errorf("writes %s, want %s", wrote, c.writes)
			}
		})
	}
}

func TestTheDoorHasAName(t *testing.T) {
	says := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	h := named(config.Config{AppsDomain: "apps.example"}, says("door"), says("api"))
	for host, want := range map[string]string{
		"prometheus.naru.apps.example": "door", "Prometheus.naru.apps.example.:8080": "door", "api.naru.apps.example": "api",
		"127.0.0.1:7070": "api", "prometheus.apps.example": "api", "": "api", "[::1]:7070": "api",
	} {
		res := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		req.Host = host
		if h.ServeHTTP(res, req); res.Body.String() != want {
			t.Errorf("%q is for %s", host, res.Body)
		}
	}
}
