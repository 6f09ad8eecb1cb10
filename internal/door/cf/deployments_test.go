package cf_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/pipeline/rollout"
)

// deploy asks for a deployment of an app; more are keys beside the app.
func (w *world) deploy(want int, a app.App, more string) map[string]any {
	w.t.Helper()
	if more != "" {
		more = "," + more
	}
	return w.ask(want, "POST", "/v3/deployments", `{"relationships":{"app":{"data":{"guid":"`+string(a.ID)+`"}}}`+more+`}`)
}

func status(answer map[string]any) string {
	s, _ := answer["status"].(map[string]any)
	return fmt.Sprint(s["value"], " ", s["reason"])
}

// A canary holds at its steps until somebody continues, and the second deployment
// takes the place of the first.
func TestDeployments(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	first := w.deploy(201, a, `"strategy":"canary","droplet":{"guid":"`+a.Image+`"},
		"options":{"canary":{"steps":[{"instance_weight":20},{"instance_weight":40}]},"max_in_flight":2,"web_instances":null,"memory_in_mb":null,"disk_in_mb":null,"log_rate_limit_in_bytes_per_second":null}`)
	path := "/v3/deployments/" + fmt.Sprint(first["guid"])
	got := w.ask(200, "GET", path, "")
	steps := got["status"].(map[string]any)["canary"]
	if status(got) != "ACTIVE PAUSED" || got["strategy"] != "canary" || fmt.Sprint(steps) != "map[steps:map[current:1 total:2]]" {
		t.Fatalf("got %v", got)
	}
	ro, err := w.store.Rollout(t.Context(), rollout.ID(fmt.Sprint(first["guid"])))
	must(t, err)
	if fmt.Sprint(ro.Spec.Steps) != "[20%/hold 40%/hold]" || !ro.Spec.Steps[0].Judge || ro.Spec.MaxInFlight != 2 {
		t.Errorf("got the strategy %+v", ro.Spec)
	}
	w.ask(200, "POST", path+"/actions/continue", "")
	if answer := w.ask(422, "POST", path+"/actions/continue", ""); fmt.Sprint(details(answer)) != "[10008 CF-UnprocessableEntity Cannot continue a deployment with status: ACTIVE and reason: DEPLOYING]" {
		t.Errorf("got %v", answer)
	}
	second := w.deploy(201, a, `"strategy":"rolling"`)
	if got := w.ask(200, "GET", path, ""); status(got) != "FINALIZED SUPERSEDED" {
		t.Errorf("the first is %s", status(got))
	}
	if answer := w.ask(422, "POST", path+"/actions/cancel", ""); !strings.HasPrefix(fmt.Sprint(details(answer)), "[10008 CF-UnprocessableEntity Cannot cancel a deployment with status: FINALIZED") {
		t.Errorf("got %v", answer)
	}
	path = "/v3/deployments/" + fmt.Sprint(second["guid"])
	active := w.ask(200, "GET", "/v3/deployments?app_guids="+string(a.ID)+"&order_by=-created_at&page=1&per_page=1&status_values=ACTIVE", "")
	if all := active["resources"].([]any); len(all) != 1 || all[0].(map[string]any)["guid"] != second["guid"] {
		t.Errorf("active are %v", all)
	}
	if got := w.ask(200, "POST", path+"/actions/cancel", ""); status(got) != "ACTIVE CANCELING" {
		t.Errorf("got %s", status(got))
	}
	w.ask(200, "POST", path+"/actions/cancel", "") // clients try again
	_, err = w.store.MoveRollout(t.Context(), rollout.ID(fmt.Sprint(second["guid"])), rollout.RolledBack, "the new instances fail more often")
	must(t, err)
	got = w.ask(200, "GET", path, "")
	if why := got["status"].(map[string]any)["details"].(map[string]any)["error"]; status(got) != "FINALIZED CANCELED" || why != "the new instances fail more often" {
		t.Errorf("got %v", got)
	}
}

