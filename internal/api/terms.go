package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"naru/internal/app/label"
	"naru/internal/client"
	"naru/internal/id"
	"naru/internal/route"
)

type routePath struct {
	Route string `path:"route" maxLength:"2048" doc:"id or name; the name is host and path, with %2F for /, and the condition behind a space"`
}

func (s *server) getRoute(ctx context.Context, in *routePath) (client.Route, error) {
	r, err := s.routeHere(ctx, in.Route)
	if err != nil {
		return client.Route{}, err
	}
	return s.oneRoute(ctx, r)
}

type routeChangeInput struct {
	Route string `path:"route" maxLength:"2048" doc:"id or name; the name is host and path, with %2F for /, and the condition behind a space"`
	Body  client.TermsChange
}

func (s *server) changeRoute(ctx context.Context, in *routeChangeInput) (client.Route, error) {
	r, err := s.routeHere(ctx, in.Route)
	if err != nil {
		return client.Route{}, err
	}
	patch, err := json.Marshal(in.Body)
	if err != nil {
		return client.Route{}, fmt.Errorf("encode change of %s: %w", r.Name(), err)
	}
	change, err := route.ParseChange(patch)
	if err != nil {
		return client.Route{}, err
	}
	if !change.Empty() {
		if r, err = s.Mapper.ChangeRoute(ctx, requestOf(ctx).by(), r.ID, change); err != nil {
			return client.Route{}, err
		}
	}
	return s.oneRoute(ctx, r)
}

// oneRoute is a route with the names of its apps.
func (s *server) oneRoute(ctx context.Context, r route.Route) (client.Route, error) {
	names, err := s.names(ctx, []route.Route{r})
	if err != nil {
		return client.Route{}, err
	}
	out := routeOf(s.cfg, names)(r)
	out.Labels, err = s.labelsOn(ctx, label.Routes, string(r.ID))
	return out, err
}

// routeHere finds a route of the space that the request's path names.
func (s *server) routeHere(ctx context.Context, name string) (route.Route, error) {
	r, err := s.findRoute(ctx, name)
	if err != nil || r.Space != at(ctx).space.ID {
		return r, hidden(err, "route", quoted("route", name), "naru routes")
	}
	return r, nil
}

// findRoute finds a route of any space by id or name.
func (s *server) findRoute(ctx context.Context, name string) (route.Route, error) {
	if id.Valid(name) {
		return s.Routes.Route(ctx, route.ID(name))
	}
	if host, path, ok, err := route.ParseTCPName(name); ok {
		if err != nil {
			return route.Route{}, err
		}
		routes, err := s.Routes.RoutesAt(ctx, host, path)
		if err != nil || len(routes) == 0 {
			return route.Route{}, hidden(err, "route", quoted("route", name), "naru routes")
		}
		return routes[0], nil
	}
	place, condition, _ := strings.Cut(name, " ")
	host, path, _ := strings.Cut(place, "/")
	host, err := route.ParseHost(host)
	if err != nil {
		return route.Route{}, err
	}
	if path, err = route.ParsePath("/" + path); err != nil {
		return route.Route{}, err
	}
	when, err := route.ParseWhen(condition)
	if err != nil {
		return route.Route{}, err
	}
	routes, err := s.Routes.RoutesAt(ctx, host, path)
	if err != nil {
		return route.Route{}, err
	}
	for _, r := range routes {
		if r.When.Key() == when.Key() {
			return r, nil
		}
	}
	return route.Route{}, hidden(nil, "route", quoted("route", name), "naru routes")
}

func whenOf(w *route.When) *client.When {
	if w == nil {
		return nil
	}
	return &client.When{Methods: w.Methods, Match: each(w.Match, func(m route.Match) client.Match { return client.Match(m) })}
}

// termsOf shows terms without what lets people in. Both types are one form of
// JSON, as TestTermsHaveOneForm says.
func termsOf(t route.Terms) (out client.Terms) {
	if t == (route.Terms{}) {
		return out
	}
	data, err := json.Marshal(t.Shown())
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		panic(fmt.Sprintf("terms of a route do not fit package client: %v", err))
	}
	return out
}
