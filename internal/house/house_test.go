// Package house holds tests of the project itself: who imports whom, and that
// every package says what it is for.
package house

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps=false", "-json=ImportPath,Dir,GoFiles,Imports,Deps", "naru/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// flow is the order of the steps: each may import those before it.
var flow = []string{"app", "source", "build", "artifact", "release", "run", "route", "observe", "judge"}

// forbidden imports, direct ones, each with the reason. A name stands for the
// package and all below it.
var forbidden = []struct{ pkg, dep, why string }{
	{"run", "route", "traffic follows instances, never the reverse"},
	{"judge", "store", "a verdict is arithmetic, not a query"},
	{"api", "store", "handlers ask the steps, not the database"},
	{"cli", "store", "the command line speaks to a server through client"},
	{"cli", "api", "the command line speaks to a server through client"},
	{"cli", "pipeline", "the command line speaks to a server through client"},
	{"client", "store", "programs on a laptop link the client"},
	{"client", "run", "programs on a laptop link the client"},
	{"operate", "pipeline", "keeping what is live does not change what is wanted"},
	{"store", "api", "the store is below everything that asks it"},
	{"store", "server", "the store is below everything that asks it"},
}

func TestImportsPointUpstream(t *testing.T) {
	steps := append(slices.Clone(flow), "pipeline", "operate")
	for _, p := range packages(t) {
		self, ok := inside(p.ImportPath)
		if !ok {
			continue
		}
		for _, imp := range p.Imports {
			dep, ok := inside(imp)
			if !ok {
				continue
			}
			for _, f := range forbidden {
				if self == f.pkg && dep == f.dep {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, f.why)
				}
			}
			i, j := slices.Index(flow, self), slices.Index(flow, dep)
			if i >= 0 && j > i && !allowedAhead(self, dep) {
				t.Errorf("%s imports %s, which comes later in the flow", p.ImportPath, imp)
			}
			if leaf(self) && slices.Contains(steps, dep) {
				t.Errorf("%s is a leaf and imports %s", p.ImportPath, imp)
			}
			if slices.Contains(steps, self) && slices.Contains([]string{"api", "cli", "server", "store", "door", "auth"}, dep) {
				t.Errorf("%s imports %s: a step declares what it needs, and server plugs it in", p.ImportPath, imp)
			}
		}
	}
}

// allowedAhead: a build ends in an image, so build may name what artifact keeps.
func allowedAhead(self, dep string) bool { return self == "build" && dep == "artifact" }

func leaf(name string) bool {
	return slices.Contains([]string{"fault", "secret", "atomicfile", "backoff", "serve", "id", "event", "version"}, name)
}

// inside returns the first folder of a package of ours below internal.
func inside(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "naru/internal/")
	name, _, _ := strings.Cut(rest, "/")
	return name, ok
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		said := false
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			text := f.Doc.Text()
			said = said || strings.HasPrefix(text, "Package ") || strings.HasPrefix(text, "Command ")
		}
		if !said {
			t.Errorf("%s has no sentence that says what it is for", p.ImportPath)
		}
	}
}

// TestTheClientStaysLight: naru push runs on laptops, so what the command line
// links must build there and stay small.
func TestTheClientStaysLight(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != "naru/internal/client" && p.ImportPath != "naru/internal/cli" {
			continue
		}
		for _, heavy := range []string{"modernc.org/sqlite", "github.com/containerd/containerd/v2/client", "github.com/moby/buildkit/client", "github.com/distribution/distribution/v3"} {
			if slices.Contains(p.Deps, heavy) {
				t.Errorf("%s links %s", p.ImportPath, heavy)
			}
		}
	}
}
