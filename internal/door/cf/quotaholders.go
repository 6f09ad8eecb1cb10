package cf

import (
	"slices"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
)

func (d *Door) assignOrgQuota(c *call) error {
	q, err := d.findQuota(c, false, true)
	if err != nil {
		return err
	}
	var in toMany
	if err := c.decode(&in); err != nil {
		return err
	}
	for _, r := range in.Data {
		p, err := d.org(c, r.GUID, auth.OrgRead)
		if err != nil {
			return unprocessable.saying("Organizations with guids [\"" + r.GUID + "\"] do not exist")
		}
		if err := d.Quotas.Assign(c.ctx(), c.who.Name, q.ID, p.org, app.Space{}); err != nil {
			return err
		}
	}
	return d.sendHolders(c, false, "/v3/organization_quotas/")
}

// sendHolders answers with who has the quota of the path.
func (d *Door) sendHolders(c *call, ofSpaces bool, path string) error {
	q, err := d.findQuota(c, ofSpaces, false)
	if err != nil {
		return err
	}
	return c.ok(map[string]any{
		"data":  each(q.holders, func(s string) ref { return ref{s} }),
		"links": map[string]link{"self": {Href: c.at.api + path + string(q.ID) + "/relationships/" + map[bool]string{true: "spaces", false: "organizations"}[ofSpaces]}},
	})
}

func (d *Door) assignSpaceQuota(c *call) error {
	q, err := d.findQuota(c, true, true)
	if err != nil {
		return err
	}
	var in toMany
	if err := c.decode(&in); err != nil {
		return err
	}
	org, err := d.Places.Org(c.ctx(), q.Org)
	if err != nil {
		return err
	}
	for _, r := range in.Data {
		switch p, err := d.space(c, r.GUID, auth.SpaceRead); {
		case err != nil:
			return unprocessable.saying("Spaces with guids [\"" + r.GUID + "\"] do not exist, or you do not have access to them.")
		case p.org.ID != org.ID:
			return unprocessable.saying("Space quotas cannot be applied outside of their owning organization.")
		}
	}
	spaces, err := d.spacesToHold(c, org, in)
	if err != nil {
		return err
	}
	for _, s := range spaces {
		if err := d.Quotas.Assign(c.ctx(), c.who.Name, q.ID, org, s); err != nil {
			return err
		}
	}
	return d.sendHolders(c, true, "/v3/space_quotas/")
}

func (d *Door) unassignSpaceQuota(c *call) error {
	q, err := d.findQuota(c, true, true)
	if err != nil {
		return err
	}
	p, err := d.space(c, c.r.PathValue("space"), auth.SpaceRead)
	if err != nil || !slices.Contains(q.holders, string(p.space.ID)) {
		return unprocessable.saying("Unable to remove quota from space with guid '" + c.r.PathValue("space") + "'. Ensure the space quota is applied to this space.")
	}
	if err := d.Quotas.Unassign(c.ctx(), c.who.Name, p.org, p.space); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	c.w.WriteHeader(204)
	return nil
}
