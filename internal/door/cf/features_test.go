package cf_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/feature"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/quota"
	"naru/internal/pipeline/task"
	"naru/internal/route"
	"naru/internal/store"
)

// ruled is a pipeline that refuses what takes a feature, where the real one does.
type ruled struct{ *pipeline }

func (r ruled) Scale(ctx context.Context, by operation.Ask, a app.ID, processes map[string]int) (operation.Operation, error) {
	if err := feature.Ask(ctx, feature.AppScaling); err != nil {
		return operation.Operation{}, err
	}
	return r.pipeline.Scale(ctx, by, a, processes)
}

func (r ruled) SetProcesses(ctx context.Context, by operation.Ask, a app.ID, processes map[string]app.Overrides) (app.App, error) {
	if err := feature.Ask(ctx, feature.AppScaling); err != nil {
		return app.App{}, err
	}
	return r.pipeline.SetProcesses(ctx, by, a, processes)
}

func (r ruled) ReserveRoute(ctx context.Context, by operation.Ask, space app.SpaceID, host, path string) (route.Route, error) {
	if err := feature.Ask(ctx, feature.RouteCreation); err != nil {
		return route.Route{}, err
	}
	return r.pipeline.ReserveRoute(ctx, by, space, host, path)
}

func (r ruled) RunTask(ctx context.Context, by operation.Ask, a app.ID, in client.NewTask) (task.Task, error) {
	if err := feature.Ask(ctx, feature.TaskCreation); err != nil {
		return task.Task{}, err
	}
	return r.pipeline.RunTask(ctx, by, a, in)
}

func (r ruled) Skeleton(ctx context.Context, by operation.Ask, space app.SpaceID, name string, build app.Build) (app.App, error) {
	if build.Docker {
		if err := feature.Ask(ctx, feature.DiegoDocker); err != nil {
			return app.App{}, err
		}
	}
	return r.pipeline.Skeleton(ctx, by, space, name, build)
}

func (r ruled) ApplyManifest(ctx context.Context, by operation.Ask, space app.SpaceID, all []deliver.Declaration) (operation.Operation, error) {
	for _, d := range all {
		for n, asked := range map[feature.Name]bool{feature.AppScaling: len(d.Scale) > 0, feature.RouteCreation: len(d.Routes) > 0 || d.Host != "" && d.Name != "shop"} {
			if !asked {
				continue
			}
			if err := feature.Ask(ctx, n); err != nil {
				return operation.Operation{}, err
			}
		}
	}
	return r.pipeline.ApplyManifest(ctx, by, space, all)
}

// counted keeps what is counted one by one.
type counted struct {
	*store.Store
	desk *quota.Desk
}

func (c counted) CreateDomain(ctx context.Context, d route.Domain, evs ...event.Event) (route.Domain, error) {
	if err := c.desk.Domain(ctx, d.Org); err != nil {
		return d, err
	}
	return c.Store.CreateDomain(ctx, d, evs...)
}

func (c counted) AddService(ctx context.Context, one service.Service, sealed string, evs ...event.Event) (service.Service, error) {
	if err := c.desk.Service(ctx, one.Space); err != nil {
		return one, err
	}
	return c.Store.AddService(ctx, one, sealed, evs...)
}

// newRuledWorld is a world whose pipeline decides about features.
func newRuledWorld(t *testing.T) *world {
	w := newWorld(t)
	r, kept := ruled{w.pipe}, counted{w.store, quota.NewDesk(w.store)}
	w.door.Lifecycle, w.door.Drafts, w.door.Mapper, w.door.Runner, w.door.Declarer, w.door.Domains = r, r, r, r, r, kept
	w.provided.Store = kept
	return w
}

// TestReplayOfFeatures sends what real clients sent to switch features, and what
// each of them guards.
func TestReplayOfFeatures(t *testing.T) {
	for _, file := range transcripts(t, "features") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			w := newRuledWorld(t)
			shop := w.shop("shop")
			in := auth.Grant{Org: w.org.ID, Space: w.space.ID}
			ofOrg, develops, manages := auth.Grant{Role: auth.OrgManager, Org: in.Org}, in, in
			develops.Role, manages.Role = auth.SpaceDeveloper, auth.SpaceManager
			dev := w.user("dev", ofOrg, develops, manages)
			peer := w.user("peer", auth.Grant{Role: auth.OrgAuditor, Org: in.Org})
			tokens := map[string]string{}
			for _, name := range []string{"admin", "dev"} {
				w.login(name)
				tokens[name] = w.token
			}
			p := &player{world: w, names: map[string]string{
				"org": string(w.org.ID), "space": string(w.space.ID), "app": string(shop.ID), "image": shop.Image, "dev": string(dev.ID), "peer": string(peer.ID),
				"domain": w.domain(),
			}}
			p.play(t, file, 120, func(request string, want []string) string {
				name, rest, _ := strings.Cut(request, " ")
				p.token = tokens[name]
				if kind, _, _ := strings.Cut(rest, " "); kind == "yaml" {
					return p.act(rest, want)
				}
				return p.exchange(rest, want)
			})
		})
	}
}

