package build

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

// pythonVersion is the one that foundations hold.
const pythonVersion = "3.13"

// python builds trees with requirements.txt, pyproject.toml, or a lone app.py
// or main.py.
type python struct{}

func (python) info() Info {
	return Info{
		Name:     "python",
		Looks:    "requirements.txt, pyproject.toml, app.py or main.py",
		Makes:    "installs with pip into /app/.venv, starts what the Procfile says, else app.py or main.py",
		Versions: []string{pythonVersion},
		Settings: []Setting{{"requirements", "file with the requirements, in place of requirements.txt"}},
	}
}

var pythonFiles = []string{"requirements.txt", "pyproject.toml", "setup.py", "Pipfile", "environment.yml", "manage.py", "app.py", "main.py"}

func (python) sees(t *tree) bool { return t.first(pythonFiles...) != "" }

func (b python) recipe(t *tree, set settings) (Recipe, error) {
	if !b.sees(t) {
		return Recipe{}, missing(b.info())
	}
	if err := checkPython(t); err != nil {
		return Recipe{}, err
	}
	r := Recipe{
		Builder:     b.info().Name,
		Foundations: Names{Build: "python-build", Run: "python"},
		Layers:      []Layer{wholeTree(".venv", "venv")},
		Env: map[string]string{
			"PATH":             "/app/.venv/bin:" + defaultPath,
			"VIRTUAL_ENV":      "/app/.venv",
			"PYTHONUNBUFFERED": "1", // else lines reach the log when a buffer is full
		},
	}
	step, what, err := b.install(t, set)
	if err != nil {
		return Recipe{}, err
	}
	r.Found = "python " + pythonVersion
	if step.ID != "" {
		r.Found += ", " + what
		r.Steps = []Step{step}
		r.Layers = []Layer{{Name: "dependencies", Step: "install", From: "/app/.venv", To: "/app/.venv"}, r.Layers[0]}
	} else {
		r.Foundations.Build = ""
		r.Env["PATH"] = defaultPath
		delete(r.Env, "VIRTUAL_ENV")
	}
	if t.file("uv.lock") || t.file("poetry.lock") {
		r.Warnings = append(r.Warnings, Hint{
			Message: "pip does not read " + t.first("uv.lock", "poetry.lock") + ", so the next build may install other versions",
			Try:     "export it: uv export --format requirements-txt > requirements.txt, or poetry export -o requirements.txt",
		})
	}
	r.Processes, err = b.processes(t, step.ID != "")
	return r, err
}

// install is the step that fills /app/.venv. Byte code is compiled afterwards
// and checked by nobody: it would hold the time of the source files, and the
// image sets its own.
func (b python) install(t *tree, set settings) (Step, string, error) {
	requirements := or(set.get("requirements"), "requirements.txt")
	step := Step{
		ID: "install", Title: "install dependencies", Exclude: []string{".git", ".venv", "venv"},
		Env: map[string]string{
			"PIP_CACHE_DIR": "/home/app/.cache/pip", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
			"PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off", "SOURCE_DATE_EPOCH": "315532800",
		},
		Caches: []Cache{{"pip", "/home/app/.cache/pip"}},
	}
	what, source := "", ""
	switch {
	case t.file(requirements):
		what, source = requirements, "-r "+requirements
		step.Copy = requirementFiles(t, requirements)
	case set.get("requirements") != "":
		return Step{}, "", fault.New(fault.Invalid, "builder", "%s is not in the source", requirements)
	case buildsPackage(t):
		what, source = t.first("pyproject.toml", "setup.py"), "."
		step.Copy = []string{"."}
	default:
		return Step{}, "", nil
	}
	step.Command = "python3 -m venv --without-pip .venv && python3 -m pip --python .venv/bin/python install --no-compile " + source
	// Some packages carry files that no longer compile; pip does not mind either.
	step.Then = ".venv/bin/python -m compileall -q --invalidation-mode unchecked-hash .venv || true"
	return step, what, nil
}

var includesFile = regexp.MustCompile(`(?m)^\s*(?:-r|--requirement|-c|--constraint)[ =]\s*(\S+)`)
var localPath = regexp.MustCompile(`(?m)^\s*(?:-e\s+)?(?:\.|file:)`)

// requirementFiles are what pip reads: the file, those it includes, or the
// whole tree when it names a package of the tree.
func requirementFiles(t *tree, name string) []string {
	data, err := t.read(name)
	if err != nil {
		return []string{"."}
	}
	if localPath.Match(data) {
		return []string{"."}
	}
	files := []string{name}
	for _, m := range includesFile.FindAllStringSubmatch(string(data), -1) {
		if !t.file(m[1]) || slices.Contains(files, m[1]) {
			return []string{"."}
		}
		files = append(files, m[1])
	}
	return files
}

