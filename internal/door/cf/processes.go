package cf

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
)

func processRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/processes", do: (*Door).listProcesses},
		{pattern: "GET /v3/processes/{guid}", do: (*Door).getProcess},
		{pattern: "PATCH /v3/processes/{guid}", do: (*Door).changeProcess},
		{pattern: "GET /v3/processes/{guid}/stats", do: (*Door).stats},
		{pattern: "GET /v3/processes/{guid}/sidecars", do: (*Door).noSidecars},
		{pattern: "GET /v3/apps/{guid}/sidecars", do: func(d *Door, c *call) error {
			if _, err := d.app(c, c.guid(), auth.SpaceRead); err != nil {
				return err
			}
			return d.nothing(c, "sidecars")
		}},
		{pattern: "POST /v3/processes/{guid}/actions/scale", do: (*Door).scale},
		{pattern: "GET /v3/apps/{guid}/processes", do: (*Door).appProcesses},
		{pattern: "GET /v3/apps/{guid}/processes/{type}", do: (*Door).getProcess},
		{pattern: "GET /v3/apps/{guid}/processes/{type}/stats", do: (*Door).stats},
		{pattern: "POST /v3/apps/{guid}/processes/{type}/actions/scale", do: (*Door).scale},
	}
}

// shownProcess is a process with where its app is, and what runs of it.
type shownProcess struct {
	process
	org   app.OrgID
	spots []spot // nil: not asked for
}

var processList = list[shownProcess]{
	filters: map[string]func(shownProcess) []string{
		"types":              single(func(p shownProcess) string { return p.Type }),
		"app_guids":          single(func(p shownProcess) string { return string(p.of.ID) }),
		"space_guids":        single(func(p shownProcess) string { return string(p.of.Space) }),
		"organization_guids": single(func(p shownProcess) string { return string(p.org) }),
	},
	times: func(p shownProcess) (time.Time, time.Time) { return p.created, p.of.Updated },
	guid:  func(p shownProcess) string { return p.guid() },
	also:  []string{"embed"},
}

type healthCheck struct {
	Type string         `json:"type"`
	Data map[string]any `json:"data"`
}

type processInstance struct {
	Index int    `json:"index"`
	State string `json:"state"`
	Since int    `json:"since"` // seconds in the state
}

type processResource struct {
	resource
	Type          string            `json:"type"`
	Command       *string           `json:"command"`
	Instances     int               `json:"instances"`
	MemoryMiB     int               `json:"memory_in_mb"`
	DiskMiB       int               `json:"disk_in_mb"`
	LogRate       int               `json:"log_rate_limit_in_bytes_per_second"`
	User          *string           `json:"user"`
	Health        healthCheck       `json:"health_check"`
	Readiness     healthCheck       `json:"readiness_health_check"`
	Relationships map[string]toOne  `json:"relationships"`
	Running       []processInstance `json:"process_instances,omitzero"`
}

// hidden stands for a command in lists.
const hidden = "[PRIVATE DATA HIDDEN IN LISTS]"

func (c *call) processResource(p shownProcess) processResource {
	path := "/v3/processes/" + p.guid()
	r := c.thing(p.guid(), p.created, p.of.Updated, path).with(c, "app", "/v3/apps/"+string(p.of.ID)).
		with(c, "space", "/v3/spaces/"+string(p.of.Space)).with(c, "stats", path+"/stats").with(c, "process_instances", path+"/process_instances")
	r.Links["scale"] = link{c.at.api + path + "/actions/scale", "POST"}
	h := p.Health
	health := healthCheck{string(h.Check), map[string]any{
		"timeout": int(h.StartTimeout.Std().Seconds()), "invocation_timeout": int(h.Timeout.Std().Seconds()), "interval": int(h.Interval.Std().Seconds()),
	}}
	if h.Check == app.CheckHTTP {
		health.Data["endpoint"] = h.Path
	}
	secret := hidden
	out := processResource{
		resource: r, Type: p.Type, Command: &secret, Instances: p.of.Count(p.Type), MemoryMiB: p.MemoryMiB, DiskMiB: p.DiskMiB, LogRate: -1,
		Health: health, Readiness: healthCheck{"process", map[string]any{"invocation_timeout": nil, "interval": nil}},
		Relationships: map[string]toOne{"app": one(string(p.of.ID)), "revision": none()},
	}
	if p.spots != nil {
		out.Running = each(p.spots, processInstanceOf)
	}
	return out
}

func processInstanceOf(s spot) processInstance {
	since := 0
	if s.inst.ID != "" {
		since = int(time.Since(s.inst.Since).Seconds())
	}
	return processInstance{s.index, s.state, max(0, since)}
}

// commandLine is a command as people write it; nil for the image's own.
func commandLine(argv []string) *string {
	if len(argv) == 0 {
		return nil
	}
	line := strings.Join(argv, " ")
	if len(argv) == 3 && argv[0] == "/bin/sh" && argv[1] == "-c" {
		line = strings.TrimPrefix(argv[2], "exec ")
	}
	return &line
}

// outlined is a process of which nothing is known but what lists are filtered and
// ordered by.
type outlined struct {
	app.Outline
	kind string
	org  app.OrgID
}

func (p outlined) guid() string { return processGUID(string(p.ID), p.kind) }

