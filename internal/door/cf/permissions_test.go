package cf_test

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/door/cf"
	"naru/internal/id"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/quota"
	"naru/internal/source"
)

// permission is what Cloud Foundry's documentation permits at an endpoint.
type permission struct {
	method, path string
	roles        []string
}

// takes is how much else is gone afterwards.
func (p permission) takes() int {
	return slices.Index([]string{"DELETE /v3/spaces/{guid}", "DELETE /v3/organizations/{guid}"}, p.method+" "+p.path)
}

func permissions(t *testing.T) []permission {
	t.Helper()
	text, err := os.ReadFile("testdata/permissions.txt")
	must(t, err)
	var all []permission
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		endpoint, roles, _ := strings.Cut(strings.TrimSpace(line), ": ")
		method, path, _ := strings.Cut(endpoint, " ")
		all = append(all, permission{method, path, strings.Fields(strings.ReplaceAll(roles, "*", ""))})
	}
	return all
}

// bodies are what endpoints need to be sent, for a role to be what decides.
func (w *world) bodies() map[string]string {
	org, space := `"organization":{"data":{"guid":"`+string(w.org.ID)+`"}}`, `"space":{"data":{"guid":"`+string(w.space.ID)+`"}}`
	return map[string]string{
		"PATCH /v3/apps/{guid}/relationships/current_droplet": `{"data":{"guid":"{image}"}}`,
		"POST /v3/builds":   `{"package":{"guid":"{image}"}}`,
		"POST /v3/packages": `{"type":"bits","relationships":{"app":{"data":{"guid":"{guid}"}}}}`,
		"POST /v3/droplets": `{"relationships":{"app":{"data":{"guid":"{guid}"}}}}`,

		"POST /v3/buildpacks":             `{"name":"new-%d"}`,
		"POST /v3/organizations":          `{"name":"new-%d"}`,
		"POST /v3/spaces":                 `{"name":"new-%d","relationships":{` + org + `}}`,
		"POST /v3/apps":                   `{"name":"new-%d","relationships":{` + space + `}}`,
		"POST /v3/routes":                 `{"host":"new-%d","relationships":{` + space + `,"domain":{"data":{"guid":"{domain}"}}}}`,
		"POST /v3/domains":                `{"name":"new-%d.example.com","relationships":{` + org + `}}`,
		"POST /v3/organization_quotas":    `{"name":"new-%d"}`,
		"POST /v3/space_quotas":           `{"name":"new-%d","relationships":{` + org + `}}`,
		"POST /v3/roles":                  `{"type":"space_auditor","relationships":{"user":{"data":{"username":"nobody-%d"}},` + space + `}}`,
		"DELETE /v3/spaces/{guid}/routes": "?unmapped=true",
		"POST /v3/deployments":            `{"relationships":{"app":{"data":{"guid":"{app}"}}}}`,
		"POST /v3/service_instances":      `{"type":"user-provided","name":"new-%d","relationships":{` + space + `}}`,
	}
}

// TestPermissions holds the door against the table of the documentation, role by
// role. Where naru decides otherwise the line is in differences.txt, with the
// reason above it; NARU_UPDATE=1 writes the lines anew.
func TestPermissions(t *testing.T) {
	if testing.Short() {
		t.Skip("11 roles at every endpoint: the full run has them")
	}
	var got []string
	for _, role := range auth.Roles() {
		g := auth.Grant{Role: role}
		w := newWorld(t)
		if g.Role.Scope() != auth.Platform {
			g.Org = w.org.ID
		}
		if g.Role.Scope() == auth.InSpace {
			g.Space = w.space.ID
		}
		w.user("someone", g)
		w.login("admin")
		domain := w.domain()
		w.login("someone")
		seen := w.shop("seen")
		w.somebody = w.user("somebody", auth.Grant{Role: auth.OrgUser, Org: w.org.ID}).ID
		all := permissions(t)
		// What takes everything away comes last.
		slices.SortStableFunc(all, func(a, b permission) int { return cmp.Compare(a.takes(), b.takes()) })
		for n, p := range all {
			if slices.Contains(p.roles, "all") {
				continue // lists are of what one may see
			}
			may, served := w.permitted(p, n, seen, domain)
			if !served {
				continue
			}
			switch should := slices.Contains(p.roles, string(g.Role)); {
			case may && !should:
				got = append(got, fmt.Sprintf("%s %s: %s may", p.method, p.path, g.Role))
			case !may && should:
				got = append(got, fmt.Sprintf("%s %s: %s may not", p.method, p.path, g.Role))
			}
		}
	}
	slices.Sort(got)
	const file = "testdata/differences.txt"
	text, err := os.ReadFile(file)
	must(t, err)
	var want, notes []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			notes = append(notes, strings.TrimSpace(line))
		} else {
			want = append(want, strings.TrimSpace(line))
		}
	}
	if os.Getenv("NARU_UPDATE") != "" {
		must(t, os.WriteFile(file, []byte(strings.Join(slices.Concat(notes, got), "\n")+"\n"), 0o600))
		return
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("other than the documentation, and not in %s: %s", file, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("in %s, and not so: %s", file, line)
		}
	}
}

