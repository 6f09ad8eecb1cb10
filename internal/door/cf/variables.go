package cf

import (
	"bytes"
	"encoding/json"
	"strings"

	"naru/internal/app"
	"naru/internal/pipeline/provide"
)

func variableRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/environment_variable_groups/{name}", do: (*Door).getGroup},
		{pattern: "PATCH /v3/environment_variable_groups/{name}", do: (*Door).changeGroup},
	}
}

// group is what the path names.
func (c *call) group() (provide.Group, error) {
	g := provide.Group(c.r.PathValue("name"))
	if provide.CheckGroup(g) != nil {
		return g, missing("Environment variable group")
	}
	return g, nil
}

func (c *call) groupAnswer(g provide.Group, all map[string]string) error {
	return c.ok(map[string]any{
		"name": g, "var": all, "updated_at": nil, "links": map[string]link{"self": {Href: c.at.api + "/v3/environment_variable_groups/" + string(g)}},
	})
}

func (d *Door) getGroup(c *call) error {
	g, err := c.group()
	if err != nil {
		return err
	}
	all, err := d.Provided.Variables(c.ctx(), g)
	if err != nil {
		return err
	}
	return c.groupAnswer(g, all)
}

func (d *Door) changeGroup(c *call) error {
	g, err := c.group()
	if err != nil {
		return err
	}
	if !c.who.Admin {
		return notAuthorized
	}
	change, err := c.envChange()
	if err != nil {
		return err
	}
	all, err := d.Provided.SetVariables(c.ctx(), c.by(), g, change)
	if err != nil {
		return err
	}
	return c.groupAnswer(g, all)
}

// envChange reads a change of variables: null takes one away, numbers and the like
// stay as they are written.
func (c *call) envChange() (app.EnvChange, error) {
	var in struct {
		Var map[string]json.RawMessage `json:"var"`
	}
	change := app.EnvChange{Set: map[string]string{}}
	if err := c.decode(&in); err != nil {
		return change, err
	}
	for name, raw := range in.Var {
		var text string
		switch {
		case bytes.Equal(raw, null):
			change.Unset = append(change.Unset, name)
			continue
		case json.Unmarshal(raw, &text) != nil:
			text = string(raw)
		}
		if why := reserved(name); why != "" {
			return change, unprocessable.saying("Var " + why)
		}
		change.Set[name] = text
	}
	return change, nil
}

// reserved says in Cloud Foundry's words why a variable cannot be set; "": it can.
func reserved(name string) string {
	upper := strings.ToUpper(name)
	switch {
	case name == "":
		return "key must be a minimum length of 1"
	case strings.HasPrefix(upper, "VCAP_"):
		return "cannot start with VCAP_"
	case strings.HasPrefix(upper, "VMC"):
		return "cannot start with VMC_"
	case upper == "PORT":
		return "cannot set PORT"
	}
	return ""
}
