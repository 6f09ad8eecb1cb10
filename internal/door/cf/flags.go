package cf

import (
	"cmp"
	"context"
	"errors"
	"time"

	"naru/internal/auth"
	"naru/internal/fault"
	flags "naru/internal/feature"
)

// Switches says which features of the platform are on, and switches them.
type Switches interface {
	Features() []flags.Feature
	Feature(n flags.Name) (flags.Feature, error)
	Switch(ctx context.Context, by string, n flags.Name, c flags.Change) (flags.Feature, error)
}

func flagRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/feature_flags", do: (*Door).listFlags},
		{pattern: "GET /v3/feature_flags/{name}", do: (*Door).getFlag},
		{pattern: "PATCH /v3/feature_flags/{name}", do: (*Door).changeFlag},
	}
}

type flagResource struct {
	Name    string          `json:"name"`
	Enabled bool            `json:"enabled"`
	Updated *stamp          `json:"updated_at"`
	Message *string         `json:"custom_error_message"`
	Links   map[string]link `json:"links"`
}

func (c *call) flagResource(f flags.Feature) flagResource {
	out := flagResource{Name: string(f.Name), Enabled: f.On, Links: map[string]link{"self": {Href: c.at.api + "/v3/feature_flags/" + string(f.Name)}}}
	if !f.Updated.IsZero() {
		at := stamp(f.Updated)
		out.Updated = &at
	}
	if f.Message != "" {
		out.Message = &f.Message
	}
	return out
}

var flagList = list[flags.Feature]{
	times: func(f flags.Feature) (time.Time, time.Time) { return began, cmp.Or(f.Updated, began) },
	guid:  func(f flags.Feature) string { return string(f.Name) },

	orders:     map[string]func(flags.Feature) string{"name": func(f flags.Feature) string { return string(f.Name) }},
	unlabelled: true,
}

func (d *Door) listFlags(c *call) error {
	return show(c, flagList, d.Switches.Features(), c.flagResource)
}

// flag finds the feature that the path names.
func (d *Door) flag(c *call) (flags.Feature, error) {
	f, err := d.Switches.Feature(flags.Name(c.r.PathValue("name")))
	if fault.Is(err, fault.NotFound) {
		return f, missing("Feature flag")
	}
	return f, err
}

func (d *Door) getFlag(c *call) error {
	f, err := d.flag(c)
	if err != nil {
		return err
	}
	return c.ok(c.flagResource(f))
}

func (d *Door) changeFlag(c *call) error {
	f, err := d.flag(c)
	if err != nil {
		return err
	}
	if !c.can(auth.PlatformManage, place{}) {
		return notAuthorized
	}
	change, err := c.flagChange()
	if err != nil {
		return err
	}
	if f, err = d.Switches.Switch(c.ctx(), c.who.Name, f.Name, change); err != nil {
		return err
	}
	return c.ok(c.flagResource(f))
}

// flagChange reads what is asked of a feature; null takes its message away.
func (c *call) flagChange() (flags.Change, error) {
	var in map[string]any
	if err := c.decode(&in); err != nil {
		return flags.Change{}, err
	}
	var change flags.Change
	if v, said := in["enabled"]; said {
		on, ok := v.(bool)
		if !ok {
			return change, unprocessable.saying("Enabled must be a boolean")
		}
		change.On = &on
	}
	if v, said := in["custom_error_message"]; said {
		text, ok := v.(string)
		switch {
		case v != nil && !ok:
			return change, unprocessable.saying("Custom error message must be a string")
		case ok && text == "":
			return change, unprocessable.saying("Custom error message is too short (minimum is 1 character)")
		}
		change.Message = &text
	}
	return change, nil
}

// switchedOff says in Cloud Foundry's words that a feature is switched off.
func switchedOff(err error) (problem, bool) {
	var d *flags.Disabled
	if !errors.As(err, &d) {
		return problem{}, false
	}
	return disabled(cmp.Or(d.Message, string(d.Name))), true
}
