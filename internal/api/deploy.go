package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/auth"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/release"
	"naru/internal/route"
)

type planInput struct{ Body client.PlanRequest }

func (s *server) plan(ctx context.Context, in *planInput) (client.Plan, error) {
	if err := oneSource(in.Body.Source); err != nil {
		return client.Plan{}, err
	}
	snap, recipe, err := s.Pushes.Plan(ctx, requestOf(ctx).by(), at(ctx).space.ID, in.Body)
	if err != nil {
		return client.Plan{}, err
	}
	raw, err := json.Marshal(recipe)
	if err != nil {
		return client.Plan{}, fmt.Errorf("encode recipe: %w", err)
	}
	return client.Plan{
		Snapshot: snapshotOf(snap), Builder: recipe.Builder, Found: recipe.Found,
		Foundations: client.Foundations{Build: recipe.Foundations.Build, Run: recipe.Foundations.Run},
		Processes: each(recipe.Processes, func(p app.Process) client.PlanProcess {
			return client.PlanProcess{Type: p.Type, Command: p.Command, Port: p.Port}
		}),
		Warnings: each(recipe.Warnings, func(h build.Hint) client.Hint { return client.Hint{Message: h.Message, Try: h.Try} }),
		Text:     recipe.Plan(), Recipe: raw,
	}, nil
}

type pushInput struct{ Body client.Push }

func (s *server) push(ctx context.Context, in *pushInput) (operation.Operation, error) {
	if err := checkPush(in.Body); err != nil {
		return operation.Operation{}, err
	}
	return s.Pushes.Push(ctx, requestOf(ctx).by(), at(ctx).space.ID, in.Body)
}

// checkPush refuses what no push can mean.
func checkPush(p client.Push) error {
	if err := app.CheckName("app", p.App); err != nil {
		return err
	}
	if err := oneSource(p.Source); err != nil {
		return err
	}
	if p.NoRoute && len(p.Routes) > 0 {
		return fault.New(fault.Invalid, "no_route", "no_route and routes contradict each other")
	}
	for _, process := range slices.Sorted(maps.Keys(p.Processes)) {
		if err := app.CheckProcessType("processes", process); err != nil {
			return err
		}
		if err := checkHealth(process, p.Processes[process].ProcessSettings); err != nil {
			return err
		}
	}
	return app.EnvChange{Set: p.Env}.Check()
}

func oneSource(src client.Source) error {
	n := 0
	for _, there := range []bool{src.Snapshot != "", src.Git != nil, src.Image != ""} {
		if there {
			n++
		}
	}
	if n != 1 {
		return fault.New(fault.Invalid, "snapshot", "exactly one of snapshot, git and image is needed (got %d)", n)
	}
	return nil
}

func (s *server) listReleases(ctx context.Context, in *PageInput) (out client.List[client.Release], err error) {
	a := at(ctx).app
	size, err := s.size(*in)
	if err != nil {
		return out, err
	}
	before, err := in.number()
	if err != nil {
		return out, err
	}
	all, err := s.Releases.Releases(ctx, a.ID, 0)
	if err != nil {
		return out, err
	}
	current, err := s.Releases.CurrentReleases(ctx, a.ID)
	if err != nil {
		return out, err
	}
	if before > 0 {
		all = slices.DeleteFunc(all, func(r release.Release) bool { return int64(r.Number) >= before })
	}
	out = cut(all, size, func(r release.Release) client.Release { return s.release(ctx, r) }, func(r release.Release) string { return fmt.Sprint(r.Number) })
	for i := range out.Items {
		out.Items[i].Current = out.Items[i].ID == string(current[a.ID].ID)
		if i+1 < len(all) {
			out.Items[i].Changes = all[i].Changes(all[i+1])
		}
	}
	return out, nil
}

type releasePath struct {
	Release string `path:"release" maxLength:"64" doc:"v3, 3, or an id"`
}

func (s *server) getRelease(ctx context.Context, in *releasePath) (client.Release, error) {
	a := at(ctx).app
	rel, err := s.findRelease(ctx, a, in.Release)
	if err != nil {
		return client.Release{}, err
	}
	current, err := s.Releases.CurrentReleases(ctx, a.ID)
	if err != nil {
		return client.Release{}, err
	}
	out := s.release(ctx, rel)
	out.Current = current[a.ID].ID == rel.ID
	if before, err := s.Releases.ReleaseNumbered(ctx, a.ID, rel.Number-1); err == nil {
		out.Changes = rel.Changes(before)
	}
	return out, nil
}

