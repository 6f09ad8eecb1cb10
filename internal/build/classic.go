package build

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
	"naru/internal/fault"
)

// Buildpack is a classic buildpack of Cloud Foundry: a folder with programs named
// bin/supply, bin/finalize, bin/compile and bin/release.
type Buildpack struct {
	Name     string `json:"name"`               // as it was asked for
	Digest   string `json:"digest"`             // of its files, "sha256:..."
	Uploaded bool   `json:"uploaded,omitempty"` // the platform has it, not a repository
	Dir      string `json:"-"`                  // where they are while it builds
}

// Where classic buildpacks find everything, when they build and when the app runs.
const (
	ClassicHome   = "/home/vcap"
	ClassicApp    = ClassicHome + "/app"
	ClassicLaunch = ClassicHome + "/.naru/launch" // every command runs under it
	ClassicNotes  = ClassicHome + "/.naru"        // what buildpacks say of themselves and of the app's processes
	classicStage  = "stage"
)

// MaxBuildpacks is how many may work on one app.
const MaxBuildpacks = 16

// Classic writes the recipe for a tree that buildpacks build, in their order: all
// but the last supply dependencies, the last finishes the app. Which processes it
// has is known when they have worked; the tree's Procfile and what the caller says
// win over that.
func Classic(fsys fs.FS, packs []Buildpack, opts Options) (Recipe, error) {
	if len(packs) == 0 || len(packs) > MaxBuildpacks {
		return Recipe{}, fault.New(fault.Invalid, "buildpacks", "between 1 and %d buildpacks can work on an app (got %d)", MaxBuildpacks, len(packs))
	}
	if opts.Dockerfile != "" {
		return Recipe{}, fault.New(fault.Invalid, "buildpacks", "buildpacks and a Dockerfile exclude each other").WithTry("name one of them")
	}
	found := "buildpack " + packs[0].Name
	for _, p := range packs[1:] {
		found += ", " + p.Name
	}
	return classic(fsys, found, packs, opts)
}

// MaxDetected is how many buildpacks may be asked whether a tree is theirs.
const MaxDetected = 64

// Detected writes the recipe for a tree that no builder of naru's recognises: its
// buildpacks are asked with bin/detect, one after the other, and the first that
// says so builds it alone.
func Detected(fsys fs.FS, packs []Buildpack, opts Options) (Recipe, error) {
	if len(packs) == 0 || len(packs) > MaxDetected {
		return Recipe{}, fault.New(fault.Invalid, "buildpacks", "between 1 and %d buildpacks can be asked (got %d)", MaxDetected, len(packs))
	}
	found := "uploaded buildpacks, asked in order: " + packs[0].Name
	for _, p := range packs[1:] {
		found += ", " + p.Name
	}
	r, err := classic(fsys, found, packs, opts)
	r.Ask = true
	return r, err
}

func classic(fsys fs.FS, found string, packs []Buildpack, opts Options) (Recipe, error) {
	t, err := look(fsys)
	if err != nil {
		return Recipe{}, err
	}
	r := Recipe{
		Builder: "classic", Found: found, Foundations: Names{Build: "classic", Run: "classic"}, Buildpacks: packs,
		Steps: []Step{{
			ID: classicStage, Title: "buildpacks", Copy: []string{"."}, Exclude: []string{".git"},
			Caches: []Cache{{"classic", ClassicHome + "/cache"}},
		}},
		Env: map[string]string{
			"HOME": ClassicApp, "USER": "vcap", "DEPS_DIR": ClassicHome + "/deps", "TMPDIR": ClassicHome + "/tmp", "VCAP_APP_HOST": "0.0.0.0",
		},
	}
	for _, dir := range []string{".naru", "deps", "profile.d", "tmp"} {
		r.Layers = append(r.Layers, Layer{Name: cmp.Or(map[string]string{".naru": "launcher", "deps": "dependencies"}[dir], dir), Step: classicStage, From: ClassicHome + "/" + dir, To: ClassicHome + "/" + dir})
	}
	r.Layers = append(r.Layers, Layer{Name: "application", Step: classicStage, From: ClassicApp, To: ClassicApp})
	procs, err := t.procfile()
	if err != nil {
		return Recipe{}, err
	}
	r.Processes = overlay(overlay(nil, procs), opts.Processes)
	for _, p := range r.Processes {
		if err := app.CheckProcessType("processes", p.Type); err != nil {
			return Recipe{}, err
		}
	}
	if opts.Foundation != "" {
		r.Foundations = Names{Build: opts.Foundation, Run: opts.Foundation}
	}
	return r, nil
}

// Worked are the buildpacks that worked on a recipe's app. said is what asking them
// left: the number of the one that knows the app, and behind it what it said.
func (r Recipe) Worked(said string) ([]Used, error) {
	if !r.Ask {
		var all []Used
		for _, p := range r.Buildpacks {
			all = append(all, Used{Name: p.Name})
		}
		return all, nil
	}
	number, said, _ := strings.Cut(said, "\n")
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(r.Buildpacks) {
		return nil, fmt.Errorf("asking the buildpacks found %q, which is none of %d", number, len(r.Buildpacks))
	}
	return []Used{Used{Name: r.Buildpacks[i].Name}.Saying(said)}, nil
}

// Released lays a recipe's processes over those that the last buildpack named; text
// is what its bin/release wrote.
func (r Recipe) Released(text []byte) ([]app.Process, error) {
	last := r.Buildpacks[len(r.Buildpacks)-1].Name
	if r.Ask {
		last = "that built it"
	}
	var said struct {
		Types map[string]string `yaml:"default_process_types"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&said); err != nil && len(bytes.TrimSpace(text)) > 0 {
		return nil, fault.New(fault.Failed, "buildpack", "bin/release of %s wrote no YAML", last).WithCause(err)
	}
	var named []app.Process
	for _, kind := range slices.Sorted(maps.Keys(said.Types)) {
		if err := app.CheckProcessType("bin/release of "+last, kind); err != nil {
			return nil, err
		}
		if said.Types[kind] != "" {
			named = append(named, process(kind, said.Types[kind]))
		}
	}
	all := overlay(overlay(nil, named), r.Processes)
	for _, p := range all {
		if len(p.Command) == 0 {
			return nil, fault.New(fault.Failed, "command", "neither the buildpack %s nor a Procfile says how to start %s", last, p.Type).
				WithTry("write a file named Procfile with the line  %s: COMMAND", p.Type)
		}
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Failed, "command", "neither the buildpack %s nor a Procfile says how to start the app", last).
			WithTry("write a file named Procfile with the line  web: COMMAND")
	}
	return all, nil
}
