package buildkit

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"naru/internal/build"
	"naru/internal/fault"
)

// userID is who commands and apps are; foundations call it app.
const userID = 1000

const homeDir = "/home/app"

// depsTime is the time of every file that a build made or fetched: layers of
// equal content have equal digests. 1980 is the first year that zip can say.
var depsTime = time.Unix(315532800, 0).UTC()

// frontend compiles the recipe, solves it and says what the image is like.
func (b *Builder) frontend(req build.Request) gateway.BuildFunc {
	return func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		base, err := baseConfig(ctx, c, req.Foundations.Run.Ref)
		if err != nil {
			return nil, err
		}
		stepEnv := map[string]string{}
		if len(req.Recipe.Steps) > 0 {
			from, err := baseConfig(ctx, c, req.Foundations.Build.Ref)
			if err != nil {
				return nil, err
			}
			stepEnv = envMap(from.Config.Env)
		}
		state, err := compile(req, stepEnv, path.Base(b.opts.StaticServer))
		if err != nil {
			return nil, err
		}
		def, err := state.Marshal(ctx, llb.Platform(platform()))
		if err != nil {
			return nil, fmt.Errorf("compile recipe: %w", err)
		}
		res, err := c.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB(), Evaluate: true})
		if err != nil {
			return nil, err
		}
		origin := ""
		if len(req.Recipe.Buildpacks) > 0 {
			if req, origin, err = released(ctx, res, req); err != nil {
				return nil, err
			}
		}
		config, err := json.Marshal(imageConfig(req, origin, base))
		if err != nil {
			return nil, fmt.Errorf("encode image configuration: %w", err)
		}
		res.AddMeta(exptypes.ExporterImageConfigKey, config)
		return res, nil
	}
}

func baseConfig(ctx context.Context, c gateway.Client, ref string) (image, error) {
	var img image
	_, _, data, err := c.ResolveImageConfig(ctx, ref, sourceresolver.Opt{
		LogName:  "[internal] foundation " + ref,
		ImageOpt: &sourceresolver.ResolveImageOpt{ResolveMode: "default"},
	})
	if err != nil {
		return img, fault.New(fault.Failed, "foundation", "the foundation %s cannot be read", ref).
			WithTry("naru foundations lists what is there").WithCause(err)
	}
	if err := json.Unmarshal(data, &img); err != nil {
		return img, fmt.Errorf("read configuration of %s: %w", ref, err)
	}
	return img, nil
}

// compile turns a recipe into BuildKit's graph: every step is a state of its
// own over the build foundation, every layer one copy over the run foundation.
func compile(req build.Request, stepEnv map[string]string, server string) (llb.State, error) {
	g := graph{req: req, steps: map[string]llb.State{}, server: server, source: llb.Local(sourceMount,
		llb.SharedKeyHint(req.SnapshotDigest), llb.WithCustomName("[internal] read the source"))}
	for _, step := range req.Recipe.Steps {
		if len(req.Recipe.Buildpacks) > 0 {
			g.classic(step, stepEnv)
			continue
		}
		if err := g.step(step, stepEnv); err != nil {
			return llb.State{}, err
		}
	}
	image := llb.Image(req.Foundations.Run.Ref, llb.WithCustomName("[internal] foundation "+req.Recipe.Foundations.Run))
	for _, layer := range req.Recipe.Layers {
		next, err := g.layer(image, layer)
		if err != nil {
			return llb.State{}, err
		}
		image = next
	}
	return image, nil
}

type graph struct {
	req    build.Request
	source llb.State
	server string // name of the file server's program
	steps  map[string]llb.State
}

