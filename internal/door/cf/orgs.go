package cf

import (
	"maps"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/quota"
)

func orgRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/organizations", do: (*Door).listOrgs},
		{pattern: "POST /v3/organizations", do: (*Door).createOrg},
		{pattern: "GET /v3/organizations/{guid}", do: (*Door).getOrg},
		{pattern: "PATCH /v3/organizations/{guid}", do: (*Door).changeOrg},
		{pattern: "DELETE /v3/organizations/{guid}", do: (*Door).deleteOrg},
		{pattern: "GET /v3/organizations/{guid}/usage_summary", do: (*Door).orgUsage},
		{pattern: "GET /v3/organizations/{guid}/users", do: (*Door).orgUsers},
		{pattern: "GET /v3/organizations/{guid}/relationships/default_isolation_segment", do: (*Door).noSegment},
	}
}

var orgList = list[app.Org]{
	filters: map[string]func(app.Org) []string{"names": single(orgName)},
	orders:  map[string]func(app.Org) string{"name": orgName},
	times:   func(o app.Org) (time.Time, time.Time) { return o.Created, o.Created },
	guid:    func(o app.Org) string { return string(o.ID) },
}

func orgName(o app.Org) string { return o.Name }

type orgResource struct {
	resource
	Name          string           `json:"name"`
	Suspended     bool             `json:"suspended"`
	Relationships map[string]toOne `json:"relationships"`
}

func (c *call) orgResource(o app.Org) orgResource {
	path, has := "/v3/organizations/"+string(o.ID), string(c.quotaOf(string(o.ID), quota.DefaultID))
	r := c.thing(string(o.ID), o.Created, o.Created, path).with(c, "domains", path+"/domains").
		with(c, "default_domain", path+"/domains/default").with(c, "quota", "/v3/organization_quotas/"+has)
	return orgResource{resource: r, Name: o.Name, Relationships: map[string]toOne{"quota": one(has)}}
}

func (d *Door) listOrgs(c *call) error {
	orgs, err := d.orgs(c)
	if err != nil {
		return err
	}
	return show(c, orgList, slices.Collect(maps.Values(orgs)), c.orgResource)
}

type orgInput struct {
	Name      *string `json:"name"`
	Suspended *bool   `json:"suspended"`
}

// check refuses what would be lost.
func (in orgInput) check() error {
	if in.Suspended != nil && *in.Suspended {
		return unprocessable.saying("naru cannot suspend organizations")
	}
	if in.Name != nil {
		if err := app.CheckName("name", *in.Name); err != nil {
			return err
		}
	}
	return nil
}

func (d *Door) createOrg(c *call) error {
	if !c.can(auth.OrgCreate, place{}) {
		return notAuthorized
	}
	var in orgInput
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Name == nil {
		return unprocessable.saying("Name can't be blank")
	}
	o, err := d.Places.CreateOrg(c.ctx(), *in.Name, c.event("org.created", *in.Name))
	if err != nil {
		return taken(err, "Organization '"+*in.Name+"' already exists.")
	}
	return c.made(c.orgResource(o))
}

// taken is a Conflict over a name in the words that clients know.
func taken(err error, words string) error {
	if f := fault.Of(err); f.Kind == fault.Conflict && f.Field == "name" {
		return unprocessable.saying(words)
	}
	return err
}

func (d *Door) getOrg(c *call) error {
	p, err := d.org(c, c.guid(), auth.OrgRead)
	if err != nil {
		return err
	}
	return c.ok(c.orgResource(p.org))
}

func (d *Door) changeOrg(c *call) error {
	p, err := d.org(c, c.guid(), auth.OrgManage)
	if err != nil {
		return err
	}
	var in orgInput
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Name != nil && *in.Name != p.org.Name {
		if p.org, err = d.Places.RenameOrg(c.ctx(), p.org.ID, *in.Name, c.event("org.renamed", *in.Name)); err != nil {
			return taken(err, "Organization '"+*in.Name+"' already exists.")
		}
	}
	return c.ok(c.orgResource(p.org))
}

func (d *Door) deleteOrg(c *call) error {
	p, err := d.org(c, c.guid(), auth.OrgRead)
	if err != nil {
		return err
	}
	if !c.can(auth.OrgDelete, p) {
		return notAuthorized
	}
	spaces, err := d.leftOf(c.ctx(), "organization", string(p.org.ID))
	if err != nil {
		return err
	}
	last, err := d.empty(c, spaces)
	if err != nil {
		return err
	}
	if last != "" {
		return c.job(emptying("organization", string(p.org.ID), last))
	}
	if err := d.finish(c, "organization", string(p.org.ID), spaces); err != nil {
		return err
	}
	return c.job(done("organization.delete", string(p.org.ID)))
}

func (d *Door) orgUsage(c *call) error {
	p, err := d.org(c, c.guid(), auth.OrgRead)
	if err != nil {
		return err
	}
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	maps.DeleteFunc(spaces, func(_ app.SpaceID, s app.Space) bool { return s.Org != p.org.ID })
	instances, mib, err := d.usage(c, spaces)
	if err != nil {
		return err
	}
	return c.ok(map[string]any{
		"usage_summary": map[string]int{"started_instances": instances, "memory_in_mb": mib},
		"links":         map[string]link{"self": {Href: c.at.api + c.r.URL.Path}},
	})
}

// noSegment answers that nothing is isolated by segments.
func (d *Door) noSegment(c *call) error {
	if _, err := d.org(c, c.guid(), auth.OrgRead); err != nil {
		return err
	}
	return c.ok(none())
}
