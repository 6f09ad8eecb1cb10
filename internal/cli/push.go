package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/source"
)

// pushFlags are what a person may say about a push.
type pushFlags struct {
	path, git, image        string
	builder, foundation     string
	dockerfile, target      string
	buildArgs, env, routes  []string
	command, memory, disk   string
	check, checkPath        string
	startTimeout            time.Duration
	instances               int
	noStart, noRoute, fresh bool
	plan, verbose, detach   bool
}

func (c *cmd) push() *cobra.Command {
	var f pushFlags
	command := &cobra.Command{
		Use:   "push [APP]",
		Short: "Bring source or an image to a URL",
		Long: `Uploads the folder (only what the server lacks; .gitignore and .cfignore are respected), finds out what it is,
builds an image, cuts a release and replaces what runs, without a dropped request. When the new release does not
work, what ran before keeps running.

The app's name is the argument, else the name in manifest.yml, else the folder's.`,
		Example: `  naru push
  naru push my-shop --path ./shop --env GREETING=hello
  naru push my-shop --git https://git.example.com/shop.git#main
  naru push my-shop --image registry.example.com/shop:1.2
  naru push --plan`,
		Args: maximum(1),
		RunE: func(cc *cobra.Command, args []string) error { return c.runPush(cc, args, f) },
	}
	fl := command.Flags()
	fl.StringVarP(&f.path, "path", "p", "", "folder, or archive (.zip, .tar, .tar.gz), to push (default: the current folder)")
	fl.StringVar(&f.git, "git", "", "push a repository instead: URL#REF")
	fl.StringVarP(&f.image, "image", "i", "", "push an image instead: nothing is built")
	fl.StringVarP(&f.builder, "builder", "b", "", "builder to use instead of finding one (naru builders)")
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
	fl.BoolVar(&f.noStart, "no-start", false, "build and keep the image; start nothing")
	fl.BoolVar(&f.noRoute, "no-route", false, "map no route")
	fl.BoolVar(&f.fresh, "fresh", false, "ignore what earlier builds left")
	fl.BoolVar(&f.plan, "plan", false, "print what would be built, and stop")
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
	cl, t, err := c.connect()
	if err != nil {
		return err
	}
	in := cl.In(t.Org, t.Space)
	declared, err := c.declared(f)
	if err != nil {
		return err
	}
	for _, req := range declared.pick(args) {
		if err := f.over(&req.Push); err != nil {
			return err
		}
		if err := c.pushOne(ctx, cl, in, req, f); err != nil {
			return err
		}
	}
	return nil
}

// pushOne pushes one app.
func (c *cmd) pushOne(ctx context.Context, cl *client.Client, in *client.InSpace, req declaredApp, f pushFlags) error {
	began := time.Now()
	if req.Source.Git == nil && req.Source.Image == "" {
		snap, err := c.upload(ctx, cl, in, req.dir)
		if err != nil {
			return err
		}
		req.Source.Snapshot = snap.ID
	}
	if f.plan {
		return c.plan(ctx, in, req.Push)
	}
	op, err := in.Push(ctx, req.Push)
	if err != nil {
		return err
	}
	if f.detach {
		return c.screen.data(op)
	}
	end, err := c.follow(ctx, cl, op, f.verbose)
	if err != nil || c.screen.json {
		return err
	}
	var res client.PushResult
	if err := end.Decode(&res); err != nil {
		return err
	}
	if f.noStart {
		c.screen.say("built %s; start it with: naru start %s", res.Image, res.App)
		return nil
	}
	line := c.screen.paint(faint, "took "+took(client.Duration(time.Since(began))))
	if res.Undo != "" {
		line += c.screen.paint(faint, ", back out with: ") + res.Undo
	}
	c.screen.say("%s", line)
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

// upload freezes a folder or an archive on the server, sending only what it
// lacks.
func (c *cmd) upload(ctx context.Context, cl *client.Client, in *client.InSpace, path string) (client.Snapshot, error) {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return client.Snapshot{}, fault.New(fault.Invalid, "path", "%s does not exist", path).WithTry("naru push --path FOLDER")
	}
	if err != nil {
		return client.Snapshot{}, fault.Wrap(fault.Invalid, "path", err)
	}
	limits, err := cl.Info(ctx)
	if err != nil {
		return client.Snapshot{}, err
	}
	if !info.IsDir() {
		return c.uploadArchive(ctx, in, path, info, limits.Limits)
	}
	return c.uploadFolder(ctx, in, path, limits.Limits)
}

