package cf

import (
	"slices"

	"naru/internal/auth"
)

// besideRoutes are what dashboards and libraries ask beside what the client asks.
func besideRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/apps/{guid}/permissions", do: (*Door).getAppPermissions},
		{pattern: "GET /v3/audit_events/{guid}", do: (*Door).getEvent},
		{pattern: "GET /v3/stacks/{guid}/apps", do: (*Door).stackApps},
		{pattern: "GET /v3/processes/{guid}/process_instances", do: (*Door).processInstances},
	}
}

// getAppPermissions tells what who asks may see of an app.
func (d *Door) getAppPermissions(c *call) error {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	p, err := d.placeOf(c.ctx(), a.Space)
	if err != nil {
		return gone(err, "App")
	}
	return c.ok(map[string]bool{"read_basic_data": true, "read_sensitive_data": c.can(auth.CredentialRead, p)})
}

// getEvent finds one of the events that are listed.
func (d *Door) getEvent(c *call) error {
	spaces, err := d.spaces(c, auth.EventRead)
	if err != nil {
		return err
	}
	for id, s := range spaces {
		some, err := d.Events.EventsBefore(c.ctx(), id, "", "", 0, newest)
		if err != nil {
			return err
		}
		for _, e := range some {
			if told := (toldEvent{e, s.Org}); told.guid() == c.guid() {
				return c.ok(c.eventResource(told))
			}
		}
	}
	return missing("Event")
}

// stackApps are the apps that name a stack.
func (d *Door) stackApps(c *call) error {
	stacks, err := d.stacks(c)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(stacks, func(i item) bool { return i.guid("stack") == c.guid() })
	if i < 0 {
		return missing("Stack")
	}
	q := c.r.URL.Query()
	q.Set("stacks", stacks[i].name)
	c.r.URL.RawQuery = q.Encode()
	return d.listApps(c)
}

// processInstances are the instances of a process, without what they use.
func (d *Door) processInstances(c *call) error {
	p, v, err := d.process(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.ok(map[string]any{
		"resources": each(v.spots(p.of, p.Type), processInstanceOf),
		"links": map[string]link{
			"self": {Href: c.at.api + c.r.URL.Path}, "process": {Href: c.at.api + "/v3/processes/" + p.guid()},
		},
	})
}