// step adds a step's state.
func (g *graph) step(s build.Step, env map[string]string) error {
	state, ok := g.steps[s.After]
	if s.After == "" {
		state = llb.Image(g.req.Foundations.Build.Ref, llb.WithCustomName("[internal] foundation "+g.req.Recipe.Foundations.Build)).
			File(llb.Mkdir("/app", 0o755, llb.WithParents(true), owned(), llb.WithCreatedTime(depsTime)).
				Mkdir(homeDir, 0o755, llb.WithParents(true), owned(), llb.WithCreatedTime(depsTime)), internal("prepare /app"))
	} else if !ok {
		return fmt.Errorf("step %s follows %s, which is not before it", s.ID, s.After)
	}
	for _, name := range s.Copy {
		state = state.File(g.copyIn(name, s.Exclude), internal("copy "+name))
	}
	if s.Command == "" {
		g.steps[s.ID] = state
		return nil
	}
	run := []llb.RunOption{
		llb.Args([]string{"/bin/sh", "-c", script(s)}), llb.Dir("/app"), llb.User(fmt.Sprintf("%d:%d", userID, userID)),
		llb.WithCustomName(s.Title + ": " + s.Command),
	}
	if g.req.Fresh {
		run = append(run, llb.IgnoreCache)
	}
	all := map[string]string{"HOME": homeDir, "PATH": defaultPath, "LANG": "C.UTF-8"}
	for _, more := range []map[string]string{env, g.req.Env, s.Env} {
		maps.Copy(all, more)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		run = append(run, llb.AddEnv(name, all[name]))
	}
	if len(s.Caches) > 0 {
		run = append(run, g.sinceEmptied()...)
	}
	for _, c := range s.Caches {
		run = append(run, g.cache(c))
		// The runtime would make the folder above a mount as root.
		if dir := path.Dir(c.Path); dir != homeDir {
			state = state.File(llb.Mkdir(dir, 0o755, llb.WithParents(true), owned(), llb.WithCreatedTime(depsTime)), internal("prepare "+dir))
		}
	}
	run = append(run, secretMounts(g.req)...)
	g.steps[s.ID] = state.Run(run...).Root()
	return nil
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func script(s build.Step) string {
	if s.Then == "" {
		return s.Command
	}
	return "(" + s.Command + ") || exit $?\n" + s.Then
}

// cache mounts a folder that outlives the build, writable for the build's user.
func (g *graph) cache(c build.Cache) llb.RunOption {
	empty := llb.Scratch().File(llb.Mkdir("/cache", 0o755, owned(), llb.WithCreatedTime(depsTime)), internal("cache "+c.Name))
	return llb.AddMount(c.Path, empty, llb.SourcePath("/cache"),
		llb.AsPersistentCacheDir(cacheScope(g.req)+"/"+c.Name, llb.CacheMountShared))
}

// sinceEmptied tells a step from the same one before its caches were emptied: the
// daemon knows steps by their commands and not by their caches.
func (g *graph) sinceEmptied() []llb.RunOption {
	if g.req.Cache == "" {
		return nil
	}
	return []llb.RunOption{llb.AddEnv("NARU_CACHE", g.req.Cache)}
}

func (g *graph) copyIn(name string, exclude []string) *llb.FileAction {
	if name == "." {
		return llb.Copy(g.source, "/", "/app", copyInfo(exclude, depsTime))
	}
	info := copyInfo(nil, depsTime)
	info.CopyDirContentsOnly = false
	return llb.Copy(g.source, "/"+path.Clean(name), "/app/"+path.Clean(name), info)
}

func copyInfo(exclude []string, at time.Time) *llb.CopyInfo {
	return &llb.CopyInfo{
		CopyDirContentsOnly: true, CreateDestPath: true, ExcludePatterns: exclude, CreatedTime: &at,
		ChownOpt: &llb.ChownOpt{User: &llb.UserOpt{UID: userID}, Group: &llb.UserOpt{UID: userID}},
	}
}

// layer lays one layer over the image. Its last act gives the folders above it
// their time back, which adding to them changed.
func (g *graph) layer(image llb.State, l build.Layer) (llb.State, error) {
	if l.To != "/app" && !strings.HasPrefix(l.To, "/app/") && !strings.HasPrefix(l.To, homeDir+"/") && !strings.HasPrefix(l.To, build.ClassicHome+"/") {
		return image, fmt.Errorf("layer %s goes to %q, which is not below /app, %s or %s", l.Name, l.To, homeDir, build.ClassicHome)
	}
	name := "layer: " + l.Name
	at := depsTime
	var files *llb.FileAction
	switch {
	case l.Static:
		mode := llb.ChmodOpt{Mode: 0o755}
		info := &llb.CopyInfo{CreateDestPath: true, CreatedTime: &at, Mode: &mode}
		files = llb.Copy(llb.Local(serverMount, llb.WithCustomName("[internal] read the file server")), "/"+g.server, l.To, info)
	case l.Step == "":
		at = sourceTime(g.req)
		files = llb.Copy(g.source, path.Join("/", l.From), l.To, copyInfo(l.Exclude, at))
	default:
		from, ok := g.steps[l.Step]
		if !ok {
			return image, fmt.Errorf("layer %s takes files of step %s, which is not there", l.Name, l.Step)
		}
		if l.Name == "application" {
			at = sourceTime(g.req)
		}
		files = llb.Copy(from, l.From, l.To, copyInfo(l.Exclude, at))
	}
	empty := llb.Scratch().File(llb.Mkdir("/d", 0o755, owned(), llb.WithCreatedTime(depsTime)), internal("folder times"))
	for dir := path.Dir(l.To); dir != "/"; dir = path.Dir(dir) {
		if strings.HasPrefix(dir, "/app") || strings.HasPrefix(dir, homeDir) || strings.HasPrefix(dir, build.ClassicHome) {
			files = files.Copy(empty, "/d", dir, copyInfo(nil, depsTime))
		}
	}
	return image.File(files, llb.WithCustomName(name)), nil
}

// sourceTime is the time of the app's own files: the commit's, else one made of
// the snapshot's digest. It must differ between snapshots, for file servers make
// validators of time and size, and must not differ between builds of one.
func sourceTime(req build.Request) time.Time {
	if !req.SourceTime.IsZero() {
		return req.SourceTime.UTC().Truncate(time.Second)
	}
	sum, err := hex.DecodeString(strings.TrimPrefix(req.SnapshotDigest, "sha256:"))
	if err != nil || len(sum) < 4 {
		return depsTime
	}
	return depsTime.Add(time.Duration(binary.BigEndian.Uint32(sum)>>2) * time.Second)
}

// platform is what images are built for: the machine's own.
func platform() ocispecs.Platform {
	return ocispecs.Platform{OS: "linux", Architecture: runtime.GOARCH}
}

func owned() llb.ChownOption { return llb.WithUIDGID(userID, userID) }

func internal(name string) llb.ConstraintsOpt { return llb.WithCustomName("[internal] " + name) }