// permitted asks at an endpoint as somebody with one role. It
// reports whether they may, and whether the door has the endpoint at all.
func (w *world) permitted(p permission, n int, a app.App, domain string) (may, served bool) {
	w.t.Helper()
	status, answer, served := w.tried(p, n, a, domain)
	if !served || title(answer) == "CF-FeatureDisabled" { // for everybody who might
		return served, served
	}
	text := fmt.Sprint(answer)
	hiddenPlace := status == http.StatusUnprocessableEntity && (strings.Contains(text, "you have access to it") || strings.Contains(text, "you do not have access to it") || strings.Contains(text, "could not be found"))
	return status != http.StatusForbidden && status != http.StatusNotFound && !hiddenPlace, true
}

// tried asks at an endpoint about things of the world's space. It reports what was
// answered, and whether the door has the endpoint at all.
func (w *world) tried(p permission, n int, a app.App, domain string) (status int, answer map[string]any, served bool) {
	w.t.Helper()
	probe, err := http.NewRequestWithContext(w.t.Context(), p.method, w.url+strings.NewReplacer("{name}", "ssh", "{", "", "}", "").Replace(p.path), nil)
	must(w.t, err)
	if status, _, _ := w.send(probe); status != http.StatusUnauthorized {
		return 0, nil, false // without a login it would be refused, were it there
	}
	if p.method != http.MethodGet { // it may change or end it
		a = w.shop(fmt.Sprintf("shop-%d", n))
	}
	routes, err := w.store.RoutesOf(w.t.Context(), a.ID)
	must(w.t, err)
	ids := map[string]string{
		"apps": string(a.ID), "processes": string(a.ID), "droplets": a.Image, "packages": a.Image, "spaces": string(w.space.ID),
		"organizations": string(w.org.ID), "routes": string(routes[0].ID), "organization_quotas": string(quota.DefaultID), "users": string(w.somebody),
	}
	name := "ssh"
	switch parts := strings.Split(p.path, "/"); parts[2] {
	case "service_instances", "service_credential_bindings":
		bound := w.bound(a, fmt.Sprintf("service-%d", n), `{"uri":"x"}`)
		ids["service_instances"], ids["service_credential_bindings"] = string(bound.Service), string(bound.ID)
	case "buildpacks":
		b, err := w.store.AddBuildpack(w.t.Context(), source.Buildpack{ID: source.BuildpackID(id.New()), Name: fmt.Sprintf("pack-%d", n)}, 100)
		must(w.t, err)
		ids["buildpacks"] = string(b.ID)
	case "environment_variable_groups":
		name = "running"
	case "deployments", "revisions":
		ids["deployments"], ids["revisions"] = w.deployed(a)
	}
	parts := strings.Split(p.path, "/") // "", v3, apps, {guid}, ...
	path := p.path
	if len(parts) > 3 && parts[3] == "{guid}" {
		id, known := ids[parts[2]]
		if !known {
			return 0, nil, false
		}
		path = strings.Replace(path, "{guid}", id, 1)
	}
	for key, value := range map[string]string{"{type}": "web", "{name}": name, "{index}": "0", "{destination_guid}": routes[0].Destinations[0].ID, "{space_guid}": string(w.space.ID)} {
		path = strings.ReplaceAll(path, key, value)
	}
	if strings.Contains(path, "{") {
		return 0, nil, false
	}
	body := w.bodies()[p.method+" "+p.path]
	if p.path == "/v3/service_credential_bindings" {
		free := w.provide(fmt.Sprintf("free-%d", n), "")
		body = `{"type":"app","relationships":{"app":{"data":{"guid":"` + string(a.ID) + `"}},"service_instance":{"data":{"guid":"` + string(free.ID) + `"}}}}`
	}
	if strings.HasPrefix(body, "?") {
		path, body = path+body, ""
	}
	if body == "" && p.method != http.MethodGet {
		body = "{}"
	}
	body = strings.NewReplacer("{guid}", string(a.ID), "{image}", a.Image).Replace(body)
	if strings.Contains(body, "%d") {
		body = strings.Replace(fmt.Sprintf(body, n), "{domain}", domain, 1)
	}
	ask := w.do
	if strings.Contains(path, "manifest") && p.method == http.MethodPost {
		body = fmt.Sprintf("applications: [{name: new-%d}]", n)
		ask = func(_, path, body string) (int, http.Header, map[string]any) { return w.manifest(path, body) }
	}
	status, _, answer = ask(p.method, path, strings.Replace(body, "{app}", string(a.ID), 1))
	if status == http.StatusNotFound && title(answer) == "CF-NotFound" {
		return 0, nil, false
	}
	if status >= 500 {
		w.t.Errorf("%s %s: %d %v", p.method, path, status, answer)
	}
	return status, answer, true
}

