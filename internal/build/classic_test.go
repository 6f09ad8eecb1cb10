package build_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/fault"
)

func TestClassic(t *testing.T) {
	tree := fstest.MapFS{"main.txt": {Data: []byte("text")}}
	pack := build.Buildpack{Name: "words", Digest: "sha256:1", Dir: "/somewhere"}
	r, err := build.Classic(tree, []build.Buildpack{pack}, build.Options{Processes: []app.Process{{Type: "web", Command: app.Shell("mine")}}})
	if err != nil {
		t.Fatal(err)
	}
	key := func(p build.Buildpack) string {
		t.Helper()
		r := r
		r.Buildpacks = []build.Buildpack{p}
		k, err := build.RecipeKey(build.Request{Recipe: r})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	elsewhere, other := pack, pack
	elsewhere.Dir, other.Digest = "/elsewhere", "sha256:2"
	if key(pack) != key(elsewhere) || key(pack) == key(other) {
		t.Error("the key must depend on the buildpack's files and not on where they lie")
	}
	for name, tc := range map[string]struct {
		packs []build.Buildpack
		opts  build.Options
	}{
		"none":             {nil, build.Options{}},
		"too many":         {make([]build.Buildpack, build.MaxBuildpacks+1), build.Options{}},
		"and a Dockerfile": {[]build.Buildpack{pack}, build.Options{Dockerfile: "Dockerfile"}},
		"a wrong type":     {[]build.Buildpack{pack}, build.Options{Processes: []app.Process{{Type: "We b"}}}},
	} {
		if _, err := build.Classic(tree, tc.packs, tc.opts); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatABuildpackReleases(t *testing.T) {
	pack := []build.Buildpack{{Name: "words"}}
	for name, tc := range map[string]struct {
		tree fstest.MapFS
		text string
		want string // types and commands, or of the error
	}{
		"its own":            {nil, "---\naddons: []\nconfig_vars: {A: b}\ndefault_process_types:\n  web: start it\n  worker: work\n", "web=exec start it worker=exec work"},
		"a Procfile over it": {fstest.MapFS{"Procfile": {Data: []byte("web: mine\nclock: tick\n")}}, "default_process_types: {web: start}", "web=exec mine clock=exec tick"},
		"nothing":            {nil, "", "! how to start the app"},
		"an empty command":   {nil, "default_process_types: {web: ''}", "! how to start the app"},
		"no YAML":            {nil, "default_process_types: {", "! wrote no YAML"},
		"another form":       {nil, "default_process_types: [web]", "! wrote no YAML"},
		"a wrong type":       {nil, "default_process_types: {'a b': x}", "! a b"},
	} {
		tree := tc.tree
		if tree == nil {
			tree = fstest.MapFS{"main.txt": {}}
		}
		r, err := build.Classic(tree, pack, build.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Released([]byte(tc.text))
		if want, bad := strings.CutPrefix(tc.want, "! "); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, %v; want an error with %q", name, got, err, want)
			}
			continue
		}
		var said []string
		for _, p := range got {
			said = append(said, p.Type+"="+p.Command[len(p.Command)-1])
		}
		if err != nil || strings.Join(said, " ") != tc.want {
			t.Errorf("%s: got %q, %v; want %q", name, said, err, tc.want)
		}
	}
}
