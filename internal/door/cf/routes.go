package cf

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/route"
)

func routeRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/routes", do: (*Door).listRoutes},
		{pattern: "GET /v3/routes/{guid}", do: (*Door).getRoute},
		{pattern: "GET /v3/routes/{guid}/destinations", do: (*Door).getDestinations},
		{pattern: "GET /v3/apps/{guid}/routes", do: (*Door).routesOfApp},
	}
}

// shownRoute is a route with its host taken apart.
type shownRoute struct {
	route.Route
	org           app.OrgID
	label, domain string
}

func (r shownRoute) path() string { return strings.TrimSuffix(r.Path, "/") }

func (r shownRoute) port() string {
	if r.TCP == nil || r.TCP.Port == 0 {
		return ""
	}
	return strconv.Itoa(r.TCP.Port)
}

var routeList = list[shownRoute]{
	filters: map[string]func(shownRoute) []string{
		"app_guids": func(r shownRoute) []string {
			return each(r.Destinations, func(d route.Destination) string { return string(d.App) })
		},
		"domain_guids":           single(func(r shownRoute) string { return domain{name: r.domain}.guid() }),
		"hosts":                  single(func(r shownRoute) string { return r.label }),
		"paths":                  single(shownRoute.path),
		"ports":                  single(shownRoute.port),
		"space_guids":            single(func(r shownRoute) string { return string(r.Space) }),
		"organization_guids":     single(func(r shownRoute) string { return string(r.org) }),
		"service_instance_guids": func(shownRoute) []string { return nil },
	},
	times: func(r shownRoute) (time.Time, time.Time) { return r.Created, r.Updated },
	guid:  func(r shownRoute) string { return string(r.ID) },

	includes: []string{"domain", "space", "space.organization", "route_policies"},
}

type destination struct {
	GUID     string         `json:"guid"`
	App      map[string]any `json:"app"`
	Weight   *int           `json:"weight"`
	Port     int            `json:"port"`
	Protocol string         `json:"protocol"`
}

type routeResource struct {
	resource
	Protocol      string            `json:"protocol"`
	Host          string            `json:"host"`
	Path          string            `json:"path"`
	Port          *int              `json:"port"`
	URL           string            `json:"url"`
	Destinations  []destination     `json:"destinations"`
	Options       map[string]string `json:"options"`
	Relationships map[string]toOne  `json:"relationships"`
	Included      map[string]any    `json:"included,omitempty"`
}

func (c *call) routeResource(r shownRoute) routeResource {
	in := domain{name: r.domain}.guid()
	path := "/v3/routes/" + string(r.ID)
	out := routeResource{
		resource: c.thing(string(r.ID), r.Created, r.Updated, path).with(c, "space", "/v3/spaces/"+string(r.Space)).
			with(c, "destinations", path+"/destinations").with(c, "domain", "/v3/domains/"+in),
		Protocol: "http", Host: r.label, Path: r.path(), URL: r.Host + r.path(), Destinations: each(r.Destinations, r.destination),
		Options: map[string]string{}, Relationships: map[string]toOne{"space": one(string(r.Space)), "domain": one(in)},
	}
	if r.TCP != nil {
		out.Protocol, out.Path = "tcp", ""
		if r.TCP.Port != 0 {
			out.Port, out.Host, out.URL = &r.TCP.Port, "", r.domain+":"+r.port()
		}
	}
	return out
}

// destination is one of a route's.
func (r shownRoute) destination(d route.Destination) destination {
	out := destination{GUID: d.ID, App: map[string]any{"guid": d.App, "process": map[string]string{"type": d.Process}}, Port: d.Port, Protocol: "http1"}
	if d.Process == "" {
		out.App["process"] = map[string]string{"type": app.Web}
	}
	if out.Port == 0 {
		out.Port = app.DefaultPort
	}
	if d.Protocol == route.HTTP2 {
		out.Protocol = "http2"
	}
	if r.TCP != nil {
		out.Protocol = "tcp"
	}
	if w := int(d.Weight); w > 0 {
		out.Weight = &w
	}
	return out
}

// unconditional reports a route that Cloud Foundry can have: one without a condition.
func unconditional(r route.Route) bool { return r.When == nil }

func (d *Door) shownRoutes(c *call, spaces map[app.SpaceID]app.Space, routes []route.Route) []shownRoute {
	routes = slices.DeleteFunc(routes, func(r route.Route) bool { _, seen := spaces[r.Space]; return !seen || !unconditional(r) })
	known := c.domainNames()
	return each(routes, func(r route.Route) shownRoute {
		out := shownRoute{Route: r, org: spaces[r.Space].Org}
		if out.label, out.domain = d.cfg.hostOf(r.Host, known...); r.Host == "" {
			out.domain = d.cfg.tcpDomain()
		}
		return out
	})
}

