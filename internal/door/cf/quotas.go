package cf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/quota"
)

// Quotas is where quotas are looked up and changed.
type Quotas interface {
	Quota(ctx context.Context, id quota.ID) (quota.Quota, error)
	Quotas(ctx context.Context) ([]quota.Quota, error)
	QuotaHolders(ctx context.Context) (map[string]quota.ID, error)
	Create(ctx context.Context, by string, q quota.Quota) (quota.Quota, error)
	Change(ctx context.Context, by string, id quota.ID, name string, change quota.Change) (quota.Quota, error)
	Delete(ctx context.Context, by string, id quota.ID) error
	Assign(ctx context.Context, by string, id quota.ID, org app.Org, space app.Space) error
	Unassign(ctx context.Context, by string, org app.Org, space app.Space) error
}

func quotaRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/organization_quotas", do: (*Door).listOrgQuotas},
		{pattern: "POST /v3/organization_quotas", do: (*Door).createOrgQuota},
		{pattern: "GET /v3/organization_quotas/{guid}", do: (*Door).getOrgQuota},
		{pattern: "PATCH /v3/organization_quotas/{guid}", do: (*Door).changeOrgQuota},
		{pattern: "DELETE /v3/organization_quotas/{guid}", do: (*Door).deleteOrgQuota},
		{pattern: "POST /v3/organization_quotas/{guid}/relationships/organizations", do: (*Door).assignOrgQuota},
		{pattern: "GET /v3/space_quotas", do: (*Door).listSpaceQuotas},
		{pattern: "POST /v3/space_quotas", do: (*Door).createSpaceQuota},
		{pattern: "GET /v3/space_quotas/{guid}", do: (*Door).getSpaceQuota},
		{pattern: "PATCH /v3/space_quotas/{guid}", do: (*Door).changeSpaceQuota},
		{pattern: "DELETE /v3/space_quotas/{guid}", do: (*Door).deleteSpaceQuota},
		{pattern: "POST /v3/space_quotas/{guid}/relationships/spaces", do: (*Door).assignSpaceQuota},
		{pattern: "DELETE /v3/space_quotas/{guid}/relationships/spaces/{space}", do: (*Door).unassignSpaceQuota},
	}
}

// limitNames are the limits by their places in the API.
var limitNames = map[string]map[string]quota.Resource{
	"apps": {
		"total_memory_in_mb": quota.Memory, "per_process_memory_in_mb": quota.ProcessMemory, "total_instances": quota.Instances,
		"per_app_tasks": quota.AppTasks, "log_rate_limit_in_bytes_per_second": quota.LogRate,
	},
	"services": {"total_service_instances": quota.Services, "total_service_keys": quota.ServiceKeys},
	"routes":   {"total_routes": quota.Routes, "total_reserved_ports": quota.Ports},
	"domains":  {"total_domains": quota.Domains},
}

type quotaResource struct {
	resource
	Name          string         `json:"name"`
	Apps          map[string]any `json:"apps"`
	Services      map[string]any `json:"services"`
	Routes        map[string]any `json:"routes"`
	Domains       map[string]any `json:"domains,omitempty"`
	Relationships map[string]any `json:"relationships"`
}

// shownQuota is a quota with the places that who asks may see of those that have it.
type shownQuota struct {
	quota.Quota
	holders []string
}

func (c *call) quotaResource(q shownQuota) quotaResource {
	path, places := "/v3/organization_quotas/", "organizations"
	if q.Org != "" {
		path, places = "/v3/space_quotas/", "spaces"
	}
	sections := map[string]map[string]any{}
	for section, names := range limitNames {
		sections[section] = map[string]any{}
		for name, r := range names {
			sections[section][name] = nil
			if n, limited := q.Limits[r]; limited {
				sections[section][name] = n
			}
		}
	}
	paid, limited := q.Limits[quota.PaidServices]
	sections["services"]["paid_services_allowed"] = !limited || paid > 0
	out := quotaResource{
		resource: c.thing(string(q.ID), q.Created, q.Updated, path+string(q.ID)), Name: q.Name,
		Apps: sections["apps"], Services: sections["services"], Routes: sections["routes"],
		Relationships: map[string]any{places: map[string]any{"data": each(q.holders, func(s string) ref { return ref{s} })}},
	}
	out.Metadata = nil
	if q.Org == "" {
		out.Domains = sections["domains"]
	} else {
		out.Relationships["organization"] = one(string(q.Org))
		out.resource = out.with(c, "organization", "/v3/organizations/"+string(q.Org))
	}
	return out
}

