package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/app/manifest"
	"naru/internal/client"
	"naru/internal/fault"
)

// pushFlags are what a person may say about a push.
type pushFlags struct {
	path, git, image        string
	manifest                string
	noManifest              bool
	foundation              string
	builders                []string
	dockerfile, target      string
	buildArgs, env, routes  []string
	command, memory, disk   string
	check, checkPath        string
	startTimeout            time.Duration
	instances               int
	noStart, noRoute, fresh bool
	plan, verbose, detach   bool
	fix                     bool
	strategy                strategyFlags
}

func (c *cmd) push() *cobra.Command {
	var f pushFlags
	command := &cobra.Command{
		Use:   "push [APP]",
		Short: "Bring source or an image to a URL",
		Long: `Uploads the folder (only what the server lacks; .gitignore and .cfignore are respected), finds out what it is,
builds an image, cuts a release and replaces what runs, without a dropped request. When the new release does not
work, what ran before keeps running.

A manifest.yml in the folder, in Cloud Foundry's form, says what is not said here; of several apps in it all are
pushed, or the one that is named. The app's name is the argument, else the manifest's, else the folder's.

Ctrl-C leaves a push that was begun to the server; naru operations shows how it ends.`,
		Example: `  naru push
  naru push my-shop --path ./shop --env GREETING=hello
  naru push my-shop --git https://git.example.com/shop.git#main
  naru push my-shop --image registry.example.com/shop:1.2
  naru push --path target/shop.jar
  naru push --strategy canary --steps 1%,10%/5m,50%/hold
  naru push --plan`,
		Args: between("[APP]"),
		RunE: func(cc *cobra.Command, args []string) error { return c.runPush(cc, args, f) },
	}
	fl := command.Flags()
	fl.StringVarP(&f.path, "path", "p", "", "folder, archive (.zip, .tar, .tar.gz) or .jar to push (default: the current folder)")
	fl.StringVarP(&f.manifest, "manifest", "f", "", "manifest to read (default: manifest.yml in the folder)")
	fl.BoolVar(&f.noManifest, "no-manifest", false, "read no manifest")
	fl.StringVar(&f.git, "git", "", "push a repository instead: URL#REF")
	fl.StringVarP(&f.image, "image", "i", "", "push an image instead: nothing is built")
	fl.StringArrayVarP(&f.builders, "builder", "b", nil, "builder or uploaded buildpack to use instead of finding one (naru builders), or the URL of a classic buildpack's repository; repeated for several buildpacks, the last of which starts the app")
	fl.StringVar(&f.foundation, "foundation", "", "foundation or image to stand on instead of the builder's choice")
	fl.StringVar(&f.dockerfile, "dockerfile", "", "path of the Dockerfile in the source")
	fl.StringVar(&f.target, "target", "", "stage of the Dockerfile to build")
	fl.StringArrayVar(&f.buildArgs, "build-arg", nil, "NAME=VALUE for the Dockerfile; may be repeated")
	fl.StringArrayVarP(&f.env, "env", "e", nil, "NAME=VALUE to set; may be repeated")
	fl.StringArrayVarP(&f.routes, "route", "r", nil, "HOST[/PATH] at which the app answers; may be repeated")
	fl.StringVarP(&f.command, "command", "c", "", "start command of the web process")
	fl.StringVarP(&f.memory, "memory", "m", "", "memory of an instance: 256M, 1G")
	fl.StringVarP(&f.disk, "disk", "k", "", "writable disk of an instance: 1G")
	fl.StringVar(&f.check, "health-check", "", "how health is seen: port, http or process")
	fl.StringVar(&f.checkPath, "health-path", "", "path of the http check")
	fl.DurationVar(&f.startTimeout, "start-timeout", 0, "time in which an instance must become healthy")
	fl.IntVarP(&f.instances, "instances", "n", -1, "instances of the web process")
	f.strategy.register(fl)
	fl.BoolVar(&f.noStart, "no-start", false, "build and keep the image; start nothing")
	fl.BoolVar(&f.noRoute, "no-route", false, "map no route")
	fl.BoolVar(&f.fresh, "fresh", false, "ignore what earlier builds left: run every step, with the cache of classic buildpacks empty")
	fl.BoolVar(&f.plan, "plan", false, "print what would be built, and stop")
	fl.BoolVar(&f.fix, "reliability-fix", false, "this brings an objective back: it passes where the error budget is spent, and is recorded")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show the build's output as it comes")
	fl.BoolVar(&f.detach, "detach", false, "do not wait for the end")
	return command
}

// runPush is the story: what is pushed, where from, and then to watch.
func (c *cmd) runPush(cc *cobra.Command, args []string, f pushFlags) error {
	ctx := cc.Context()
	if given(f.path, f.git, f.image) > 1 {
		return fault.New(fault.Invalid, "--path, --git, --image", "only one of them can be pushed").WithTry("naru push --help")
	}
	declared, err := c.declared(f)
	if err != nil {
		return err
	}
	apps, err := declared.pick(args)
	if err != nil {
		return err
	}
	if flag := f.ofOneApp(cc); len(apps) > 1 && flag != "" {
		return fault.New(fault.Invalid, "--"+flag, "%s declares %s, and this is about one", declared.file, count(len(apps), "app")).
			WithTry("naru push %s --%s …", apps[0].App, flag)
	}
	for i := range apps {
		if err := f.over(&apps[i].Push); err != nil {
			return err
		}
	}
	cl, t, err := c.connect()
	if err != nil {
		return err
	}
	for _, warning := range declared.warnings {
		c.screen.warn(warning)
	}
	in := cl.In(t.Org, t.Space)
	for i, req := range apps {
		if len(apps) > 1 && !c.screen.json {
			c.screen.say("%s", c.screen.paint(strong, fmt.Sprintf("%s (%d of %d)", req.App, i+1, len(apps))))
		}
		if err := c.pushOne(ctx, cl, in, req, f); err != nil {
			return err
		}
	}
	return nil
}