func TestWrongDeployments(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a, other := w.shop("shop"), w.shop("other")
	for name, tc := range map[string]struct{ body, want string }{
		"both":             {`"droplet":{"guid":"a"},"revision":{"guid":"b"}`, "Cannot set both fields 'droplet' and 'revision'"},
		"strategy":         {`"strategy":"sideways"`, "Strategy 'sideways' is not a supported deployment strategy"},
		"max in flight":    {`"options":{"max_in_flight":0}`, "Options.max in flight must be greater than or equal to 1"},
		"steps of rolling": {`"options":{"canary":{"steps":[]}}`, "Options.canary are only valid for Canary deployments"},
		"weight":           {`"strategy":"canary","options":{"canary":{"steps":[{"instance_weight":101}]}}`, "Options.canary.steps instance_weight must be an Integer between 1-100 (inclusive)"},
		"fraction":         {`"strategy":"canary","options":{"canary":{"steps":[{"instance_weight":1.5}]}}`, "Options.canary.steps instance_weight must be an Integer between 1-100 (inclusive)"},
		"order":            {`"strategy":"canary","options":{"canary":{"steps":[{"instance_weight":40},{"instance_weight":20}]}}`, "Options.canary.steps instance_weight must be sorted in ascending order"},
		"log rate":         {`"options":{"log_rate_limit_in_bytes_per_second":5}`, "naru limits logs for all apps alike (logs.rate), not app by app"},
		"droplet":          {`"droplet":{"guid":"` + other.Image + `"}`, "Unable to assign current droplet. Ensure the droplet exists and belongs to this app."},
		"revision":         {`"revision":{"guid":"none"}`, "The revision does not exist"},
	} {
		if got := details(w.deploy(422, a, tc.body)); fmt.Sprint(got) != "[10008 CF-UnprocessableEntity "+tc.want+"]" {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	w.ask(404, "GET", "/v3/deployments/none", "")
	w.user("stranger")
	own := fmt.Sprint(w.deploy(201, a, "")["guid"])
	w.login("stranger")
	w.ask(404, "GET", "/v3/deployments/"+own, "")
	w.ask(404, "POST", "/v3/deployments/"+own+"/actions/cancel", "")
	if got := details(w.deploy(422, a, "")); !strings.HasSuffix(fmt.Sprint(got), "Unable to use app. Ensure that the app exists and you have access to it.]") {
		t.Errorf("a stranger: got %q", got)
	}
}

// A revision is a release; one that is gone back to is deployed.
func TestRevisions(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	w.ask(200, "PATCH", "/v3/apps/"+string(a.ID)+"/environment_variables", `{"var":{"A":"1"}}`)
	w.deploy(201, a, "")
	all := w.ask(200, "GET", "/v3/apps/"+string(a.ID)+"/revisions?order_by=-created_at", "")["resources"].([]any)
	if len(all) != 2 {
		t.Fatalf("got %v", all)
	}
	second, first := all[0].(map[string]any), all[1].(map[string]any)
	if second["version"] != 2. || second["description"] != "New environment variables deployed." || second["deployable"] != true || first["description"] != "Initial revision." {
		t.Errorf("got %v", all)
	}
	one := w.ask(200, "GET", "/v3/apps/"+string(a.ID)+"/revisions?versions=2&page=1&per_page=2", "")["resources"].([]any)
	if len(one) != 1 || one[0].(map[string]any)["guid"] != second["guid"] {
		t.Errorf("got %v", one)
	}
	href := second["links"].(map[string]any)["environment_variables"].(map[string]any)["href"].(string)
	if vars := w.ask(200, "GET", strings.TrimPrefix(href, w.url), "")["var"]; fmt.Sprint(vars) != "map[A:1]" {
		t.Errorf("got the variables %v", vars)
	}
	deployed := w.ask(200, "GET", "/v3/apps/"+string(a.ID)+"/revisions/deployed", "")["resources"].([]any)
	if len(deployed) != 1 || deployed[0].(map[string]any)["version"] != 1. {
		t.Errorf("deployed are %v", deployed)
	}
	back := w.deploy(201, a, `"revision":{"guid":"`+fmt.Sprint(first["guid"])+`"},"strategy":"rolling"`)
	ro, err := w.store.Rollout(t.Context(), rollout.ID(fmt.Sprint(back["guid"])))
	must(t, err)
	if string(ro.Release) != first["guid"] || !ro.Spec.Guard.Off {
		t.Errorf("got the rollout %+v", ro)
	}
	w.user("supporter", auth.Grant{Role: auth.SpaceSupporter, Org: w.org.ID, Space: w.space.ID})
	w.login("supporter")
	w.ask(403, "GET", "/v3/revisions/"+fmt.Sprint(first["guid"])+"/environment_variables", "")
}

// A restart that came to nothing is told as such for a while, though what ran before
// runs again.
func TestFailedRestartIsTold(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	stats := func() map[string]any {
		return w.ask(200, "GET", "/v3/processes/"+string(a.ID)+"/stats", "")["resources"].([]any)[0].(map[string]any)
	}
	if got := stats(); got["state"] != "RUNNING" {
		t.Fatalf("got %v", got)
	}
	w.ask(200, "POST", "/v3/apps/"+string(a.ID)+"/actions/restart", "")
	ops, err := w.store.Operations(t.Context(), operationsOf(a.ID))
	must(t, err)
	current, err := w.store.CurrentReleases(t.Context(), a.ID)
	must(t, err)
	_, err = w.store.StartRollout(t.Context(), rollout.Rollout{ID: rollout.ID(ops[0].ID), App: a.ID, Release: current[a.ID].ID, Spec: app.Strategy{}.Filled(), State: rollout.Preparing, Created: time.Now()})
	must(t, err)
	if all := w.ask(200, "GET", "/v3/deployments?status_values=ACTIVE&app_guids="+string(a.ID), "")["resources"].([]any); len(all) != 0 {
		t.Errorf("a restart is the deployment %v", all)
	}
	for _, to := range []rollout.State{rollout.Aborting, rollout.RolledBack} {
		_, err = w.store.MoveRollout(t.Context(), rollout.ID(ops[0].ID), to, "instance 0 exited with status 1")
		must(t, err)
	}
	if got := stats(); got["state"] != "CRASHED" || got["details"] != "instance 0 exited with status 1" {
		t.Errorf("got %v", got)
	}
}

// One instance is replaced; those that there are none of are missing.
func TestRestartInstance(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	for _, index := range []string{"1", "-1", "x"} {
		if answer := w.ask(404, "DELETE", "/v3/apps/"+string(a.ID)+"/processes/web/instances/"+index, ""); fmt.Sprint(details(answer)) != "[10010 CF-ResourceNotFound Instance not found]" {
			t.Errorf("%s: got %v", index, answer)
		}
	}
	w.ask(204, "DELETE", "/v3/apps/"+string(a.ID)+"/processes/web/instances/0", "")
}

// Apps keep how they are built, and are renamed.
func TestAppsAreChanged(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	space := `"relationships":{"space":{"data":{"guid":"` + string(w.space.ID) + `"}}}`
	image := w.ask(201, "POST", "/v3/apps", `{"name":"image","lifecycle":{"type":"docker","data":{}},`+space+`}`)
	if got := fmt.Sprint(image["lifecycle"].(map[string]any)["type"], image["state"]); got != "dockerSTOPPED" {
		t.Errorf("got %s", got)
	}
	w.ask(422, "POST", "/v3/apps", `{"name":"x","lifecycle":{"type":"cnb","data":{"buildpacks":["a"]}},`+space+`}`)
	w.ask(422, "POST", "/v3/apps", `{"name":"x","lifecycle":{"type":"buildpack","data":{"buildpacks":["mine"]}},`+space+`}`)
	one := w.ask(201, "POST", "/v3/apps", `{"name":"one",`+space+`}`)
	path := "/v3/apps/" + fmt.Sprint(one["guid"])
	changed := w.ask(200, "PATCH", path, `{"name":"two","lifecycle":{"type":"buildpack","data":{"buildpacks":["go_buildpack"],"stack":"cflinuxfs4"}}}`)
	if changed["name"] != "two" || fmt.Sprint(changed["lifecycle"]) != "map[data:map[buildpacks:[go_buildpack] stack:cflinuxfs4] type:buildpack]" {
		t.Errorf("got %v", changed)
	}
	w.ask(422, "PATCH", path, `{"lifecycle":{"type":"docker","data":{}}}`)
	if answer := w.ask(422, "PATCH", path, `{"name":"image"}`); fmt.Sprint(details(answer)) != "[10008 CF-UnprocessableEntity App with the name 'image' already exists.]" {
		t.Errorf("got %v", answer)
	}
	if answer := w.ask(422, "POST", path+"/sidecars", `{"name":"s"}`); !strings.Contains(fmt.Sprint(answer), "naru has no sidecars") {
		t.Errorf("got %v", answer)
	}
}
