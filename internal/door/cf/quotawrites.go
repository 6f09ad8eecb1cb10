package cf

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/quota"
)

type quotaInput struct {
	Name          string          `json:"name"`
	Apps          json.RawMessage `json:"apps"`
	Services      json.RawMessage `json:"services"`
	Routes        json.RawMessage `json:"routes"`
	Domains       json.RawMessage `json:"domains"`
	Relationships struct {
		Organization  toOne  `json:"organization"`
		Organizations toMany `json:"organizations"`
		Spaces        toMany `json:"spaces"`
	} `json:"relationships"`
}

type toMany struct {
	Data []ref `json:"data"`
}

// change reads the limits: null takes one away, what is absent stays.
func (in quotaInput) change() (quota.Change, error) {
	out := limits{}
	var wrong []string
	for _, section := range []struct {
		name string
		text json.RawMessage
	}{{"apps", in.Apps}, {"services", in.Services}, {"routes", in.Routes}, {"domains", in.Domains}} {
		if len(section.text) == 0 {
			continue
		}
		var given map[string]json.RawMessage
		title := titled(section.name)
		if json.Unmarshal(section.text, &given) != nil {
			wrong = append(wrong, title+" must be an object")
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(given)) {
			if problem := out.read(section.name, name, given[name]); problem != "" {
				wrong = append(wrong, title+" "+problem)
			}
		}
	}
	return quota.Change(out), allWrong(wrong)
}

// limits are those that a request changes.
type limits quota.Change

// read takes one limit, or says what is wrong with it.
func (l limits) read(section, name string, text json.RawMessage) string {
	title := titled(strings.ReplaceAll(name, "_", " "))
	if section == "services" && name == "paid_services_allowed" {
		var allowed *bool
		if json.Unmarshal(text, &allowed) != nil {
			return title + " must be a boolean"
		}
		l[quota.PaidServices] = nil
		if allowed != nil && !*allowed {
			l[quota.PaidServices] = new(int)
		}
		return ""
	}
	r, known := limitNames[section][name]
	if !known {
		return "Unknown field(s): '" + name + "'"
	}
	if string(text) == "null" {
		l[r] = nil
		return ""
	}
	most := quota.MaxLimit
	if r != quota.LogRate {
		most = min(most, math.MaxInt32)
	}
	if problem := whole(strings.Trim(string(text), `"`), 0, most); problem != "" {
		return title + " " + problem
	}
	n, _ := strconv.ParseFloat(strings.Trim(string(text), `"`), 64) // it was read above
	l[r] = new(int)
	*l[r] = int(n)
	return ""
}

func (d *Door) createOrgQuota(c *call) error {
	if !c.can(auth.PlatformManage, place{}) {
		return notAuthorized
	}
	var in quotaInput
	if err := c.decode(&in); err != nil {
		return err
	}
	var orgs []app.Org
	for _, r := range in.Relationships.Organizations.Data {
		p, err := d.org(c, r.GUID, auth.OrgRead)
		if err != nil {
			return unprocessable.saying("Organizations with guids [\"" + r.GUID + "\"] do not exist, or you do not have access to them.")
		}
		orgs = append(orgs, p.org)
	}
	q, err := d.createQuota(c, in, "", "Organization Quota '"+in.Name+"' already exists.")
	if err != nil {
		return err
	}
	out := shownQuota{Quota: q}
	for _, o := range orgs {
		if err := d.Quotas.Assign(c.ctx(), c.who.Name, q.ID, o, app.Space{}); err != nil {
			return err
		}
		out.holders = append(out.holders, string(o.ID))
	}
	return c.made(c.quotaResource(out))
}

func (d *Door) createQuota(c *call, in quotaInput, org app.OrgID, exists string) (quota.Quota, error) {
	change, err := in.change()
	if err != nil {
		return quota.Quota{}, err
	}
	if in.Name == "" {
		return quota.Quota{}, unprocessable.saying("Name can't be blank")
	}
	q, err := d.Quotas.Create(c.ctx(), c.who.Name, quota.Quota{Name: in.Name, Org: org, Limits: quota.Limits{}.Apply(change)})
	if err != nil {
		return q, taken(err, exists)
	}
	return q, nil
}

func (d *Door) createSpaceQuota(c *call) error {
	var in quotaInput
	if err := c.decode(&in); err != nil {
		return err
	}
	p, err := d.org(c, in.Relationships.Organization.guid(), auth.OrgManage)
	if err == error(missing("Organization")) {
		return unprocessable.saying("Organization with guid '" + in.Relationships.Organization.guid() + "' does not exist, or you do not have access to it.")
	}
	if err != nil {
		return err
	}
	spaces, err := d.spacesToHold(c, p.org, in.Relationships.Spaces)
	if err != nil {
		return err
	}
	q, err := d.createQuota(c, in, p.org.ID, "Space Quota '"+in.Name+"' already exists.")
	if err != nil {
		return err
	}
	out := shownQuota{Quota: q}
	for _, s := range spaces {
		if err := d.Quotas.Assign(c.ctx(), c.who.Name, q.ID, p.org, s); err != nil {
			return err
		}
		out.holders = append(out.holders, string(s.ID))
	}
	return c.made(c.quotaResource(out))
}

// spacesToHold are spaces of an organisation that are to have a quota.
func (d *Door) spacesToHold(c *call, org app.Org, refs toMany) ([]app.Space, error) {
	var out []app.Space
	for _, r := range refs.Data {
		p, err := d.space(c, r.GUID, auth.SpaceRead)
		if err != nil || p.org.ID != org.ID {
			return nil, unprocessable.saying("Spaces with guids [\"" + r.GUID + "\"] do not exist within the organization specified, or you do not have access to them.")
		}
		out = append(out, p.space)
	}
	return out, nil
}

func (d *Door) changeOrgQuota(c *call) error { return d.changeQuota(c, false, "Organization") }

func (d *Door) changeSpaceQuota(c *call) error { return d.changeQuota(c, true, "Space") }

func (d *Door) changeQuota(c *call, ofSpaces bool, thing string) error {
	q, err := d.findQuota(c, ofSpaces, true)
	if err != nil {
		return err
	}
	var in quotaInput
	if err := c.decode(&in); err != nil {
		return err
	}
	change, err := in.change()
	if err != nil {
		return err
	}
	if q.Quota, err = d.Quotas.Change(c.ctx(), c.who.Name, q.ID, in.Name, change); err != nil {
		return taken(err, thing+" Quota '"+in.Name+"' already exists.")
	}
	return c.ok(c.quotaResource(q))
}

func (d *Door) deleteOrgQuota(c *call) error { return d.deleteQuota(c, false, "organization_quota") }

func (d *Door) deleteSpaceQuota(c *call) error { return d.deleteQuota(c, true, "space_quota") }

func (d *Door) deleteQuota(c *call, ofSpaces bool, thing string) error {
	q, err := d.findQuota(c, ofSpaces, true)
	if err != nil {
		return err
	}
	if ofSpaces && len(q.holders) > 0 {
		return unprocessable.saying("This quota is applied to one or more spaces. Remove this quota from all spaces before deleting.")
	}
	if err := d.Quotas.Delete(c.ctx(), c.who.Name, q.ID); err != nil {
		if fault.Is(err, fault.Conflict) && q.ID != quota.DefaultID {
			return unprocessable.saying("This quota is applied to one or more organizations. Apply different quotas to those organizations before deleting.")
		}
		return err
	}
	return c.job(done(thing+".delete", string(q.ID)))
}