var tomlTable = regexp.MustCompile(`(?m)^\[(project|build-system)\]\s*(?:#.*)?$`)

// buildsPackage reports whether the tree is a package that pip can install; many
// a pyproject.toml holds only the settings of tools.
func buildsPackage(t *tree) bool {
	if data, err := t.read("pyproject.toml"); err == nil && tomlTable.Match(data) {
		return true
	}
	return t.file("setup.py")
}

// processes are what starts the app when no Procfile says so.
func (b python) processes(t *tree, venv bool) ([]app.Process, error) {
	if t.file(procfileName) {
		return nil, nil // laid over later
	}
	program := "python3"
	if venv {
		program = "python"
	}
	if name := t.first("app.py", "main.py"); name != "" {
		return []app.Process{process(app.Web, program+" "+name)}, nil
	}
	f := fault.New(fault.Invalid, "command", "a Python app was found, but neither a Procfile nor app.py nor main.py")
	if t.file("manage.py") {
		return nil, f.WithTry("for Django write a Procfile:  web: gunicorn PROJECT.wsgi --bind 0.0.0.0:$PORT  and add gunicorn to requirements.txt")
	}
	return nil, f.WithTry("write a file named Procfile with the line  web: COMMAND, e.g.  web: gunicorn app:app --bind 0.0.0.0:$PORT")
}

var requiresPython = regexp.MustCompile(`(?m)^\s*requires-python\s*=\s*["']([^"']+)["']`)

// checkPython refuses by name what is recognised and cannot be built.
func checkPython(t *tree) error {
	if name := t.first("Pipfile", "environment.yml"); name != "" && t.first("requirements.txt", "pyproject.toml", "setup.py") == "" {
		return fault.New(fault.Unsupported, name, "naru installs with pip, which does not read %s", name).
			WithTry("write requirements.txt (pipenv requirements > requirements.txt, or pip freeze), or use a Dockerfile")
	}
	where, want := "", ""
	switch {
	case t.file(".python-version"):
		where, want = ".python-version", "=="+strings.TrimPrefix(t.line(".python-version"), "python-")
	case t.file("runtime.txt"):
		where, want = "runtime.txt", "=="+strings.TrimPrefix(t.line("runtime.txt"), "python-")
	case t.file("pyproject.toml"):
		if data, err := t.read("pyproject.toml"); err == nil {
			if m := requiresPython.FindSubmatch(data); m != nil {
				where, want = "pyproject.toml: requires-python", string(m[1])
			}
		}
	}
	if want == "" || pythonSatisfies(want) {
		return nil
	}
	return fault.New(fault.Invalid, where, "Python %s cannot be had, only %s", strings.TrimPrefix(want, "=="), pythonVersion).
		WithTry("ask for %s, or use a Dockerfile or --foundation IMAGE with your own", pythonVersion)
}

var pythonClause = regexp.MustCompile(`^(===|==|~=|>=|<=|!=|>|<)\s*(\d+(?:\.\d+)*)(?:\.\*)?$`)

// pythonSatisfies judges by major and minor version: every clause of a PEP 440
// specifier must hold for some patch release.
func pythonSatisfies(want string) bool {
	have := numbers(pythonVersion)
	for clause := range strings.SplitSeq(want, ",") {
		m := pythonClause.FindStringSubmatch(strings.TrimSpace(clause))
		if m == nil {
			continue // pip judges what this does not understand
		}
		asked := numbers(m[2])
		order := slices.Compare(have, asked[:min(len(asked), 2)])
		if len(asked) == 1 {
			order = slices.Compare(have[:1], asked)
		}
		ok := true
		switch m[1] {
		case "==", "===":
			ok = order == 0
		case "~=":
			ok = have[0] == asked[0] && (len(asked) > 2 && order == 0 || len(asked) == 2 && order >= 0)
		case ">=", ">":
			ok = order >= 0 && !(m[1] == ">" && len(asked) < 2 && order == 0)
		case "<=":
			ok = order <= 0
		case "<":
			ok = order < 0 || order == 0 && len(asked) > 2
		case "!=":
			ok = order != 0 || len(asked) > 2
		}
		if !ok {
			return false
		}
	}
	return true
}

func numbers(s string) []int {
	var out []int
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		out = append(out, n)
	}
	return out
}
