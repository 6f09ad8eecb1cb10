package cf

import (
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/route"
)

func domainRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/domains", do: (*Door).listDomains},
		{pattern: "GET /v3/domains/{guid}", do: (*Door).getDomain},
		{pattern: "GET /v3/domains/{guid}/route_reservations", do: (*Door).reserved},
		{pattern: "GET /v3/organizations/{guid}/domains", do: (*Door).orgDomains},
		{pattern: "GET /v3/organizations/{guid}/domains/default", do: (*Door).defaultDomain},
	}
}

// domain is a domain as clients know it: that of the platform, which all share, one
// that was made for an organisation or for all, or a host of somebody's own, which
// its organisation has.
type domain struct {
	name   string
	org    app.OrgID // "": all share it
	kept   route.DomainID
	shared []app.OrgID
	made   time.Time
	tcp    bool // routes in it have ports
}

func (d domain) guid() string { return named("domain", d.name) }

var domainList = list[domain]{
	filters: map[string]func(domain) []string{
		"names":              single(func(d domain) string { return d.name }),
		"organization_guids": single(func(d domain) string { return string(d.org) }),
	},
	times: func(d domain) (time.Time, time.Time) { return d.created(), d.created() },
	guid:  domain.guid,
}

func (d domain) created() time.Time {
	if d.made.IsZero() {
		return began
	}
	return d.made
}

// began is when things are said to have been made that are always there.
var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type domainResource struct {
	resource
	Name               string   `json:"name"`
	Internal           bool     `json:"internal"`
	RouterGroup        *ref     `json:"router_group"`
	SupportedProtocols []string `json:"supported_protocols"`
	EnforcePolicies    bool     `json:"enforce_route_policies"`
	Relationships      struct {
		Organization toOne          `json:"organization"`
		Shared       map[string]any `json:"shared_organizations"`
	} `json:"relationships"`
}

func (c *call) domainResource(d domain) domainResource {
	path := "/v3/domains/" + d.guid()
	out := domainResource{
		resource: c.thing(d.guid(), d.created(), d.created(), path).with(c, "route_reservations", path+"/route_reservations"),
		Name:     d.name, SupportedProtocols: []string{"http"},
	}
	out.Relationships.Shared = map[string]any{"data": each(d.shared, func(o app.OrgID) ref { return ref{string(o)} })}
	if d.org != "" {
		out.Relationships.Organization = one(string(d.org))
	}
	if d.tcp {
		out.RouterGroup, out.SupportedProtocols = &ref{routerGroupGUID()}, []string{"tcp"}
	}
	return out
}

// known are the domains that were made.
func (c *call) known() []route.Domain {
	if c.domains == nil {
		all, err := c.door.Domains.Domains(c.ctx())
		if err != nil {
			c.fail(err)
		}
		c.domains = append([]route.Domain{}, all...)
	}
	return c.domains
}

func (c *call) domainNames() []string {
	return each(c.known(), func(d route.Domain) string { return d.Name })
}

// domains are the platform's, those that were made, and those of the routes, that
// who asks may see.
func (d *Door) domains(c *call) ([]domain, error) {
	out := []domain{{name: d.cfg.AppsDomain}}
	if d.cfg.LastPort > 0 {
		out = append(out, domain{name: d.cfg.tcpDomain(), tcp: true})
	}
	orgs, err := d.orgs(c)
	if err != nil {
		return nil, err
	}
	for _, k := range c.known() {
		seen := k.Org == ""
		for id := range orgs {
			seen = seen || k.For(id)
		}
		if seen {
			out = append(out, domain{name: k.Name, org: k.Org, kept: k.ID, shared: k.Shared, made: k.Created})
		}
	}
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return nil, err
	}
	routes, err := d.routesOf(c, spaces)
	if err != nil {
		return nil, err
	}
	known := c.domainNames()
	for _, r := range routes {
		if r.Host == "" { // a port
			continue
		}
		_, name := d.cfg.hostOf(r.Host, known...)
		if !slices.ContainsFunc(out, func(o domain) bool { return o.name == name }) {
			out = append(out, domain{name: name, org: spaces[r.Space].Org})
		}
	}
	return out, nil
}

func (d *Door) listDomains(c *call) error {
	all, err := d.domains(c)
	if err != nil {
		return err
	}
	return show(c, domainList, all, c.domainResource)
}

func (d *Door) findDomain(c *call) (domain, error) {
	all, err := d.domains(c)
	if err != nil {
		return domain{}, err
	}
	i := slices.IndexFunc(all, func(one domain) bool { return one.guid() == c.guid() })
	if i < 0 {
		return domain{}, missing("Domain")
	}
	return all[i], nil
}

func (d *Door) getDomain(c *call) error {
	one, err := d.findDomain(c)
	if err != nil {
		return err
	}
	return c.ok(c.domainResource(one))
}

func (d *Door) orgDomains(c *call) error {
	p, err := d.org(c, c.guid(), auth.OrgRead)
	if err != nil {
		return err
	}
	all, err := d.domains(c)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(one domain) bool {
		return one.org != "" && one.org != p.org.ID && !slices.Contains(one.shared, p.org.ID)
	})
	return show(c, domainList, all, c.domainResource)
}

func (d *Door) defaultDomain(c *call) error {
	if _, err := d.org(c, c.guid(), auth.OrgRead); err != nil {
		return err
	}
	return c.ok(c.domainResource(domain{name: d.cfg.AppsDomain}))
}

// reserved tells whether a route is taken, by anybody.
func (d *Door) reserved(c *call) error {
	one, err := d.findDomain(c)
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	if one.tcp {
		return d.portReserved(c)
	}
	host, err := route.ParseHost(joined(q.Get("host"), one.name))
	if err != nil {
		return err
	}
	path, err := route.ParsePath(q.Get("path"))
	if err != nil {
		return err
	}
	routes, err := d.Routes.RoutesAt(c.ctx(), host, path)
	if err != nil {
		return err
	}
	return c.ok(map[string]bool{"matching_route": len(routes) > 0})
}

// joined is a host in a domain; "" is the domain itself.
func joined(label, domain string) string {
	if label == "" {
		return domain
	}
	return label + "." + domain
}