func (c *cmd) uploadFolder(ctx context.Context, in *client.InSpace, dir string, limits client.Limits) (client.Snapshot, error) {
	cacheDir, err := home(c.world.Getenv)
	if err != nil {
		return client.Snapshot{}, err
	}
	c.screen.draw("  " + pad("source") + " reading " + dir)
	tree, err := source.Walk(ctx, dir, source.WalkOptions{
		Limits:   source.Limits{MaxBytes: limits.SourceBytes, MaxFile: limits.SourceFile, MaxFiles: limits.SourceFiles},
		CacheDir: filepath.Join(cacheDir, "hashes"),
	})
	if err != nil {
		return client.Snapshot{}, err
	}
	missing, err := in.MissingSource(ctx, tree.Hashes())
	if err != nil {
		return client.Snapshot{}, err
	}
	if len(missing) > 0 {
		if err := c.send(ctx, in, dir, tree, missing); err != nil {
			return client.Snapshot{}, err
		}
	}
	return in.FreezeSource(ctx, client.NewSnapshot{Files: tree, Origin: originOf(ctx, dir)})
}

// send uploads contents as one stream.
func (c *cmd) send(ctx context.Context, in *client.InSpace, dir string, tree source.Manifest, missing []string) error {
	total := int64(0)
	lacking := map[string]bool{}
	for _, hash := range missing {
		lacking[hash] = true
	}
	for _, f := range tree {
		if lacking[f.SHA256] {
			total += f.Size
		}
	}
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(source.WriteUpload(ctx, w, dir, tree, missing, func(p source.Progress) {
			c.screen.draw(fmt.Sprintf("  %s %s of %s", pad("source"), size(p.Bytes), size(total)))
		}))
	}()
	_, err := in.UploadSource(ctx, r)
	r.CloseWithError(io.ErrClosedPipe) // so that the writer ends when the server did not read all
	return err
}

func (c *cmd) uploadArchive(ctx context.Context, in *client.InSpace, path string, info os.FileInfo, limits client.Limits) (client.Snapshot, error) {
	kinds := map[string]client.ArchiveType{".zip": client.Zip, ".tar": client.Tar, ".tgz": client.TarGz, ".gz": client.TarGz}
	kind, ok := kinds[strings.ToLower(filepath.Ext(path))]
	if !ok || !info.Mode().IsRegular() {
		return client.Snapshot{}, fault.New(fault.Invalid, "path", "%s is not a directory, nor an archive (.zip, .tar, .tar.gz)", path).
			WithTry("naru push --path FOLDER")
	}
	if limits.UploadBytes > 0 && info.Size() > limits.UploadBytes {
		return client.Snapshot{}, fault.New(fault.TooLarge, "path", "%s has %s, the server takes at most %s", path, size(info.Size()), size(limits.UploadBytes)).
			WithTry("leave out what is not source, or have the setting upload.bytes raised")
	}
	f, err := os.Open(path)
	if err != nil {
		return client.Snapshot{}, fault.Wrap(fault.Invalid, "path", err)
	}
	defer f.Close()
	return in.UploadArchive(ctx, kind, f)
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
	}{{&p.Build.Builder, f.builder}, {&p.Build.Foundation, f.foundation}, {&p.Build.Dockerfile, f.dockerfile}, {&p.Build.Target, f.target}} {
		if one.from != "" {
			*one.to = one.from
		}
	}
	p.Build.Fresh, p.NoStart, p.NoRoute = f.fresh, p.NoStart || f.noStart, p.NoRoute || f.noRoute
	if err := pairs("--build-arg", f.buildArgs, &p.Build.Args); err != nil {
		return err
	}
	if err := pairs("--env", f.env, &p.Env); err != nil {
		return err
	}
	for _, r := range f.routes {
		host, path, _ := strings.Cut(r, "/")
		p.Routes = append(p.Routes, client.NewRoute{Host: host, Path: "/" + path})
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
