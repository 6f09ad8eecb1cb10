package buildkit

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"naru/internal/app"
	"naru/internal/build"
)

// Labels of images that naru builds.
const (
	LabelBuilder    = "naru.builder"    // "node"
	LabelABI        = "naru.abi"        // the foundation's, as resolved
	LabelFoundation = "naru.foundation" // name of the run foundation: "node:22"
	LabelInit       = "naru.init"       // program to run the app's command under, when the foundation has one
)

// image is an OCI image's configuration.
type image = ocispecs.Image

const tini = "/usr/bin/tini"

// imageConfig is the image's configuration: the foundation's, with the app's
// own laid over it; origin is which buildpacks worked.
func imageConfig(req build.Request, origin string, base image) image {
	img := base
	created := sourceTime(req)
	img.Created = &created
	img.Author = ""
	img.OS, img.Architecture = "linux", runtime.GOARCH
	img.History = append(slices.Clone(base.History), history(req.Recipe)...)
	img.RootFS = ocispecs.RootFS{} // the exporter knows the layers
	img.Config.User = fmt.Sprintf("%d:%d", userID, userID)
	img.Config.WorkingDir = "/app"
	img.Config.Env = imageEnv(base.Config.Env, req.Recipe)
	img.Config.Labels = labels(req, origin, base.Config.Labels)
	img.Config.Entrypoint, img.Config.Cmd, img.Config.ExposedPorts = nil, nil, nil
	if req.Foundations.Run.Tini {
		img.Config.Entrypoint = []string{tini, "--"}
	}
	if len(req.Recipe.Buildpacks) > 0 {
		img.Config.WorkingDir, img.Config.Entrypoint = build.ClassicApp, []string{build.ClassicLaunch, "--"}
	}
	if web, ok := req.Recipe.Process(app.Web); ok {
		img.Config.Cmd = web.Command
		if web.Port != 0 {
			img.Config.ExposedPorts = map[string]struct{}{fmt.Sprintf("%d/tcp", web.Port): {}}
		}
	}
	return img
}

func history(r build.Recipe) []ocispecs.History {
	var out []ocispecs.History
	for _, l := range r.Layers {
		out = append(out, ocispecs.History{Created: &depsTime, CreatedBy: "naru: " + l.Name, Comment: r.Builder})
	}
	return out
}

func imageEnv(base []string, r build.Recipe) []string {
	env := envMap(base)
	env["HOME"] = homeDir
	env["PORT"] = fmt.Sprint(app.DefaultPort)
	if web, ok := r.Process(app.Web); ok && web.Port != 0 {
		env["PORT"] = fmt.Sprint(web.Port)
	}
	maps.Copy(env, r.Env)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out
}

func envMap(list []string) map[string]string {
	out := map[string]string{}
	for _, line := range list {
		name, value, _ := strings.Cut(line, "=")
		out[name] = value
	}
	return out
}

func labels(req build.Request, origin string, base map[string]string) map[string]string {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]string{}
	}
	set := func(name, value string) {
		if value != "" {
			out[name] = value
		}
	}
	set("org.opencontainers.image.revision", req.SourceCommit)
	set("org.opencontainers.image.base.digest", req.Foundations.Run.Digest)
	set(LabelFoundation, req.Recipe.Foundations.Run)
	set(LabelABI, req.Foundations.Run.ABI)
	set(LabelBuilder, req.Recipe.Builder)
	if req.Foundations.Run.Tini {
		set(LabelInit, tini)
	}
	if len(req.Recipe.Buildpacks) > 0 {
		set(LabelInit, build.ClassicLaunch)
		set(LabelProcesses, processesLabel(req.Recipe))
		set(LabelOrigin, origin)
	}
	return out
}
