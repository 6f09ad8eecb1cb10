package client

import (
	"context"
	"time"
)

// Route is a host and a path that lead to processes of apps.
type Route struct {
	ID           string        `json:"id"`
	Host         string        `json:"host" doc:"shop.example, *.example"`
	Path         string        `json:"path" doc:"/ or /api"`
	Name         string        `json:"name" doc:"host and path as people write them, and the condition"`
	URL          string        `json:"url"`
	Default      bool          `json:"default,omitempty" doc:"made by naru for the app"`
	When         *When         `json:"when,omitempty" doc:"absent: what no other route of its host and path wants"`
	TCP          *TCP          `json:"tcp,omitempty" doc:"a route of connections; absent: of requests"`
	Destinations []Destination `json:"destinations"`
	Terms
	Labels    map[string]string `json:"labels,omitempty" doc:"what people wrote on it"`
	CreatedAt time.Time         `json:"created_at"`
}

// Destination is one process type of one app behind a route.
type Destination struct {
	App     string `json:"app" doc:"app name"`
	AppID   string `json:"app_id"`
	Process string `json:"process"`
	Port    int    `json:"port,omitempty" doc:"absent: the port of the process"`
	Weight  int    `json:"weight,omitempty" doc:"relative to the route's other destinations; all absent: equal shares"`

	Protocol string `json:"protocol,omitempty" enum:"http2" doc:"what the instances speak; absent: HTTP/1.1"`
}

// NewRoute is a route to be mapped to an app.
type NewRoute struct {
	Host    string `json:"host,omitempty" maxLength:"253" doc:"a whole host name, or one label below the apps domain; absent only for a TCP route with a port"`
	Path    string `json:"path,omitempty" maxLength:"128" doc:"absent: /"`
	Process string `json:"process,omitempty" maxLength:"30" doc:"absent: web"`
	Port    int    `json:"port,omitempty" minimum:"1" maximum:"65535" doc:"absent: the port of the process"`
	Weight  int    `json:"weight,omitempty" minimum:"0" maximum:"100" doc:"share among the route's destinations"`

	Protocol string `json:"protocol,omitempty" enum:"http2" doc:"what the app speaks behind the route: http2 is HTTP/2 without TLS, as gRPC needs it; absent: HTTP/1.1"`

	When *When `json:"when,omitempty" doc:"only these requests; absent: what no other route of the host and path wants"`

	TCP *TCP `json:"tcp,omitempty" doc:"a route of connections: with a host, those to the gateway's TLS address that ask for it, else those to a port of the gateway; of a route that is there already, what is absent stays"`
	TermsChange
}

// TCP is what makes a route one of connections.
type TCP struct {
	Port        int      `json:"port,omitempty" minimum:"1" maximum:"65535" doc:"of the gateway; absent in a new route without a host: one that is free"`
	Proxy       string   `json:"proxy,omitempty" enum:"v1,v2" doc:"version of the PROXY header that instances are sent first; absent: none"`
	Connect     Duration `json:"connect,omitempty" doc:"until an instance accepts; absent: the gateway's own"`
	Idle        Duration `json:"idle,omitempty" doc:"silence in both directions; absent: the gateway's own"`
	Connections int      `json:"connections,omitempty" minimum:"0" maximum:"1000000" doc:"at once, of each gateway; absent: the gateway's own limit"`
}

// Route returns a route of the space, given by id or by name.
func (s *InSpace) Route(ctx context.Context, route string) (r Route, err error) {
	err = s.c.get(ctx, join(s.path+"/routes", route), nil, &r)
	return r, err
}

// ChangeRoute changes what a route asks of the gateway; the gateways do it when
// it returns.
func (s *InSpace) ChangeRoute(ctx context.Context, route string, change TermsChange) (r Route, err error) {
	err = s.c.patch(ctx, join(s.path+"/routes", route), change, &r)
	return r, err
}

// Routes lists the routes of the space, by host and path.
func (s *InSpace) Routes(ctx context.Context, p Page) (List[Route], error) {
	return list[Route](ctx, s.c, s.path+"/routes", p.query())
}

// Routes lists the routes of the app that a selector means; "" means all.
func (a *InApp) Routes(ctx context.Context, selector string) ([]Route, error) {
	l, err := list[Route](ctx, a.c, a.path+"/routes", Page{Selector: selector}.query())
	return l.Items, err
}

// MapRoute maps a route to the app. Mapping it twice is no error.
func (a *InApp) MapRoute(ctx context.Context, in NewRoute) (r Route, err error) {
	err = a.c.post(ctx, a.path+"/routes", in, &r)
	return r, err
}

// UnmapRoute takes the app away from a route, given by id or by name. A route
// that leads nowhere afterwards is removed.
func (a *InApp) UnmapRoute(ctx context.Context, route string) error {
	return a.c.remove(ctx, join(a.path+"/routes", route), nil)
}
