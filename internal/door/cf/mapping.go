package cf

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/route"
)

func mappingRoutes() []endpoint {
	return []endpoint{
		{pattern: "POST /v3/routes", do: (*Door).createRoute},
		{pattern: "PATCH /v3/routes/{guid}", do: (*Door).changeRoute},
		{pattern: "DELETE /v3/routes/{guid}", do: (*Door).deleteRoute},
		{pattern: "POST /v3/routes/{guid}/destinations", do: (*Door).addDestinations},
		{pattern: "DELETE /v3/routes/{guid}/destinations/{destination}", do: (*Door).removeDestination},
		{pattern: "DELETE /v3/spaces/{guid}/routes", do: (*Door).deleteUnmapped},
	}
}

type routeInput struct {
	Host          string         `json:"host"`
	Path          string         `json:"path"`
	Port          *int           `json:"port"`
	Options       map[string]any `json:"options"`
	Relationships struct {
		Space  toOne `json:"space"`
		Domain toOne `json:"domain"`
	} `json:"relationships"`
}

// check refuses what would be lost. What is so already may be asked for, and what is
// not there be taken away.
func (in routeInput) check() error {
	for name, value := range in.Options {
		if value == nil || name == "loadbalancing" && value == "least-connection" {
			continue
		}
		return unprocessable.saying("naru has no route options: of two instances by chance the gateway takes the less loaded one, and what else a route asks of it is set by naru route set")
	}
	return nil
}

// form says what is wrong with the parts of a route.
func (in routeInput) form() error {
	var wrong []string
	say := func(is bool, text string) {
		if is {
			wrong = append(wrong, text)
		}
	}
	say(len(in.Host) > 63, "Host is too long (maximum is 63 characters)")
	say(!labelForm.MatchString(in.Host), `Host must be either "*" or contain only alphanumeric characters, "_", or "-"`)
	say(len(in.Path) > 128, "Path is too long (maximum is 128 characters)")
	say(in.Path != "" && !strings.HasPrefix(in.Path, "/"), "Path must begin with /")
	say(strings.Contains(in.Path, "?"), "Path cannot contain ?")
	say(in.Path == "/", "Path cannot be exactly /")
	if in.Port != nil {
		problem := whole(strconv.Itoa(*in.Port), 0, 65535)
		say(problem != "", "Port "+problem)
	}
	return allWrong(wrong)
}

// labelForm is a host as clients name it: dots are for hosts of naru's own client,
// which may stand some labels below a domain.
var labelForm = regexp.MustCompile(`^(\*|(\*\.)?[A-Za-z0-9_.-]+)?$`)

// with is what a route has beside its domain, as errors name it.
func (in routeInput) with() string {
	switch {
	case in.Host == "" && in.Path == "":
		return ""
	case in.Path == "":
		return "with host '" + in.Host + "' "
	case in.Host == "":
		return "with path '" + in.Path + "' "
	}
	return "with host '" + in.Host + "' and path '" + in.Path + "' "
}

// allWrong are several things that are wrong with a request, as one error; nil for
// none.
func allWrong(texts []string) error {
	if len(texts) == 0 {
		return nil
	}
	return unprocessable.saying(strings.Join(texts, ", "))
}

func (d *Door) createRoute(c *call) error {
	var in routeInput
	if err := c.decode(&in); err != nil {
		return err
	}
	if err := in.form(); err != nil {
		return err
	}
	p, err := d.space(c, in.Relationships.Space.guid(), auth.RouteWrite)
	if err == error(missing("Space")) {
		return unprocessable.saying("Invalid space. Ensure that the space exists and you have access to it.")
	}
	if err != nil {
		return err
	}
	domains, err := d.domains(c)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(domains, func(one domain) bool { return one.guid() == in.Relationships.Domain.guid() })
	if i < 0 {
		return unprocessable.saying("Invalid domain. Ensure that the domain exists and you have access to it.")
	}
	if domains[i].tcp {
		return d.reservePort(c, p, in)
	}
	if in.Port != nil && *in.Port != 0 {
		return unprocessable.saying("Routes with protocol 'http' do not support ports.")
	}
	if in.Host == "*" && domains[i].org == "" && !c.can(auth.PlatformManage, place{}) {
		return unprocessable.saying("You do not have sufficient permissions to create a route with a wildcard host on a domain not scoped to an organization.")
	}
	if in.Host == "" && domains[i].org == "" {
		return unprocessable.saying("Missing host. Routes in shared domains must have a host defined.")
	}
	if domains[i].org != "" && domains[i].org != p.org.ID && !slices.Contains(domains[i].shared, p.org.ID) {
		return unprocessable.saying(fmt.Sprintf("Invalid domain. Domain '%s' is not available in organization '%s'.", domains[i].name, p.org.Name))
	}
	r, err := d.Mapper.ReserveRoute(c.ctx(), c.by(), p.space.ID, joined(in.Host, domains[i].name), in.Path)
	if _, over := exceeded(err); !over && fault.Is(err, fault.Conflict) {
		return unprocessable.saying("Route already exists " + in.with() + "for domain '" + domains[i].name + "'.")
	}
	if err != nil {
		return err
	}
	return c.made(c.routeResource(d.shownRoutes(c, map[app.SpaceID]app.Space{p.space.ID: p.space}, []route.Route{r})[0]))
}

