// Package route says which instances answer for a host and a path: the routes
// people map, and the table the gateway serves from, built from them. It moves
// no traffic: that is package gateway.
package route

import (
	"net"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/id"
)

// ID identifies a route; a UUID.
type ID string

// Weight is a share of new requests in percent, 0 to 100, relative to its
// siblings.
type Weight int

// Bounds of routes.
const (
	MaxDestinations = 100 // of one route
	MaxConditions   = 64  // routes of one host and path: each request may be held against all of them
)

// Route is a host and a path that people mapped to processes of apps, for all
// requests or for some. Host, path and condition together are unique on a
// platform, and all routes of one host and path are of one space.
type Route struct {
	ID           ID            `json:"id"`
	Space        app.SpaceID   `json:"space"`
	Host         string        `json:"host"`           // as ParseHost returns it: "shop.example", "*.example"
	Path         string        `json:"path"`           // as ParsePath returns it: "/" or "/api"
	When         *When         `json:"when,omitempty"` // nil: what no other route of its host and path wants
	TCP          *TCP          `json:"tcp,omitempty"`  // nil: of requests; else host and path are not looked at, but for SNI
	Destinations []Destination `json:"destinations,omitempty"`
	Terms
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Terms are all that a route asks of the gateway.
type Terms struct {
	Policy   *Policy   `json:"policy,omitempty"`
	Timeouts *Timeouts `json:"timeouts,omitempty"`
	Limits   *Limits   `json:"limits,omitempty"`
}

// Destination is one process type of one app behind a route. Weights are
// relative to those of the route's other destinations; where all are 0 the
// destinations share equally.
type Destination struct {
	ID      string `json:"id"`
	App     app.ID `json:"app"`
	Process string `json:"process"`          // process type; "" means web
	Port    int    `json:"port,omitempty"`   // 0: the port of the process
	Weight  Weight `json:"weight,omitempty"` // 0 to 100

	Protocol string `json:"protocol,omitempty"` // what the instances speak: "" for HTTP/1.1, HTTP2
}

// New makes a route from what a person typed. The host may be written in
// Unicode; it is kept in its ASCII form.
func New(space app.SpaceID, host, path string, now time.Time) (Route, error) {
	h, err := ParseHost(host)
	if err != nil {
		return Route{}, err
	}
	p, err := ParsePath(path)
	if err != nil {
		return Route{}, err
	}
	return Route{ID: ID(id.New()), Space: space, Host: h, Path: p, Created: now, Updated: now}, nil
}

// NewDestination makes a destination with an id of its own.
func NewDestination(a app.ID, process string, port int, weight Weight) Destination {
	if process == "" {
		process = app.Web
	}
	return Destination{ID: id.New(), App: a, Process: process, Port: port, Weight: weight}
}

// Check refuses a destination that cannot work; field is the prefix of what the
// error names.
func (d Destination) Check(field string) error {
	if d.App == "" {
		return fault.New(fault.Invalid, field+".app", "an app is needed")
	}
	if d.Process != "" {
		if err := app.CheckProcessType(field+".process", d.Process); err != nil {
			return err
		}
	}
	if d.Port < 0 || d.Port > 65535 {
		return fault.New(fault.Invalid, field+".port", "%d is not a port", d.Port).WithTry("use 1 to 65535, or leave it out")
	}
	if d.Protocol != "" && d.Protocol != HTTP2 {
		return fault.New(fault.Invalid, field+".protocol", "%q is not a protocol", d.Protocol).WithTry("use %s, or leave it out for HTTP/1.1", HTTP2)
	}
	if d.Weight < 0 || d.Weight > 100 {
		return fault.New(fault.Invalid, field+".weight", "%d is not a weight", d.Weight).WithTry("use 0 to 100")
	}
	return nil
}

// Name is how people write the route: "shop.example", "shop.example/api", with
// its condition behind a space, "shop.example/api method:POST".
func (r Route) Name() string {
	if r.TCP != nil {
		return streamName(r.TCP.Port, r.Host)
	}
	if key := r.When.Key(); key != "" {
		return Name(r.Host, r.Path) + " " + key
	}
	return Name(r.Host, r.Path)
}

// Name joins a host and a path the way people write a route.
func Name(host, path string) string {
	if path == "" || path == "/" {
		return host
	}
	return host + path
}

// With returns a copy with the destination added, or put in the place of the
// one for the same app and process, whatever its port: a group can stand in an
// entry of the table once. It is an error when the destination
// is not valid or the route is full.
func (r Route) With(d Destination) (Route, error) {
	if err := d.Check("destination"); err != nil {
		return r, err
	}
	out := make([]Destination, 0, len(r.Destinations)+1)
	for _, have := range r.Destinations {
		if have.same(d) {
			d.ID = have.ID
			continue
		}
		out = append(out, have)
	}
	if len(out) >= MaxDestinations {
		return r, fault.New(fault.TooLarge, "destinations", "%s already has %d destinations", r.Name(), MaxDestinations)
	}
	r.Destinations = append(out, d)
	return r, nil
}

// Without returns a copy without the destinations of an app; gone tells whether
// there were any.
func (r Route) Without(a app.ID) (out Route, gone bool) {
	var kept []Destination
	for _, d := range r.Destinations {
		if d.App != a {
			kept = append(kept, d)
		}
	}
	gone = len(kept) != len(r.Destinations)
	r.Destinations = kept
	return r, gone
}

func (d Destination) same(o Destination) bool {
	return d.App == o.App && d.process() == o.process()
}

func (d Destination) process() string {
	if d.Process == "" {
		return app.Web
	}
	return d.Process
}

// Taken is the error for a host and path that belong to another space. It does
// not say to which one.
func Taken(host, path string) error {
	return fault.New(fault.Conflict, "route", "the route %s is taken by another space", Name(host, path)).
		WithTry("choose another host or path: naru map-route APP HOST --path PATH")
}

// Exists is the error for a host and path that the same space already has.
func Exists(host, path string) error {
	return fault.New(fault.Conflict, "route", "the route %s already exists", Name(host, path)).
		WithTry("naru routes")
}

// Below reports whether a host is a domain or a name below it; a wildcard is
// what it stands for.
func Below(host, domain string) bool {
	host = strings.TrimPrefix(host, "*.")
	return domain != "" && (host == domain || strings.HasSuffix(host, "."+domain))
}

// Reserved is the error for a host that the platform keeps for itself.
func Reserved(host, domain string) error {
	return fault.New(fault.Invalid, "host", "%s belongs to the platform, as all names below %s do", host, domain).
		WithTry("choose another host; platform_domain is where the platform keeps its names")
}

// withPort returns the address with another port.
func withPort(address string, port int) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
