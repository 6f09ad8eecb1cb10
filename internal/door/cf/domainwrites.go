package cf

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/route"
)

// Domains keeps domains that are known before there is a route below them.
type Domains interface {
	Domains(ctx context.Context) ([]route.Domain, error)
	CreateDomain(ctx context.Context, d route.Domain, evs ...event.Event) (route.Domain, error)
	ShareDomain(ctx context.Context, id route.DomainID, with []app.OrgID, shared bool, evs ...event.Event) (route.Domain, error)
	DeleteDomain(ctx context.Context, id route.DomainID, evs ...event.Event) error
}

func domainWriteRoutes() []endpoint {
	return []endpoint{
		{pattern: "POST /v3/domains", do: (*Door).createDomain},
		{pattern: "DELETE /v3/domains/{guid}", do: (*Door).deleteDomain},
		{pattern: "POST /v3/domains/{guid}/relationships/shared_organizations", do: (*Door).shareDomain},
		{pattern: "DELETE /v3/domains/{guid}/relationships/shared_organizations/{org}", do: (*Door).unshareDomain},
	}
}

type domainInput struct {
	Name          string `json:"name"`
	Internal      bool   `json:"internal"`
	RouterGroup   *ref   `json:"router_group"`
	Enforce       bool   `json:"enforce_route_policies"`
	Relationships struct {
		Organization toOne  `json:"organization"`
		Shared       toMany `json:"shared_organizations"`
	} `json:"relationships"`
}

// check refuses what would be lost.
func (in domainInput) check() error {
	switch {
	case in.Internal:
		return unprocessable.saying("naru has no internal domains: apps reach each other by their routes")
	case in.RouterGroup != nil:
		return unprocessable.saying("naru has one domain for TCP routes, that of the router group " + routerGroup + ": see cf domains")
	case in.Enforce:
		return unprocessable.saying("naru has no route policies: who may reach a route is a rule of the route, by naru route set HOST")
	case in.Relationships.Organization.guid() == "" && len(in.Relationships.Shared.Data) > 0:
		return unprocessable.saying("Relationships cannot contain shared_organizations without an owning organization.")
	}
	return nil
}

func (d *Door) createDomain(c *call) error {
	var in domainInput
	if err := c.decode(&in); err != nil {
		return err
	}
	one := route.Domain{Org: app.OrgID(in.Relationships.Organization.guid())}
	if one.Org == "" {
		if !c.can(auth.PlatformManage, place{}) {
			return notAuthorized
		}
	} else {
		_, err := d.org(c, string(one.Org), auth.OrgManage)
		if err == error(missing("Organization")) {
			return unprocessable.saying("Organization with guid '" + string(one.Org) + "' does not exist or you do not have access to it.")
		}
		if err != nil {
			return err
		}
	}
	name, err := route.ParseDomain(in.Name)
	if err != nil {
		return err
	}
	switch {
	case name == d.cfg.AppsDomain:
		return unprocessable.saying(fmt.Sprintf("The domain name %q is already in use", name))
	case route.Below(name, d.cfg.AppsDomain), route.Below(d.cfg.AppsDomain, name):
		return unprocessable.saying(fmt.Sprintf("The domain name %q cannot be created because %q is already reserved by another domain", name, d.cfg.AppsDomain))
	case route.Below(name, d.cfg.Domain):
		return route.Reserved(name, d.cfg.Domain)
	}
	for _, r := range in.Relationships.Shared.Data {
		if err := d.sharable(c, r.GUID); err != nil {
			return err
		}
		one.Shared = append(one.Shared, app.OrgID(r.GUID))
	}
	one.Name, one.ID = name, route.DomainID(named("domain", name))
	if one, err = d.Domains.CreateDomain(c.ctx(), one, c.event("domain.created", name)); err != nil {
		return taken(err, fault.Of(err).Message)
	}
	return c.made(c.domainResource(domain{name: one.Name, org: one.Org, kept: one.ID, shared: one.Shared, made: one.Created}))
}

// sharable refuses an organisation that who asks may not give to.
func (d *Door) sharable(c *call, org string) error {
	if _, err := d.org(c, org, auth.OrgRead); err != nil {
		return unprocessable.saying(fmt.Sprintf("Organization with guid '%s' does not exist, or you do not have access to it.", org))
	}
	return nil
}

// keptDomain finds a domain that who asks may change.
func (d *Door) keptDomain(c *call) (domain, error) {
	one, err := d.findDomain(c)
	switch {
	case err != nil:
		return one, err
	case one.org == "" && !c.can(auth.PlatformManage, place{}), one.org != "" && !auth.Can(c.who, auth.OrgManage, one.org, ""):
		return one, notAuthorized
	case one.name == d.cfg.AppsDomain, one.tcp:
		return one, unprocessable.saying("The domain " + one.name + " is the platform's own (apps_domain)")
	}
	return one, nil
}

// deleteDomain forgets a domain, with its routes.
func (d *Door) deleteDomain(c *call) error {
	one, err := d.keptDomain(c)
	if err != nil {
		return err
	}
	if len(one.shared) > 0 {
		return unprocessable.saying("This domain is shared with other organizations. Unshare before deleting.")
	}
	spaces, err := d.Places.Spaces(c.ctx(), one.org)
	if err != nil {
		return err
	}
	known := c.domainNames()
	for _, s := range spaces {
		routes, err := d.routesIn(c.ctx(), s.ID)
		if err != nil {
			return err
		}
		for _, r := range routes {
			if _, name := d.cfg.hostOf(r.Host, known...); name != one.name {
				continue
			}
			if err := d.Mapper.DropRoute(c.ctx(), c.by(), r.ID); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
	}
	if one.kept != "" {
		if err := d.Domains.DeleteDomain(c.ctx(), one.kept, c.event("domain.deleted", one.name)); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return c.job(done("domain.delete", one.guid()))
}

func (d *Door) shareDomain(c *call) error {
	one, err := d.keptDomain(c)
	if err != nil {
		return err
	}
	var in toMany
	if err := c.decode(&in); err != nil {
		return err
	}
	if one.org == "" {
		return unprocessable.saying("Domains can not be shared with other organizations unless they are scoped to an organization.")
	}
	var with []app.OrgID
	for _, r := range in.Data {
		if err := d.sharable(c, r.GUID); err != nil {
			return err
		}
		with = append(with, app.OrgID(r.GUID))
	}
	if err := d.keep(c, one); err != nil {
		return err
	}
	now, err := d.Domains.ShareDomain(c.ctx(), route.DomainID(one.guid()), with, true, c.event("domain.shared", one.name))
	if err != nil {
		return err
	}
	return c.ok(map[string]any{"data": each(now.Shared, func(o app.OrgID) ref { return ref{string(o)} })})
}

// keep makes a domain of what was only the host of routes.
func (d *Door) keep(c *call, one domain) error {
	if one.kept != "" {
		return nil
	}
	_, err := d.Domains.CreateDomain(c.ctx(), route.Domain{ID: route.DomainID(one.guid()), Name: one.name, Org: one.org}, c.event("domain.created", one.name))
	return err
}

func (d *Door) unshareDomain(c *call) error {
	one, err := d.keptDomain(c)
	if err != nil {
		return err
	}
	org := app.OrgID(c.r.PathValue("org"))
	if !slices.Contains(one.shared, org) {
		return unprocessable.saying(fmt.Sprintf("Unable to unshare domain from organization with name '%s'. Ensure the domain is shared to this organization.", org))
	}
	if _, err := d.Domains.ShareDomain(c.ctx(), one.kept, []app.OrgID{org}, false, c.event("domain.unshared", one.name)); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
