package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"naru/internal/api"
	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
)

// set switches a feature.
func (w *world) set(name string, on bool) {
	w.t.Helper()
	f, err := w.client("root").SwitchFeature(w.t.Context(), name, client.FeatureChange{Enabled: &on})
	if err != nil || f.Enabled != on {
		w.t.Fatalf("%s: %+v, %v", name, f, err)
	}
}

// status is what somebody is answered.
func (w *world) status(who, method, path, body string) int {
	w.t.Helper()
	return w.do(method, path, w.token(who), body).StatusCode
}

func TestFeaturesAreSwitched(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	ctx, words := t.Context(), "ask Ada"
	all, err := w.client("dev").Features(ctx)
	if err != nil || len(all) != 19 {
		t.Fatalf("%d features, %v", len(all), err)
	}
	off := false
	if _, err := w.client("dev").SwitchFeature(ctx, "task_creation", client.FeatureChange{Enabled: &off}); !fault.Is(err, fault.Denied) {
		t.Errorf("a developer switches: %v", err)
	}
	if _, err := w.client("root").SwitchFeature(ctx, "flying", client.FeatureChange{Enabled: &off}); !fault.Is(err, fault.NotFound) {
		t.Errorf("what there is not: %v", err)
	}
	if _, err := w.client("root").SwitchFeature(ctx, "resource_matching", client.FeatureChange{Enabled: &off}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("what stays: %v", err)
	}
	f, err := w.client("root").SwitchFeature(ctx, "task_creation", client.FeatureChange{Enabled: &off, Message: &words})
	if err != nil || f.Enabled || f.Message != words || f.UpdatedAt.IsZero() {
		t.Errorf("switched: %+v, %v", f, err)
	}
	if f, err = w.client("dev").Feature(ctx, "task_creation"); err != nil || f.Enabled || f.Message != words {
		t.Errorf("looked at: %+v, %v", f, err)
	}
}

func TestFeaturesWithholdPermissions(t *testing.T) {
	w := newWorld(t, api.Config{})
	dev := auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID}
	w.user("dev", dev)
	w.user("manager", auth.Grant{Role: auth.OrgManager, Org: w.org.ID})
	w.user("stranger")
	w.user("outsider")
	shop := w.app("shop")
	_, err := w.store.UpdateApp(t.Context(), shop.ID, func(a *app.App) error {
		a.Draft = a.Draft.WithEnv(map[string]string{"PASS": "open sesame"})
		return nil
	})
	must(t, err)
	const (
		space = "/v1/orgs/default/spaces/dev"
		env   = space + "/apps/shop/env"
		grant = space + "/grants/space_auditor/stranger"
	)
	for _, tc := range []struct {
		feature, who, method, path, body string
		free, admin                      int // with the feature, and without it to an administrator
	}{
		{"env_var_visibility", "dev", "GET", env, "", 200, 403},
		{"space_developer_env_var_visibility", "dev", "GET", env, "", 200, 200},
		{"app_bits_upload", "dev", "POST", space + "/source/missing", `{"hashes":[]}`, 200, 200},
		{"set_roles_by_username", "manager", "PUT", grant, "", 204, 204},
		{"unset_roles_by_username", "manager", "DELETE", grant, "", 204, 204},
	} {
		t.Run(tc.feature, func(t *testing.T) {
			if got := w.status(tc.who, tc.method, tc.path, tc.body); got != tc.free {
				t.Errorf("on: %d, want %d", got, tc.free)
			}
			w.set(tc.feature, false)
			defer w.set(tc.feature, true)
			res := w.do(tc.method, tc.path, w.token(tc.who), tc.body)
			var p client.Problem
			must(t, json.NewDecoder(res.Body).Decode(&p))
			want := `the feature "` + tc.feature + `" is switched off`
			if res.StatusCode != http.StatusForbidden || p.Kind != string(fault.Denied) || p.Message != want || p.Try == "" {
				t.Errorf("off: %d %+v, want %q", res.StatusCode, p, want)
			}
			if got := w.status("outsider", "GET", env, ""); got != http.StatusNotFound {
				t.Errorf("an outsider is answered %d", got)
			}
			if got := w.status("root", tc.method, tc.path, tc.body); got != tc.admin {
				t.Errorf("off, an administrator: %d, want %d", got, tc.admin)
			}
		})
	}
	w.set("space_developer_env_var_visibility", false)
	changed, err := w.dev("dev").App("shop").ChangeEnv(t.Context(), client.EnvChange{Set: map[string]string{"A": "b"}})
	if err != nil || changed.Env.Env["PASS"] != "***" {
		t.Errorf("shown by a change: %+v, %v", changed, err)
	}
}

func TestEverybodyMakesOrganisations(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("ann")
	w.user("bob")
	ctx := t.Context()
	if _, err := w.client("ann").CreateOrg(ctx, "acme"); !fault.Is(err, fault.Denied) {
		t.Errorf("off: %v", err)
	}
	w.set("user_org_creation", true)
	if _, err := w.client("ann").CreateOrg(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	// Who made it manages it, and nobody else; it goes by an administrator alone.
	for who, want := range map[string]int{"ann": 201, "bob": 404} {
		if got := w.status(who, "POST", "/v1/orgs/acme/spaces", `{"name":"`+who+`"}`); got != want {
			t.Errorf("%s makes a space: %d, want %d", who, got, want)
		}
	}
	if got := w.status("ann", "DELETE", "/v1/orgs/acme", ""); got != http.StatusForbidden {
		t.Errorf("ann deletes the organisation: %d", got)
	}
	if _, err := w.client("bob").CreateOrg(ctx, "acme"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a name that is taken: %v", err)
	}
	if got := w.status("bob", "GET", "/v1/orgs/acme", ""); got != http.StatusNotFound {
		t.Errorf("who failed to make it sees it: %d", got)
	}
	if _, err := w.client("root").CreateOrg(ctx, "ours"); err != nil {
		t.Fatal(err)
	}
	ours, err := w.store.OrgNamed(ctx, "ours")
	must(t, err)
	if held, err := w.store.Holdings(ctx, ours.ID, ""); err != nil || len(held) != 0 {
		t.Errorf("an administrator needs no role: %v, %v", held, err)
	}
}
