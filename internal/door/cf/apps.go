package cf

import (
	"context"
	"maps"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/release"
)

func appRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/apps", do: (*Door).listApps},
		{pattern: "POST /v3/apps", do: (*Door).createApp},
		{pattern: "GET /v3/apps/{guid}", do: (*Door).getApp},
		{pattern: "PATCH /v3/apps/{guid}", do: (*Door).changeApp},
		{pattern: "DELETE /v3/apps/{guid}", do: (*Door).deleteApp},
		{pattern: "POST /v3/apps/{guid}/actions/start", do: (*Door).startApp},
		{pattern: "POST /v3/apps/{guid}/actions/stop", do: (*Door).stopApp},
		{pattern: "POST /v3/apps/{guid}/actions/restart", do: (*Door).restartApp},
	}
}

// shownApp is an app with what is known of it beside.
type shownApp struct {
	app.App
	org app.OrgID
	rel release.Release // zero: none
}

// docker reports that what runs, or is to run, is an image that was not built here.
func (a shownApp) docker() bool { return a.Build.Docker || a.rel.ID != "" && a.rel.Snapshot == "" }

func (a shownApp) lifecycle() string {
	if a.docker() {
		return "docker"
	}
	return "buildpack"
}

var appList = list[shownApp]{
	filters: map[string]func(shownApp) []string{
		"names":              single(func(a shownApp) string { return a.Name }),
		"space_guids":        single(func(a shownApp) string { return string(a.Space) }),
		"organization_guids": single(func(a shownApp) string { return string(a.org) }),
		"lifecycle_type":     single(shownApp.lifecycle),
		"stacks":             single(func(a shownApp) string { return a.Build.Stack }),
	},
	orders: map[string]func(shownApp) string{
		"name": func(a shownApp) string { return a.Name }, "state": func(a shownApp) string { return stateOf(a.App) },
	},
	times: func(a shownApp) (time.Time, time.Time) { return a.Created, a.Updated },
	guid:  func(a shownApp) string { return string(a.ID) },

	includes: []string{"space", "org", "space.organization"},
}

func stateOf(a app.App) string {
	// An app that was made and never pushed has nothing that could be started.
	if a.State == app.Stopped || a.Image == "" {
		return "STOPPED"
	}
	return "STARTED"
}

type lifecycle struct {
	Type string `json:"type"`
	Data any    `json:"data"`
}

type appResource struct {
	resource
	Name          string           `json:"name"`
	State         string           `json:"state"`
	Lifecycle     lifecycle        `json:"lifecycle"`
	Relationships map[string]toOne `json:"relationships"`
	Included      map[string]any   `json:"included,omitempty"`
}

func (c *call) appResource(a shownApp) appResource {
	path := "/v3/apps/" + string(a.ID)
	r := c.thing(string(a.ID), a.Created, a.Updated, path).with(c, "space", "/v3/spaces/"+string(a.Space))
	for _, name := range []string{"processes", "packages", "environment_variables", "droplets"} {
		r = r.with(c, name, path+"/"+name)
	}
	r = r.with(c, "current_droplet", path+"/droplets/current")
	for _, name := range []string{"start", "stop"} {
		r.Links[name] = link{c.at.api + path + "/actions/" + name, "POST"}
	}
	droplet := none()
	if a.Image != "" {
		droplet = one(a.Image)
	}
	life := lifecycle{a.lifecycle(), map[string]any{}}
	if !a.docker() {
		packs, stack := a.Build.Buildpacks, &a.Build.Stack
		if packs == nil {
			packs = []string{}
		}
		if a.Build.Stack == "" {
			stack = nil
		}
		life.Data = map[string]any{"buildpacks": packs, "stack": stack}
	}
	return appResource{
		resource: r, Name: a.Name, State: stateOf(a.App), Lifecycle: life,
		Relationships: map[string]toOne{"space": one(string(a.Space)), "current_droplet": droplet},
	}
}

// appsIn are all apps of some spaces.
func (d *Door) appsIn(ctx context.Context, spaces map[app.SpaceID]app.Space) ([]app.App, error) {
	var out []app.App
	for _, id := range slices.Sorted(maps.Keys(spaces)) {
		for after := ""; ; {
			some, err := d.Apps.AppsAfter(ctx, id, after, batch)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
			if len(some) < batch {
				break
			}
			after = some[len(some)-1].Name
		}
	}
	return out, nil
}

// batch is how many things are read at once.
const batch = 1000

// within narrows spaces to those that a query is about, so that no others are
// looked through.
func within(c *call, spaces map[app.SpaceID]app.Space) map[app.SpaceID]app.Space {
	q := c.r.URL.Query()
	maps.DeleteFunc(spaces, func(id app.SpaceID, s app.Space) bool {
		return q.Has("space_guids") && !slices.Contains(values(q, "space_guids"), string(id)) ||
			q.Has("organization_guids") && !slices.Contains(values(q, "organization_guids"), string(s.Org))
	})
	return spaces
}

// shown adds to apps what is shown with them.
func (d *Door) shown(ctx context.Context, spaces map[app.SpaceID]app.Space, apps []app.App) ([]shownApp, error) {
	if len(apps) == 0 {
		return nil, nil
	}
	current, err := d.Releases.CurrentReleases(ctx, each(apps, func(a app.App) app.ID { return a.ID })...)
	return each(apps, func(a app.App) shownApp { return shownApp{a, spaces[a.Space].Org, current[a.ID]} }), err
}

func (d *Door) listApps(c *call) error {
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	var apps []app.App
	if q := c.r.URL.Query(); q.Has("guids") {
		ids := each(values(q, "guids"), func(s string) app.ID { return app.ID(s) })
		if apps, err = d.Apps.AppsByID(c.ctx(), ids...); err != nil {
			return err
		}
		apps = slices.DeleteFunc(apps, func(a app.App) bool { _, ok := spaces[a.Space]; return !ok })
	} else if apps, err = d.appsIn(c.ctx(), within(c, maps.Clone(spaces))); err != nil {
		return err
	}
	shown, err := d.shown(c.ctx(), spaces, apps)
	if err != nil {
		return err
	}
	return showing(c, appList, shown, c.appResource, func(some []shownApp) (map[string]any, error) {
		return d.around(c, spaces, each(some, func(a shownApp) app.SpaceID { return a.Space }))
	})
}

// sendApp answers with an app as it is now.
func (d *Door) sendApp(c *call, status int, id app.ID) error {
	a, err := d.Apps.App(c.ctx(), id)
	if err != nil {
		return gone(err, "App")
	}
	p, err := d.placeOf(c.ctx(), a.Space)
	if err != nil {
		return err
	}
	spaces := map[app.SpaceID]app.Space{p.space.ID: p.space}
	shown, err := d.shown(c.ctx(), spaces, []app.App{a})
	if err != nil {
		return err
	}
	out := c.appResource(shown[0])
	if out.Included, err = d.around(c, spaces, []app.SpaceID{a.Space}); err != nil {
		return err
	}
	c.send(status, out)
	return nil
}

func (d *Door) getApp(c *call) error {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	if err := checkIncludes(c.r.URL.Query(), appList.includes); err != nil {
		return err
	}
	return d.sendApp(c, 200, a.ID)
}
