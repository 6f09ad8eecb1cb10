package cf

import (
	"context"
	"fmt"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/app/manifest"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/route"
)

// Declarer brings manifests into apps; *deliver.Service does.
type Declarer interface {
	Skeleton(ctx context.Context, by operation.Ask, space app.SpaceID, name string, build app.Build) (app.App, error)
	ApplyManifest(ctx context.Context, by operation.Ask, space app.SpaceID, all []deliver.Declaration) (operation.Operation, error)
	Rename(ctx context.Context, by operation.Ask, a app.ID, name string) (app.App, error)
	SetBuild(ctx context.Context, by operation.Ask, a app.ID, build app.Build) (app.App, error)
}

// Bindables are the services that manifests may name.
type Bindables interface {
	ServiceNames(ctx context.Context, space app.SpaceID) ([]string, error)
	BoundTo(ctx context.Context, a app.ID) ([]deliver.Binding, error)
}

func manifestRoutes() []endpoint {
	return []endpoint{
		{pattern: "POST /v3/spaces/{guid}/manifest_diff", do: (*Door).diffManifest},
		{pattern: "POST /v3/spaces/{guid}/actions/apply_manifest", do: (*Door).applyManifest},
		{pattern: "POST /v3/apps/{guid}/actions/apply_manifest", do: (*Door).applyAppManifest},
		{pattern: "GET /v3/apps/{guid}/manifest", do: (*Door).showManifest},
	}
}

// quickly is how long an answer waits for the job that it names: a client that
// finds it at its end need not come again.
const quickly = 2 * time.Second

// sentManifest reads the manifest of a request.
func (c *call) sentManifest() ([]declared, error) {
	kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if !slices.Contains([]string{"application/x-yaml", "application/yaml", "text/yaml", "text/x-yaml"}, kind) {
		return nil, badRequest.saying("Bad request: Content-Type must be yaml")
	}
	body, err := c.body(manifest.MaxBytes)
	if err != nil {
		return nil, err
	}
	all, wrong := readManifest(body)
	return all, together(wrong)
}

// target is an application of a manifest and the app it is about.
type target struct {
	declared
	have shownApp // zero: there is none yet
	host string   // that it gets where it would have no route
}

// targets reads a manifest for a space and finds everything that is wrong with it.
func (d *Door) targets(c *call, p place) ([]target, error) {
	all, err := c.sentManifest()
	if err != nil {
		return nil, err
	}
	var wrong []problem
	out := make([]target, 0, len(all))
	for _, one := range all {
		t, problems, err := d.target(c, p, one)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, problems...)
		out = append(out, t)
	}
	return out, together(wrong)
}

// target finds the app of one application, and what is wrong with it as things are.
func (d *Door) target(c *call, p place, one declared) (target, []problem, error) {
	t := target{declared: one}
	check := &complaints{name: one.Name}
	if err := app.CheckName("name", one.Name); err != nil {
		check.bad("Name %s", fault.Of(err).Message)
		return t, check.all, nil
	}
	have, err := d.Past.AppNamed(c.ctx(), p.space.ID, one.Name)
	switch {
	case err == nil:
		shown, err := d.shown(c.ctx(), map[app.SpaceID]app.Space{p.space.ID: p.space}, []app.App{have})
		if err != nil {
			return t, nil, err
		}
		t.have = shown[0]
	case !fault.Is(err, fault.NotFound):
		return t, nil, err
	}
	if t.have.ID != "" {
		switch {
		case t.docker && !t.have.docker():
			check.bad("Docker cannot be configured for a buildpack lifecycle app.")
		case t.have.docker() && t.packs != nil:
			check.bad("%s cannot be configured for a docker lifecycle app.", t.packsKey)
		}
	}
	if err := d.checkBuild(c, check, t.packs, t.stack); err != nil {
		return t, nil, err
	}
	if len(t.declared.services) > 0 && d.Bindables != nil {
		if err := d.checkServices(c.ctx(), check, p, t.declared.services); err != nil {
			return t, nil, err
		}
	}
	return t, check.all, d.checkRoutes(c, check, p, &t)
}

// build is how an application's image is to be made, over how it was; nil where
// nothing is said.
func (t target) build(was app.Build) *app.Build {
	out := was
	out.Docker = t.docker || t.have.ID != "" && t.have.docker()
	if t.packs != nil {
		out.Buildpacks, out.Builder = t.packs, ""
		if len(t.packs) > 0 {
			out.Builder, _ = manifest.BuilderOf(t.packs[0])
		}
	}
	if t.stack != nil {
		out.Stack, out.Foundation = *t.stack, *t.stack
		if strings.HasPrefix(*t.stack, "cflinuxfs") {
			out.Foundation = "" // naru's own stands for it
		}
	}
	for to, from := range map[*string]string{
		&out.Builder: t.Build.Builder, &out.Foundation: t.Build.Foundation, &out.Dockerfile: t.Build.Dockerfile, &out.Target: t.Build.Target,
	} {
		if from != "" {
			*to = from
		}
	}
	if t.Build.Args != nil {
		out.Args = t.Build.Args
	}
	if t.Build.Env != nil {
		out.Env = t.Build.Env
	}
	return &out
}

