package cf

import (
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/app/manifest"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/source"
)

// createBuild starts the making of a droplet out of a package.
func (d *Door) createBuild(c *call) error {
	var in struct {
		Package   ref `json:"package"`
		Lifecycle *struct {
			Type string `json:"type"`
			Data struct {
				Buildpacks []string `json:"buildpacks"`
				Stack      string   `json:"stack"`
			} `json:"data"`
		} `json:"lifecycle"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	p, err := d.pack(c, in.Package.GUID, auth.AppConfigure)
	if err == error(missing("Package")) {
		return unprocessable.saying("Unable to use package. Ensure that the package exists and you have access to it.")
	}
	if err != nil {
		return err
	}
	if p.State != source.Ready {
		return badRequest.saying("Bad request: Cannot stage package whose state is not ready.")
	}
	a, err := d.Apps.App(c.ctx(), p.App)
	if err != nil {
		return gone(err, "App")
	}
	want := a.Build
	if l := in.Lifecycle; l != nil {
		switch l.Type {
		case "cnb":
			return unprocessable.saying("naru has no Cloud Native Buildpacks: leave the lifecycle out, so that naru finds out how the source is built, or add a Dockerfile")
		case "docker", "buildpack", "":
		default:
			return unprocessable.saying("Lifecycle type must be one of 'buildpack, docker'")
		}
		if l.Type != "" && (l.Type == "docker") != (p.Kind == source.Docker) {
			return unprocessable.saying("A package of type " + string(p.Kind) + " cannot be built with the lifecycle " + l.Type)
		}
		if l.Data.Buildpacks != nil {
			want.Buildpacks, want.Builder = l.Data.Buildpacks, ""
		}
		if l.Data.Stack != "" {
			want.Stack, want.Foundation = l.Data.Stack, ""
		}
	}
	staging := deliver.Staging{Package: p.ID}
	if p.Kind == source.Bits {
		if staging.Build, err = d.settings(c, want); err != nil {
			return err
		}
	}
	op, err := d.stage(c, p, staging)
	if err != nil {
		return err
	}
	m, err := makingOf(op, p.org)
	if err != nil {
		return err
	}
	return c.made(c.buildResource(m))
}

// stage builds a package; what came by another way becomes one first.
func (d *Door) stage(c *call, p pack, in deliver.Staging) (operation.Operation, error) {
	if _, err := d.Packages.Package(c.ctx(), p.ID); fault.Is(err, fault.NotFound) {
		if err := d.Stager.AdoptPackage(c.ctx(), c.by(), p.Package); err != nil {
			return operation.Operation{}, err
		}
	}
	return d.Stager.Stage(c.ctx(), c.by(), in)
}

// settings are naru's words for how an app is to be built.
func (d *Door) settings(c *call, want app.Build) (client.BuildSettings, error) {
	out := client.BuildSettings{
		Builder: want.Builder, Foundation: want.Foundation, Dockerfile: want.Dockerfile, Target: want.Target, Args: want.Args, Env: want.Env,
	}
	if strings.HasPrefix(want.Stack, "cflinuxfs") {
		out.Stack = want.Stack
	}
	if len(want.Buildpacks) > 0 {
		classic, err := d.classic(c, want.Buildpacks)
		if err != nil {
			return out, err
		}
		if classic {
			out.Builder, out.Buildpacks = "", want.Buildpacks
			return out, nil
		}
		builder, err := d.builder(c, want.Buildpacks)
		if err != nil {
			return out, err
		}
		out.Builder = builder
	}
	if want.Stack != "" && out.Foundation == "" {
		out.Foundation = want.Stack
	}
	if strings.HasPrefix(out.Foundation, "cflinuxfs") { // of Cloud Foundry: the builder knows which of naru's
		out.Foundation = ""
	}
	return out, nil
}

// classic reports whether buildpacks are others than naru's builders: those that
// were uploaded, which come first, and those that come from repositories. Together
// with naru's builders they are refused.
func (d *Door) classic(c *call, names []string) (bool, error) {
	have, err := d.Packs.All(c.ctx())
	if err != nil {
		return false, err
	}
	var others []string
	for _, name := range names {
		if !manifest.Repository(name) && !slices.ContainsFunc(have, func(b source.Buildpack) bool { return b.Name == name }) {
			others = append(others, name)
		}
	}
	if len(others) == len(names) {
		return false, nil
	}
	if len(others) > 0 {
		return true, unprocessable.saying("'" + others[0] + "' was not uploaded, and naru's builders do not work together with buildpacks that were or that come from repositories: upload it with cf create-buildpack, or leave it out")
	}
	return true, nil
}

// builder is what stands for buildpacks; the last of them is the one that starts
// the app, and there is one builder.
func (d *Door) builder(c *call, packs []string) (string, error) {
	name := packs[len(packs)-1]
	all, err := d.builders(c, nil)
	if err != nil {
		return "", err
	}
	bare, _, _ := strings.Cut(name, ",")
	if slices.ContainsFunc(all, func(b client.Builder) bool { return b.Name == bare }) {
		return name, nil
	}
	url, _, _ := strings.Cut(name, "#")
	if builder, ok := manifest.BuilderOf(strings.TrimSuffix(url, "_offline")); ok {
		return builder, nil
	}
	names := each(all, func(b client.Builder) string { return b.Name })
	return "", unprocessable.saying(noBuildpack(name, names))
}

// noBuildpack is not in Cloud Foundry's words: the client would show its own in
// their place, without what there is.
func noBuildpack(name string, have []string) string {
	return "naru has no buildpack '" + name + "': it has " + strings.Join(have, ", ") + ". Leave it out, so that the source decides, or add a Dockerfile"
}
