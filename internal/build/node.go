package build

import (
	"maps"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

// node builds trees with a package.json.
type node struct{}

func (node) info() Info {
	return Info{
		Name:     "node",
		Looks:    "package.json",
		Makes:    "installs with npm, pnpm or yarn as the lock file says, runs the build script, keeps what production needs",
		Versions: nodeVersions,
		Settings: []Setting{
			{"static", "folder that the build script fills; it is served as a static site, e.g. static=dist"},
			{"spa", "yes: unknown paths answer with index.html (with static)"},
			{"version", "major version of Node, over what package.json says"},
		},
	}
}

func (node) sees(t *tree) bool { return t.file("package.json") }

func (b node) recipe(t *tree, set settings) (Recipe, error) {
	if !b.sees(t) {
		return Recipe{}, missing(b.info())
	}
	pkg, err := readPackage(t)
	if err != nil {
		return Recipe{}, err
	}
	version, err := pkg.version(t, set.get("version"))
	if err != nil {
		return Recipe{}, err
	}
	tool := pickTool(t, pkg)
	p := nodePlan{tree: t, pkg: pkg, tool: tool, set: set}
	r := Recipe{
		Builder:     b.info().Name,
		Found:       p.found(version),
		Foundations: Names{Build: "node-build:" + version, Run: "node:" + version},
		Warnings:    p.warnings(),
	}
	r.Steps, r.Layers = p.steps()
	if dir := set.get("static"); dir != "" {
		return p.site(r, dir)
	}
	r.Env = map[string]string{"NODE_ENV": "production", "PATH": "/app/node_modules/.bin:" + defaultPath}
	command, err := p.command()
	if err != nil {
		return Recipe{}, err
	}
	if command != "" {
		r.Processes = []app.Process{process(app.Web, command)}
	}
	if p.startsWithNPM(command) {
		r.Warnings = append(r.Warnings, Hint{
			Message: "the app is started by npm, which costs memory and may hide how the app ended",
			Try:     "start it with node itself",
		})
	}
	return r, nil
}

// defaultPath is the PATH of foundations.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// tool is a package manager.
type tool struct {
	name    string
	lock    string // its lock file, "" when the tree has none
	files   []string
	install string
	prune   string
	run     string // before the name of a script
	cache   Cache
}

// tools in the order in which their lock files win. The ones that are not npm
// are fetched by it, in a version that reads the lock files of today.
var nodeTools = []tool{
	{name: "npm", lock: "package-lock.json", install: "npm ci --include=dev", prune: "npm prune --omit=dev", run: "npm run", cache: npmCache},
	{name: "npm", lock: "npm-shrinkwrap.json", install: "npm ci --include=dev", prune: "npm prune --omit=dev", run: "npm run", cache: npmCache},
	{name: "pnpm", lock: "pnpm-lock.yaml", files: []string{"pnpm-workspace.yaml"},
		install: "npx --yes pnpm@10 install --frozen-lockfile --prod=false",
		prune:   "npx --yes pnpm@10 prune --prod", run: "npx --yes pnpm@10 run",
		cache: Cache{"pnpm", "/home/app/.pnpm-store"}},
	{name: "yarn", lock: "yarn.lock", files: []string{".yarnrc"},
		install: "npx --yes yarn@1.22.22 install --frozen-lockfile --non-interactive --production=false --cache-folder /home/app/.yarn",
		prune:   "npx --yes yarn@1.22.22 install --frozen-lockfile --non-interactive --production=true --ignore-scripts --prefer-offline --cache-folder /home/app/.yarn",
		run:     "npx --yes yarn@1.22.22 run", cache: Cache{"yarn", "/home/app/.yarn"}},
}

var npmCache = Cache{"npm", "/home/app/.npm"}

func pickTool(t *tree, pkg packageJSON) tool {
	for _, tl := range nodeTools {
		if t.file(tl.lock) {
			return tl
		}
	}
	return tool{name: "npm", install: "npm install --include=dev --no-audit --no-fund", prune: "npm prune --omit=dev", run: "npm run", cache: npmCache}
}

// nodePlan puts a recipe for Node together.
type nodePlan struct {
	tree *tree
	pkg  packageJSON
	tool tool
	set  settings
}

func (p nodePlan) found(version string) string {
	parts := []string{"node " + version}
	if len(p.pkg.all()) > 0 {
		parts = append(parts, p.tool.name)
		if p.tool.lock != "" {
			parts = append(parts, p.tool.lock)
		}
	}
	return strings.Join(parts, ", ")
}

func (p nodePlan) warnings() []Hint {
	var out []Hint
	if p.tool.lock == "" && len(p.pkg.all()) > 0 {
		out = append(out, Hint{
			Message: "there is no lock file, so the next build may install other versions",
			Try:     "run  npm install --package-lock-only  and push package-lock.json too",
		})
	}
	if p.tree.dir("node_modules") {
		out = append(out, Hint{Message: "node_modules of the source is not used: dependencies are installed by the build", Try: "add node_modules to .gitignore or .cfignore"})
	}
	if w := p.pkg.pinned; w != "" {
		out = append(out, Hint{Message: w})
	}
	return out
}

// needsSource reports whether installing runs code of the tree itself, so that
// every change of the source must install again.
func (p nodePlan) needsSource() bool {
	for _, script := range []string{"preinstall", "install", "postinstall", "prepare"} {
		if p.pkg.Scripts[script] != "" {
			return true
		}
	}
	if len(p.pkg.Workspaces) > 0 || p.tree.file("pnpm-workspace.yaml") {
		return true
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(p.pkg.all())), func(v string) bool {
		return strings.HasPrefix(v, "file:") || strings.HasPrefix(v, "link:") || strings.HasPrefix(v, "workspace:")
	})
}