// declaration is what an application says of an app that is there.
func (t target) declaration(a app.App) (deliver.Declaration, error) {
	out := deliver.Declaration{
		App: a.ID, Name: a.Name, Build: t.build(a.Build), Env: t.Env, Found: t.found, Strategy: t.Strategy, NoRoute: t.NoRoute, Host: t.host,
		Bindings: t.declared.services, Metadata: t.metadata, Promises: t.Application.Promises(),
	}
	for _, p := range t.Processes {
		if out.Processes == nil {
			out.Processes = map[string]app.Overrides{}
		}
		out.Processes[p.Type] = p.Overrides
		if p.Instances != nil {
			if out.Scale == nil {
				out.Scale = map[string]int{}
			}
			out.Scale[p.Type] = *p.Instances
		}
	}
	if on, said := t.features["ssh"]; said {
		off := !on
		out.NoSSH = &off
	}
	if !t.NoRoute {
		for _, r := range t.Routes {
			one, err := r.New()
			if err != nil {
				return out, err
			}
			out.Routes = append(out.Routes, one)
		}
	}
	return out, nil
}

// applyManifest makes the apps that are missing, and starts the operation that
// brings the manifest into all of them.
func (d *Door) applyManifest(c *call) error {
	p, err := d.space(c, c.guid(), auth.AppWrite)
	if err != nil {
		return err
	}
	all, err := d.targets(c, p)
	if err != nil {
		return err
	}
	return d.apply(c, p, all)
}

// applyAppManifest is applyManifest for one app that is there.
func (d *Door) applyAppManifest(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppWrite)
	if err != nil {
		return err
	}
	p, err := d.placeOf(c.ctx(), a.Space)
	if err != nil {
		return err
	}
	all, err := d.targets(c, p)
	if err != nil {
		return err
	}
	if len(all) != 1 || all[0].have.ID != a.ID {
		return unprocessable.saying("The manifest must be of the app '" + a.Name + "' alone")
	}
	return d.apply(c, p, all)
}

func (d *Door) apply(c *call, p place, all []target) error {
	var what []deliver.Declaration
	var warnings []string
	for _, t := range all {
		a := t.have.App
		if a.ID == "" {
			var err error
			a, err = d.Declarer.Skeleton(c.ctx(), c.by(), p.space.ID, t.Name, *t.build(app.Build{}))
			if fault.Is(err, fault.Conflict) {
				a, err = d.Past.AppNamed(c.ctx(), p.space.ID, t.Name) // made by somebody else just now
			}
			if err != nil {
				return err
			}
		}
		one, err := t.declaration(a)
		if err != nil {
			return err
		}
		what = append(what, one)
		for _, w := range t.warnings {
			warnings = append(warnings, url.QueryEscape(w))
		}
	}
	op, err := d.Declarer.ApplyManifest(c.ctx(), c.by(), p.space.ID, what)
	if err != nil {
		return err
	}
	if len(warnings) > 0 {
		c.w.Header().Set("X-Cf-Warnings", strings.Join(warnings, ","))
	}
	if err := d.through(c.ctx(), op, quickly); err != nil {
		return err
	}
	return c.job(string(op.ID))
}

// through waits a while for the end of an operation.
func (d *Door) through(ctx context.Context, op operation.Operation, within time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var after int64
	for {
		lines, err := d.Operations.Progress(limited, op.ID, after, 100)
		if len(lines) > 0 {
			after = lines[len(lines)-1].Seq
		}
		if err == nil {
			op, err = d.Operations.Operation(limited, op.ID)
		}
		if err == nil && !op.State.Ended() && len(lines) == 0 {
			err = d.Operations.AwaitProgress(limited, op.ID, after)
		}
		switch {
		case err != nil && limited.Err() != nil && ctx.Err() == nil:
			return nil // whoever wants to know looks again
		case err != nil, op.State.Ended():
			return err
		}
	}
}

// routeOf is a route as manifests name it.
func routeOf(r route.Route) (name, protocol string, ok bool) {
	switch {
	case r.When != nil:
		return "", "", false
	case r.TCP != nil && r.Host == "":
		return fmt.Sprintf("tcp:%d", r.TCP.Port), "tcp", true
	case r.TCP != nil:
		return "", "", false
	}
	return r.Host + strings.TrimSuffix(r.Path, "/"), "http1", true
}