// ofOneApp returns a flag that was given and makes sense for one app only; ""
// for none.
func (f pushFlags) ofOneApp(cc *cobra.Command) string {
	for _, name := range []string{
		"path", "git", "image", "builder", "foundation", "dockerfile", "target", "build-arg", "env", "route", "command",
		"memory", "disk", "health-check", "health-path", "start-timeout", "instances",
	} {
		if cc.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

// pushOne pushes one app.
func (c *cmd) pushOne(ctx context.Context, cl *client.Client, in *client.InSpace, req declaredApp, f pushFlags) error {
	watch := &watcher{s: c.screen, verbose: f.verbose}
	if !f.plan {
		if err := c.mayPush(ctx, in, req.Push); err != nil {
			return req.routeAt(err)
		}
	}
	if req.Source.Git == nil && req.Source.Image == "" {
		snap, sent, err := c.upload(ctx, cl, in, req.dir, f.plan)
		if err != nil {
			if ctx.Err() != nil {
				c.screen.warn("nothing was changed; what was sent need not be sent again")
			}
			return err
		}
		req.Source.Snapshot, watch.sent = snap.ID, sent
	}
	if f.plan {
		return c.plan(ctx, in, req.Push)
	}
	if req.random {
		if err := anyRoute(ctx, in, &req.Push); err != nil {
			return err
		}
	}
	op, err := in.Push(ctx, req.Push)
	if err != nil {
		return req.routeAt(err)
	}
	c.turn(ctx, in, req.App, op)
	if f.detach {
		return c.detached(op)
	}
	end, err := c.watch(ctx, cl, op, watch)
	if err != nil || c.screen.json || !req.NoStart {
		return err
	}
	var res client.PushResult
	if err := end.Decode(&res); err != nil {
		return err
	}
	c.screen.say("built %s; start it with: naru start %s", res.Image, res.App)
	return nil
}

func (c *cmd) plan(ctx context.Context, in *client.InSpace, p client.Push) error {
	processes := map[string]client.ProcessSettings{}
	for process, s := range p.Processes {
		processes[process] = s.ProcessSettings
	}
	plan, err := in.Plan(ctx, client.PlanRequest{Source: p.Source, Build: p.Build, Processes: processes})
	if err != nil {
		return err
	}
	if c.screen.json {
		return c.screen.data(plan)
	}
	c.screen.say("%s", strings.TrimRight(plan.Text, "\n"))
	return nil
}

// over lays flags over what a manifest says.
func (f pushFlags) over(p *client.Push) error {
	if f.git != "" {
		url, ref, _ := strings.Cut(f.git, "#")
		p.Source = client.Source{Git: &client.GitSource{URL: url, Ref: ref}}
	}
	if f.image != "" {
		p.Source = client.Source{Image: f.image}
	}
	for _, one := range []struct {
		to   *string
		from string
	}{{&p.Build.Foundation, f.foundation}, {&p.Build.Dockerfile, f.dockerfile}, {&p.Build.Target, f.target}} {
		if one.from != "" {
			*one.to = one.from
		}
	}
	if len(f.builders) > 0 { // the command line decides
		p.Build.Builder, p.Build.Buildpacks = "", f.builders
		if one := f.builders[0]; len(f.builders) == 1 && !manifest.Repository(one) {
			p.Build.Builder, p.Build.Buildpacks = one, nil
		}
	}
	if p.NoRoute && len(f.routes) > 0 || f.noRoute && len(p.Routes) > 0 {
		p.NoRoute, p.Routes = f.noRoute, nil // the command line decides
	}
	p.ReliabilityFix = f.fix
	p.Build.Fresh, p.NoStart, p.NoRoute = f.fresh, p.NoStart || f.noStart, p.NoRoute || f.noRoute
	if err := pairs("--build-arg", f.buildArgs, &p.Build.Args); err != nil {
		return err
	}
	if err := pairs("--env", f.env, &p.Env); err != nil {
		return err
	}
	if err := addRoutes(&p.Routes, f.routes); err != nil {
		return err
	}
	if err := f.strategy.over(p); err != nil {
		return err
	}
	return f.overWeb(p)
}

// overWeb lays the flags about the web process over a push.
func (f pushFlags) overWeb(p *client.Push) error {
	web := p.Processes["web"]
	memory, err := mebibytes("--memory", f.memory)
	if err != nil {
		return err
	}
	disk, err := mebibytes("--disk", f.disk)
	if err != nil {
		return err
	}
	changed := false
	if f.command != "" {
		web.Command, changed = f.command, true
	}
	if memory > 0 {
		web.MemoryMiB, changed = memory, true
	}
	if disk > 0 {
		web.DiskMiB, changed = disk, true
	}
	if f.check != "" {
		web.Check, changed = f.check, true
	}
	if f.checkPath != "" {
		web.Path, changed = f.checkPath, true
	}
	if f.startTimeout > 0 {
		web.StartTimeout, changed = client.Duration(f.startTimeout), true
	}
	if f.instances >= 0 {
		web.Instances, changed = &f.instances, true
	}
	if !changed {
		return nil
	}
	if p.Processes == nil {
		p.Processes = map[string]client.PushedProcess{}
	}
	p.Processes["web"] = web
	return nil
}

func given(values ...string) (n int) {
	for _, v := range values {
		if v != "" {
			n++
		}
	}
	return n
}
