package cf_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/auth"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/provide"
	"naru/internal/secret"
)

var tester = operation.Ask{Actor: "test"}

// provide makes a service of the world's space.
func (w *world) provide(name, credentials string) service.Service {
	w.t.Helper()
	text := secret.New(credentials)
	one, err := w.provided.CreateService(w.t.Context(), tester, w.space.ID, provide.Change{Name: &name, Credentials: &text})
	must(w.t, err)
	return one
}

// bound makes one and binds it.
func (w *world) bound(a app.App, name, credentials string) service.Binding {
	w.t.Helper()
	b, err := w.provided.Bind(w.t.Context(), tester, a.ID, w.provide(name, credentials).ID, "")
	must(w.t, err)
	return b
}

// dig finds a value in an answer.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch at := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[at]
		case int:
			l, _ := v.([]any)
			if at >= len(l) {
				return nil
			}
			v = l[at]
		}
	}
	return v
}

func detail(answer map[string]any) string { return fmt.Sprint(dig(answer, "errors", 0, "detail")) }

func TestServicesOfASpace(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	space := `"relationships":{"space":{"data":{"guid":"` + string(w.space.ID) + `"}}}`
	made := w.ask(201, "POST", "/v3/service_instances", `{"type":"user-provided","name":"db","tags":["sql"],"credentials":{"uri":"postgres://u:hidden@h/d"},
		"syslog_drain_url":"syslog://logs.example.com:514","route_service_url":"https://r.example.com",`+space+`}`)
	id := fmt.Sprint(made["guid"])
	one := "/v3/service_instances/" + id
	for path, want := range map[string]string{
		"type": "user-provided", "name": "db", "syslog_drain_url": "syslog://logs.example.com:514", "route_service_url": "https://r.example.com", "tags": "[sql]",
	} {
		if got := fmt.Sprint(made[path]); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if dig(made, "last_operation", "type") != "create" || dig(made, "last_operation", "state") != "succeeded" {
		t.Errorf("last operation: %v", made["last_operation"])
	}
	if got := w.ask(200, "GET", one+"/credentials", ""); got["uri"] != "postgres://u:hidden@h/d" {
		t.Errorf("credentials: %v", got)
	}
	if text := fmt.Sprint(w.ask(200, "GET", "/v3/service_instances", "")); strings.Contains(text, "hidden") {
		t.Error("the list shows a credential")
	}
	for query, want := range map[string]int{
		"": 1, "?names=db": 1, "?names=other": 0, "?type=managed": 0, "?type=user-provided": 1, "?space_guids=" + string(w.space.ID): 1,
		"?space_guids=x": 0, "?organization_guids=" + string(w.org.ID): 1, "?service_plan_names=small": 0, "?label_selector=a": 0,
	} {
		got := w.ask(200, "GET", "/v3/service_instances"+query, "")
		if n := len(got["resources"].([]any)); n != want {
			t.Errorf("%s finds %d, want %d", query, n, want)
		}
	}
	fields := w.ask(200, "GET", "/v3/service_instances?names=db&fields[space]=guid,name&fields[space.organization]=name&fields[service_plan]=name", "")
	if dig(fields, "included", "spaces", 0, "name") != "dev" || dig(fields, "included", "organizations", 0, "name") != "default" || dig(fields, "included", "service_plans") == nil {
		t.Errorf("included: %v", fields["included"])
	}
	changed := w.ask(200, "PATCH", one, `{"name":"orders","tags":null,"credentials":{"a":1},"syslog_drain_url":null}`)
	if changed["name"] != "orders" || changed["syslog_drain_url"] != nil || changed["route_service_url"] == nil {
		t.Errorf("changed: %v", changed)
	}
	if got := w.ask(200, "GET", one+"/credentials", ""); fmt.Sprint(got) != "map[a:1]" {
		t.Errorf("credentials: %v", got)
	}
	w.ask(201, "POST", "/v3/service_instances", `{"type":"user-provided","name":"other",`+space+`}`)
	for body, want := range map[string]string{
		`{"type":"user-provided","name":"orders",` + space + `}`:                                                                      "The service instance name is taken: orders.",
		`{"type":"managed","name":"x",` + space + `}`:                                                                                 "cf create-user-provided-service",
		`{"type":"user-provided","name":"x","credentials":[1],` + space + `}`:                                                         "no JSON object",
		`{"type":"user-provided","name":"x","syslog_drain_url":"ftp://x",` + space + `}`:                                              "lines cannot be drained there",
		`{"type":"user-provided","name":"x","route_service_url":"http://x",` + space + `}`:                                            "https://",
		`{"type":"user-provided","name":"x"}`:                                                                                         "needs type, name and relationships.space",
		`{"type":"user-provided","name":"x","relationships":{"space":{"data":{"guid":"gone"}}}}`:                                      "Invalid space",
		`{"type":"user-provided","name":"x","metadata":{"labels":{"a":"b"}},` + space + `}`:                                           "",
		`{"type":"user-provided","name":"x","tags":["` + strings.Repeat("t", 3000) + `"],` + space + `}`:                              "characters together",
		`{"type":"user-provided","name":"x","credentials":{"a":"` + strings.Repeat("t", service.MaxCredentials) + `"},` + space + `}`: "the most",
	} {
		status, _, got := w.do("POST", "/v3/service_instances", body)
		if want == "" {
			continue // labels are another topic's
		}
		if status != 422 && status != 413 || !strings.Contains(detail(got), want) {
			t.Errorf("%.80s: %d %s, want %s", body, status, detail(got), want)
		}
	}
	if _, _, got := w.do("GET", one+"/parameters", ""); title(got) != "CF-ServiceFetchInstanceParametersNotSupported" {
		t.Errorf("parameters: %v", got)
	}
	if got := w.ask(200, "GET", one+"/relationships/shared_spaces", ""); fmt.Sprint(got["data"]) != "[]" {
		t.Errorf("shared with %v", got)
	}
	if got := w.ask(422, "POST", one+"/relationships/shared_spaces", `{"data":[]}`); !strings.Contains(detail(got), "cannot be shared") {
		t.Error(detail(got))
	}
	w.ask(204, "DELETE", one, "")
	w.ask(404, "GET", one, "")
	w.ask(404, "DELETE", one, "")
}

func TestAnAppIsBound(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	shop, db := w.shop("shop"), w.provide("db", `{"uri":"mysql://u:hidden@h/d"}`)
	of := `"relationships":{"app":{"data":{"guid":"` + string(shop.ID) + `"}},"service_instance":{"data":{"guid":"` + string(db.ID) + `"}}}`
	const all = "/v3/service_credential_bindings"
	for body, want := range map[string]string{
		`{"type":"key","name":"k",` + of + `}`:           "Service credential bindings of type 'key' are not supported for user-provided service instances.",
		`{"type":"app","parameters":{"a":1},` + of + `}`: "Binding parameters are not supported for user-provided service instances",
		`{"type":"app"}`: "Service instance can't be blank",
		strings.Replace(`{"type":"app",`+of+`}`, string(shop.ID), "gone", 1): "The app could not be found: 'gone'",
		strings.Replace(`{"type":"app",`+of+`}`, string(db.ID), "gone", 1):   "The service instance could not be found: 'gone'",
	} {
		if got := w.ask(422, "POST", all, body); !strings.Contains(detail(got), want) {
			t.Errorf("%s: %s", body, detail(got))
		}
	}
	made := w.ask(201, "POST", all, `{"type":"app","name":"primary","parameters":null,`+of+`}`)
	one := all + "/" + fmt.Sprint(made["guid"])
	if made["name"] != "primary" || made["type"] != "app" || dig(made, "relationships", "app", "data", "guid") != string(shop.ID) {
		t.Errorf("made %v", made)
	}
	if got := detail(w.ask(422, "POST", all, `{"type":"app",`+of+`}`)); got != "The app is already bound to the service instance" {
		t.Error(got)
	}
	if got := detail(w.ask(422, "POST", all, `{"type":"app","strategy":"multiple",`+of+`}`)); !strings.HasPrefix(got, "The app has too many bindings") {
		t.Error(got)
	}
	second := strings.Replace(of, string(db.ID), string(w.provide("db2", "").ID), 1)
	if got := detail(w.ask(422, "POST", all, `{"type":"app","name":"primary",`+second+`}`)); !strings.Contains(got, "already has a binding with name 'primary'") {
		t.Error(got)
	}
	got := w.ask(200, "GET", all+"?include=app,service_instance&app_guids="+string(shop.ID)+"&service_instance_names=db&type=app&names=primary", "")
	if dig(got, "included", "apps", 0, "name") != "shop" || dig(got, "included", "service_instances", 0, "name") != "db" || len(got["resources"].([]any)) != 1 {
		t.Errorf("listed %v", got)
	}
	if got := w.ask(200, "GET", all+"?type=key", ""); len(got["resources"].([]any)) != 0 {
		t.Errorf("keys: %v", got)
	}
	if got := w.ask(200, "GET", one+"/details", ""); dig(got, "credentials", "uri") != "mysql://u:hidden@h/d" {
		t.Errorf("details: %v", got)
	}
	env := w.ask(200, "GET", "/v3/apps/"+string(shop.ID)+"/env", "")
	entry := dig(env, "system_env_json", "VCAP_SERVICES", "user-provided", 0)
	if dig(entry, "name") != "primary" || dig(entry, "instance_name") != "db" || dig(entry, "credentials", "uri") != "mysql://u:hidden@h/d" {
		t.Errorf("VCAP_SERVICES: %v", entry)
	}
	if dig(env, "application_env_json", "VCAP_APPLICATION", "application_name") != "shop" {
		t.Errorf("VCAP_APPLICATION: %v", env)
	}
	w.ask(204, "DELETE", one, "")
	w.ask(404, "GET", one, "")
	if got := w.ask(200, "GET", "/v3/apps/"+string(shop.ID)+"/env", ""); fmt.Sprint(dig(got, "system_env_json", "VCAP_SERVICES")) != "map[]" {
		t.Errorf("after: %v", got["system_env_json"])
	}
	// As in Cloud Foundry, what is bound goes with its bindings.
	w.ask(201, "POST", all, `{"type":"app",`+of+`}`)
	w.ask(204, "DELETE", "/v3/service_instances/"+string(db.ID), "")
	if got := w.ask(200, "GET", all, ""); len(got["resources"].([]any)) != 0 {
		t.Errorf("bindings stay: %v", got)
	}
}

func TestAuditorsSeeNoCredentials(t *testing.T) {
	w := newWorld(t)
	shop := w.shop("shop")
	b := w.bound(shop, "db", `{"password":"hidden"}`)
	w.user("auditor", auth.Grant{Role: auth.SpaceAuditor, Org: w.org.ID, Space: w.space.ID})
	w.user("stranger")
	w.login("auditor")
	for path, want := range map[string]int{
		"/v3/service_instances/" + string(b.Service): 200, "/v3/service_instances/" + string(b.Service) + "/credentials": 403,
		"/v3/service_credential_bindings/" + string(b.ID) + "/details": 403, "/v3/service_credential_bindings?include=app,service_instance": 200,
		"/v3/apps/" + string(shop.ID) + "/env": 403,
	} {
		status, _, got := w.do("GET", path, "")
		if status != want || strings.Contains(fmt.Sprint(got), "hidden") {
			t.Errorf("%s: %d, or a credential shows", path, status)
		}
	}
	w.login("stranger")
	w.ask(404, "GET", "/v3/service_instances/"+string(b.Service), "")
	if got := w.ask(200, "GET", "/v3/service_credential_bindings", ""); len(got["resources"].([]any)) != 0 {
		t.Errorf("a stranger sees %v", got)
	}
}

func TestVariablesOfAllApps(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	const running = "/v3/environment_variable_groups/running"
	got := w.ask(200, "PATCH", running, `{"var":{"TZ":"UTC","N":5,"GONE":null}}`)
	if fmt.Sprint(got["var"]) != "map[N:5 TZ:UTC]" || got["name"] != "running" {
		t.Errorf("set to %v", got)
	}
	w.ask(200, "PATCH", running, `{"var":{"N":null}}`)
	if got := w.ask(200, "GET", running, ""); fmt.Sprint(got["var"]) != "map[TZ:UTC]" {
		t.Errorf("read %v", got)
	}
	shop := w.shop("shop")
	if got := w.ask(200, "GET", "/v3/apps/"+string(shop.ID)+"/env", ""); dig(got, "running_env_json", "TZ") != "UTC" {
		t.Errorf("env has %v", got["running_env_json"])
	}
	w.ask(404, "GET", "/v3/environment_variable_groups/other", "")
	for name, want := range map[string]string{"VCAP_X": "Var cannot start with VCAP_", "vmc": "Var cannot start with VMC_", "PORT": "Var cannot set PORT", "": "Var key must be a minimum length of 1"} {
		for _, path := range []string{running, "/v3/apps/" + string(shop.ID) + "/environment_variables"} {
			body, err := json.Marshal(map[string]any{"var": map[string]string{name: "x"}})
			must(t, err)
			if got := detail(w.ask(http.StatusUnprocessableEntity, "PATCH", path, string(body))); got != want {
				t.Errorf("%s at %s: %s", name, path, got)
			}
		}
	}
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.login("dev")
	w.ask(403, "PATCH", running, `{"var":{}}`)
	w.ask(200, "GET", running, "")
}

func TestThereIsNoMarketplace(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	for _, path := range []string{
		"/v3/service_plans?available=true&include=service_offering&fields[service_offering.service_broker]=name,guid&per_page=5000",
		"/v3/service_offerings", "/v3/service_brokers", "/v3/service_route_bindings?include=service_instance&route_guids=x",
	} {
		if got := w.ask(200, "GET", path, ""); len(got["resources"].([]any)) != 0 {
			t.Errorf("%s: %v", path, got)
		}
	}
	w.ask(404, "GET", "/v3/service_plans/x", "")
	if got := detail(w.ask(422, "POST", "/v3/service_brokers", `{}`)); !strings.Contains(got, "cf create-user-provided-service") {
		t.Error(got)
	}
	if got := detail(w.ask(422, "POST", "/v3/service_route_bindings", `{}`)); got != "Support for route services is disabled" {
		t.Error(got)
	}
}

// TestReplayServices sends what real clients sent about services, as TestReplay
// does about the rest.
func TestReplayServices(t *testing.T) {
	for _, file := range transcripts(t, "services") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			w := newWorld(t)
			shop := w.shop("shop")
			w.login("admin")
			p := &player{world: w, names: map[string]string{"org": string(w.org.ID), "space": string(w.space.ID), "app": string(shop.ID)}}
			p.play(t, file, 50, p.exchange)
		})
	}
}
