package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/secret"
)

type endpoint struct {
	method, path, action string
}

// endpoints are all operations of the OpenAPI document as it is served.
func (w *world) endpoints() []endpoint {
	w.t.Helper()
	res := w.do("GET", "/v1/openapi.json", "", "")
	var doc struct {
		Paths map[string]map[string]struct {
			Action   string `json:"x-naru-action"`
			Security []any  `json:"security"`
		}
	}
	must(w.t, json.NewDecoder(res.Body).Decode(&doc))
	var out []endpoint
	for path, methods := range doc.Paths {
		for method, op := range methods {
			out = append(out, endpoint{strings.ToUpper(method), path, op.Action})
			if (len(op.Security) == 0) != (op.Action == "public") {
				w.t.Errorf("%s %s: security %v does not fit action %q", method, path, op.Security, op.Action)
			}
		}
	}
	return out
}

// personas are the identities that every route is tried with.
var personas = []string{
	"anonymous", "expired", "stranger", "auditor", "developer", "elsewhere", "manager", "admin",
	"supporter", "orgauditor", "billing", "global", "readonly",
}

// expected is the table of what each action lets whom do: ok, 401, 403 or 404,
// in the order of personas.
var expected = map[string]string{
	"public":           "ok ok ok ok ok ok ok ok ok ok ok ok ok",
	"loggedin":         "401 401 ok ok ok ok ok ok ok ok ok ok ok",
	"platform.read":    "401 401 ok ok ok ok ok ok ok ok ok ok ok",
	"platform.manage":  "401 401 403 403 403 403 403 ok 403 403 403 403 403",
	"user.manage":      "401 401 403 403 403 403 403 ok 403 403 403 403 403",
	"foundation.bake":  "401 401 403 403 403 403 403 ok 403 403 403 403 403",
	"org.read":         "401 401 404 ok ok ok ok ok ok ok ok ok ok",
	"platform.audit":   "401 401 403 403 403 403 403 ok 403 403 403 ok ok",
	"org.audit":        "401 401 404 403 403 403 ok ok 403 ok 403 ok ok",
	"space.audit":      "401 401 404 403 403 404 ok ok 403 404 404 ok ok",
	"app.configure":    "401 401 404 403 ok 404 403 ok ok 404 404 403 403",
	"org.manage":       "401 401 404 403 403 403 ok ok 403 403 403 403 403",
	"space.read":       "401 401 404 ok ok 404 ok ok ok 404 404 ok ok",
	"space.manage":     "401 401 404 403 403 404 ok ok 403 404 404 403 403",
	"app.write":        "401 401 404 403 ok 404 403 ok 403 404 404 403 403",
	"app.operate":      "401 401 404 403 ok 404 403 ok ok 404 404 403 403",
	"app.exec":         "401 401 404 403 ok 404 403 ok 403 404 404 403 403",
	"env.read":         "401 401 404 403 ok 404 403 ok ok 404 404 403 ok",
	"credential.read":  "401 401 404 403 ok 404 403 ok 403 404 404 403 ok",
	"log.read":         "401 401 404 ok ok 404 403 ok ok 404 404 ok ok",
	"route.write":      "401 401 404 403 ok 404 403 ok ok 404 404 403 403",
	"credential.write": "401 401 404 403 ok 404 403 ok 403 404 404 403 403",
	"source.write":     "401 401 404 403 ok 404 403 ok 403 404 404 403 403",
}

// exceptions are the routes whose place is not that of their action's row.
var exceptions = map[string]string{
	"POST /v1/orgs":            "401 401 403 403 403 403 403 ok 403 403 403 403 403",
	"DELETE /v1/orgs/{org}":    "401 401 404 403 403 403 403 ok 403 403 403 403 403",
	"PUT /v1/orgs/{org}/quota": "401 401 404 403 403 403 403 ok 403 403 403 403 403",
	// What belongs to a space is not its organisation's to delete into nothing:
	// seen by its developers, hidden from those of another space.
	"DELETE /v1/orgs/{org}/spaces/{space}":       "401 401 404 403 403 404 ok ok 403 404 404 403 403",
	"PUT /v1/orgs/{org}/spaces/{space}/quota":    "401 401 404 403 403 404 ok ok 403 404 404 403 403",
	"DELETE /v1/orgs/{org}/spaces/{space}/quota": "401 401 404 403 403 404 ok ok 403 404 404 403 403",
}