// routesOf are the routes of some spaces.
func (d *Door) routesOf(c *call, spaces map[app.SpaceID]app.Space) ([]route.Route, error) {
	var out []route.Route
	for _, id := range slices.Sorted(maps.Keys(spaces)) {
		some, err := d.routesIn(c.ctx(), id)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func (d *Door) routesIn(ctx context.Context, space app.SpaceID) ([]route.Route, error) {
	var out []route.Route
	for after := ""; ; {
		some, err := d.Routes.RoutesAfter(ctx, space, after, batch)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
		if len(some) < batch {
			return out, nil
		}
		after = some[len(some)-1].Name()
	}
}

func (d *Door) listRoutes(c *call) error {
	spaces, err := d.spaces(c, auth.RouteRead)
	if err != nil {
		return err
	}
	some, err := paged(c, func(r shownRoute) bool { _, seen := spaces[r.Space]; return seen }, func() (all []shownRoute, err error) {
		var routes []route.Route
		if q := c.r.URL.Query(); q.Has("app_guids") {
			routes, err = d.Routes.RoutesOf(c.ctx(), each(values(q, "app_guids"), func(s string) app.ID { return app.ID(s) })...)
		} else {
			routes, err = d.routesOf(c, within(c, maps.Clone(spaces)))
		}
		if err != nil {
			return nil, err
		}
		return chosen(c, routeList, d.shownRoutes(c, spaces, routes))
	})
	if err != nil {
		return err
	}
	return showingPage(c, routeList, some, c.routeResource, func(some []shownRoute) (map[string]any, error) { return d.aroundRoutes(c, spaces, some) })
}

func (d *Door) showRoutes(c *call, spaces map[app.SpaceID]app.Space, routes []route.Route) error {
	return showing(c, routeList, d.shownRoutes(c, spaces, routes), c.routeResource, func(some []shownRoute) (map[string]any, error) {
		return d.aroundRoutes(c, spaces, some)
	})
}

// aroundRoutes are what routes belong to, where the query wants it.
func (d *Door) aroundRoutes(c *call, spaces map[app.SpaceID]app.Space, some []shownRoute) (map[string]any, error) {
	out, err := d.around(c, spaces, each(some, func(r shownRoute) app.SpaceID { return r.Space }))
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = map[string]any{}
	}
	if c.wants("domain") {
		all, err := d.domains(c)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(one domain) bool {
			return !slices.ContainsFunc(some, func(r shownRoute) bool { return r.domain == one.name })
		})
		out["domains"] = each(all, c.domainResource)
	}
	if c.wants("route_policies") {
		out["route_policies"] = []struct{}{}
	}
	return out, nil
}

func (d *Door) routesOfApp(c *call) error {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	routes, err := d.Routes.RoutesOf(c.ctx(), a.ID)
	if err != nil {
		return err
	}
	return d.showRoutes(c, spaces, routes)
}

func (d *Door) route(c *call) (shownRoute, error) {
	r, err := d.Routes.Route(c.ctx(), route.ID(c.guid()))
	if err != nil {
		return shownRoute{}, gone(err, "Route")
	}
	spaces, err := d.spaces(c, auth.RouteRead)
	if err != nil {
		return shownRoute{}, err
	}
	shown := d.shownRoutes(c, spaces, []route.Route{r})
	if len(shown) == 0 {
		return shownRoute{}, missing("Route")
	}
	return shown[0], nil
}

func (d *Door) getRoute(c *call) error {
	r, err := d.route(c)
	if err != nil {
		return err
	}
	if err := checkIncludes(c.r.URL.Query(), routeList.includes); err != nil {
		return err
	}
	spaces, err := d.spaces(c, auth.RouteRead)
	if err != nil {
		return err
	}
	out := c.routeResource(r)
	if out.Included, err = d.aroundRoutes(c, spaces, []shownRoute{r}); err != nil {
		return err
	}
	return c.ok(out)
}

func (d *Door) getDestinations(c *call) error {
	r, err := d.route(c)
	if err != nil {
		return err
	}
	return c.ok(map[string]any{
		"destinations": each(r.Destinations, r.destination),
		"links":        map[string]link{"self": {Href: c.at.api + c.r.URL.Path}, "route": {Href: c.at.api + "/v3/routes/" + string(r.ID)}},
	})
}
