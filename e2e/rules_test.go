package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ask sends one request for http://APP.localhost; redirects are not followed.
func (p *platform) ask(t testing.TB, method, app, path string, with func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+app+".localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if with != nil {
		with(req)
	}
	visitor := p.visitors()
	visitor.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := visitor.Do(req)
	if err != nil {
		t.Fatalf("visit %s: %v", app, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("visit %s: %v", app, err)
	}
	return answer{resp.StatusCode, string(body), resp.Header}
}

// What people ask of a route on the command line visitors see at once: when the
// command has ended, the gateway does it.
func TestRulesOfARoute(t *testing.T) {
	t.Parallel()
	p := start(t)
	h := p.admin
	h.do(t, "push", "ruled", "--path", "../examples/static")
	const words = "Hello from static files"
	p.says(t, "ruled", "/", words)

	t.Run("maintenance", func(t *testing.T) {
		h.do(t, "route", "set", "ruled", "maintenance=Back at 10")
		if a := p.ask(t, "GET", "ruled", "/", nil); a.status != 503 || !strings.Contains(a.body, "Back at 10") || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
		h.do(t, "route", "set", "ruled", "maintenance.except=127.0.0.0/8")
		p.says(t, "ruled", "/", words)
		h.do(t, "route", "set", "ruled", "maintenance=off")
		p.says(t, "ruled", "/", words)
	})
	t.Run("redirect", func(t *testing.T) {
		h.do(t, "route", "set", "ruled", "redirect=https://new.example{path}", "redirect.status=301")
		if a := p.ask(t, "GET", "ruled", "/a/b", nil); a.status != 301 || a.header.Get("Location") != "https://new.example/a/b" {
			t.Errorf("%d %v", a.status, a.header)
		}
		h.do(t, "route", "unset", "ruled", "redirect")
		p.says(t, "ruled", "/", words)
	})
	t.Run("rate", func(t *testing.T) {
		h.do(t, "route", "set", "ruled", "rate.client=2/h")
		statuses := []int{}
		for range 3 {
			statuses = append(statuses, p.ask(t, "GET", "ruled", "/", nil).status)
		}
		if last := p.ask(t, "GET", "ruled", "/", nil); statuses[0] != 200 || statuses[1] != 200 || statuses[2] != 429 || last.status != 429 || last.header.Get("Retry-After") == "" {
			t.Errorf("statuses %v, then %d %v", statuses, last.status, last.header)
		}
		h.do(t, "route", "unset", "ruled", "rate.client")
		p.says(t, "ruled", "/", words)
	})
	t.Run("passwords", func(t *testing.T) {
		const password = "correct horse battery"
		if out, code := h.run(t, password, "route", "set", "ruled", "auth.user=ann", "auth.realm=staff", "--password-stdin"); code != 0 {
			t.Fatalf("route set: %s", out)
		}
		if a := p.ask(t, "GET", "ruled", "/", nil); a.status != 401 || !strings.Contains(a.header.Get("WWW-Authenticate"), `realm="staff"`) {
			t.Errorf("without a password: %d %v", a.status, a.header)
		}
		h.do(t, "route", "set", "ruled", "hsts=1d") // another rule, and the password stays
		for given, want := range map[string]int{password: 200, "wrong horse battery": 401} {
			a := p.ask(t, "GET", "ruled", "/", func(r *http.Request) { r.SetBasicAuth("ann", given) })
			if a.status != want {
				t.Errorf("with %q: %d", given, a.status)
			}
		}
		for _, show := range [][]string{{"route", "ruled"}, {"route", "ruled", "--json"}, {"events"}} {
			if out := h.do(t, show...); strings.Contains(out, password) || strings.Contains(out, "$2") {
				t.Errorf("naru %v shows a password:\n%s", show, out)
			}
		}
		h.do(t, "route", "unset", "ruled", "auth", "hsts")
		p.says(t, "ruled", "/", words)
	})
	t.Run("addresses, header fields and limits", func(t *testing.T) {
		h.do(t, "route", "set", "ruled", "deny=127.0.0.1")
		if a := p.ask(t, "GET", "ruled", "/", nil); a.status != 403 {
			t.Errorf("denied: %d", a.status)
		}
		h.do(t, "route", "set", "ruled", "deny=off", "response.set.X-Frame-Options=DENY", "body=1K")
		a := p.ask(t, "POST", "ruled", "/", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 2048))), 2048
		})
		if a.status != 413 {
			t.Errorf("a large body: %d", a.status)
		}
		if a := p.ask(t, "GET", "ruled", "/", nil); a.status != 200 || a.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%d %v", a.status, a.header)
		}
	})
	t.Run("trouble on purpose, and visitors that stay", func(t *testing.T) {
		h.do(t, "route", "set", "ruled", "fault.abort=418", "fault.header=X-Fault=1", "sticky=cookie:stays")
		if a := p.ask(t, "GET", "ruled", "/", func(r *http.Request) { r.Header.Set("X-Fault", "1") }); a.status != 418 {
			t.Errorf("with the header: %d", a.status)
		}
		if a := p.ask(t, "GET", "ruled", "/", nil); a.status != 200 || !strings.HasPrefix(a.header.Get("Set-Cookie"), "stays=") {
			t.Errorf("without: %d %v", a.status, a.header)
		}
		h.do(t, "route", "unset", "ruled", "fault", "sticky")
		p.says(t, "ruled", "/", words)
		h.refused(t, []string{"route", "set", "ruled", "fault.delay=1s"}, "fault.share: is missing")
		h.refused(t, []string{"route", "set", "ruled", "redirct=/x"}, "did you mean redirect?")
	})
	t.Run("all of them as a file, and back", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rules.json")
		if err := os.WriteFile(file, []byte(h.do(t, "route", "ruled", "--json")), 0o600); err != nil {
			t.Fatal(err)
		}
		h.do(t, "route", "unset", "ruled", "response", "body")
		if a := p.ask(t, "GET", "ruled", "/", nil); a.header.Get("X-Frame-Options") != "" {
			t.Errorf("still there: %v", a.header)
		}
		h.do(t, "route", "set", "ruled", "--file", file)
		if a := p.ask(t, "GET", "ruled", "/", nil); a.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("not back: %v", a.header)
		}
	})
	t.Run("some requests go to another app", func(t *testing.T) {
		next := copied(t, "../examples/static")
		change(t, filepath.Join(next, "index.html"), words, "Hello from the next one", "Hello from the next one")
		manifest := "applications:\n- name: next\n  routes:\n  - route: ruled.localhost\n    when: {header: X-Beta=1}\n    policy: {response.set: {X-Beta: seen}}\n"
		if err := os.WriteFile(filepath.Join(next, "manifest.yml"), []byte(manifest), 0o644); err != nil {
			t.Fatal(err)
		}
		h.do(t, "push", "--path", next)
		beta := p.ask(t, "GET", "ruled", "/", func(r *http.Request) { r.Header.Set("X-Beta", "1") })
		if beta.status != 200 || !strings.Contains(beta.body, "next one") || beta.header.Get("X-Beta") != "seen" || beta.header.Get("X-Frame-Options") != "" {
			t.Errorf("with the header: %d %v %s", beta.status, beta.header, beta.body)
		}
		p.says(t, "ruled", "/", words)
		if out := h.do(t, "routes"); !strings.Contains(out, "header X-Beta=1") {
			t.Errorf("routes:\n%s", out)
		}
		h.do(t, "unmap-route", "next", "ruled", "--header", "X-Beta=1")
		if a := p.ask(t, "GET", "ruled", "/", func(r *http.Request) { r.Header.Set("X-Beta", "1") }); !strings.Contains(a.body, words) {
			t.Errorf("after unmap: %s", a.body)
		}
	})
	h.do(t, "delete", "ruled", "--yes")
	h.do(t, "delete", "next", "--yes")
}
