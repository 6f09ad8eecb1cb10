package cf

import (
	"fmt"
	"net/http"
	"strconv"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
)

// routerGroup is the name by which clients know the ports that routes may have:
// Cloud Foundry's own first one has it.
const routerGroup = "default-tcp"

func routerGroupGUID() string { return named("router-group", routerGroup) }

// tcpDomain is the domain whose routes are ports. Cloud Foundry has a domain speak
// either HTTP or TCP, so that of the apps cannot be both.
func (cfg Config) tcpDomain() string { return "tcp." + cfg.AppsDomain }

func streamRoutes() []endpoint {
	return []endpoint{{pattern: "GET /routing/v1/router_groups", do: (*Door).routerGroups}}
}

type routerGroupResource struct {
	GUID  string `json:"guid"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	Ports string `json:"reservable_ports"`
}

// routerGroups lists the one router group, where there are ports.
func (d *Door) routerGroups(c *call) error {
	all := []routerGroupResource{}
	if d.cfg.LastPort > 0 {
		ports := fmt.Sprintf("%d-%d", d.cfg.FirstPort, d.cfg.LastPort)
		all = append(all, routerGroupResource{routerGroupGUID(), routerGroup, "tcp", ports})
	}
	if q := c.r.URL.Query(); q.Has("name") && (len(all) == 0 || q.Get("name") != routerGroup) {
		c.send(http.StatusNotFound, map[string]string{"name": "ResourceNotFoundError", "message": "Router Group '" + q.Get("name") + "' not found"})
		return nil
	}
	return c.ok(all)
}

// reservePort makes a route of a port, without an app behind it.
func (d *Door) reservePort(c *call, p place, in routeInput) error {
	port := 0
	switch {
	case in.Host != "":
		return unprocessable.saying("Hosts are not supported for TCP routes.")
	case in.Path != "":
		return unprocessable.saying("Paths are not supported for TCP routes.")
	case in.Port == nil:
	case *in.Port < d.cfg.FirstPort || *in.Port > d.cfg.LastPort:
		return unprocessable.saying(fmt.Sprintf("Port %d is not one that TCP routes may have: name one from %d to %d, or none", *in.Port, d.cfg.FirstPort, d.cfg.LastPort))
	default:
		port = *in.Port
	}
	r, err := d.Mapper.ReservePort(c.ctx(), c.by(), p.space.ID, port)
	if _, over := exceeded(err); !over && port > 0 && fault.Is(err, fault.Conflict) {
		return unprocessable.saying(fmt.Sprintf("Route already exists with port '%d' for domain '%s'.", port, d.cfg.tcpDomain()))
	}
	if err != nil {
		return err
	}
	return c.made(c.routeResource(d.shownRoutes(c, map[app.SpaceID]app.Space{p.space.ID: p.space}, []route.Route{r})[0]))
}

// portReserved tells whether a port is taken, by anybody.
func (d *Door) portReserved(c *call) error {
	port, err := strconv.Atoi(c.r.URL.Query().Get("port"))
	if err != nil {
		return badQuery.saying("The query parameter is invalid: Port must be an integer")
	}
	host, path := route.Route{TCP: &route.TCP{Port: port}}.Place()
	routes, err := d.Routes.RoutesAt(c.ctx(), host, path)
	if err != nil {
		return err
	}
	return c.ok(map[string]bool{"matching_route": len(routes) > 0})
}