func TestEveryRouteAsksForItsRole(t *testing.T) {
	w := newWorld(t, api.Config{Logins: api.Rate{Burst: 1 << 20, PerMinute: 1 << 20}, Requests: api.Rate{Burst: 1 << 20, PerMinute: 1 << 20}, Heartbeat: time.Second})
	other, err := w.store.CreateSpace(t.Context(), w.org.ID, "other", event.Event{Kind: "space.created", Actor: "test", Subject: "other"})
	must(t, err)
	in := func(r auth.Role, space bool) auth.Grant {
		g := auth.Grant{Role: r, Org: w.org.ID}
		if space {
			g.Space = w.space.ID
		}
		return g
	}
	w.user("stranger")
	w.user("auditor", in(auth.SpaceAuditor, true))
	w.user("developer", in(auth.SpaceDeveloper, true))
	w.user("elsewhere", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: other.ID})
	w.user("manager", in(auth.OrgManager, false))
	w.user("admin", auth.Grant{Role: auth.Admin})
	w.user("supporter", in(auth.SpaceSupporter, true))
	w.user("orgauditor", in(auth.OrgAuditor, false))
	w.user("billing", in(auth.OrgBillingManager, false))
	w.user("global", auth.Grant{Role: auth.GlobalAuditor})
	w.user("readonly", auth.Grant{Role: auth.AdminReadOnly})
	all := w.endpoints()
	if len(all) < 70 {
		t.Fatalf("only %d routes in the document", len(all))
	}
	names := map[string]string{"org": "default", "space": "dev", "app": w.app("shop").Name}
	seen := map[string]bool{}
	for _, e := range all {
		seen[e.action] = true
		row, ok := exceptions[e.method+" "+e.path]
		if !ok {
			row, ok = expected[e.action]
		}
		if !ok {
			t.Errorf("%s %s: no row says who may %q", e.method, e.path, e.action)
			continue
		}
		for i, want := range strings.Fields(row) {
			t.Run(personas[i]+"/"+e.method+strings.ReplaceAll(e.path, "/", "|"), func(t *testing.T) {
				got := w.try(t, e, personas[i], names)
				if want == "ok" && (got == "401" || got == "403" || got == "hidden") || want != "ok" && got != want && !(want == "404" && got == "hidden") {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	}
	for action := range expected {
		if !seen[action] {
			t.Errorf("no route asks for %q", action)
		}
	}
	t.Logf("%d routes x %d identities", len(all), len(personas))
}

// try sends a request without a body and returns its status; "hidden" where the
// place itself does not exist for who asks.
func (w *world) try(t *testing.T, e endpoint, persona string, names map[string]string) string {
	t.Helper()
	path := e.path
	for name, value := range names {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	if strings.Contains(path, "{operation}") {
		op, err := w.pipe.op(t.Context(), ask("somebody"), "push", w.space.ID, "", nil)
		must(t, err)
		path = strings.ReplaceAll(path, "{operation}", string(op.ID))
	}
	for strings.Contains(path, "{") { // the rest names what is not there
		from, to := strings.Index(path, "{"), strings.Index(path, "}")
		path = path[:from] + "nothing" + path[to+1:]
	}
	token := ""
	switch persona {
	case "anonymous":
	case "expired":
		token = w.expired(t)
	default:
		token = w.token(persona)
	}
	// Every field is unknown, so that nothing is carried out once access is given.
	body := ""
	if e.method != "GET" && e.method != "DELETE" {
		body = `{"no such field":1}`
	}
	if e.method == "DELETE" || strings.HasSuffix(e.path, "/start") || strings.HasSuffix(e.path, "/cancel") {
		body = ""
	}
	if e.method == "DELETE" && !strings.Contains(path, "nothing") && want(e, persona) == "ok" {
		return "ok" // it would be gone for those who come after; see TestDeleting
	}
	res := w.do(e.method, path, token, body)
	code := fmt.Sprint(res.StatusCode)
	if res.StatusCode >= 400 {
		text, err := io.ReadAll(res.Body)
		must(t, err)
		var p client.Problem
		if err := json.Unmarshal(text, &p); err != nil || p.Kind == "" || p.Message == "" || p.RequestID == "" {
			t.Fatalf("status %d is no problem: %s", res.StatusCode, text)
		}
		if res.StatusCode == 500 {
			t.Errorf("internal error: %s", w.logs)
		}
		if code == "404" && slices.Contains([]string{"org", "space", "operation"}, p.Field) && strings.Contains(p.Message, "does not exist") {
			return "hidden"
		}
		if code == "401" && res.Header.Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
		if code == "401" && p.Try != "naru login" {
			t.Errorf("401 leads out by %q", p.Try)
		}
	}
	return code
}

func want(e endpoint, persona string) string {
	row, ok := exceptions[e.method+" "+e.path]
	if !ok {
		row = expected[e.action]
	}
	return strings.Fields(row)[slices.Index(personas, persona)]
}

// expired is a token that was good an hour ago.
func (w *world) expired(t *testing.T) string {
	t.Helper()
	old := auth.New(w.store, w.key, auth.Config{
		Hash: auth.HashCost{MemoryKiB: 64, Passes: 1, Threads: 1}, Clock: func() time.Time { return time.Now().Add(-time.Hour) },
	})
	tokens, err := old.Login(t.Context(), "developer", secret.New(password))
	must(t, err)
	return tokens.Access.Reveal()
}

func TestHiddenLooksLikeMissing(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("stranger")
	read := func(path string) string {
		res := w.do("GET", path, w.token("stranger"), "")
		text, err := io.ReadAll(res.Body)
		must(t, err)
		var p client.Problem
		must(t, json.Unmarshal(text, &p))
		p.RequestID = ""
		return fmt.Sprintf("%d %+v", res.StatusCode, p)
	}
	there := read("/v1/orgs/default/spaces/dev/apps")
	if missing := strings.ReplaceAll(read("/v1/orgs/nowhere/spaces/dev/apps"), "nowhere", "default"); there != missing {
		t.Errorf("hidden:  %s\nmissing: %s", there, missing)
	}
	op, err := w.pipe.op(t.Context(), ask("somebody"), "push", w.space.ID, "", nil)
	must(t, err)
	none := id.New()
	hidden := read("/v1/operations/" + string(op.ID))
	if missing := strings.ReplaceAll(read("/v1/operations/"+none), none, string(op.ID)); hidden != missing {
		t.Errorf("hidden:  %s\nmissing: %s", hidden, missing)
	}
}

func TestPlatformOperationBelongsToWhoAsked(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("asker")
	w.user("other")
	op, err := w.pipe.op(t.Context(), operation.Ask{Actor: "asker"}, "bake", "", "", nil)
	must(t, err)
	for who, want := range map[string]int{"asker": http.StatusOK, "root": http.StatusOK, "other": http.StatusNotFound} {
		if got := w.do("GET", "/v1/operations/"+string(op.ID), w.token(who), "").StatusCode; got != want {
			t.Errorf("%s: status %d, want %d", who, got, want)
		}
	}
}
