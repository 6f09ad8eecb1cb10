package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"naru/internal/app"
	"naru/internal/app/manifest"
	"naru/internal/client"
	"naru/internal/fault"
)

// declaration is what is pushed: the apps of a manifest, or the folder itself.
type declaration struct {
	file     string // the manifest; "" without one
	apps     []declaredApp
	warnings []string // what of the manifest is passed over, with its line
}

// declaredApp is one app to push, and where its source is.
type declaredApp struct {
	client.Push
	dir    string // a folder or a file
	random bool   // a route of its own where it has none
	file   string // that declares it; "": none
	lines  []int  // of the file's routes
}

// routeAt says where in its file a route stands that the server does not take.
func (a declaredApp) routeAt(err error) error {
	f := fault.Of(err)
	rest, ok := strings.CutPrefix(f.Field, "routes[")
	number, _, closed := strings.Cut(rest, "]")
	i, bad := strconv.Atoi(number)
	if !ok || !closed || bad != nil || i < 0 || i >= len(a.lines) {
		return err
	}
	named := *f
	named.Field = fmt.Sprintf("%s:%d: %s", a.file, a.lines[i], f.Field)
	return &named
}

// declared finds what is to be pushed.
func (c *cmd) declared(f pushFlags) (declaration, error) {
	from := c.absolute(f.path)
	if f.git == "" && f.image == "" && !f.noManifest || f.manifest != "" {
		d, err := c.manifest(f, from)
		if err != nil || len(d.apps) > 0 {
			return d, err
		}
	}
	name := filepath.Base(from)
	switch {
	case f.git != "":
		url, _, _ := strings.Cut(f.git, "#")
		name = strings.TrimSuffix(filepath.Base(strings.TrimRight(url, "/")), ".git")
	case f.image != "":
		name, _, _ = strings.Cut(filepath.Base(f.image), ":")
		name, _, _ = strings.Cut(name, "@")
	default:
		if info, err := os.Stat(from); err == nil && !info.IsDir() {
			for _, end := range []string{".gz", ".tar", ".tgz", ".zip", ".jar", ".war"} {
				name = strings.TrimSuffix(name, end)
			}
		}
	}
	return declaration{apps: []declaredApp{{Push: client.Push{App: name}, dir: from}}}, nil
}

// absolute returns where a path that a person wrote leads.
func (c *cmd) absolute(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.dir(), path)
	}
	return filepath.Clean(path)
}

// manifest reads the manifest that is named, or that is in the folder; without
// one the declaration is empty.
func (c *cmd) manifest(f pushFlags, from string) (declaration, error) {
	file, name := filepath.Join(from, manifest.Name), filepath.Join(f.path, manifest.Name)
	if f.manifest != "" {
		file, name = c.absolute(f.manifest), f.manifest
	}
	text, err := os.ReadFile(file)
	switch {
	case err != nil && f.manifest == "":
		return declaration{}, nil // the folder has none, or is none: what it is shows when it is read
	case errors.Is(err, fs.ErrNotExist):
		return declaration{}, fault.New(fault.Invalid, "--manifest", "%s does not exist", name).WithTry("naru push --no-manifest")
	case err != nil:
		return declaration{}, fault.Wrap(fault.Invalid, "--manifest", err)
	}
	read, err := manifest.Parse(name, text)
	if err != nil {
		return declaration{}, err
	}
	d := declaration{file: name}
	for _, w := range read.Warnings {
		d.warnings = append(d.warnings, fmt.Sprintf("%s:%d: %s", name, w.Line, w.Message))
	}
	for _, a := range read.Applications {
		one, err := pushOf(a)
		if err != nil {
			return d, fault.Wrap(fault.Invalid, fmt.Sprintf("%s:%d", name, a.Line), err)
		}
		one.file, one.dir = name, filepath.Join(filepath.Dir(file), filepath.FromSlash(a.Path))
		if !a.NoRoute && !f.noRoute { // else the command line's are the first
			for _, r := range a.Routes {
				one.lines = append(one.lines, r.Line)
			}
		}
		if f.manifest != "" && f.path != "" {
			one.dir = from
		}
		if a.ImageUser != "" {
			d.warnings = append(d.warnings, fmt.Sprintf("%s:%d: docker.username: the user is kept with the password: naru credentials set HOST", name, a.Line))
		}
		d.apps = append(d.apps, one)
	}
	return d, nil
}

