package build

import (
	"bytes"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"naru/internal/app"
	"naru/internal/fault"
)

// golang builds Go modules into static programs.
type golang struct{}

func (golang) info() Info {
	return Info{
		Name:     "go",
		Looks:    "go.mod",
		Makes:    "compiles static programs without cgo; files that are not Go code come along",
		Versions: []string{"the go and toolchain lines of go.mod, fetched through the module proxy"},
		Settings: []Setting{
			{"main", "package of the program, e.g. main=./cmd/api, when the module has several"},
			{"tags", "build tags, joined with +, e.g. tags=netgo+prod"},
		},
	}
}

func (golang) sees(t *tree) bool { return t.file("go.mod") }

func (b golang) recipe(t *tree, set settings) (Recipe, error) {
	if !b.sees(t) {
		return Recipe{}, missing(b.info())
	}
	data, err := t.read("go.mod")
	if err != nil {
		return Recipe{}, err
	}
	mod, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		where, what, _ := strings.Cut(firstLine(err.Error()), ": ")
		return Recipe{}, fault.New(fault.Invalid, where, "%s", what)
	}
	if mod.Module == nil {
		return Recipe{}, fault.New(fault.Invalid, "go.mod", "it has no module line").WithTry("go mod init NAME")
	}
	mains, err := b.mains(t, mod.Module.Mod.Path, set)
	if err != nil {
		return Recipe{}, err
	}
	return b.write(t, mod, mains, set), nil
}

// write puts the recipe together. Compiling is one step: the module and build
// caches outlive it, so there is no dependency layer to keep apart.
func (b golang) write(t *tree, mod *modfile.File, mains []string, set settings) Recipe {
	command := "go build -trimpath -o /app/bin/ "
	if tags := set.get("tags"); tags != "" {
		command += "-tags " + strings.ReplaceAll(tags, "+", ",") + " "
	}
	r := Recipe{
		Builder:     b.info().Name,
		Found:       "go " + goVersion(mod) + ", module " + mod.Module.Mod.Path,
		Foundations: Names{Build: "go", Run: "base"},
		Steps: []Step{{
			ID: "compile", Title: "compile", Copy: []string{"."}, Exclude: []string{".git", "bin"},
			Command: command + strings.Join(mains, " "),
			Env: map[string]string{
				"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "auto",
				"GOPATH": "/home/app/go", "GOCACHE": "/home/app/.cache/go-build",
			},
			Caches: []Cache{{"go", "/home/app/go"}, {"go-build", "/home/app/.cache/go-build"}},
		}},
		Layers: []Layer{
			{Name: "files", From: ".", To: "/app", Exclude: []string{".git", "vendor", "**/*.go", "go.mod", "go.sum", "go.work", "go.work.sum"}},
			{Name: "application", Step: "compile", From: "/app/bin", To: "/app/bin"},
		},
		Env: map[string]string{"PATH": "/app/bin:" + defaultPath},
	}
	if t.dir("vendor") {
		r.Found += ", vendored"
	}
	if len(mod.Require) > 0 && !t.file("go.sum") && !t.dir("vendor") {
		r.Warnings = append(r.Warnings, Hint{Message: "there is no go.sum, so the build will refuse the modules", Try: "go mod tidy"})
	}
	if len(mains) == 1 {
		r.Processes = []app.Process{process(app.Web, "/app/bin/"+programName(mod.Module.Mod.Path, mains[0]))}
	}
	return r
}

func goVersion(mod *modfile.File) string {
	switch {
	case mod.Toolchain != nil && mod.Toolchain.Name != "default":
		return strings.TrimPrefix(mod.Toolchain.Name, "go")
	case mod.Go != nil:
		return mod.Go.Version
	}
	return "1.16"
}

// programName is what go build calls a package's program.
func programName(module, pkg string) string {
	name := path.Base(path.Join(module, pkg))
	if isMajor(name) {
		name = path.Base(path.Dir(path.Join(module, pkg)))
	}
	return name
}

func isMajor(s string) bool {
	return len(s) > 1 && s[0] == 'v' && strings.Trim(s[1:], "0123456789") == ""
}

// mains are the packages to compile: the one that was named, else the root,
// else the only one there is, else all of them if a Procfile says what to start.
func (b golang) mains(t *tree, module string, set settings) ([]string, error) {
	found, err := mainPackages(t)
	if err != nil {
		return nil, err
	}
	if want := set.get("main"); want != "" {
		pkg := "./" + path.Clean(strings.TrimPrefix(want, "./"))
		pkg = strings.Replace(pkg, "./.", ".", 1)
		if !slices.Contains(found, pkg) {
			return nil, fault.New(fault.Invalid, "builder", "%s is no program; the module has %s", want, list(found))
		}
		return []string{pkg}, nil
	}
	switch {
	case len(found) == 0:
		return nil, fault.New(fault.Invalid, "source", "module %s has no package main to run", module).
			WithTry("push a module with a program, or a Procfile for other things")
	case len(found) == 1, found[0] == "." && !t.file(procfileName):
		return found[:1], nil
	case t.file(procfileName):
		return found, nil
	}
	// A program named like its module is what `go install module/cmd/...` users expect.
	if own := "./cmd/" + programName(module, "."); slices.Contains(found, own) {
		return []string{own}, nil
	}
	return nil, fault.New(fault.Invalid, "source", "the module has several programs: %s", list(found)).
		WithTry("naru push -b go,main=%s, or a Procfile that names them (web: %s)", found[0], path.Base(found[0]))
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// mainPackages are the folders of programs, "." first, then by name. Programs
// below cmd hide others, which are tools and examples as a rule.
func mainPackages(t *tree) ([]string, error) {
	seen := map[string]bool{}
	err := t.walk(".", []string{"vendor", "testdata", "node_modules"}, func(name string) {
		if dir := path.Dir(name); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !seen[dir] && t.isMain(name) {
			seen[dir] = true
		}
	})
	if err != nil {
		return nil, err
	}
	var own, rest []string
	for dir := range seen {
		switch {
		case t.nested(dir):
		case dir == ".":
			own = append(own, ".")
		case strings.HasPrefix(dir, "cmd/"):
			own = append(own, "./"+dir)
		default:
			rest = append(rest, "./"+dir)
		}
	}
	if len(own) == 0 {
		own = rest
	}
	slices.Sort(own)
	return own, nil
}

// nested reports whether a folder belongs to a module of its own.
func (t *tree) nested(dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		if t.file(path.Join(dir, "go.mod")) {
			return true
		}
	}
	return false
}

// isMain reports whether a file is of package main and made for this platform.
func (t *tree) isMain(name string) bool {
	data, err := t.read(name)
	if err != nil {
		return false
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, data, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil || f.Name.Name != "main" {
		return false
	}
	for line := range bytes.Lines(data[:min(len(data), int(f.Package))]) {
		text := strings.TrimSpace(string(line))
		if !constraint.IsGoBuild(text) {
			continue
		}
		if expr, err := constraint.Parse(text); err == nil {
			return expr.Eval(func(tag string) bool {
				return tag == "linux" || tag == "unix" || tag == "amd64" || strings.HasPrefix(tag, "go1")
			})
		}
	}
	return true
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
