package cf_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/auth"
)

// TestStrangers asks at every endpoint about things of a space as somebody who may
// do everything in an organisation of their own and nothing else: nothing of it is
// there for them, whether the path names it, the body, or nothing does.
func TestStrangers(t *testing.T) {
	w := newWorld(t)
	w.stranger()
	w.login("admin")
	domain := w.domain()
	seen := w.shop("seen")
	w.somebody = w.user("somebody", auth.Grant{Role: auth.OrgUser, Org: w.org.ID}).ID
	routes, err := w.store.RoutesOf(t.Context(), seen.ID)
	must(t, err)
	w.login("stranger")
	// What everybody may know or ask, and what is refused before it is looked for.
	everybody := []string{
		"/v3/organization_quotas/{guid}", "/v3/environment_variable_groups/{name}", "/v3/feature_flags/{name}", "/v3/resource_matches",
		"/v3/service_instances/{guid}/permissions", "/v3/users/{guid}", "/v3/buildpacks/{guid}", "/v3/buildpacks/{guid}/upload",
	}
	asked := 0
	for n, p := range permissions(t) {
		if slices.Contains(everybody, p.path) {
			continue
		}
		status, answer, served := w.tried(p, n, seen, domain)
		if !served {
			continue
		}
		asked++
		text, err := json.Marshal(answer)
		must(t, err)
		named := strings.Contains(p.path, "{guid}")
		switch {
		case named && status != http.StatusNotFound:
			t.Errorf("%s %s: %d %s, want 404", p.method, p.path, status, text)
		case !named && p.method != http.MethodGet && !slices.Contains([]int{400, 403, 404, 422}, status):
			t.Errorf("%s %s: %d %s, want a refusal", p.method, p.path, status, text)
		}
		for what, id := range map[string]string{"organisation": string(w.org.ID), "space": string(w.space.ID), "app": string(seen.ID), "image": seen.Image, "route": string(routes[0].ID), "user": string(w.somebody)} {
			if status < 300 && strings.Contains(string(text), id) {
				t.Errorf("%s %s tells of another's %s: %s", p.method, p.path, what, text)
			}
		}
	}
	if asked < 120 {
		t.Errorf("only %d endpoints were asked", asked)
	}
}

// stranger is somebody who may do everything in an organisation of their own, and
// the space there.
func (w *world) stranger() app.Space {
	other, err := w.store.CreateOrg(w.t.Context(), "other")
	must(w.t, err)
	space, err := w.store.CreateSpace(w.t.Context(), other.ID, "theirs")
	must(w.t, err)
	w.user("stranger", auth.Grant{Role: auth.OrgManager, Org: other.ID}, auth.Grant{Role: auth.SpaceDeveloper, Org: other.ID, Space: space.ID},
		auth.Grant{Role: auth.SpaceManager, Org: other.ID, Space: space.ID})
	return space
}

