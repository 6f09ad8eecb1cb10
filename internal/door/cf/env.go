package cf

import (
	"bytes"
	"encoding/json"
	"maps"

	"naru/internal/app"
	"naru/internal/auth"
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
	return c.ok(map[string]any{
		"environment_variables": variables(a.Draft), "staging_env_json": map[string]string{}, "running_env_json": map[string]string{},
		"system_env_json": map[string]any{"VCAP_SERVICES": map[string]any{}},
		"application_env_json": map[string]any{"VCAP_APPLICATION": map[string]any{
			"cf_api": c.at.api, "limits": map[string]int{"fds": 16384}, "application_name": a.Name, "application_uris": uris, "name": a.Name, "uris": uris,
			"space_name": p.space.Name, "space_id": p.space.ID, "organization_id": p.org.ID, "organization_name": p.org.Name,
			"users": nil, "application_id": a.ID,
		}},
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
	var in struct {
		Var map[string]json.RawMessage `json:"var"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	change := app.EnvChange{Set: map[string]string{}}
	for name, raw := range in.Var {
		var text string
		switch {
		case bytes.Equal(raw, []byte("null")):
			change.Unset = append(change.Unset, name)
			continue
		case json.Unmarshal(raw, &text) != nil:
			text = string(raw) // numbers and the like, as they are written
		}
		change.Set[name] = text
	}
	if a, _, err = d.Drafts.SetEnv(c.ctx(), c.by(), a.ID, change, false); err != nil {
		return err
	}
	return c.variables(a)
}