// release shows a release; its settings only to who may read settings.
func (s *server) release(ctx context.Context, r release.Release) client.Release {
	rq, out := requestOf(ctx), releaseOf(r)
	if !auth.Can(rq.who, auth.EnvRead, rq.place.org.ID, rq.place.space.ID) {
		out.Env = nil
	}
	return out
}

// findRelease finds a release of an app by number or id.
func (s *server) findRelease(ctx context.Context, a app.App, name string) (release.Release, error) {
	if id.Valid(name) {
		rel, err := s.Releases.Release(ctx, release.ID(name))
		if err == nil && rel.App != a.ID {
			err = fault.New(fault.NotFound, "release", "release %s of %s does not exist", name, a.Name).WithTry("naru releases %s", a.Name)
		}
		return rel, err
	}
	n := numbered(name)
	if n == 0 {
		return release.Release{}, fault.New(fault.Invalid, "release", "%q is not a release", name).
			WithTry("give it as v3 or 3; naru releases %s lists them", a.Name)
	}
	return s.Releases.ReleaseNumbered(ctx, a.ID, n)
}

// url is where people reach a route.
func (c Config) url(r route.Route) string {
	u, err := url.Parse(c.AppsURL)
	if r.TCP != nil {
		return c.streamURL(r, u)
	}
	if err != nil {
		return "http://" + r.Name()
	}
	host := r.Host
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	return u.Scheme + "://" + host + r.Path
}

func routeOf(cfg Config, names map[app.ID]string) func(route.Route) client.Route {
	return func(r route.Route) client.Route {
		return client.Route{
			ID: string(r.ID), Host: r.Host, Path: r.Path, Name: r.Name(), URL: cfg.url(r), CreatedAt: r.Created, TCP: tcpOf(r.TCP),
			When: whenOf(r.When), Terms: termsOf(r.Terms),
			Destinations: each(r.Destinations, func(d route.Destination) client.Destination {
				return client.Destination{App: names[d.App], AppID: string(d.App), Process: cmpOr(d.Process, app.Web), Port: d.Port, Weight: int(d.Weight), Protocol: d.Protocol}
			}),
		}
	}
}

func cmpOr(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

func (s *server) listRoutes(ctx context.Context, in *SelectInput) (out client.List[client.Route], err error) {
	routes, size, written, err := labelledPage(ctx, s, *in, label.Routes, route.Route.Name, func(r route.Route) string { return string(r.ID) },
		func(after string, limit int) ([]route.Route, error) {
			return s.Routes.RoutesAfter(ctx, at(ctx).space.ID, after, limit)
		})
	if err != nil {
		return out, err
	}
	names, err := s.names(ctx, routes)
	if err != nil {
		return out, err
	}
	return cut(routes, size, func(r route.Route) client.Route {
		shown := routeOf(s.cfg, names)(r)
		shown.Labels = written[string(r.ID)].Labels
		return shown
	}, route.Route.Name), nil
}

func (s *server) listAppRoutes(ctx context.Context, in *SelectorInput) (out client.List[client.Route], err error) {
	selector, err := in.selector()
	if err != nil {
		return out, err
	}
	d, err := s.detail(ctx, at(ctx).app)
	if err != nil || len(d.Routes) == 0 {
		return client.List[client.Route]{Items: d.Routes}, err
	}
	written, err := s.Labels.LabelsOf(ctx, label.Routes, each(d.Routes, func(r client.Route) string { return r.ID })...)
	if err != nil {
		return out, err
	}
	out.Items = []client.Route{}
	for _, r := range d.Routes {
		if r.Labels = written[r.ID].Labels; selector.Selects(r.Labels) {
			out.Items = append(out.Items, r)
		}
	}
	return out, nil
}

type newRouteInput struct{ Body client.NewRoute }

func (s *server) mapRoute(ctx context.Context, in *newRouteInput) (client.Route, error) {
	a := at(ctx).app
	to := route.NewDestination(a.ID, in.Body.Process, in.Body.Port, route.Weight(in.Body.Weight))
	if err := to.Check(""); err != nil {
		return client.Route{}, err
	}
	r, err := s.Mapper.MapRoute(ctx, requestOf(ctx).by(), a.ID, in.Body)
	if err != nil {
		return client.Route{}, err
	}
	return s.oneRoute(ctx, r)
}

func (s *server) unmapRoute(ctx context.Context, in *routePath) error {
	a := at(ctx).app
	r, err := s.findRoute(ctx, in.Route)
	if err != nil || !slices.Contains(destinations(r), a.ID) {
		return hidden(err, "route", fmt.Sprintf("route %q of %s", in.Route, a.Name), "naru routes")
	}
	return s.Mapper.UnmapRoute(ctx, requestOf(ctx).by(), a.ID, r.ID)
}
