package api_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/source"
)

// problem reads an answer that is an error.
func problem(t *testing.T, r io.Reader) client.Problem {
	t.Helper()
	var p client.Problem
	must(t, json.NewDecoder(r).Decode(&p))
	return p
}

func TestErrorsNameKindFieldAndWayOut(t *testing.T) {
	w := newWorld(t, api.Config{RequestBytes: 64 << 10})
	w.app("shop")
	const space = "/v1/orgs/default/spaces/dev"
	root := w.token("root")
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		kind               fault.Kind
		field              string
		try                bool
	}{
		"no such route":           {"GET", "/v1/nothing", "", 404, fault.NotFound, "", true},
		"no JSON":                 {"POST", space + "/apps", "{", 400, fault.Invalid, "body", false},
		"unknown field":           {"POST", space + "/apps", `{"name":"x","nmae":"y"}`, 422, fault.Invalid, "nmae", false},
		"missing field":           {"POST", space + "/apps", `{}`, 422, fault.Invalid, "name", false},
		"a name that cannot be":   {"POST", space + "/apps", `{"name":"a/b"}`, 422, fault.Invalid, "name", false},
		"taken":                   {"POST", space + "/apps", `{"name":"shop"}`, 409, fault.Conflict, "name", true},
		"unknown query":           {"GET", space + "/apps?limt=3", "", 422, fault.Invalid, "limt", false},
		"page too large":          {"GET", space + "/apps?limit=5000", "", 422, fault.Invalid, "limit", true},
		"unknown app":             {"GET", space + "/apps/nope", "", 404, fault.NotFound, "app", true},
		"unknown space":           {"GET", "/v1/orgs/default/spaces/nope/apps", "", 404, fault.NotFound, "space", true},
		"unknown org":             {"GET", "/v1/orgs/nope", "", 404, fault.NotFound, "org", true},
		"unknown release":         {"GET", space + "/apps/shop/releases/v9", "", 404, fault.NotFound, "release", true},
		"no release at all":       {"GET", space + "/apps/shop/releases/latest", "", 422, fault.Invalid, "release", true},
		"too large":               {"POST", space + "/apps", `{"name":"` + strings.Repeat("x", 70<<10) + `"}`, 413, fault.TooLarge, "", true},
		"two sources":             {"POST", space + "/pushes", `{"app":"shop","snapshot":"a","image":"b"}`, 422, fault.Invalid, "snapshot", false},
		"no source":               {"POST", space + "/pushes", `{"app":"shop"}`, 422, fault.Invalid, "snapshot", false},
		"routes and none":         {"POST", space + "/pushes", `{"app":"shop","image":"b","no_route":true,"routes":[{"host":"a"}]}`, 422, fault.Invalid, "no_route", false},
		"our own setting":         {"PATCH", space + "/apps/shop/env", `{"set":{"PORT":"1"}}`, 422, fault.Invalid, "env.PORT", true},
		"set and unset":           {"PATCH", space + "/apps/shop/env", `{"set":{"A":"1"},"unset":["A"]}`, 422, fault.Invalid, "env.A", false},
		"a path of a port check":  {"PATCH", space + "/apps/shop", `{"processes":{"web":{"check":"port","path":"/ok"}}}`, 422, fault.Invalid, "processes.web.path", true},
		"a bad duration":          {"PATCH", space + "/apps/shop", `{"processes":{"web":{"stop_grace":"soon"}}}`, 422, fault.Invalid, "body", false},
		"no such role":            {"PUT", space + "/grants/king/root", "", 422, fault.Invalid, "role", true},
		"a role of another place": {"PUT", space + "/grants/admin/root", "", 422, fault.Invalid, "role", false},
		"no such user":            {"PUT", space + "/grants/space_developer/nobody", "", 404, fault.NotFound, "user", true},
		"oneself":                 {"DELETE", "/v1/users/root", "", 409, fault.Conflict, "user", true},
		"wrong credential":        {"PUT", space + "/credentials/git.example", `{"password":"wrong"}`, 422, fault.Invalid, "password", true},
		"a wrong archive":         {"POST", space + "/source/archives", `{}`, 422, fault.Invalid, "Content-Type", false},
		"terminal without person": {"POST", space + "/apps/shop/tasks", `{"command":["ls"],"tty":true}`, 422, fault.Invalid, "tty", true},
		"unknown task":            {"GET", space + "/apps/shop/tasks/7", "", 404, fault.NotFound, "task", true},
		"not a cursor":            {"GET", space + "/apps/shop/logs?cursor=x", "", 422, fault.Invalid, "cursor", false},
		"not a socket":            {"GET", space + "/apps/shop/exec", "", 422, fault.Invalid, "Upgrade", true},
		"unknown route":           {"DELETE", space + "/apps/shop/routes/a.example", "", 404, fault.NotFound, "route", true},
		"unknown foundation":      {"GET", "/v1/foundations/cobol", "", 404, fault.NotFound, "foundation", true},
	} {
		t.Run(name, func(t *testing.T) {
			res := w.do(tc.method, tc.path, root, tc.body)
			p := problem(t, res.Body)
			if res.StatusCode != tc.status || p.Status != tc.status || p.Kind != string(tc.kind) || p.Field != tc.field || (p.Try != "") != tc.try {
				t.Errorf("got %d %+v\nwant %d %s field %q, a way out: %v", res.StatusCode, p, tc.status, tc.kind, tc.field, tc.try)
			}
			if p.RequestID == "" || p.RequestID != res.Header.Get("X-Request-Id") {
				t.Errorf("request id %q, header %q", p.RequestID, res.Header.Get("X-Request-Id"))
			}
			if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestInternalErrorsStayInTheLog(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.pipe.fail = errors.New("password=hunter2 at 10.0.0.7")
	_, err := w.dev("root").Plan(t.Context(), client.PlanRequest{Source: client.Source{Snapshot: "x"}})
	if !fault.Is(err, fault.Internal) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "request ") {
		t.Errorf("err = %v, want an internal error with its request", err)
	}
	if !strings.Contains(w.logs.String(), "10.0.0.7") {
		t.Error("the log does not say what happened")
	}
}

func TestPanicIsOneRequestsError(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.pipe.sources = nil // the next upload meets a nil pointer
	_, err := w.dev("root").MissingSource(t.Context(), []string{strings.Repeat("a", 64)})
	if !fault.Is(err, fault.Internal) {
		t.Errorf("err = %v, want internal", err)
	}
	if !strings.Contains(w.logs.String(), `"msg":"panic"`) {
		t.Error("the panic is not in the log")
	}
	if _, err := w.client("").Info(t.Context()); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

func TestSecretsAreNeverShownNorLogged(t *testing.T) {
	w := newWorld(t, api.Config{})
	a := w.app("shop")
	shop := w.dev("root").App("shop")
	changed, err := shop.ChangeEnv(t.Context(), client.EnvChange{Set: map[string]string{"A": "1"}, Secret: map[string]string{"KEY": "s3cr3t"}, Restart: true})
	must(t, err)
	if changed.Env.Env["KEY"] != "***" || changed.Env.Env["A"] != "1" || changed.Operation == nil {
		t.Errorf("changed = %+v", changed)
	}
	w.pipe.mu.Lock()
	got := w.pipe.env.Secrets["KEY"].Reveal()
	w.pipe.mu.Unlock()
	if got != "s3cr3t" {
		t.Errorf("the pipeline was given %q", got)
	}
	if log := w.logs.String(); strings.Contains(log, "s3cr3t") || strings.Contains(log, w.token("root")) {
		t.Error("the log holds a secret")
	}
	w.user("auditor", auth.Grant{Role: auth.SpaceAuditor, Org: w.org.ID, Space: w.space.ID})
	_, err = w.store.CutRelease(t.Context(), a.ID, func(n int, now time.Time) (release.Release, error) {
		have, err := w.store.App(t.Context(), a.ID)
		if err != nil {
			return release.Release{}, err
		}
		return release.Cut(have, artifact.Image{Ref: foundation.Ref}, n, "push", "root", now)
	})
	must(t, err)
	for who, want := range map[string]string{"root": "1", "auditor": ""} {
		rel, err := w.dev(who).App("shop").Release(t.Context(), "v1")
		must(t, err)
		if rel.Env["A"] != want {
			t.Errorf("%s reads A = %q, want %q", who, rel.Env["A"], want)
		}
	}
}

func TestAskingTwiceWithOneKeyIsAskingOnce(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	const path = "/v1/orgs/default/spaces/dev/apps"
	root := w.token("root")
	first := w.do("POST", path, root, `{"name":"shop"}`, "Idempotency-Key", "k1")
	again := w.do("POST", path, root, `{"name":"shop"}`, "Idempotency-Key", "k1")
	a, err := io.ReadAll(first.Body)
	must(t, err)
	b, err := io.ReadAll(again.Body)
	must(t, err)
	if first.StatusCode != 201 || again.StatusCode != 201 || !bytes.Equal(a, b) || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("first %d %s\nagain %d %s", first.StatusCode, a, again.StatusCode, b)
	}
	if w.pipe.created != 1 {
		t.Errorf("made %d times", w.pipe.created)
	}
	if got := w.do("GET", path+"/sh%00p", root, "").StatusCode; got != 422 && got != 400 {
		t.Errorf("a NUL in the path: %d", got)
	}
	if got := w.do("POST", path+"/shop/start", root, "", "Idempotency-Key", "k1").StatusCode; got != 422 {
		t.Errorf("the key for another request: %d, want 422", got)
	}
	if got := w.do("POST", path, w.token("dev"), `{"name":"shop"}`, "Idempotency-Key", "k1").StatusCode; got != 409 {
		t.Errorf("the key of somebody else: %d, want 409", got)
	}
	if got := w.do("POST", path, root, `{"name":"a/b"}`, "Idempotency-Key", "k2").StatusCode; got != 422 {
		t.Errorf("a failure: %d", got)
	}
	if got := w.do("POST", path, root, `{"name":"ab"}`, "Idempotency-Key", "k2").StatusCode; got != 201 {
		t.Errorf("after a failure the key works again: %d, want 201", got)
	}
	op := w.do("POST", path+"/shop/start", root, "", "Idempotency-Key", "k3")
	var o client.Operation
	must(t, json.NewDecoder(op.Body).Decode(&o))
	if op.StatusCode != 202 || op.Header.Get("Location") != "/v1/operations/"+o.ID {
		t.Errorf("%d, location %q", op.StatusCode, op.Header.Get("Location"))
	}
	replay := w.do("POST", path+"/shop/start", root, "", "Idempotency-Key", "k3")
	if replay.Header.Get("Location") != "/v1/operations/"+o.ID {
		t.Errorf("replayed location %q", replay.Header.Get("Location"))
	}
}

func TestTokensAreNotRemembered(t *testing.T) {
	w := newWorld(t, api.Config{})
	root := w.token("root")
	for _, want := range []int{201, 409} {
		if got := w.do("POST", "/v1/me/tokens", root, `{"name":"ci"}`, "Idempotency-Key", "k").StatusCode; got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
}

func TestLoginsAreLimitedPerAddress(t *testing.T) {
	w := newWorld(t, api.Config{Logins: api.Rate{Burst: 2, PerMinute: 1}})
	var codes []int
	for range 3 {
		codes = append(codes, w.do("POST", "/v1/auth/redeem", "", `{"code":"wrong"}`).StatusCode)
	}
	if codes[0] != 401 || codes[1] != 401 || codes[2] != 429 {
		t.Errorf("codes %v, want 401 401 429", codes)
	}
}

func TestListsHavePages(t *testing.T) {
	w := newWorld(t, api.Config{})
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		w.app(name)
	}
	dev, names := w.dev("root"), ""
	first, err := dev.Apps(t.Context(), client.Page{Limit: 2})
	must(t, err)
	if len(first.Items) != 2 || first.Next != "b" {
		t.Errorf("first page %+v", first)
	}
	for a, err := range client.All(t.Context(), dev.Apps) {
		must(t, err)
		names += a.Name
	}
	if names != "abcde" {
		t.Errorf("all pages: %q", names)
	}
	ops := 0
	for range 5 {
		_, err := dev.App("a").Start(t.Context())
		must(t, err)
	}
	q := client.OperationQuery{Page: client.Page{Limit: 2}}
	for {
		l, err := dev.Operations(t.Context(), q)
		must(t, err)
		ops += len(l.Items)
		if q.After = l.Next; q.After == "" {
			break
		}
	}
	if ops != 5 {
		t.Errorf("%d operations on all pages, want 5", ops)
	}
}

func TestAppShowsWhatRuns(t *testing.T) {
	w := newWorld(t, api.Config{AppsDomain: "localhost", AppsURL: "http://localhost:8080"})
	a := w.app("shop")
	shop := w.dev("root").App(string(a.ID))
	empty, err := shop.Get(t.Context())
	must(t, err)
	if empty.Health != "empty" || empty.Groups == nil || empty.Routes == nil {
		t.Errorf("empty app: %+v", empty)
	}
	rel, err := w.store.CutRelease(t.Context(), a.ID, func(n int, now time.Time) (release.Release, error) {
		return release.Cut(a, artifact.Image{Ref: foundation.Ref, Processes: []app.Process{{Type: "web"}}}, n, "push", "root", now)
	})
	must(t, err)
	g, err := w.store.CreateGroup(t.Context(), run.Group{ID: "g1", App: a.ID, Space: w.space.ID, Process: "web", Release: rel.ID, Size: 1})
	must(t, err)
	now := time.Now().UTC()
	must(t, w.store.AddInstance(t.Context(), run.Instance{ID: "i1", Group: g.ID, State: run.Pending, Created: now, Since: now, Restarts: 2}))
	for _, state := range []run.State{run.Starting, run.Healthy} {
		_, err = w.store.UpdateInstance(t.Context(), "i1", func(i run.Instance, now time.Time) (run.Instance, error) {
			i.Started, i.LastExit = now, &run.Exit{Code: 3, Reason: "exit 3", At: now}
			return i.Move(state, now)
		})
		must(t, err)
	}
	_, err = shop.MapRoute(t.Context(), client.NewRoute{Host: "shop"})
	must(t, err)
	d, err := shop.Get(t.Context())
	must(t, err)
	if d.Health != "healthy" || d.Processes[0].Healthy != 1 || d.URL != "http://shop.localhost:8080/" || len(d.Groups) != 1 || !d.Routes[0].Default {
		t.Errorf("app: %+v", d)
	}
	if i := d.Groups[0].Instances[0]; i.State != "healthy" || i.Restarts != 2 || i.LastExit == nil || i.LastExit.Reason != "exit 3" || d.Groups[0].Release != 1 {
		t.Errorf("group: %+v", d.Groups[0])
	}
	usage, err := shop.Stats(t.Context())
	must(t, err)
	if len(usage) != 1 || usage[0].CPUSeconds != 1.5 || usage[0].MemoryLimit != 256<<20 {
		t.Errorf("usage: %+v", usage)
	}
	must(t, shop.UnmapRoute(t.Context(), "shop.localhost"))
}

func TestSourceGoesUpOnceAndIsFrozen(t *testing.T) {
	w := newWorld(t, api.Config{UploadBytes: 1 << 20})
	dev := w.dev("root")
	content := []byte("hello")
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:])
	missing, err := dev.MissingSource(t.Context(), []string{hash})
	must(t, err)
	if len(missing) != 1 || missing[0] != hash {
		t.Fatalf("missing %v", missing)
	}
	got, err := dev.UploadSource(t.Context(), tarOf(t, hash, content))
	must(t, err)
	if got.Files != 1 || got.Bytes != 5 {
		t.Errorf("received %+v", got)
	}
	if missing, err = dev.MissingSource(t.Context(), []string{hash}); err != nil || len(missing) != 0 {
		t.Errorf("still missing %v, %v", missing, err)
	}
	m := source.Manifest{{Path: "a.txt", Mode: source.Plain, Size: 5, SHA256: hash}}
	snap, err := dev.FreezeSource(t.Context(), client.NewSnapshot{Files: m, Origin: client.Origin{Kind: "git", URL: "https://me:hunter2@git.example/x"}})
	must(t, err)
	if snap.Digest != m.Digest() || strings.Contains(snap.Origin.URL, "hunter2") {
		t.Errorf("snapshot %+v", snap)
	}
	again, err := dev.Snapshot(t.Context(), snap.Digest)
	if err != nil || again.ID != snap.ID {
		t.Errorf("found %+v, %v", again, err)
	}
	_, err = dev.FreezeSource(t.Context(), client.NewSnapshot{Files: source.Manifest{{Path: "../x", Mode: source.Plain, Size: 5, SHA256: hash}}})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("a path that leaves the tree: %v", err)
	}
	big := bytes.Repeat([]byte("x"), 2<<20)
	sum = sha256.Sum256(big)
	_, err = dev.UploadSource(t.Context(), tarOf(t, hex.EncodeToString(sum[:]), big))
	if !fault.Is(err, fault.TooLarge) {
		t.Errorf("an upload over the limit: %v", err)
	}
}

// tarOf is a stream of unknown length with one file.
func tarOf(t *testing.T, name string, content []byte) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
	_, err := w.Write(content)
	must(t, err)
	must(t, w.Close())
	return io.MultiReader(&b)
}

func TestReadyTellsWhatIsNot(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.pipe.waiting = []string{"gateway"}
	h, err := w.client("").Ready(t.Context())
	if err != nil || h.Status != "starting" || len(h.Parts) != 1 {
		t.Errorf("ready: %+v, %v", h, err)
	}
	if got := w.do("GET", "/v1/readyz", "", "").StatusCode; got != 503 {
		t.Errorf("status %d, want 503", got)
	}
}

func TestBrokenBackupIsNotTakenForWhole(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.pipe.fail = errors.New("disk on fire")
	var b bytes.Buffer
	if err := w.client("root").Backup(t.Context(), &b, true); !fault.Is(err, fault.Unavailable) {
		t.Errorf("half a backup: %q, %v", b.String(), err)
	}
	b.Reset()
	if err := w.client("root").Backup(t.Context(), &b, false); err != nil || b.String() != "backup" {
		t.Errorf("a backup: %q, %v", b.String(), err)
	}
}