// pushOf is what an application of a manifest asks for.
func pushOf(a manifest.Application) (declaredApp, error) {
	p := client.Push{
		App: a.Name, Env: a.Env, NoRoute: a.NoRoute, Source: client.Source{Image: a.Image},
		Build: client.BuildSettings{
			Builder: a.Build.Builder, Buildpacks: a.Build.Buildpacks, Stack: a.Build.Stack, Foundation: a.Build.Foundation, Dockerfile: a.Build.Dockerfile, Target: a.Build.Target,
			Args: a.Build.Args, Env: a.Build.Env,
		},
	}
	if a.Strategy != nil {
		p.Strategy = strategyOf(*a.Strategy)
		p.Strategy.Keep = true
	}
	p.Promises = a.Promises()
	if a.Metadata != nil {
		p.Metadata = &client.LabelChange{Labels: a.Metadata.Labels, Annotations: a.Metadata.Annotations}
	}
	for _, process := range a.Processes {
		if p.Processes == nil {
			p.Processes = map[string]client.PushedProcess{}
		}
		o := process.Overrides
		p.Processes[process.Type] = client.PushedProcess{Instances: process.Instances, ProcessSettings: client.ProcessSettings{
			Command: o.Command, MemoryMiB: o.MemoryMiB, DiskMiB: o.DiskMiB, CPUMilli: o.CPUMilli,
			Check: string(o.Check), Path: o.Path, StartTimeout: client.Duration(o.StartTimeout), StopGrace: client.Duration(o.StopGrace), Interval: client.Duration(o.Interval), Timeout: client.Duration(o.Timeout),
			Metrics: client.MetricsOf(o.Metrics.Path, o.Metrics.Port, o.Metrics.Interval.Std()),
		}}
	}
	for _, r := range a.Routes {
		one, err := r.New()
		if err != nil {
			return declaredApp{}, err
		}
		p.Routes = append(p.Routes, one)
	}
	return declaredApp{Push: p, random: a.RandomRoute && len(a.Routes) == 0 && !a.NoRoute}, nil
}

// addRoutes reads routes as people write them.
func addRoutes(to *[]client.NewRoute, routes []string) error {
	for _, r := range routes {
		host, path, err := hostAndPath(r)
		if err != nil {
			return err
		}
		*to = append(*to, client.NewRoute{Host: host, Path: path})
	}
	return nil
}

// anyRoute gives an app that answers nowhere a route that nobody else has.
func anyRoute(ctx context.Context, in *client.InSpace, p *client.Push) error {
	routes, err := in.App(p.App).Routes(ctx, "")
	if len(routes) > 0 || len(p.Routes) > 0 || err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	slug, err := app.Slug(p.App)
	if err != nil {
		return err
	}
	p.Routes = []client.NewRoute{{Host: slug + "-" + strings.ToLower(rand.Text()[:6]), Path: "/"}}
	return nil
}

// pick returns the apps that the arguments name; without arguments all.
func (d declaration) pick(args []string) ([]declaredApp, error) {
	if len(args) == 0 {
		return d.apps, nil
	}
	names := make([]string, 0, len(d.apps))
	for _, a := range d.apps {
		if a.App == args[0] {
			return []declaredApp{a}, nil
		}
		names = append(names, a.App)
	}
	if len(d.apps) > 1 {
		return nil, fault.New(fault.Invalid, d.file, "it declares %s, and no %q", strings.Join(names, ", "), args[0]).WithTry("naru push %s", names[0])
	}
	one := d.apps[0]
	one.App = args[0]
	return []declaredApp{one}, nil
}

// originOf asks git where a folder comes from; a folder that is no repository,
// or a machine without git, is just a directory.
func originOf(ctx context.Context, dir string) client.Origin {
	o := client.Origin{Kind: "directory"}
	git := func(args ...string) (string, bool) {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "-c", "core.fsmonitor=false"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0")
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err == nil
	}
	commit, ok := git("rev-parse", "HEAD")
	if !ok || len(commit) > 64 {
		return o
	}
	o.Commit = commit
	if when, ok := git("show", "--no-patch", "--format=%ct", "HEAD"); ok {
		o.Committed, _ = strconv.ParseInt(when, 10, 64) // 0: not known
	}
	status, ok := git("status", "--porcelain", "--", ".")
	o.Dirty = !ok || status != ""
	return o
}

// pairs reads NAME=VALUE flags into a map.
func pairs(flag string, values []string, into *map[string]string) error {
	for _, v := range values {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" { // which is not printed: it may be a secret
			return fault.New(fault.Invalid, flag, "a value is not of the form NAME=VALUE").WithTry("naru push %s GREETING=hello", flag)
		}
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[name] = value
	}
	return nil
}

// mebibytes reads a size such as 256M, 1G or 512MiB; "" is 0.
func mebibytes(flag, text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	t := strings.ToUpper(strings.TrimSpace(text))
	t = strings.TrimSuffix(strings.TrimSuffix(t, "B"), "I")
	factor := 0
	switch {
	case strings.HasSuffix(t, "M"):
		factor = 1
	case strings.HasSuffix(t, "G"):
		factor = 1024
	case strings.HasSuffix(t, "T"):
		factor = 1024 * 1024
	}
	n, err := strconv.Atoi(strings.TrimRight(t, "MGT"))
	if err != nil || n <= 0 || factor == 0 {
		return 0, fault.New(fault.Invalid, flag, "%q is not a size", text).WithTry("write it as 256M or 1G")
	}
	return n * factor, nil
}