// TestSwitching holds what is refused of a switch, and what a feature shows.
func TestSwitching(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	const path = "/v3/feature_flags/task_creation"
	for name, tc := range map[string]struct {
		body   string
		status int
		detail string
	}{
		"no boolean":         {`{"enabled":"no"}`, 422, "Enabled must be a boolean"},
		"null":               {`{"enabled":null}`, 422, "Enabled must be a boolean"},
		"no words":           {`{"custom_error_message":""}`, 422, "Custom error message is too short (minimum is 1 character)"},
		"no text":            {`{"custom_error_message":1}`, 422, "Custom error message must be a string"},
		"too many words":     {`{"custom_error_message":"` + strings.Repeat("ä", 251) + `"}`, 422, "message: a message has at most 250 characters (got 251)"},
		"words on two lines": {`{"custom_error_message":"a\nb"}`, 422, "message: there is a character in the message that cannot be shown"},
		"no object":          {`[]`, 400, "Request invalid due to parse error: invalid request body"},
		"nothing":            {`{}`, 200, ""},
		"what is so":         {`{"enabled":true}`, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, answer := w.do("PATCH", path, tc.body)
			all, _ := answer["errors"].([]any)
			detail := ""
			if len(all) > 0 {
				first, _ := all[0].(map[string]any)
				detail, _ = first["detail"].(string)
			}
			if status != tc.status || detail != tc.detail {
				t.Errorf("%d %q, want %d %q", status, detail, tc.status, tc.detail)
			}
		})
	}
	f := w.ask(200, "GET", path, "")
	if f["enabled"] != true || f["updated_at"] != nil || f["custom_error_message"] != nil {
		t.Errorf("nobody switched it: %v", f)
	}
	f = w.ask(200, "PATCH", path, `{"enabled":false,"custom_error_message":"`+strings.Repeat("ä", 250)+`"}`)
	if f["enabled"] != false || f["updated_at"] == nil || len([]rune(fmt.Sprint(f["custom_error_message"]))) != 250 {
		t.Errorf("it was switched: %v", f)
	}
	if f = w.ask(200, "PATCH", path, `{"custom_error_message":null}`); f["enabled"] != false || f["custom_error_message"] != nil {
		t.Errorf("its words were taken back: %v", f)
	}
}

// TestRefusalsSayTheirWords holds the one answer that clients know by its code.
func TestRefusalsSayTheirWords(t *testing.T) {
	w := newRuledWorld(t)
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	shop := w.shop("shop")
	for _, tc := range []struct{ body, detail string }{
		{`{"enabled":false}`, "Feature Disabled: space_developer_env_var_visibility"},
		{`{"custom_error_message":"Ask Ada."}`, "Feature Disabled: Ask Ada."},
	} {
		w.login("admin")
		w.ask(200, "PATCH", "/v3/feature_flags/space_developer_env_var_visibility", tc.body)
		w.login("dev")
		answer := w.ask(403, "GET", "/v3/apps/"+string(shop.ID)+"/environment_variables", "")
		if got, want := fmt.Sprint(answer["errors"]), fmt.Sprint([]any{map[string]any{"code": 330002, "title": "CF-FeatureDisabled", "detail": tc.detail}}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	// Who may change variables and not read them does not read them by changing.
	w.login("admin")
	w.ask(200, "PATCH", "/v3/apps/"+string(shop.ID)+"/environment_variables", `{"var":{"PASS":"open sesame"}}`)
	w.login("dev")
	if answer := w.ask(200, "PATCH", "/v3/apps/"+string(shop.ID)+"/environment_variables", `{"var":{}}`); strings.Contains(fmt.Sprint(answer), "sesame") {
		t.Errorf("shown: %v", answer)
	}
	status, _, answer := w.manifest("/v3/spaces/"+string(w.space.ID)+"/manifest_diff", "applications: [{name: shop, env: {PASS: closed}}]")
	if status != 201 || strings.Contains(fmt.Sprint(answer), "sesame") {
		t.Errorf("shown by a manifest: %d %v", status, answer)
	}
	w.login("admin")
	if _, _, answer := w.manifest("/v3/spaces/"+string(w.space.ID)+"/manifest_diff", "applications: [{name: shop, env: {PASS: closed}}]"); !strings.Contains(fmt.Sprint(answer), "sesame") {
		t.Errorf("an administrator is not told: %v", answer)
	}
}
