package cf

import (
	"encoding/json"
	"maps"
	"slices"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/pipeline/provide"
	"naru/internal/run/vcap"
)

func envRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/apps/{guid}/env", do: (*Door).getEnv},
		{pattern: "GET /v3/apps/{guid}/environment_variables", do: (*Door).getVariables},
		{pattern: "PATCH /v3/apps/{guid}/environment_variables", do: (*Door).changeVariables},
	}
}

// variables are a draft's, with stars for what is secret.
func variables(c app.Config) map[string]string {
	out := maps.Clone(c.Env)
	if out == nil {
		out = map[string]string{}
	}
	for _, name := range c.Secrets {
		out[name] = "***"
	}
	return out
}

func (d *Door) getEnv(c *call) error {
	a, err := d.app(c, c.guid(), auth.EnvRead)
	if err != nil {
		return err
	}
	p, err := d.placeOf(c.ctx(), a.Space)
	if err != nil {
		return err
	}
	routes, err := d.Routes.RoutesOf(c.ctx(), a.ID)
	if err != nil {
		return err
	}
	uris := []string{}
	for _, r := range routes {
		if r.TCP == nil && r.When == nil {
			uris = append(uris, r.Name())
		}
	}
	bound, err := d.Provided.Bound(c.ctx(), a.ID)
	if err != nil {
		return err
	}
	services, err := vcap.Services(bound)
	if err != nil {
		return err
	}
	var system any = map[string]json.RawMessage{"VCAP_SERVICES": json.RawMessage(services)}
	if !c.can(auth.CredentialRead, p) {
		system = map[string]string{"redacted_message": "[PRIVATE DATA HIDDEN]"}
	}
	text, err := vcap.Application{
		API: c.at.api, Limits: vcap.Limits{Descriptors: vcap.Descriptors}, Name: a.Name, URIs: uris, SpaceName: p.space.Name, Space: string(p.space.ID),
		Org: string(p.org.ID), OrgName: p.org.Name, ID: string(a.ID),
	}.Text()
	if err != nil {
		return err
	}
	application := map[string]any{}
	if err := json.Unmarshal([]byte(text), &application); err != nil {
		return err
	}
	application["users"] = nil
	running, err := d.Provided.Variables(c.ctx(), provide.Running)
	if err != nil {
		return err
	}
	staging, err := d.Provided.Variables(c.ctx(), provide.Staging)
	if err != nil {
		return err
	}
	return c.ok(map[string]any{
		"environment_variables": variables(a.Draft), "staging_env_json": staging, "running_env_json": running,
		"system_env_json": system, "application_env_json": map[string]any{"VCAP_APPLICATION": application},
	})
}

func (c *call) variables(a app.App) error {
	return c.ok(map[string]any{
		"var":   variables(a.Draft),
		"links": map[string]link{"self": {Href: c.at.api + c.r.URL.Path}, "app": {Href: c.at.api + "/v3/apps/" + string(a.ID)}},
	})
}

func (d *Door) getVariables(c *call) error {
	a, err := d.app(c, c.guid(), auth.EnvRead)
	if err != nil {
		return err
	}
	return c.variables(a)
}

// changeVariables edits the draft; instances have the change when they are next
// started, as in Cloud Foundry.
func (d *Door) changeVariables(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppConfigure)
	if err != nil {
		return err
	}
	change, err := c.envChange()
	if err != nil {
		return err
	}
	if a, _, err = d.Drafts.SetEnv(c.ctx(), c.by(), a.ID, change, false); err != nil {
		return err
	}
	if _, err := d.app(c, c.guid(), auth.EnvRead); err != nil { // who changes it may still not read it
		a.Draft = a.Draft.WithSecrets(slices.Sorted(maps.Keys(a.Draft.Env))...)
	}
	return c.variables(a)
}
