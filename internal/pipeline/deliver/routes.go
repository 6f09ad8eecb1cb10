package deliver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/route"
)

// MapRoute makes a host and path lead to an app.
func (s *Service) MapRoute(ctx context.Context, by operation.Ask, id app.ID, host, path string, to route.Destination) (route.Route, error) {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return route.Route{}, err
	}
	var r route.Route
	if err := s.store.Together(ctx, func(ctx context.Context) (err error) {
		r, err = s.mapRoute(ctx, by.Actor, a, host, path, to)
		return err
	}); err != nil {
		return r, err
	}
	return r, s.router.Sync(ctx)
}

// UnmapRoute takes an app off a route, and the route away when no other app is
// left on it.
func (s *Service) UnmapRoute(ctx context.Context, by operation.Ask, id app.ID, r route.ID) error {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return err
	}
	if err := s.store.Together(ctx, func(ctx context.Context) error {
		have, err := s.store.Route(ctx, r)
		if err != nil {
			return err
		}
		return s.unmap(ctx, by.Actor, a, have)
	}); err != nil {
		return err
	}
	return s.router.Sync(ctx)
}

// mapRoute works in the caller's transaction.
func (s *Service) mapRoute(ctx context.Context, actor string, a app.App, host, path string, to route.Destination) (route.Route, error) {
	if !strings.Contains(host, ".") && host != "" {
		host += "." + s.cfg.AppsDomain
	}
	fresh, err := route.New(a.Space, host, path, time.Now().UTC())
	if err != nil {
		return fresh, err
	}
	r, err := s.store.RouteNamed(ctx, fresh.Host, fresh.Path)
	switch {
	case fault.Is(err, fault.NotFound):
		r = fresh
	case err != nil:
		return r, err
	case r.Space != a.Space:
		return route.Route{}, route.Taken(fresh.Host, fresh.Path)
	}
	to.App = a.ID
	d := route.NewDestination(a.ID, to.Process, to.Port, to.Weight)
	if r, err = r.With(d); err != nil {
		return r, err
	}
	return s.store.SetRoute(ctx, r, event.Event{Kind: "route.mapped", Actor: actor, App: string(a.ID), Subject: r.Name(), Detail: map[string]any{"app": a.Name, "process": d.Process}})
}

func (s *Service) unmap(ctx context.Context, actor string, a app.App, r route.Route) error {
	left, gone := r.Without(a.ID)
	if !gone {
		return fault.New(fault.NotFound, "route", "%s does not lead to %s", r.Name(), a.Name).WithTry("naru routes")
	}
	ev := event.Event{Kind: "route.unmapped", Actor: actor, App: string(a.ID), Subject: r.Name(), Detail: map[string]any{"app": a.Name}}
	if len(left.Destinations) == 0 {
		return s.store.DeleteRoute(ctx, r.ID, ev)
	}
	_, err := s.store.SetRoute(ctx, left, ev)
	return err
}

func (s *Service) unmapAll(ctx context.Context, actor string, a app.App) (int, error) {
	n := 0
	err := s.store.Together(ctx, func(ctx context.Context) error {
		routes, err := s.store.RoutesOf(ctx, a.ID)
		if err != nil {
			return err
		}
		n = len(routes)
		for _, r := range routes {
			if err := s.unmap(ctx, actor, a, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	return n, s.router.Sync(ctx)
}

// mapPushed maps what a push names, and the default route where there would be
// none. A host that another space has is refused before anything is built.
func (s *Service) mapPushed(ctx context.Context, by operation.Ask, a app.App, in client.Push) error {
	for _, r := range in.Routes {
		if _, err := s.mapRoute(ctx, by.Actor, a, r.Host, r.Path, route.Destination{Process: r.Process, Port: r.Port, Weight: route.Weight(r.Weight)}); err != nil {
			return err
		}
	}
	if in.NoRoute {
		return nil
	}
	routes, err := s.store.RoutesOf(ctx, a.ID)
	if err != nil || len(routes) > 0 {
		return err
	}
	_, err = s.mapRoute(ctx, by.Actor, a, a.Slug, "/", route.Destination{Process: app.Web})
	return err
}

// arrive makes sure that the gateways serve the app and says where.
func (s *Service) arrive(ctx context.Context, w *operation.Work, a app.App) ([]string, error) {
	return operation.Step(ctx, w, "route", func(ctx context.Context) ([]string, operation.Outcome, error) {
		if err := s.router.Sync(ctx); err != nil {
			return nil, operation.Outcome{}, fmt.Errorf("bring the gateways up to date: %w", err)
		}
		routes, err := s.store.RoutesOf(ctx, a.ID)
		if err != nil {
			return nil, operation.Outcome{}, err
		}
		names := make([]string, 0, len(routes))
		for _, r := range routes {
			names = append(names, r.Name()+": 100%")
		}
		if len(names) == 0 {
			names = []string{"no route"}
		}
		urls, err := s.urls(ctx, a)
		return urls, operation.Outcome{Text: strings.Join(names, ", ")}, err
	})
}

// urls are where an app answers.
func (s *Service) urls(ctx context.Context, a app.App) ([]string, error) {
	routes, err := s.store.RoutesOf(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	urls := make([]string, 0, len(routes))
	for _, r := range routes {
		urls = append(urls, s.cfg.URL(r.Host, r.Path))
	}
	slices.Sort(urls)
	return urls, nil
}

// live ends a story.
func (s *Service) live(ctx context.Context, w *operation.Work, urls []string) {
	text := "runs, without a route"
	if len(urls) > 0 {
		text = strings.Join(urls, " ")
	}
	w.Info(ctx, "live", "%s", text)
}
