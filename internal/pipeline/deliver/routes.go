package deliver

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/pipeline/operation"
	"naru/internal/route"
)

// MapRoute makes a host and path, or some requests for it, lead to an app, and
// lays what is asked of the gateway over what the route asks already.
func (s *Service) MapRoute(ctx context.Context, by operation.Ask, id app.ID, in client.NewRoute) (route.Route, error) {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return route.Route{}, err
	}
	want, err := mappingOf(in)
	if err == nil {
		err = s.allow(ctx, a.Space, want)
	}
	if err != nil {
		return route.Route{}, err
	}
	var r route.Route
	if err := s.store.Together(ctx, func(ctx context.Context) (err error) {
		r, err = s.mapRoute(ctx, by.Actor, a, want)
		return err
	}); err != nil {
		return r, err
	}
	return r, s.router.Sync(ctx)
}

// ChangeRoute changes what a route asks of the gateway, and returns when the
// gateways do it.
func (s *Service) ChangeRoute(ctx context.Context, by operation.Ask, id route.ID, change route.Change) (route.Route, error) {
	var r route.Route
	if err := s.store.Together(ctx, func(ctx context.Context) (err error) {
		if r, err = s.store.Route(ctx, id); err != nil {
			return err
		}
		r, err = s.changeRoute(ctx, by.Actor, r, change)
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

// mapping is a route that somebody wants for an app.
type mapping struct {
	host, path string
	when       *route.When
	tcp        *route.TCP // nil: requests
	to         route.Destination
	change     route.Change
}

// mappingOf reads what a client asks for. Passwords are hashed: not in a
// transaction.
func mappingOf(in client.NewRoute) (w mapping, err error) {
	w = mapping{host: in.Host, path: in.Path, to: route.Destination{Process: in.Process, Port: in.Port, Weight: route.Weight(in.Weight), Protocol: in.Protocol}}
	if in.When != nil {
		when := route.When{Methods: in.When.Methods}
		for _, m := range in.When.Match {
			when.Match = append(when.Match, route.Match(m))
		}
		if w.when, err = when.Normal("when"); err != nil {
			return w, err
		}
	}
	w.tcp = tcpOf(in.TCP)
	patch, err := json.Marshal(in.TermsChange)
	if err != nil {
		return w, fmt.Errorf("encode what a route asks: %w", err)
	}
	w.change, err = route.ParseChange(patch)
	return w, err
}

// allow asks DNS whether the space may have a host: not in a transaction.
func (s *Service) allow(ctx context.Context, space app.SpaceID, w mapping) error {
	if w.host == "" { // a port
		return nil
	}
	host, err := route.ParseHost(s.whole(w.host))
	if err != nil {
		return err
	}
	return s.domains.Allow(ctx, space, host)
}

// whole puts a host of one word below the apps domain.
func (s *Service) whole(host string) string {
	if !strings.Contains(host, ".") && host != "" {
		return host + "." + s.cfg.AppsDomain
	}
	return host
}

// mapRoute works in the caller's transaction.
func (s *Service) mapRoute(ctx context.Context, actor string, a app.App, w mapping) (route.Route, error) {
	if w.tcp != nil {
		return s.mapTCP(ctx, actor, a, w)
	}
	r, err := route.New(a.Space, s.whole(w.host), w.path, time.Now().UTC())
	if err != nil {
		return r, err
	}
	if route.Below(r.Host, s.cfg.PlatformDomain) {
		return route.Route{}, route.Reserved(r.Host, s.cfg.PlatformDomain)
	}
	r.When = w.when
	others, err := s.store.RoutesAt(ctx, r.Host, r.Path)
	if err != nil {
		return r, err
	}
	fresh := true
	for _, other := range others {
		switch {
		case other.Space != a.Space:
			return route.Route{}, route.Taken(r.Host, r.Path)
		case other.When.Key() == r.When.Key():
			r, fresh = other, false
		}
	}
	if all := "*." + s.cfg.AppsDomain; r.Host == all && len(others) == 0 && !feature.Administers(ctx) {
		return route.Route{}, fault.New(fault.Denied, "host", "%s has the visitors of every name that nobody has mapped: administrators of the platform alone map it", all).
			WithTry("map a name, or all below one: *.team.%s", s.cfg.AppsDomain)
	}
	if fresh && len(others) >= route.MaxConditions {
		return route.Route{}, fault.New(fault.TooLarge, "when", "%s already has %d routes", route.Name(r.Host, r.Path), route.MaxConditions).
			WithTry("let the app itself tell its requests apart")
	}
	r, err = s.lead(ctx, actor, a, r, w.to)
	if err != nil || w.change.Empty() {
		return r, err
	}
	return s.changeRoute(ctx, actor, r, w.change)
}

// lead makes a route lead to an app, too.
func (s *Service) lead(ctx context.Context, actor string, a app.App, r route.Route, to route.Destination) (route.Route, error) {
	d := route.NewDestination(a.ID, to.Process, to.Port, to.Weight)
	d.Protocol = to.Protocol
	r, err := r.With(d)
	if err == nil {
		err = s.roomForRoute(ctx, r)
	}
	if err != nil {
		return r, err
	}
	return s.store.SetRoute(ctx, r, event.Event{Kind: "route.mapped", Actor: actor, App: string(a.ID), Subject: r.Name(), Detail: map[string]any{"app": a.Name, "process": d.Process}})
}

// roomForRoute refuses a new route that a quota does not allow, or that who asks may
// not make. It works in the caller's transaction.
func (s *Service) roomForRoute(ctx context.Context, r route.Route) error {
	if _, err := s.store.Route(ctx, r.ID); !fault.Is(err, fault.NotFound) {
		return err
	}
	return s.quotas.Route(ctx, r.Space, r.TCP != nil && r.TCP.Port > 0)
}

// changeRoute works in the caller's transaction. What is as it was is no event:
// every push says its manifest's rules again.
func (s *Service) changeRoute(ctx context.Context, actor string, r route.Route, change route.Change) (route.Route, error) {
	if r.TCP != nil {
		return r, noRules(r.Name())
	}
	terms, err := change.Apply(r.Terms)
	if err != nil {
		return r, err
	}
	if reflect.DeepEqual(terms, r.Terms) {
		return r, nil
	}
	r.Terms = terms
	return s.store.SetRoute(ctx, r, event.Event{Kind: "route.changed", Actor: actor, Space: string(r.Space), Subject: r.Name(), Detail: map[string]any{"keys": change.Keys()}})
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
func (s *Service) mapPushed(ctx context.Context, by operation.Ask, a app.App, mappings []mapping, noRoute bool) error {
	had, err := s.store.RoutesOf(ctx, a.ID)
	if err != nil {
		return err
	}
	kept := keptPorts(a.ID, mappings, had)
	for _, free := range []bool{false, true} { // who wants any port takes none that another one names
		for i, w := range kept {
			if w.anyPort() != free {
				continue
			}
			if _, err := s.mapRoute(ctx, by.Actor, a, w); err != nil {
				return ofRoute(i, err)
			}
		}
	}
	if noRoute || len(mappings)+len(had) > 0 {
		return nil
	}
	_, err = s.mapRoute(ctx, by.Actor, a, mapping{host: a.Slug, path: "/", to: route.Destination{Process: app.Web}})
	return err
}

// mappingsOf reads the routes of a push. It takes no password: what a push asks for
// is kept with its operation.
func mappingsOf(routes []client.NewRoute) ([]mapping, error) {
	mappings := make([]mapping, 0, len(routes))
	for i, r := range routes {
		w, err := mappingOf(r)
		if err == nil && w.change.SetsPasswords() {
			err = fault.New(fault.Invalid, "policy.auth.users", "a push takes no passwords").
				WithTry("set them once, they stay: naru route set %s auth.user=NAME", route.Name(r.Host, r.Path))
		}
		if err != nil {
			return nil, ofRoute(i, err)
		}
		mappings = append(mappings, w)
	}
	return mappings, nil
}

// ofRoute says which route of a push an error is about.
func ofRoute(i int, err error) error {
	f := fault.Of(err)
	if !slices.Contains([]fault.Kind{fault.Invalid, fault.TooLarge, fault.Conflict, fault.Unsupported}, f.Kind) {
		return err
	}
	named := *f
	named.Field = fmt.Sprintf("routes[%d].%s", i, f.Field)
	return &named
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
		if r.TCP != nil {
			urls = append(urls, s.cfg.StreamURL(r))
		} else {
			urls = append(urls, s.cfg.URL(r.Host, r.Path))
		}
	}
	slices.Sort(urls)
	return slices.Compact(urls), nil // routes with conditions share theirs
}

// live ends a story.
func (s *Service) live(ctx context.Context, w *operation.Work, urls []string) {
	text := "runs, without a route"
	if len(urls) > 0 {
		text = strings.Join(urls, " ")
	}
	w.Info(ctx, "live", "%s", text)
}