// quotas are those of organisations, or those of spaces, that who asks may see.
func (d *Door) quotas(c *call, ofSpaces bool) ([]shownQuota, error) {
	all, err := d.Quotas.Quotas(c.ctx())
	if err != nil {
		return nil, err
	}
	given, err := d.Quotas.QuotaHolders(c.ctx())
	if err != nil {
		return nil, err
	}
	holders := map[quota.ID][]string{}
	orgs, err := d.orgs(c)
	if err != nil {
		return nil, err
	}
	for id := range orgs {
		q, ok := given[string(id)]
		if !ok {
			q = quota.DefaultID
		}
		holders[q] = append(holders[q], string(id))
	}
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return nil, err
	}
	for id := range spaces {
		if q, ok := given[string(id)]; ok {
			holders[q] = append(holders[q], string(id))
		}
	}
	var out []shownQuota
	everywhere := c.can(auth.PlatformAudit, place{})
	for _, q := range all {
		seen := everywhere || len(holders[q.ID]) > 0 || q.Org != "" && auth.Can(c.who, auth.OrgManage, q.Org, "")
		if (q.Org != "") == ofSpaces && seen {
			slices.Sort(holders[q.ID])
			out = append(out, shownQuota{q, holders[q.ID]})
		}
	}
	return out, nil
}

func quotaList(places string) list[shownQuota] {
	l := list[shownQuota]{
		filters: map[string]func(shownQuota) []string{
			"names": single(func(q shownQuota) string { return q.Name }),
			places:  func(q shownQuota) []string { return q.holders },
		},
		orders: map[string]func(shownQuota) string{"name": func(q shownQuota) string { return q.Name }},
		times:  func(q shownQuota) (time.Time, time.Time) { return q.Created, q.Updated },
		guid:   func(q shownQuota) string { return string(q.ID) },

		unlabelled: true,
	}
	if places == "space_guids" {
		l.filters["organization_guids"] = single(func(q shownQuota) string { return string(q.Org) })
	}
	return l
}

func (d *Door) listOrgQuotas(c *call) error {
	all, err := d.quotas(c, false)
	if err != nil {
		return err
	}
	return show(c, quotaList("organization_guids"), all, c.quotaResource)
}

func (d *Door) listSpaceQuotas(c *call) error {
	all, err := d.quotas(c, true)
	if err != nil {
		return err
	}
	return show(c, quotaList("space_guids"), all, c.quotaResource)
}

// findQuota finds a quota that who asks may see, and with change one that they may
// change.
func (d *Door) findQuota(c *call, ofSpaces, change bool) (shownQuota, error) {
	thing := "Organization quota"
	if ofSpaces {
		thing = "Space quota"
	}
	all, err := d.quotas(c, ofSpaces)
	if err != nil {
		return shownQuota{}, err
	}
	i := slices.IndexFunc(all, func(q shownQuota) bool { return string(q.ID) == c.guid() })
	switch {
	case i < 0:
		return shownQuota{}, missing(thing)
	case !change:
	case ofSpaces && !auth.Can(c.who, auth.OrgManage, all[i].Org, ""), !ofSpaces && !c.can(auth.PlatformManage, place{}):
		return shownQuota{}, notAuthorized
	}
	return all[i], nil
}

func (d *Door) getOrgQuota(c *call) error { return d.getQuota(c, false) }

func (d *Door) getSpaceQuota(c *call) error { return d.getQuota(c, true) }

func (d *Door) getQuota(c *call, ofSpaces bool) error {
	q, err := d.findQuota(c, ofSpaces, false)
	if err != nil {
		return err
	}
	return c.ok(c.quotaResource(q))
}

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

// quotaOf is the quota that an organisation or a space was given, or otherwise.
func (c *call) quotaOf(place string, otherwise quota.ID) quota.ID {
	if c.given == nil {
		var err error
		if c.given, err = c.door.Quotas.QuotaHolders(c.ctx()); err != nil {
			c.fail(err)
		}
	}
	if q, ok := c.given[place]; ok {
		return q
	}
	return otherwise
}

// exceeded says in Cloud Foundry's words that a quota is exceeded.
func exceeded(err error) (problem, bool) {
	var e *quota.Exceeded
	if !errors.As(err, &e) {
		return problem{}, false
	}
	place, of := "organization", "organization's"
	if e.Held.Org != "" {
		place, of = "space", "space's"
	}
	words := map[quota.Resource]string{
		quota.Memory:        "memory quota_exceeded",
		quota.ProcessMemory: "memory instance_memory_limit_exceeded",
		quota.Instances:     "app_instance_limit instance_limit_exceeded",
		quota.LogRate:       "log_rate_limit exceeds " + place + " log rate quota",
		quota.AppTasks:      "The task is invalid: app_task_limit " + place + " quota exceeded",
		quota.Routes:        fmt.Sprintf("Routes quota exceeded for %s '%s'.", place, e.Held.Place),
		quota.Ports:         fmt.Sprintf("Reserved route ports quota exceeded for %s '%s'.", place, e.Held.Place),
		quota.Services:      "You have exceeded your " + of + " services limit.",
		quota.ServiceKeys:   "You have exceeded your " + of + " limit for service binding of type key.",
		quota.Domains:       fmt.Sprintf("The number of private domains exceeds the quota for organization \"%s\"", e.Held.Place),
	}[e.Resource]
	if e.Resource == quota.Memory && place == "space" {
		words = "memory space_quota_exceeded"
	}
	return unprocessable.saying(strings.TrimSuffix(words, ".") + ": " + e.Error()), true
}
