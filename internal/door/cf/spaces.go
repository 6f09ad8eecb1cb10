package cf

import (
	"maps"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
)

func spaceRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/spaces", do: (*Door).listSpaces},
		{pattern: "POST /v3/spaces", do: (*Door).createSpace},
		{pattern: "GET /v3/spaces/{guid}", do: (*Door).getSpace},
		{pattern: "PATCH /v3/spaces/{guid}", do: (*Door).changeSpace},
		{pattern: "DELETE /v3/spaces/{guid}", do: (*Door).deleteSpace},
		{pattern: "GET /v3/spaces/{guid}/users", do: (*Door).spaceUsers},
		{pattern: "GET /v3/spaces/{guid}/relationships/isolation_segment", do: (*Door).noSpaceSegment},
		{pattern: "GET /v3/spaces/{guid}/running_security_groups", do: (*Door).noSecurityGroups},
		{pattern: "GET /v3/spaces/{guid}/staging_security_groups", do: (*Door).noSecurityGroups},
	}
}

var spaceList = list[app.Space]{
	filters: map[string]func(app.Space) []string{
		"names":              single(spaceName),
		"organization_guids": single(func(s app.Space) string { return string(s.Org) }),
	},
	orders: map[string]func(app.Space) string{"name": spaceName},
	times:  func(s app.Space) (time.Time, time.Time) { return s.Created, s.Created },
	guid:   func(s app.Space) string { return string(s.ID) },

	includes: []string{"org", "organization"},
}

func spaceName(s app.Space) string { return s.Name }

type spaceResource struct {
	resource
	Name          string           `json:"name"`
	Relationships map[string]toOne `json:"relationships"`
	Included      map[string]any   `json:"included,omitempty"`
}

func (c *call) spaceResource(s app.Space) spaceResource {
	r := c.thing(string(s.ID), s.Created, s.Created, "/v3/spaces/"+string(s.ID)).with(c, "organization", "/v3/organizations/"+string(s.Org))
	out := spaceResource{resource: r, Name: s.Name, Relationships: map[string]toOne{"organization": one(string(s.Org)), "quota": none()}}
	if q := string(c.quotaOf(string(s.ID), "")); q != "" {
		out.resource = r.with(c, "quota", "/v3/space_quotas/"+q)
		out.Relationships["quota"] = one(q)
	}
	return out
}

func (d *Door) listSpaces(c *call) error {
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	return showing(c, spaceList, slices.Collect(maps.Values(spaces)), c.spaceResource, func(some []app.Space) (map[string]any, error) {
		return d.included(c, some)
	})
}

// included are the organisations of spaces, where the query wants them.
func (d *Door) included(c *call, some []app.Space) (map[string]any, error) {
	q := c.r.URL.Query()
	if !asked(q, "include", "organization") && !asked(q, "include", "org") {
		return nil, nil //nolint:nilnil // nothing is included
	}
	orgs, err := d.orgs(c)
	if err != nil {
		return nil, err
	}
	out := map[app.OrgID]app.Org{}
	for _, s := range some {
		if o, ok := orgs[s.Org]; ok {
			out[o.ID] = o
		}
	}
	return map[string]any{"organizations": each(slices.SortedFunc(maps.Values(out), byName), c.orgResource)}, nil
}

func byName(a, b app.Org) int {
	if a.Name < b.Name {
		return -1
	}
	return 1
}

type spaceInput struct {
	Name          *string `json:"name"`
	Relationships struct {
		Organization toOne `json:"organization"`
	} `json:"relationships"`
}

func (in spaceInput) check() error {
	if in.Name != nil {
		if err := app.CheckName("name", *in.Name); err != nil {
			return err
		}
	}
	return nil
}

func (d *Door) createSpace(c *call) error {
	var in spaceInput
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Name == nil {
		return unprocessable.saying("Name can't be blank")
	}
	p, err := d.org(c, in.Relationships.Organization.guid(), auth.OrgManage)
	if err == error(missing("Organization")) {
		return unprocessable.saying("Invalid organization. Ensure the organization exists and you have access to it.")
	}
	if err != nil {
		return err
	}
	s, err := d.Places.CreateSpace(c.ctx(), p.org.ID, *in.Name, c.event("space.created", p.org.Name+"/"+*in.Name))
	if err != nil {
		return taken(err, "Name must be unique per organization")
	}
	return c.made(c.spaceResource(s))
}

func (d *Door) getSpace(c *call) error {
	p, err := d.space(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	if err := checkIncludes(c.r.URL.Query(), spaceList.includes); err != nil {
		return err
	}
	out := c.spaceResource(p.space)
	if out.Included, err = d.included(c, []app.Space{p.space}); err != nil {
		return err
	}
	return c.ok(out)
}

func (d *Door) changeSpace(c *call) error {
	p, err := d.space(c, c.guid(), auth.SpaceManage)
	if err != nil {
		return err
	}
	var in spaceInput
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Name != nil && *in.Name != p.space.Name {
		ev := c.event("space.renamed", p.org.Name+"/"+*in.Name)
		ev.Space = string(p.space.ID)
		if p.space, err = d.Places.RenameSpace(c.ctx(), p.space.ID, *in.Name, ev); err != nil {
			return taken(err, "Name must be unique per organization")
		}
	}
	return c.ok(c.spaceResource(p.space))
}

func (d *Door) deleteSpace(c *call) error {
	p, err := d.space(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	if !c.can(auth.OrgManage, place{org: p.org}) {
		return notAuthorized
	}
	last, err := d.empty(c, map[app.SpaceID]app.Space{p.space.ID: p.space})
	if err != nil {
		return err
	}
	if last != "" {
		return c.job(emptying("space", string(p.space.ID), last))
	}
	ev := c.event("space.deleted", p.org.Name+"/"+p.space.Name)
	ev.Space = string(p.space.ID)
	if err := d.Places.DeleteSpace(c.ctx(), p.space.ID, ev); err != nil {
		return err
	}
	return c.job(done("space.delete", string(p.space.ID)))
}

func (d *Door) noSpaceSegment(c *call) error {
	if _, err := d.space(c, c.guid(), auth.SpaceRead); err != nil {
		return err
	}
	return c.ok(none())
}

func (d *Door) noSecurityGroups(c *call) error {
	if _, err := d.space(c, c.guid(), auth.SpaceRead); err != nil {
		return err
	}
	return d.nothing(c, "security_groups")
}