// writable finds a route that who asks may change.
func (d *Door) writable(c *call) (shownRoute, error) {
	r, err := d.route(c)
	if err != nil {
		return r, err
	}
	if !auth.Can(c.who, auth.RouteWrite, r.org, r.Space) {
		return r, notAuthorized
	}
	return r, nil
}

func (d *Door) changeRoute(c *call) error {
	r, err := d.writable(c)
	if err != nil {
		return err
	}
	var in routeInput
	if err := c.decode(&in); err != nil {
		return err
	}
	return c.ok(c.routeResource(r))
}

func (d *Door) deleteRoute(c *call) error {
	r, err := d.writable(c)
	if err != nil {
		return err
	}
	if err := d.Mapper.DropRoute(c.ctx(), c.by(), r.ID); err != nil {
		return gone(err, "Route")
	}
	return c.job(done("route.delete", string(r.ID)))
}

type destinationInput struct {
	App struct {
		GUID    string `json:"guid"`
		Process struct {
			Type string `json:"type"`
		} `json:"process"`
	} `json:"app"`
	Port     *int   `json:"port"`
	Protocol string `json:"protocol"`
	Weight   *int   `json:"weight"`
}

func (d *Door) addDestinations(c *call) error {
	r, err := d.writable(c)
	if err != nil {
		return err
	}
	var in struct {
		Destinations []destinationInput `json:"destinations"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	if err := destined(in.Destinations, 1); err != nil {
		return err
	}
	for _, want := range in.Destinations {
		if err := d.lead(c, r, want); err != nil {
			return err
		}
	}
	return d.getDestinations(c)
}

// lead makes a route lead to one app more.
func (d *Door) lead(c *call, r shownRoute, in destinationInput) error {
	a, err := d.app(c, in.App.GUID, auth.RouteWrite)
	if err == error(missing("App")) {
		return unprocessable.saying(fmt.Sprintf("App(s) with guid(s) \"%s\" do not exist or you do not have access.", in.App.GUID))
	}
	if err != nil {
		return err
	}
	if a.Space != r.Space {
		return unprocessable.saying("Routes cannot be mapped to destinations in different spaces")
	}
	to := client.NewRoute{Host: r.Host, Path: r.Path, Process: cmp.Or(in.App.Process.Type, app.Web)}
	switch {
	case r.TCP != nil:
		if in.Protocol != "" && in.Protocol != "tcp" {
			return unprocessable.saying("Destination protocol must be 'tcp' for routes with ports")
		}
		to.TCP, to.Path = &client.TCP{Port: r.TCP.Port}, ""
	case in.Protocol == "", in.Protocol == "http1":
	case in.Protocol == "http2":
		to.Protocol = route.HTTP2
	default:
		return unprocessable.saying("Destination protocol must be 'http1' or 'http2' for routes without ports")
	}
	if in.Weight != nil {
		to.Weight = *in.Weight
	}
	if in.Port != nil {
		to.Port = *in.Port
	}
	_, err = d.Mapper.MapRoute(c.ctx(), c.by(), a.ID, to)
	return err
}

func (d *Door) removeDestination(c *call) error {
	r, err := d.writable(c)
	if err != nil {
		return err
	}
	gone := unprocessable.saying("Unable to unmap route from destination. Ensure the route has a destination with this guid.")
	if !slices.ContainsFunc(r.Destinations, func(to route.Destination) bool { return to.ID == c.r.PathValue("destination") }) {
		return gone
	}
	err = d.Mapper.FreeRoute(c.ctx(), c.by(), r.ID, c.r.PathValue("destination"))
	if fault.Is(err, fault.NotFound) {
		return gone
	}
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteUnmapped takes the routes of a space away that lead nowhere.
func (d *Door) deleteUnmapped(c *call) error {
	p, err := d.space(c, c.guid(), auth.RouteWrite)
	if err != nil {
		return err
	}
	if c.r.URL.Query().Get("unmapped") != "true" {
		return badQuery.saying("The query parameter is invalid: Mass delete not supported for routes. Use 'unmapped=true' parameter to delete all unmapped routes.")
	}
	routes, err := d.routesIn(c.ctx(), p.space.ID)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if len(r.Destinations) > 0 {
			continue
		}
		if err := d.Mapper.DropRoute(c.ctx(), c.by(), r.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return c.job(done("space.delete_unmapped_routes", string(p.space.ID)))
}
