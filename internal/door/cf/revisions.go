package cf

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/release"
	"naru/internal/run"
)

// Past knows what apps ran; *store.Store does.
type Past interface {
	AppNamed(ctx context.Context, space app.SpaceID, name string) (app.App, error)
	Release(ctx context.Context, r release.ID) (release.Release, error)
	// Releases lists an app's releases, newest first; all for 0.
	Releases(ctx context.Context, a app.ID, limit int) ([]release.Release, error)
	ImageOf(ctx context.Context, a app.ID, ref artifact.Ref) (artifact.Image, error)
}

func revisionRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/apps/{guid}/revisions", do: (*Door).listRevisions},
		{pattern: "GET /v3/apps/{guid}/revisions/deployed", do: (*Door).listDeployed},
		{pattern: "GET /v3/revisions/{guid}", do: (*Door).getRevision},
		{pattern: "PATCH /v3/revisions/{guid}", do: relabelled(auth.AppWrite, (*Door).getRevision)},
		{pattern: "GET /v3/revisions/{guid}/environment_variables", do: (*Door).revisionVariables},
	}
}

// revision is a release as clients know it.
type revision struct {
	release.Release
	image string // "": it is gone
	text  string
}

var revisionList = list[revision]{
	filters: map[string]func(revision) []string{"versions": single(func(r revision) string { return strconv.Itoa(r.Number) })},
	times:   func(r revision) (time.Time, time.Time) { return r.Created, r.Created },
	guid:    func(r revision) string { return string(r.ID) },
}

type revisionResource struct {
	resource
	Version       int              `json:"version"`
	Droplet       toOneBare        `json:"droplet"`
	Description   string           `json:"description"`
	Deployable    bool             `json:"deployable"`
	Processes     map[string]any   `json:"processes"`
	Sidecars      []any            `json:"sidecars"`
	Relationships map[string]toOne `json:"relationships"`
}

func (c *call) revisionResource(r revision) revisionResource {
	path := "/v3/revisions/" + string(r.ID)
	out := revisionResource{
		resource: c.thing(string(r.ID), r.Created, r.Created, path).with(c, "app", "/v3/apps/"+string(r.App)).
			with(c, "environment_variables", path+"/environment_variables"),
		Version: r.Number, Description: r.text, Deployable: r.image != "", Processes: map[string]any{}, Sidecars: []any{},
		Relationships: map[string]toOne{"app": one(string(r.App))},
	}
	if r.image != "" {
		out.Droplet.GUID = &r.image
	}
	for _, p := range r.Processes {
		if p.Type != app.ReleaseType {
			out.Processes[p.Type] = map[string]any{"command": commandLine(app.Shell(r.Overrides[p.Type].Command))}
			if r.Overrides[p.Type].Command == "" {
				out.Processes[p.Type] = map[string]any{"command": nil}
			}
		}
	}
	return out
}

// described says in Cloud Foundry's words what a release brought.
func describe(r release.Release, before *release.Release) string {
	switch number, back := strings.CutPrefix(r.Reason, "rollback to v"); {
	case back:
		return "Rolled back to revision " + number + "."
	case before == nil:
		return "Initial revision."
	}
	var out []string
	add := func(text string) {
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	for _, what := range r.Changes(*before) {
		switch {
		case what == "image":
			add("New droplet deployed.")
		case strings.Contains(what, "setting"):
			add("New environment variables deployed.")
		case strings.HasPrefix(what, "process "):
			add(fmt.Sprintf("Process type '%s' changed.", strings.TrimSuffix(strings.TrimPrefix(what, "process "), " gone")))
		}
	}
	if len(out) == 0 {
		return "Revision deployed again."
	}
	return strings.Join(out, " ")
}

// revisions are those of an app, newest first.
func (d *Door) revisions(ctx context.Context, a app.App) ([]revision, error) {
	all, err := d.Past.Releases(ctx, a.ID, 0)
	if err != nil {
		return nil, err
	}
	images, err := d.Images.Images(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	kept := map[artifact.Ref]string{}
	for _, i := range images {
		kept[i.Ref] = string(i.ID)
	}
	out := make([]revision, len(all))
	for i, r := range all {
		var before *release.Release
		if i+1 < len(all) {
			before = &all[i+1]
		}
		out[i] = revision{r, kept[r.Image], describe(r, before)}
	}
	return out, nil
}

// deployable reports that a release can run again.
func (d *Door) deployable(ctx context.Context, r release.Release) (bool, error) {
	_, err := d.Past.ImageOf(ctx, r.App, r.Image)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

func (d *Door) listRevisions(c *call) error {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	all, err := d.revisions(c.ctx(), a)
	if err != nil {
		return err
	}
	return show(c, revisionList, all, c.revisionResource)
}

// listDeployed answers with the revisions of which instances are wanted.
func (d *Door) listDeployed(c *call) error {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	all, err := d.revisions(c.ctx(), a)
	if err != nil {
		return err
	}
	groups, err := d.Running.GroupsOfApps(c.ctx(), a.ID)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(r revision) bool {
		return !slices.ContainsFunc(groups, func(g run.Group) bool { return g.Release == r.ID && g.Size > 0 && !g.Retired })
	})
	return show(c, revisionList, all, c.revisionResource)
}

// revision finds the one that the path names, with whose app who asks may do
// something.
func (d *Door) revision(c *call, do auth.Action) (revision, app.App, error) {
	r, err := d.Past.Release(c.ctx(), release.ID(c.guid()))
	if err != nil {
		return revision{}, app.App{}, gone(err, "Revision")
	}
	a, err := d.app(c, string(r.App), do)
	if err != nil {
		return revision{}, a, renamed(err, "App", "Revision")
	}
	all, err := d.revisions(c.ctx(), a)
	if err != nil {
		return revision{}, a, err
	}
	i := slices.IndexFunc(all, func(one revision) bool { return one.ID == r.ID })
	if i < 0 {
		return revision{}, a, missing("Revision")
	}
	return all[i], a, nil
}

func (d *Door) getRevision(c *call) error {
	r, _, err := d.revision(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.ok(c.revisionResource(r))
}

func (d *Door) revisionVariables(c *call) error {
	r, a, err := d.revision(c, auth.EnvRead)
	if err != nil {
		return err
	}
	if err := d.sources(c, a); err != nil {
		return err
	}
	all := maps.Clone(r.Env)
	if all == nil {
		all = map[string]string{}
	}
	for _, name := range r.Secrets {
		all[name] = "***"
	}
	self := "/v3/revisions/" + string(r.ID)
	return c.ok(map[string]any{"var": all, "links": map[string]link{
		"self": {Href: c.at.api + self + "/environment_variables"}, "revision": {Href: c.at.api + self}, "app": {Href: c.at.api + "/v3/apps/" + string(r.App)},
	}})
}

// sources refuses who may not see all that an app is made of: a supporter reads its
// environment alone.
func (d *Door) sources(c *call, a app.App) error {
	p, err := d.placeOf(c.ctx(), a.Space)
	if err != nil {
		return err
	}
	if !c.can(auth.AppWrite, p) && !c.can(auth.PlatformAudit, place{}) {
		return notAuthorized
	}
	return nil
}
