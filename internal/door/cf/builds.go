package cf

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/source"
)

func buildRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/builds", do: (*Door).listBuilds},
		{pattern: "POST /v3/builds", do: (*Door).createBuild},
		{pattern: "GET /v3/builds/{guid}", do: (*Door).getBuild},
		{pattern: "GET /v3/apps/{guid}/builds", do: (*Door).listBuilds},
	}
}

// making is a build: the operation that makes an image of a package.
type making struct {
	operation.Operation
	org  app.OrgID
	want deliver.Staging
	made deliver.Staged // zero before it is done
}

func makingOf(op operation.Operation, org app.OrgID) (making, error) {
	m := making{Operation: op, org: org}
	if err := json.Unmarshal(op.Request, &m.want); err != nil {
		return m, err
	}
	if op.State == operation.Done {
		return m, json.Unmarshal(op.Result, &m.made)
	}
	return m, nil
}

func (m making) state() string {
	switch m.State {
	case operation.Done:
		return "STAGED"
	case operation.Failed, operation.Canceled:
		return "FAILED"
	}
	return "STAGING"
}

// moved is when the build was last changed.
func (m making) moved() time.Time { return later(later(m.Created, m.Started), m.Ended) }

var makingList = list[making]{
	filters: map[string]func(making) []string{
		"app_guids":          single(func(m making) string { return string(m.App) }),
		"package_guids":      single(func(m making) string { return string(m.want.Package) }),
		"space_guids":        single(func(m making) string { return string(m.Space) }),
		"organization_guids": single(func(m making) string { return string(m.org) }),
		"states":             single(making.state),
	},
	times: func(m making) (time.Time, time.Time) { return m.Created, m.moved() },
	guid:  func(m making) string { return string(m.ID) },
}

type buildResource struct {
	resource
	CreatedBy     map[string]any   `json:"created_by"`
	State         string           `json:"state"`
	Error         *string          `json:"error"`
	Memory        int              `json:"staging_memory_in_mb"`
	Disk          int              `json:"staging_disk_in_mb"`
	LogRate       int              `json:"staging_log_rate_limit_bytes_per_second"`
	Lifecycle     lifecycle        `json:"lifecycle"`
	Package       ref              `json:"package"`
	Droplet       *ref             `json:"droplet"`
	Relationships map[string]toOne `json:"relationships"`
}

func (c *call) buildResource(m making) buildResource {
	out := buildResource{
		resource:  c.thing(string(m.ID), m.Created, m.moved(), "/v3/builds/"+string(m.ID)).with(c, "app", "/v3/apps/"+string(m.App)),
		CreatedBy: map[string]any{"guid": nil, "name": m.Actor, "email": nil}, State: m.state(), LogRate: -1,
		Package: ref{string(m.want.Package)}, Relationships: map[string]toOne{"app": one(string(m.App))},
		Lifecycle: lifecycle{"buildpack", map[string]any{"buildpacks": append(listOf(m.want.Build.Builder), m.want.Build.Buildpacks...), "stack": orNull(cmp.Or(m.want.Build.Stack, m.want.Build.Foundation))}},
	}
	if m.want.Kind == source.Docker {
		out.Lifecycle = lifecycle{"docker", map[string]any{}}
	}
	switch m.State {
	case operation.Done:
		out.Droplet = &ref{string(m.made.Image)}
		out.resource = out.with(c, "droplet", "/v3/droplets/"+string(m.made.Image))
	case operation.Failed, operation.Canceled:
		why := stagingError(m.Operation)
		out.Error = &why
	}
	return out
}

func listOf(s string) []string {
	if s == "" {
		return []string{}
	}
	return []string{s}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// stagingError is why a build failed, and the way out of it.
func stagingError(op operation.Operation) string {
	switch {
	case op.State == operation.Canceled || op.Error == nil:
		return "StagingError - The build was canceled"
	case op.Error.Kind == fault.Internal:
		return "StagingError - The build failed on the platform's side; its log has the details"
	case op.Error.Field == "source" && op.Error.Kind == fault.Invalid:
		return "NoAppDetectedError - " + sentence(op.Error)
	}
	return "StagingError - " + sentence(op.Error)
}

func sentence(f *fault.Error) string {
	text := told(f)
	if f.Try != "" {
		text += "; " + f.Try
	}
	return text
}

// shownBuilds bounds the builds of an app that are listed.
const shownBuilds = 500

func (d *Door) listBuilds(c *call) error {
	apps, spaces, err := d.about(c)
	if err != nil {
		return err
	}
	var all []making
	for _, a := range apps {
		ops, err := d.Operations.Operations(c.ctx(), operation.Filter{App: a.ID, Limit: shownBuilds})
		if err != nil {
			return err
		}
		for _, op := range ops {
			if op.Kind != deliver.KindStage {
				continue
			}
			m, err := makingOf(op, spaces[a.Space].Org)
			if err != nil {
				return err
			}
			all = append(all, m)
		}
	}
	return show(c, makingList, all, c.buildResource)
}

// getBuild waits a moment for the end of a build that goes on: clients look each 3 s,
// and a build of what was built before takes less than one.
func (d *Door) getBuild(c *call) error {
	op, err := d.Operations.Operation(c.ctx(), operation.ID(c.guid()))
	if err != nil || op.Kind != deliver.KindStage {
		return gone(err, "Build")
	}
	p, err := d.placeOf(c.ctx(), op.Space)
	if err != nil {
		return gone(err, "Build")
	}
	if err := c.allowed(auth.SpaceRead, p, "Build"); err != nil {
		return err
	}
	if op, err = d.ended(c.ctx(), op, d.cfg.Glance); err != nil {
		return err
	}
	m, err := makingOf(op, p.org.ID)
	if err != nil {
		return err
	}
	return c.ok(c.buildResource(m))
}

// ended waits a while for the end of an operation and returns how it is then.
func (d *Door) ended(ctx context.Context, op operation.Operation, most time.Duration) (operation.Operation, error) {
	wait, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	var after int64
	for !op.State.Ended() {
		lines, err := d.Operations.Progress(wait, op.ID, after, 1000)
		if err == nil && len(lines) == 0 {
			err = d.Operations.AwaitProgress(wait, op.ID, after)
		}
		if wait.Err() != nil {
			break
		}
		if err != nil {
			return op, err
		}
		for _, l := range lines {
			after = l.Seq
		}
		if op, err = d.Operations.Operation(wait, op.ID); err != nil {
			if wait.Err() != nil {
				break
			}
			return op, err
		}
	}
	return d.Operations.Operation(ctx, op.ID)
}
