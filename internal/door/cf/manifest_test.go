package cf_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"naru/internal/auth"
)

// manifest sends one, and returns what is answered.
func (w *world) manifest(path, text string) (int, http.Header, map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "POST", w.url+path, strings.NewReader(text))
	must(w.t, err)
	req.Header.Set("Authorization", "bearer "+w.token)
	req.Header.Set("Content-Type", "application/x-yaml")
	return w.send(req)
}

func (w *world) applyPath() string {
	return "/v3/spaces/" + string(w.space.ID) + "/actions/apply_manifest"
}

// details are the texts of all errors of an answer.
func details(answer map[string]any) (out []string) {
	all, _ := answer["errors"].([]any)
	for _, one := range all {
		e, _ := one.(map[string]any)
		out = append(out, fmt.Sprint(e["code"], " ", e["title"], " ", e["detail"]))
	}
	return out
}

// A manifest makes the apps that are missing before it answers, and its job tells of
// the first that failed.
func TestManifestIsApplied(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	const text = `
applications:
- name: web
  memory: 64MB
  instances: 2
  buildpacks: [nodejs_buildpack]
  stack: cflinuxfs4
  path: /home/somebody/app
  env: {A: 1, B: true, C: x}
  default-route: true
  processes:
  - type: worker
    command: work
- name: image
  docker: {image: "registry.example.com/a:1", username: me}
  random-route: true
  command: null
  readiness-health-check-type: http
  readiness-health-check-http-endpoint: /ready
  unknown-key: 1
`
	status, header, _ := w.manifest(w.applyPath(), text)
	if status != 202 || !strings.Contains(header.Get("X-Cf-Warnings"), "unknown-key") {
		t.Fatalf("got %d, warnings %q", status, header.Get("X-Cf-Warnings"))
	}
	job := w.ask(200, "GET", strings.TrimPrefix(header.Get("Location"), w.url), "")
	if job["state"] != "COMPLETE" || job["operation"] != "space.apply_manifest" {
		t.Fatalf("got the job %v", job)
	}
	all := w.ask(200, "GET", "/v3/apps?order_by=name", "")["resources"].([]any)
	if len(all) != 2 {
		t.Fatalf("got %d apps", len(all))
	}
	image, web := all[0].(map[string]any), all[1].(map[string]any)
	if got := fmt.Sprint(image["lifecycle"].(map[string]any)["type"], image["state"]); got != "dockerSTOPPED" {
		t.Errorf("image is %s", got)
	}
	if got := fmt.Sprint(web["lifecycle"]); got != "map[data:map[buildpacks:[nodejs_buildpack] stack:cflinuxfs4] type:buildpack]" {
		t.Errorf("web is %s", got)
	}
	shown := w.shownManifest(fmt.Sprint(web["guid"]))
	for _, want := range []string{
		"- name: web\n", "    - type: web\n", "      instances: 2\n", "      memory: 64M\n", "    - type: worker\n", "      command: work\n", `    A: "1"`, "    - nodejs_buildpack\n",
		"    - route: web.localhost\n", "      protocol: http1\n", "    stack: cflinuxfs4\n",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the manifest lacks %q:\n%s", want, shown)
		}
	}
	if shown := w.shownManifest(fmt.Sprint(image["guid"])); !strings.Contains(shown, "health-check-type: http\n        health-check-http-endpoint: /ready") {
		t.Errorf("a check of readiness is not the check:\n%s", shown)
	}
	// What was generated changes nothing.
	status, _, answer := w.manifest("/v3/spaces/"+string(w.space.ID)+"/manifest_diff", shown)
	if status != 201 || len(answer["diff"].([]any)) != 0 {
		t.Errorf("the same manifest differs: %d %v", status, answer)
	}
	status, _, answer = w.manifest("/v3/spaces/"+string(w.space.ID)+"/manifest_diff", "applications: [{name: web, memory: 1G, env: {A: 1, D: 2}}, {name: new}]")
	got := fmt.Sprint(answer["diff"])
	want := "[map[op:add path:/applications/0/env/D value:2] map[op:replace path:/applications/0/memory value:1024M was:64M] map[op:add path:/applications/1/name value:new]]"
	if status != 201 || got != want {
		t.Errorf("got %d %s\nwant %s", status, got, want)
	}
	status, header, _ = w.manifest(w.applyPath(), "applications: [{name: web, env: {Z: 1}}, {name: bad, env: {REFUSED: 1}}, {name: later}]")
	job = w.ask(200, "GET", strings.TrimPrefix(header.Get("Location"), w.url), "")
	if got := fmt.Sprint(details(job)); status != 202 || job["state"] != "FAILED" || !strings.Contains(got, "For application 'bad': it is refused") {
		t.Errorf("got %d %v", status, job)
	}
}

