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

// domain is a domain as clients know it: that of the platform, which all share, or
// a host of somebody's own, which its organisation has.
type domain struct {
	name string
	org  app.OrgID // "" for the platform's
}

func (d domain) guid() string { return named("domain", d.name) }

var domainList = list[domain]{
	filters: map[string]func(domain) []string{
		"names":              single(func(d domain) string { return d.name }),
		"organization_guids": single(func(d domain) string { return string(d.org) }),
	},
	times: func(domain) (time.Time, time.Time) { return began, began },
	guid:  domain.guid,
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
		resource: c.thing(d.guid(), began, began, path).with(c, "route_reservations", path+"/route_reservations"),
		Name:     d.name, SupportedProtocols: []string{"http"},
	}
	out.Relationships.Shared = map[string]any{"data": []ref{}}
	if d.org != "" {
		out.Relationships.Organization = one(string(d.org))
	}
	return out
}

// domains are the platform's and those of the routes that who asks may see.
func (d *Door) domains(c *call) ([]domain, error) {
	out := []domain{{name: d.cfg.AppsDomain}}
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return nil, err
	}
	routes, err := d.routesOf(c, spaces)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		_, name := d.cfg.hostOf(r.Host)
		one := domain{name, spaces[r.Space].Org}
		if name != d.cfg.AppsDomain && !slices.Contains(out, one) {
			out = append(out, one)
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
	all = slices.DeleteFunc(all, func(one domain) bool { return one.org != "" && one.org != p.org.ID })
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
