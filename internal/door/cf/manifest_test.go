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

// Every manifest that is wrong gets the errors of Cloud Foundry, all at once, and
// makes no app.
func TestWrongManifestsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	w.shop("shop")
	const wrong = "10008 CF-UnprocessableEntity "
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"no yaml":           {"applications: [", []string{"1001 CF-MessageParseError Request invalid due to parse error: "}},
		"nothing":           {"", []string{"1001 CF-MessageParseError Request invalid due to parse error: "}},
		"holds itself":      {"applications: [{name: x, env: &a {b: *a}}]", []string{"1001 CF-MessageParseError Request invalid due to parse error: "}},
		"multiplies":        {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\napplications: [{name: x, routes: *f}]", []string{"1001 CF-MessageParseError Request invalid due to parse error: "}},
		"version":           {"version: 2\napplications: [{name: x}]", []string{wrong + "Unsupported manifest schema version. Currently supported versions: [1]."}},
		"no applications":   {"memory: 1G", []string{wrong + "Cannot parse manifest with no 'applications' field."}},
		"empty":             {"applications: []", []string{wrong + "Cannot parse manifest with no 'applications' field."}},
		"no name":           {"applications: [{memory: 1G}]", []string{wrong + "For application at index 0: Name can't be blank"}},
		"twice":             {"applications: [{name: x}, {name: x}]", []string{wrong + "For application 'x': the name is there twice"}},
		"unit":              {"applications: [{name: x, memory: 1 bit}]", []string{wrong + `For application 'x': Process "web": Memory must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB`}},
		"no unit":           {"applications: [{name: x, disk_quota: 12}]", []string{wrong + `For application 'x': Process "web": Disk quota must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB`}},
		"no number":         {"applications: [{name: x, memory: lots}]", []string{wrong + `For application 'x': Process "web": Memory is not a number`}},
		"no memory":         {"applications: [{name: x, memory: 0M}]", []string{wrong + `For application 'x': Process "web": Memory must be greater than 0MB`}},
		"instances":         {"applications: [{name: x, instances: -1}]", []string{wrong + `For application 'x': Process "web": Instances must be greater than or equal to 0`}},
		"check":             {"applications: [{name: x, health-check-type: ping}]", []string{wrong + `For application 'x': Process "web": Health check type must be "port", "process", or "http"`}},
		"endpoint":          {"applications: [{name: x, health-check-type: http, health-check-http-endpoint: up}]", []string{wrong + `For application 'x': Process "web": Health check http endpoint must be a valid URI path`}},
		"timeout":           {"applications: [{name: x, timeout: 0}]", []string{wrong + `For application 'x': Process "web": Timeout must be greater than or equal to 1`}},
		"process":           {"applications: [{name: x, processes: [{memory: 1G}]}]", []string{wrong + "For application 'x': All Processes must specify a type"}},
		"processes":         {"applications: [{name: x, processes: [{type: w, command: a}, {type: w, command: b}]}]", []string{wrong + `For application 'x': Process "w" may only be present once`}},
		"both buildpacks":   {"applications: [{name: x, buildpack: go_buildpack, buildpacks: [go_buildpack]}]", []string{wrong + "For application 'x': Buildpack and Buildpacks fields cannot be used together."}},
		"docker":            {"applications: [{name: x, docker: {image: a}, buildpacks: [go_buildpack]}]", []string{wrong + "For application 'x': Cannot specify both buildpack(s) and docker keys"}},
		"docker of another": {"applications: [{name: shop, docker: {image: a}}]", []string{wrong + "For application 'shop': Docker cannot be configured for a buildpack lifecycle app."}},
		"buildpack":         {"applications: [{name: x, buildpacks: [mine]}]", []string{wrong + "For application 'x': naru has no buildpack 'mine': it has dockerfile, node, go, python, maven, gradle, jar, java, procfile, static. Leave it out, so that the source decides, or add a Dockerfile"}},
		"stack":             {"applications: [{name: x, stack: beos}]", []string{wrong + "For application 'x': Stack must be an existing stack ('beos'): leave it out, or take one of cf stacks"}},
		"env":               {"applications: [{name: x, env: {VCAP_X: 1, PORT: 2}}]", []string{wrong + "For application 'x': Env cannot set PORT", wrong + "For application 'x': Env cannot start with VCAP_"}},
		"routes":            {"applications: [{name: x, routes: [a.localhost]}]", []string{wrong + "For application 'x': Routes must be a list of route objects"}},
		"route":             {"applications: [{name: x, routes: [{route: 'not a host'}]}]", []string{wrong + "For application 'x': The route 'not a host' is not a properly formed URL"}},
		"protocol":          {"applications: [{name: x, routes: [{route: a.localhost, protocol: http3}]}]", []string{wrong + "For application 'x': Route protocol must be 'http1', 'http2' or 'tcp'."}},
		"option":            {"applications: [{name: x, routes: [{route: a.localhost, options: {speed: 1}}]}]", []string{wrong + "For application 'x': Route 'a.localhost' contains invalid route option 'speed'. Valid keys: 'loadbalancing, hash_header, hash_balance'"}},
		"two routes":        {"applications: [{name: x, random-route: true, default-route: true}]", []string{wrong + "For application 'x': Random-route and default-route may not be used together"}},
		"default route":     {"applications: [{name: a.b, default-route: true}]", []string{wrong + "For application 'a.b': Failed to create default route from app name: Host must be either \"*\" or contain only alphanumeric characters, \"_\", or \"-\""}},
		"cnb":               {"applications: [{name: x, lifecycle: cnb, buildpacks: ['docker://p']}]", []string{wrong + "For application 'x': naru has no Cloud Native Buildpacks: "}},
		"sidecars":          {"applications: [{name: x, sidecars: [{name: s, command: c, process_types: [web]}]}]", []string{wrong + "For application 'x': naru has no sidecars: "}},
		"log rate":          {"applications: [{name: x, log-rate-limit-per-second: 1K}]", []string{wrong + `For application 'x': Process "web": naru limits logs for all apps alike (logs.rate)`}},
		"two checks":        {"applications: [{name: x, health-check-type: http, health-check-http-endpoint: /a, readiness-health-check-type: http, readiness-health-check-http-endpoint: /b}]", []string{wrong + `For application 'x': Process "web": naru has one check that decides both health and readiness`}},
		"feature":           {"applications: [{name: x, features: {flying: true}}]", []string{wrong + "For application 'x': Features must be a map of valid feature names to booleans (true/false)"}},
		"service":           {"applications: [{name: x, services: [db]}]", []string{"10010 CF-ResourceNotFound For application 'x': Service instance 'db' not found"}},
		"naru's own":        {"applications: [{name: x, naru: {strategy: {kind: sideways}}}]", []string{wrong + "For application 'x': naru.strategy: "}},
		"all at once":       {"applications: [{name: x, memory: 1, instances: -1}, {name: y, stack: beos}]", []string{wrong + `For application 'x': Process "web": Instances`, wrong + `For application 'x': Process "web": Memory`}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{w.applyPath(), "/v3/spaces/" + string(w.space.ID) + "/manifest_diff"} {
				status, _, answer := w.manifest(path, tc.text)
				got := details(answer)
				if status < 400 || status >= 500 || len(got) != len(tc.want) {
					t.Fatalf("%s: got %d %q, want %q", path, status, got, tc.want)
				}
				for i, want := range tc.want {
					if !strings.HasPrefix(got[i], want) {
						t.Errorf("%s: got %q, want %q", path, got[i], want)
					}
				}
			}
		})
	}
	if answer := w.ask(200, "GET", "/v3/apps?names=x,y,a.b", ""); fmt.Sprint(answer["pagination"].(map[string]any)["total_results"]) != "0" {
		t.Errorf("a manifest that was refused made apps: %v", answer)
	}
	if status, _, answer := w.do("POST", w.applyPath(), "applications: [{name: x}]"); status != 400 || title(answer) != "CF-BadRequest" {
		t.Errorf("no YAML: got %d %v", status, answer)
	}
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