// steps are install, build and prune, of which only those that the tree needs
// are there. Pruning follows installing, not building, so that a change of the
// source leaves the dependency layer as it is.
func (p nodePlan) steps() ([]Step, []Layer) {
	var steps []Step
	deps, build := len(p.pkg.all()) > 0, p.pkg.Scripts["build"] != ""
	files := append(p.tree.present("package.json", p.tool.lock, ".npmrc"), p.tree.present(p.tool.files...)...)
	if p.needsSource() {
		files = []string{"."}
	}
	last := ""
	if deps {
		install := Step{
			ID: "install", Title: "install dependencies", Copy: files, Exclude: []string{"node_modules", ".git"},
			Command: p.tool.install, Caches: []Cache{p.tool.cache}, Env: nodeBuildEnv(),
		}
		if len(p.pkg.DevDependencies) == 0 && !build && p.tool.name == "npm" {
			install.Command = strings.Replace(install.Command, "--include=dev", "--omit=dev", 1)
		}
		steps, last = append(steps, install), "install"
	}
	if build {
		steps = append(steps, Step{
			ID: "build", Title: "run the build script", After: last, Copy: []string{"."}, Exclude: []string{"node_modules", ".git"},
			Command: p.tool.run + " build", Env: nodeBuildEnv(), Caches: []Cache{p.tool.cache},
		})
	}
	return p.layers(steps, deps, build)
}

func (p nodePlan) layers(steps []Step, deps, build bool) ([]Step, []Layer) {
	app := wholeTree("node_modules")
	if build {
		app.Step, app.From = "build", "/app"
	} else if deps && p.needsSource() {
		app.Step, app.From = "install", "/app"
	}
	if !deps {
		return steps, []Layer{app}
	}
	modules := Layer{Name: "dependencies", Step: "install", From: "/app/node_modules", To: "/app/node_modules"}
	if build || len(p.pkg.DevDependencies) > 0 || p.tool.name != "npm" {
		modules.Step = "prune"
		steps = append(steps, Step{
			ID: "prune", Title: "leave out development dependencies", After: "install",
			Command: p.tool.prune, Env: nodeBuildEnv(), Caches: []Cache{p.tool.cache},
		})
	}
	return steps, []Layer{modules, app}
}

// nodeBuildEnv keeps the tools quiet and their caches in the mounted folder.
func nodeBuildEnv() map[string]string {
	return map[string]string{
		"CI": "true", "npm_config_cache": "/home/app/.npm", "npm_config_update_notifier": "false",
		"npm_config_fund": "false", "npm_config_audit": "false", "npm_config_loglevel": "warn",
		// pnpm links into its store, which is a mount that the image does not have.
		"npm_config_store_dir": "/home/app/.pnpm-store", "npm_config_package_import_method": "copy",
	}
}

// site turns the recipe into a static site of a folder that the build filled.
func (p nodePlan) site(r Recipe, dir string) (Recipe, error) {
	if p.pkg.Scripts["build"] == "" {
		return Recipe{}, fault.New(fault.Invalid, "package.json", "there is no build script to fill %s", dir).
			WithTry("add scripts.build, or push the folder itself")
	}
	r.Found += ", static site in " + dir
	r.Foundations.Run = "base"
	r.Steps = slices.DeleteFunc(r.Steps, func(s Step) bool { return s.ID == "prune" })
	r.Layers = siteLayers("build", "/app/"+dir)
	r.Processes = []app.Process{siteProcess(p.set.get("spa") == "yes")}
	return r, nil
}