// TestOthersInBodies names in requests about one's own things those of others: the
// answer is the one about what does not exist.
func TestOthersInBodies(t *testing.T) {
	w := newWorld(t)
	space := w.stranger()
	w.login("admin")
	hidden := w.shop("hidden")
	service := w.provide("db", `{"uri":"x"}`)
	_, revision := w.deployed(hidden)
	pack := w.bits(hidden)
	home := w.space
	w.space = space
	own := w.shop("own")
	theirs := w.provide("mine", "")
	w.space = home
	routes, err := w.store.RoutesOf(t.Context(), own.ID)
	must(t, err)
	w.login("stranger")
	to := func(kind, id string) string { return `"` + kind + `":{"data":{"guid":"` + id + `"}}` }
	const nobody = "11111111-1111-4111-8111-111111111111"
	route := "/v3/routes/" + string(routes[0].ID)
	for _, c := range []struct {
		name, method, path, body string // @ is the thing of another
		id                       string
	}{
		{"an app in another space", "POST", "/v3/apps", `{"name":"x","relationships":{` + to("space", "@") + `}}`, string(w.space.ID)},
		{"a route in another space", "POST", "/v3/routes", `{"host":"y","relationships":{` + to("space", "@") + `,` + to("domain", w.domain()) + `}}`, string(w.space.ID)},
		{"a route to another's app", "POST", route + "/destinations", `{"destinations":[{"app":{"guid":"@"}}]}`, string(hidden.ID)},
		{"routes to another's app", "PATCH", route + "/destinations", `{"destinations":[{"app":{"guid":"@"}}]}`, string(hidden.ID)},
		{"another's image", "PATCH", "/v3/apps/" + string(own.ID) + "/relationships/current_droplet", `{"data":{"guid":"@"}}`, hidden.Image},
		{"another's package", "POST", "/v3/builds", `{"package":{"guid":"@"}}`, pack},
		{"a package for another's app", "POST", "/v3/packages", `{"type":"bits","relationships":{` + to("app", "@") + `}}`, string(hidden.ID)},
		{"a copy of another's package", "POST", "/v3/packages?source_guid=@", `{"relationships":{` + to("app", string(own.ID)) + `}}`, pack},
		{"a copy of another's image", "POST", "/v3/droplets?source_guid=@", `{"relationships":{` + to("app", string(own.ID)) + `}}`, hidden.Image},
		{"a deployment of another's app", "POST", "/v3/deployments", `{"relationships":{` + to("app", "@") + `}}`, string(hidden.ID)},
		{"a deployment of another's image", "POST", "/v3/deployments", `{"droplet":{"guid":"@"},"relationships":{` + to("app", string(own.ID)) + `}}`, hidden.Image},
		{"a deployment of another's revision", "POST", "/v3/deployments", `{"revision":{"guid":"@"},"relationships":{` + to("app", string(own.ID)) + `}}`, revision},
		{"another's service", "POST", "/v3/service_credential_bindings", `{"type":"app","relationships":{` + to("app", string(own.ID)) + `,` + to("service_instance", "@") + `}}`, string(service.ID)},
		{"a service for another's app", "POST", "/v3/service_credential_bindings", `{"type":"app","relationships":{` + to("app", "@") + `,` + to("service_instance", string(theirs.ID)) + `}}`, string(hidden.ID)},
		{"a service in another space", "POST", "/v3/service_instances", `{"type":"user-provided","name":"z","relationships":{` + to("space", "@") + `}}`, string(w.space.ID)},
		{"a role in another space", "POST", "/v3/roles", `{"type":"space_developer","relationships":{"user":{"data":{"username":"stranger"}},` + to("space", "@") + `}}`, string(w.space.ID)},
		{"a role in another organisation", "POST", "/v3/roles", `{"type":"organization_manager","relationships":{"user":{"data":{"username":"stranger"}},` + to("organization", "@") + `}}`, string(w.org.ID)},
		{"a space in another organisation", "POST", "/v3/spaces", `{"name":"w","relationships":{` + to("organization", "@") + `}}`, string(w.org.ID)},
		{"a domain of another organisation", "POST", "/v3/domains", `{"name":"d.example.com","relationships":{` + to("organization", "@") + `}}`, string(w.org.ID)},
		{"a space quota of another organisation", "POST", "/v3/space_quotas", `{"name":"q","relationships":{` + to("organization", "@") + `}}`, string(w.org.ID)},
		{"a task with another's process", "POST", "/v3/apps/" + string(own.ID) + "/tasks", `{"template":{"process":{"guid":"@"}}}`, string(hidden.ID)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ask := func(id string) (int, string) {
				status, _, answer := w.do(c.method, strings.ReplaceAll(c.path, "@", id), strings.ReplaceAll(c.body, "@", id))
				text, err := json.Marshal(answer)
				must(t, err)
				return status, strings.ReplaceAll(string(text), id, "@")
			}
			status, text := ask(c.id)
			if !slices.Contains([]int{404, 422}, status) {
				t.Errorf("got %d %s, want 404 or 422", status, text)
			}
			if none, said := ask(nobody); none != status || said != text {
				t.Errorf("got %d %s, and %d %s of what is nowhere", status, text, none, said)
			}
		})
	}
}
