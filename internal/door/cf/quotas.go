package cf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
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
