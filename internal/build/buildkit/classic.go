package buildkit

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/tonistiigi/fsutil"

	"naru/internal/build"
	"naru/internal/fault"
)

// Labels of images that buildpacks made.
const (
	LabelProcesses = "naru.processes" // as they named them
	LabelOrigin    = "naru.origin"    // which of them worked, as build.Origin writes it
)

//go:embed classic_stage.sh
var classicStage string

//go:embed classic_launch.sh
var classicLaunch string

func packMount(i int) string { return "buildpack-" + strconv.Itoa(i) }

// packMounts adds the folders of a request's buildpacks to those that the daemon
// may ask for.
func packMounts(req build.Request, mounts map[string]fsutil.FS) error {
	for i, p := range req.Recipe.Buildpacks {
		files, err := sourceFS(p.Dir)
		if err != nil {
			return fmt.Errorf("open buildpack %s: %w", p.Name, err)
		}
		mounts[packMount(i)] = files
	}
	return nil
}

// classic adds the step in which buildpacks work: as user 1000, below /home/vcap,
// where the app will run.
func (g *graph) classic(s build.Step, env map[string]string) {
	mkdir := llb.Mkdir(build.ClassicHome, 0o755, llb.WithParents(true), owned(), llb.WithCreatedTime(depsTime)).
		Mkdir(homeDir, 0o755, llb.WithParents(true), owned(), llb.WithCreatedTime(depsTime)).
		Mkdir("/buildpacks", 0o755, owned(), llb.WithCreatedTime(depsTime))
	for _, dir := range []string{"app", "cache", "deps", "profile.d", "tmp", ".naru"} {
		mkdir = mkdir.Mkdir(build.ClassicHome+"/"+dir, 0o755, owned(), llb.WithCreatedTime(depsTime))
	}
	state := llb.Image(g.req.Foundations.Build.Ref, llb.WithCustomName("[internal] foundation "+g.req.Recipe.Foundations.Build)).
		File(mkdir.Mkfile(build.ClassicLaunch, 0o755, []byte(classicLaunch), owned(), llb.WithCreatedTime(depsTime)), internal("prepare "+build.ClassicHome))
	for i, p := range g.req.Recipe.Buildpacks {
		from := llb.Local(packMount(i), llb.SharedKeyHint(p.Digest), llb.WithCustomName("[internal] read buildpack "+p.Name))
		state = state.File(llb.Copy(from, "/", "/buildpacks/"+strconv.Itoa(i), copyInfo(nil, depsTime)), internal("copy buildpack "+p.Name))
	}
	state = state.File(llb.Copy(g.source, "/", build.ClassicApp, copyInfo(s.Exclude, depsTime)), internal("copy ."))
	all := map[string]string{
		"PATH": defaultPath, "HOME": build.ClassicHome, "USER": "vcap", "LANG": "C.UTF-8", "TMPDIR": build.ClassicHome + "/tmp", "CF_STACK": cmp.Or(g.req.Stack, "cflinuxfs4"),
		"MEMORY_LIMIT": strconv.Itoa(max(1024, g.req.MemoryMiB)) + "m", "CF_INSTANCE_PORTS": "[]", "CF_INSTANCE_ADDR": "", "CF_INSTANCE_PORT": "", "NARU_BUILDPACKS": strconv.Itoa(len(g.req.Recipe.Buildpacks)),
	}
	if g.req.Recipe.Ask {
		all["NARU_ASK"] = "1"
	}
	if g.req.Bound != "" { // what is handed over may have changed
		all["NARU_BOUND"] = g.req.Bound
	}
	for i, p := range g.req.Recipe.Buildpacks {
		all["NARU_BUILDPACK_"+strconv.Itoa(i)] = p.Name
	}
	for _, more := range []map[string]string{env, g.req.Env, s.Env} {
		maps.Copy(all, more)
	}
	for name, otherwise := range map[string]string{"VCAP_APPLICATION": "{}", "VCAP_SERVICES": "{}"} {
		if delete(all, name); g.req.Handed[name].IsZero() {
			all[name] = otherwise
		}
	}
	run := []llb.RunOption{
		llb.Args([]string{"/bin/bash", "-c", classicStage}), llb.Dir(build.ClassicApp), llb.User(fmt.Sprintf("%d:%d", userID, userID)), llb.WithCustomName(s.Title + ": " + g.req.Recipe.Found),
	}
	if g.req.Fresh {
		run = append(run, llb.IgnoreCache, llb.AddEnv("NARU_FRESH", "1"))
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		run = append(run, llb.AddEnv(name, all[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(g.req.Handed)) {
		run = append(run, llb.AddSecret(name, llb.SecretID("handed/"+name), llb.SecretAsEnv(true)))
	}
	run = append(run, g.sinceEmptied()...)
	for _, c := range s.Caches { // an app's own: buildpacks take what is there for theirs
		sum := sha256.Sum256([]byte(g.req.Target.Repository))
		c.Name += "-" + hex.EncodeToString(sum[:8])
		run = append(run, g.cache(c))
	}
	g.steps[s.ID] = state.Run(append(run, secretMounts(g.req)...)...).Root()
}

// mostSaid bounds what is read of each file in which the step leaves notes.
const mostSaid = 64 << 10

// released completes a request by what its buildpacks left in the image: its
// processes, and which of them worked. It returns the latter too.
func released(ctx context.Context, res *gateway.Result, req build.Request) (build.Request, string, error) {
	ref, err := res.SingleRef()
	if err != nil {
		return req, "", fmt.Errorf("find result of buildpacks: %w", err)
	}
	read := func(name string) ([]byte, error) {
		text, err := ref.ReadFile(ctx, gateway.ReadRequest{Filename: build.ClassicNotes + "/" + name, Range: &gateway.FileRange{Length: mostSaid + 1}})
		if err != nil {
			return nil, fmt.Errorf("read what buildpacks wrote to %s: %w", name, err)
		}
		return text, nil
	}
	text, err := read("release.yml")
	if err != nil {
		return req, "", err
	}
	if len(text) > mostSaid {
		return req, "", fault.New(fault.Failed, "buildpack", "bin/release wrote more than 64 KiB")
	}
	if req.Recipe.Processes, err = req.Recipe.Released(text); err != nil {
		return req, "", err
	}
	detected, err := read("detected")
	if err != nil {
		return req, "", err
	}
	used, err := req.Recipe.Worked(string(detected))
	if err != nil {
		return req, "", err
	}
	for i := range used {
		config, err := read("buildpack-" + strconv.Itoa(i) + ".yml")
		if err != nil {
			return req, "", err
		}
		used[i] = used[i].Describe(config)
	}
	return req, build.Origin(used), nil
}

// processesLabel is how an image tells its processes.
func processesLabel(r build.Recipe) string {
	text, err := json.Marshal(r.Processes)
	if err != nil {
		panic(err) // words and numbers can be encoded
	}
	return string(text)
}
