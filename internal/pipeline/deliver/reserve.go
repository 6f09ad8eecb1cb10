package deliver

import (
	"context"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/route"
)

// ReserveRoute keeps a host and path for a space, without an app behind it. One
// that the space has already is a Conflict, as is one of another space.
func (s *Service) ReserveRoute(ctx context.Context, by operation.Ask, space app.SpaceID, host, path string) (route.Route, error) {
	r, err := route.New(space, s.whole(host), path, time.Now().UTC())
	if err != nil {
		return r, err
	}
	if route.Below(r.Host, s.cfg.PlatformDomain) {
		return route.Route{}, route.Reserved(r.Host, s.cfg.PlatformDomain)
	}
	if err := s.domains.Allow(ctx, space, r.Host); err != nil {
		return route.Route{}, err
	}
	err = s.store.Together(ctx, func(ctx context.Context) error {
		others, err := s.store.RoutesAt(ctx, r.Host, r.Path)
		if err != nil {
			return err
		}
		for _, other := range others {
			switch {
			case other.Space != space:
				return route.Taken(r.Host, r.Path)
			case other.When == nil:
				return route.Exists(r.Host, r.Path)
			}
		}
		if err := s.roomForRoute(ctx, r); err != nil {
			return err
		}
		r, err = s.store.SetRoute(ctx, r, event.Event{Kind: "route.reserved", Actor: by.Actor, Space: string(space), Subject: r.Name()})
		return err
	})
	return r, err
}

// ReservePort keeps a port of the gateway for a space, without an app behind it; 0
// is one that is free. One that somebody has is a Conflict.
func (s *Service) ReservePort(ctx context.Context, by operation.Ask, space app.SpaceID, port int) (route.Route, error) {
	var r route.Route
	err := s.store.Together(ctx, func(ctx context.Context) (err error) {
		if r, err = s.newTCP(ctx, space, "", route.TCP{Port: port}); err != nil {
			return err
		}
		host, path := r.Place()
		others, err := s.store.RoutesAt(ctx, host, path)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			return route.PortTaken(r.TCP.Port)
		}
		if err := s.roomForRoute(ctx, r); err != nil {
			return err
		}
		r, err = s.store.SetRoute(ctx, r, event.Event{Kind: "route.reserved", Actor: by.Actor, Space: string(space), Subject: r.Name()})
		return err
	})
	return r, err
}

// FreeRoute takes one destination off a route and keeps the route for its space,
// also without any.
func (s *Service) FreeRoute(ctx context.Context, by operation.Ask, id route.ID, destination string) error {
	err := s.store.Together(ctx, func(ctx context.Context) error {
		r, err := s.store.Route(ctx, id)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(r.Destinations, func(d route.Destination) bool { return d.ID == destination })
		if i < 0 {
			return fault.New(fault.NotFound, "destination", "%s has no such destination", r.Name()).WithTry("naru routes")
		}
		a := r.Destinations[i].App
		r.Destinations = slices.Delete(slices.Clone(r.Destinations), i, i+1)
		_, err = s.store.SetRoute(ctx, r, event.Event{Kind: "route.unmapped", Actor: by.Actor, App: string(a), Subject: r.Name()})
		return err
	})
	if err != nil {
		return err
	}
	return s.router.Sync(ctx)
}

// DropRoute takes a route away, whatever it leads to.
func (s *Service) DropRoute(ctx context.Context, by operation.Ask, id route.ID) error {
	r, err := s.store.Route(ctx, id)
	if err != nil {
		return err
	}
	ev := event.Event{Kind: "route.dropped", Actor: by.Actor, Space: string(r.Space), Subject: r.Name()}
	if err := s.store.DeleteRoute(ctx, id, ev); err != nil {
		return err
	}
	return s.router.Sync(ctx)
}
