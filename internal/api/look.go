package api

import (
	"cmp"
	"context"
	"slices"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// sight is what there is to see of some apps, fetched with a few questions
// however many they are.
type sight struct {
	cfg       Config
	current   map[app.ID]release.Release
	groups    map[app.ID][]run.Group
	instances map[run.GroupID][]run.Instance
	routes    map[app.ID][]route.Route
	names     map[app.ID]string // of all apps behind the routes
}

func (s *server) look(ctx context.Context, apps ...app.App) (sight, error) {
	v := sight{
		cfg: s.cfg, groups: map[app.ID][]run.Group{}, instances: map[run.GroupID][]run.Instance{},
		routes: map[app.ID][]route.Route{}, names: map[app.ID]string{},
	}
	if len(apps) == 0 {
		return v, nil
	}
	ids := each(apps, func(a app.App) app.ID { return a.ID })
	var err error
	if v.current, err = s.Releases.CurrentReleases(ctx, ids...); err != nil {
		return v, err
	}
	groups, err := s.Running.GroupsOfApps(ctx, ids...)
	if err != nil {
		return v, err
	}
	var instances []run.Instance
	if len(groups) > 0 {
		if instances, err = s.Running.InstancesIn(ctx, each(groups, func(g run.Group) run.GroupID { return g.ID })...); err != nil {
			return v, err
		}
	}
	for _, i := range instances {
		v.instances[i.Group] = append(v.instances[i.Group], i)
	}
	for _, g := range groups {
		if g.Size > 0 || len(v.instances[g.ID]) > 0 {
			v.groups[g.App] = append(v.groups[g.App], g)
		}
	}
	routes, err := s.Routes.RoutesOf(ctx, ids...)
	if err != nil {
		return v, err
	}
	for _, r := range routes {
		for _, a := range destinations(r) {
			v.routes[a] = append(v.routes[a], r)
		}
	}
	v.names, err = s.names(ctx, routes)
	return v, err
}

// destinations lists the apps behind a route, each once.
func destinations(r route.Route) []app.ID {
	ids := each(r.Destinations, func(d route.Destination) app.ID { return d.App })
	slices.Sort(ids)
	return slices.Compact(ids)
}

// names finds what the apps behind routes are called.
func (s *server) names(ctx context.Context, routes []route.Route) (map[app.ID]string, error) {
	names := map[app.ID]string{}
	var ids []app.ID
	for _, r := range routes {
		ids = append(ids, destinations(r)...)
	}
	if len(ids) == 0 {
		return names, nil
	}
	slices.Sort(ids)
	apps, err := s.Apps.AppsByID(ctx, slices.Compact(ids)...)
	for _, a := range apps {
		names[a.ID] = a.Name
	}
	return names, err
}

// summary is an app as lists show it.
func (v sight) summary(a app.App) client.App {
	rel, released := v.current[a.ID]
	out := client.App{
		ID: string(a.ID), Name: a.Name, Slug: a.Slug, State: string(a.State), Release: rel.Number,
		Processes: []client.AppProcess{}, CreatedAt: a.Created, UpdatedAt: a.Updated,
	}
	healthy, crashed := map[string]int{}, false
	for _, g := range v.groups[a.ID] {
		for _, i := range v.instances[g.ID] {
			switch i.State {
			case run.Healthy:
				healthy[g.Process]++
			case run.Crashed:
				crashed = true
			}
			crashed = crashed || i.Crashes > 0 && i.State != run.Healthy
		}
	}
	wanted, up := 0, 0
	for _, process := range v.processes(a.ID) {
		n := a.Wanted(process)
		out.Processes = append(out.Processes, client.AppProcess{Type: process, Want: n, Healthy: healthy[process]})
		wanted += n
		up += min(n, healthy[process])
	}
	out.Health = health(a, released || len(v.groups[a.ID]) > 0, wanted, up, crashed)
	if routes := v.routes[a.ID]; len(routes) > 0 {
		out.URL = v.cfg.url(routes[0])
	}
	return out
}

// processes lists the process types of an app: those of its current release, and
// while the first one is on its way those that are being started.
func (v sight) processes(a app.ID) []string {
	if rel, ok := v.current[a]; ok {
		return app.Types(rel.Processes)
	}
	started := each(v.groups[a], func(g run.Group) app.Process { return app.Process{Type: g.Process} })
	return slices.Compact(app.Types(started))
}

func health(a app.App, released bool, wanted, up int, crashed bool) string {
	switch {
	case !released:
		return "empty"
	case a.State == app.Stopped || wanted == 0:
		return "stopped"
	case up >= wanted:
		return "healthy"
	case up > 0:
		return "degraded"
	case crashed:
		return "crashed"
	}
	return "starting"
}

// detail is all there is to know about an app.
func (s *server) detail(ctx context.Context, a app.App) (client.AppDetail, error) {
	v, err := s.look(ctx, a)
	if err != nil {
		return client.AppDetail{}, err
	}
	out := client.AppDetail{App: v.summary(a), Groups: []client.Group{}, Scale: a.Scale, Settings: map[string]client.ProcessSettings{}}
	for process, o := range a.Draft.Processes {
		out.Settings[process] = settingsOf(o)
	}
	if rel, ok := v.current[a.ID]; ok {
		wire := s.release(ctx, rel)
		wire.Current = true
		out.Current = &wire
	}
	if out.Current == nil {
		if out.Problem, err = s.problem(ctx, a); err != nil {
			return client.AppDetail{}, err
		}
	}
	if out.Labels, err = s.labelsOn(ctx, label.Apps, string(a.ID)); err != nil {
		return client.AppDetail{}, err
	}
	traffic := s.traffic(v.groups[a.ID])
	for _, g := range v.groups[a.ID] {
		rel, err := s.Releases.Release(ctx, g.Release)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return client.AppDetail{}, err
		}
		group := v.group(g, rel.Number)
		group.Traffic = traffic[g.ID]
		out.Groups = append(out.Groups, group)
	}
	out.Routes = each(v.routes[a.ID], v.route)
	for i, r := range out.Routes {
		out.Routes[i].Default = r.Host == a.Slug+"."+s.cfg.AppsDomain && r.Path == "/" && r.When == nil
	}
	return out, nil
}

// problem is why nothing runs of an app that has no release that worked: the
// error of its last operation. nil while one is at work, and where none was.
func (s *server) problem(ctx context.Context, a app.App) (*client.Fault, error) {
	last, err := s.Operations.Operations(ctx, operation.Filter{App: a.ID, Limit: 1})
	if err != nil || len(last) == 0 {
		return nil, err
	}
	return faultOf(last[0].Error), nil
}

func (v sight) group(g run.Group, release int) client.Group {
	instances := slices.Clone(v.instances[g.ID])
	slices.SortFunc(instances, func(x, y run.Instance) int {
		return cmp.Or(cmp.Compare(x.Index, y.Index), cmp.Compare(x.ID, y.ID))
	})
	return client.Group{
		ID: string(g.ID), Name: g.Name, Process: g.Process, Release: release, Want: g.Size,
		Instances: each(instances, instanceOf), CreatedAt: g.Created,
	}
}

func (v sight) route(r route.Route) client.Route { return routeOf(v.cfg, v.names)(r) }

// memoryLimit is what an instance of a group may use, in bytes.
func (s *server) memoryLimit(ctx context.Context, g run.Group) (int64, error) {
	rel, err := s.Releases.Release(ctx, g.Release)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return 0, err
	}
	p, _ := rel.Process(g.Process)
	return int64(p.MemoryMiB) << 20, nil
}