var outlineList = list[outlined]{
	filters: map[string]func(outlined) []string{
		"types":              single(func(p outlined) string { return p.kind }),
		"app_guids":          single(func(p outlined) string { return string(p.ID) }),
		"space_guids":        single(func(p outlined) string { return string(p.Space) }),
		"organization_guids": single(func(p outlined) string { return string(p.org) }),
	},
	times: func(p outlined) (time.Time, time.Time) { return p.Created, p.Updated },
	guid:  outlined.guid,
	also:  []string{"embed"},
}

// listProcesses reads of all processes what puts them on a page, and of those on
// the page the rest: clients ask for page after page.
func (d *Door) listProcesses(c *call) error {
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	some, err := paged(c, func(p outlined) bool { _, seen := spaces[p.Space]; return seen }, func() ([]outlined, error) {
		outlines, err := d.outlines(c, within(c, maps.Clone(spaces)))
		if err != nil {
			return nil, err
		}
		all := make([]outlined, 0, len(outlines))
		for _, o := range outlines {
			for _, kind := range o.Types() {
				all = append(all, outlined{o, kind, spaces[o.Space].Org})
			}
		}
		return chosen(c, outlineList, all)
	})
	if err != nil {
		return err
	}
	some, p, err := cut(c, some)
	if err != nil {
		return err
	}
	if err := c.preload("processes", each(some, outlined.guid)); err != nil {
		return err
	}
	shown, err := d.shownProcesses(c.ctx(), some, asked(c.r.URL.Query(), "embed", "process_instances"))
	if err != nil {
		return err
	}
	return c.ok(page[processResource]{Pagination: p, Resources: each(shown, c.processResource)})
}

// outlines are those of the apps of spaces, or of some of them.
func (d *Door) outlines(c *call, spaces map[app.SpaceID]app.Space) ([]app.Outline, error) {
	if q := c.r.URL.Query(); q.Has("app_guids") { // not all spaces are looked through for a few apps
		apps, err := d.Apps.AppsByID(c.ctx(), each(values(q, "app_guids"), func(s string) app.ID { return app.ID(s) })...)
		if err != nil {
			return nil, err
		}
		have := map[app.SpaceID]bool{}
		for _, a := range apps {
			have[a.Space] = true
		}
		maps.DeleteFunc(spaces, func(id app.SpaceID, _ app.Space) bool { return !have[id] })
	}
	if len(spaces) == 0 {
		return nil, nil
	}
	return d.Apps.AppOutlines(c.ctx(), slices.Sorted(maps.Keys(spaces))...)
}

// shownProcesses are the processes of a page, without those whose apps have gone
// meanwhile.
func (d *Door) shownProcesses(ctx context.Context, some []outlined, embed bool) ([]shownProcess, error) {
	if len(some) == 0 {
		return nil, nil
	}
	ids := each(some, func(p outlined) app.ID { return p.ID })
	slices.Sort(ids)
	apps, err := d.Apps.AppsByID(ctx, slices.Compact(ids)...)
	if err != nil {
		return nil, err
	}
	v, err := d.released(ctx, apps)
	if err == nil && embed {
		err = d.running(ctx, v, each(apps, func(a app.App) app.ID { return a.ID }))
	}
	if err != nil {
		return nil, err
	}
	known := map[string]shownProcess{}
	for _, a := range apps {
		for _, p := range v.shown(a, "", embed) {
			known[p.guid()] = p
		}
	}
	var out []shownProcess
	for _, p := range some {
		if one, ok := known[p.guid()]; ok {
			out = append(out, one)
		}
	}
	return out, nil
}

func (v sight) shown(a app.App, org app.OrgID, embed bool) []shownProcess {
	return each(v.processes(a), func(p process) shownProcess {
		s := shownProcess{process: p, org: org}
		if embed {
			s.spots = v.spots(a, p.Type)
		}
		return s
	})
}

func (d *Door) appProcesses(c *call) error {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	v, err := d.look(c.ctx(), a)
	if err != nil {
		return err
	}
	return show(c, processList, v.shown(a, "", asked(c.r.URL.Query(), "embed", "process_instances")), c.processResource)
}

// process finds the process that a path names, by its own id or by app and type.
func (d *Door) process(c *call, do auth.Action) (process, sight, error) {
	id, kind := c.guid(), c.r.PathValue("type")
	thing := "App"
	if kind == "" {
		id, kind = processOf(id)
		thing = "Process"
	}
	a, err := d.app(c, id, do)
	if err == error(missing("App")) {
		return process{}, sight{}, missing(thing)
	}
	if err != nil {
		return process{}, sight{}, err
	}
	v, err := d.look(c.ctx(), a)
	if err != nil {
		return process{}, v, err
	}
	all := v.processes(a)
	i := slices.IndexFunc(all, func(p process) bool { return p.Type == kind })
	if i < 0 {
		return process{}, v, missing("Process")
	}
	return all[i], v, nil
}

// sendProcess answers with a process, its command included.
func (c *call) sendProcess(status int, p process, v sight) error {
	s := shownProcess{process: p}
	if asked(c.r.URL.Query(), "embed", "process_instances") {
		s.spots = v.spots(p.of, p.Type)
	}
	out := c.processResource(s)
	out.Command = commandLine(p.Command)
	c.send(status, out)
	return nil
}

func (d *Door) getProcess(c *call) error {
	p, v, err := d.process(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.sendProcess(200, p, v)
}

// noSidecars answers that nothing runs beside a process.
func (d *Door) noSidecars(c *call) error {
	if _, _, err := d.process(c, auth.SpaceRead); err != nil {
		return err
	}
	return d.nothing(c, "sidecars")
}