// TestEveryEndpointHasARow fails on an endpoint of the API of which the table says
// nothing.
func TestEveryEndpointHasARow(t *testing.T) {
	known := map[string]bool{
		"GET /": true, "GET /v3": true, "GET /v3/info": true, // no login
		"GET /routing/v1/router_groups":          true,                                                 // of another part
		unnamed("GET /v3/blobs/packages/{guid}"): true, unnamed("GET /v3/blobs/droplets/{guid}"): true, // by who was led there
	}
	for _, p := range permissions(t) {
		known[unnamed(p.method+" "+p.path)] = true
	}
	for _, pattern := range cf.Patterns() {
		if !known[unnamed(pattern)] {
			t.Errorf("%s has no row in testdata/permissions.txt", pattern)
		}
	}
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// unnamed is an endpoint without the names of its parameters, and without what some
// of them are always.
func unnamed(pattern string) string {
	pattern = strings.TrimSuffix(strings.TrimSuffix(pattern, "{$}"), "/")
	for _, fixed := range []string{"features/ssh", "features/revisions", "features/file-based-vcap-services", "features/service-binding-k8s", "environment_variable_groups/running", "environment_variable_groups/staging"} {
		if before, ok := strings.CutSuffix(pattern, fixed); ok {
			pattern = before + fixed[:strings.Index(fixed, "/")] + "/{name}"
		}
	}
	if strings.HasSuffix(pattern, " ") {
		pattern += "/"
	}
	return strings.ReplaceAll(parameter.ReplaceAllString(pattern, "{}"), "{}-guid", "{}")
}

// deployed are a rollout of an app that waits at a step, and the app's release.
func (w *world) deployed(a app.App) (deployment, revision string) {
	w.t.Helper()
	all, err := w.store.Releases(w.t.Context(), a.ID, 1)
	must(w.t, err)
	op, err := w.pipe.Deploy(w.t.Context(), operation.Ask{Actor: "test"}, a.ID, deliver.Deployment{
		Release: all[0].ID, Strategy: app.Strategy{Kind: app.Canary, Steps: []app.Step{{Weight: 50, Hold: true}}},
	})
	must(w.t, err)
	return string(op.ID), string(all[0].ID)
}

// domain is the id of the apps domain.
func (w *world) domain() string {
	answer := w.ask(http.StatusOK, "GET", "/v3/domains", "")
	all, _ := answer["resources"].([]any)
	first, _ := all[0].(map[string]any)
	return fmt.Sprint(first["guid"])
}