// shownManifest is the manifest that is generated of an app.
func (w *world) shownManifest(guid string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", w.url+"/v3/apps/"+guid+"/manifest", nil)
	must(w.t, err)
	req.Header.Set("Authorization", "bearer "+w.token)
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(w.t, err)
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/x-yaml") {
		w.t.Fatalf("got %d %s", res.StatusCode, res.Header)
	}
	return string(text)
}

// A space that may not be seen is missing; one that may not be written to refuses.
func TestManifestsOfOthers(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.user("stranger")
	w.user("auditor", auth.Grant{Role: auth.SpaceAuditor, Org: w.org.ID, Space: w.space.ID})
	for user, want := range map[string]int{"stranger": 404, "auditor": 403} {
		w.login(user)
		if status, _, answer := w.manifest(w.applyPath(), "applications: [{name: x}]"); status != want {
			t.Errorf("%s: got %d %v, want %d", user, status, answer, want)
		}
		if status, _, answer := w.do("GET", "/v3/apps/"+string(a.ID)+"/manifest", ""); status != want {
			t.Errorf("%s: got %d %v, want %d", user, status, answer, want)
		}
	}
}

// What was pushed as an image can be pushed again with its manifest: the image is
// in it, and the name it is fetched by; the password never.
func TestTheManifestOfAnImage(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	for name, c := range map[string]struct{ login, want string }{
		"open": {"", "    docker:\n      image: registry.example.com/a:1\n    features:"},
		"shut": {`,"username":"me","password":"hush"`, "    docker:\n      image: registry.example.com/a:1\n      username: me\n    features:"},
	} {
		a := fmt.Sprint(w.ask(201, "POST", "/v3/apps", fmt.Sprintf(
			`{"name":%q,"lifecycle":{"type":"docker","data":{}},"relationships":{"space":{"data":{"guid":%q}}}}`, name, w.space.ID))["guid"])
		if shown := w.shownManifest(a); !strings.Contains(shown, "    lifecycle: docker\n") {
			t.Errorf("%s, before its image is there:\n%s", name, shown)
		}
		pack := w.ask(201, "POST", "/v3/packages", fmt.Sprintf(
			`{"type":"docker","data":{"image":"registry.example.com/a:1"%s},"relationships":{"app":{"data":{"guid":%q}}}}`, c.login, a))
		build := w.ask(201, "POST", "/v3/builds", fmt.Sprintf(`{"package":{"guid":%q}}`, pack["guid"]))
		build = w.ask(200, "GET", "/v3/builds/"+fmt.Sprint(build["guid"]), "")
		w.ask(200, "PATCH", "/v3/apps/"+a+"/relationships/current_droplet", fmt.Sprintf(`{"data":{"guid":%q}}`, build["droplet"].(map[string]any)["guid"]))
		if shown := w.shownManifest(a); !strings.Contains(shown, c.want) || strings.Contains(shown, "hush") {
			t.Errorf("%s: no %q in\n%s", name, c.want, shown)
		}
	}
}

// Every value of a variable becomes a text, and no difference is told of what is so
// already. Who runs processes as another user is told that they do not.
func TestVariablesOfManifestsAreTexts(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	const text = "applications: [{name: x, no-route: true, processes: [{type: web, user: vcap}], env: {A: 1, B: true, C: 1.5, D: , E: {x: [1, two]}, F: [a], some.dotted-name: y}}]"
	status, header, _ := w.manifest(w.applyPath(), text)
	if warned := header.Get("X-Cf-Warnings"); status != 202 || !strings.Contains(warned, "user+of+process") {
		t.Fatalf("got %d, warned of %q", status, warned)
	}
	job := w.ask(200, "GET", strings.TrimPrefix(header.Get("Location"), w.url), "")
	if job["state"] != "COMPLETE" {
		t.Fatalf("got the job %v", job)
	}
	app := w.ask(200, "GET", "/v3/apps?names=x", "")["resources"].([]any)[0].(map[string]any)["guid"].(string)
	got := fmt.Sprint(w.ask(200, "GET", "/v3/apps/"+app+"/environment_variables", "")["var"])
	if want := `map[A:1 B:true C:1.5 D: E:{"x":[1,"two"]} F:["a"] some.dotted-name:y]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	status, _, answer := w.manifest("/v3/spaces/"+string(w.space.ID)+"/manifest_diff", text)
	if diff := fmt.Sprint(answer["diff"]); status != 201 || strings.Contains(diff, "/env") {
		t.Errorf("the environment differs: %s", diff)
	}
}
