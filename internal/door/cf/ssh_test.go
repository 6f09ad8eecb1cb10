package cf_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"naru/internal/auth"
)

func TestWhereTheWayIntoInstancesIs(t *testing.T) {
	w := newWorld(t)
	answer := w.ask(http.StatusOK, "GET", "/", "")
	links, _ := answer["links"].(map[string]any)
	ssh, _ := links["app_ssh"].(map[string]any)
	meta, _ := ssh["meta"].(map[string]any)
	if ssh["href"] != "127.0.0.1:2222" || meta["host_key_fingerprint"] != "the key" || meta["oauth_client"] != "ssh-proxy" {
		t.Errorf("app_ssh = %v", ssh)
	}
}

func TestCodesForSSH(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	ask := func(query string) (int, string, map[string]any) {
		// The client does not follow the redirection either.
		req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/uaa/oauth/authorize?"+query, nil)
		must(t, err)
		if w.token != "" {
			req.Header.Set("Authorization", "bearer "+w.token)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		must(t, err)
		defer res.Body.Close()
		return res.StatusCode, res.Header.Get("Location"), nil
	}
	seen := map[string]bool{}
	for range 2 {
		status, to, _ := ask("client_id=ssh-proxy&response_type=code&grant_type=authorization_code")
		u, err := url.Parse(to)
		must(t, err)
		code := u.Query().Get("code")
		if status != http.StatusFound || len(code) < 20 || seen[code] {
			t.Fatalf("got %d, %q", status, to)
		}
		seen[code] = true
	}
	for query, want := range map[string]int{
		"client_id=other&response_type=code": http.StatusUnauthorized, "client_id=ssh-proxy&response_type=token": http.StatusBadRequest,
	} {
		if status, to, _ := ask(query); status != want || to != "" {
			t.Errorf("%s: got %d %q, want %d", query, status, to, want)
		}
	}
	w.token = ""
	if status, _, _ := ask("client_id=ssh-proxy&response_type=code"); status != http.StatusUnauthorized {
		t.Errorf("without a login: %d", status)
	}
}

func TestSSHIsSwitchedByAppAndBySpace(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	shop := w.shop("shop")
	ofApp, ofSpace := "/v3/apps/"+string(shop.ID)+"/features/", "/v3/spaces/"+string(w.space.ID)+"/features/ssh"
	enabled := func(want bool, reason string) {
		t.Helper()
		answer := w.ask(http.StatusOK, "GET", "/v3/apps/"+string(shop.ID)+"/ssh_enabled", "")
		if answer["enabled"] != want || answer["reason"] != reason {
			t.Errorf("ssh_enabled = %v, want %v %q", answer, want, reason)
		}
	}
	enabled(true, "")
	if f := w.ask(http.StatusOK, "PATCH", ofApp+"ssh", `{"enabled":false}`); f["enabled"] != false || f["name"] != "ssh" {
		t.Errorf("feature = %v", f)
	}
	enabled(false, "Disabled for app")
	w.ask(http.StatusOK, "PATCH", ofSpace, `{"enabled":false}`)
	enabled(false, "Disabled for space")
	w.ask(http.StatusOK, "PATCH", ofApp+"ssh", `{"enabled":true}`)
	w.ask(http.StatusOK, "PATCH", ofSpace, `{"enabled":true}`)
	enabled(true, "")

	for body, detail := range map[string]string{`{}`: "boolean", `{"enabled":"yes"}`: "parse error"} {
		status, _, answer := w.do("PATCH", ofApp+"ssh", body)
		all, _ := answer["errors"].([]any)
		if status < 400 || len(all) == 0 || !strings.Contains(all[0].(map[string]any)["detail"].(string), detail) {
			t.Errorf("%s: %d %v", body, status, answer)
		}
	}
	w.ask(http.StatusOK, "PATCH", ofApp+"revisions", `{"enabled":true}`)
	w.ask(http.StatusUnprocessableEntity, "PATCH", ofApp+"revisions", `{"enabled":false}`)
	w.ask(http.StatusUnprocessableEntity, "PATCH", ofApp+"file-based-vcap-services", `{"enabled":true}`)
	w.ask(http.StatusNotFound, "PATCH", ofApp+"wings", `{"enabled":true}`)

	w.user("auditor", auth.Grant{Role: auth.SpaceAuditor, Org: w.org.ID, Space: w.space.ID})
	w.login("auditor")
	enabled(true, "")
	w.ask(http.StatusForbidden, "PATCH", ofApp+"ssh", `{"enabled":false}`)
	w.ask(http.StatusForbidden, "PATCH", ofSpace, `{"enabled":false}`)
}
