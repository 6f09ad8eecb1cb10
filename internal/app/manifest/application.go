package manifest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
)

// application reads one entry. What it says of itself it says of its web
// process.
func (r *reader) application(at string, entry *yaml.Node) Application {
	a := Application{Line: entry.Line}
	web := Process{Type: app.Web}
	keys := r.processKeys(&web)
	for key, read := range map[string]func(string, *yaml.Node){
		"name": func(k string, v *yaml.Node) { a.Name = r.text(k, v) },
		"path": func(k string, v *yaml.Node) { a.Path = r.path(k, v) },
		"env":  func(k string, v *yaml.Node) { a.Env = r.environment(k, v) },
		"routes": func(k string, v *yaml.Node) {
			for i, e := range r.list(k, v) {
				a.Routes = append(a.Routes, r.route(fmt.Sprintf("%s[%d]", k, i), e))
			}
		},
		"no-route":     func(k string, v *yaml.Node) { a.NoRoute = r.yes(k, v) },
		"random-route": func(k string, v *yaml.Node) { a.RandomRoute = r.yes(k, v) },
		"processes": func(k string, v *yaml.Node) {
			for _, e := range r.list(k, v) {
				a.Processes = append(a.Processes, r.process(k, e))
			}
		},
		"docker": func(k string, v *yaml.Node) {
			r.mapping(v, k, map[string]func(string, *yaml.Node){
				"image":    func(k string, v *yaml.Node) { a.Image = r.text(k, v) },
				"username": func(k string, v *yaml.Node) { a.ImageUser = r.text(k, v) },
			})
		},
		"buildpacks": func(k string, v *yaml.Node) { r.buildpacks(&a, k, r.list(k, v)) },
		"buildpack":  func(k string, v *yaml.Node) { r.buildpacks(&a, k, []*yaml.Node{v}) },
		"naru":       func(k string, v *yaml.Node) { r.own(&a, &web, k, v) },
		"services":   r.ignored("services are bound with naru, not by the manifest"),
		"stack":      func(k string, v *yaml.Node) { r.stack(&a, k, v) },
		"metadata":   func(k string, v *yaml.Node) { a.Metadata = r.metadata(k, v) },
		"sidecars":   r.ignored("use processes"),
		"features":   r.ignored("features are not per app"),
		"default-route": func(k string, v *yaml.Node) {
			if r.yes(k, v) {
				a.NoRoute = false
			}
		},
	} {
		keys[key] = read
	}
	r.mapping(entry, at, keys)
	if a.Name == "" {
		r.faultAt(entry.Line, at+".name", "the application has no name")
	}
	if a.Image != "" && (a.Build.Builder != "" || a.Path != "") {
		r.faultAt(entry.Line, at+".docker", "an image is not built: remove docker.image, or path and buildpacks")
	}
	r.addWeb(&a, web)
	return a
}

// addWeb lays what the entry said of itself below a web process of its list.
func (r *reader) addWeb(a *Application, web Process) {
	i := slices.IndexFunc(a.Processes, func(p Process) bool { return p.Type == app.Web })
	if i < 0 {
		if web.Instances != nil || web.Overrides != (app.Overrides{}) {
			a.Processes = slices.Insert(a.Processes, 0, web)
		}
		return
	}
	p := a.Processes[i]
	if p.Instances == nil {
		p.Instances = web.Instances
	}
	p.Overrides = web.Overrides.With(p.Overrides)
	a.Processes = slices.Insert(slices.Delete(a.Processes, i, i+1), 0, p)
}

func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

func (r *reader) process(at string, entry *yaml.Node) Process {
	var p Process
	keys := r.processKeys(&p)
	keys["type"] = func(k string, v *yaml.Node) { p.Type = r.processType(k, v) }
	keys["metrics"] = func(k string, v *yaml.Node) { p.Overrides.Metrics = r.metrics(k, v) }
	r.mapping(entry, at, keys)
	if p.Type == "" {
		r.faultAt(entry.Line, at+".type", "the process has no type")
	}
	return p
}

func (r *reader) processType(key string, v *yaml.Node) string {
	text := r.text(key, v)
	if err := app.CheckProcessType(key, text); text != "" && err != nil {
		r.bad(v, key, "%q is not a process type", text).retry("use a-z, 0-9 and -, starting with a letter")
	}
	return text
}

// processKeys are the keys that an application and a process share.
func (r *reader) processKeys(p *Process) map[string]func(string, *yaml.Node) {
	o := &p.Overrides
	return map[string]func(string, *yaml.Node){
		"command": func(k string, v *yaml.Node) {
			if v.Tag == "!!null" { // CF: back to what the build found
				return
			}
			o.Command = r.text(k, v)
		},
		"instances": func(k string, v *yaml.Node) {
			if n, ok := r.number(k, v, 0, 1000); ok {
				p.Instances = &n
			}
		},
		"memory":     func(k string, v *yaml.Node) { o.MemoryMiB = r.size(k, v) },
		"disk_quota": func(k string, v *yaml.Node) { o.DiskMiB = r.size(k, v) },
		"disk-quota": func(k string, v *yaml.Node) { o.DiskMiB = r.size(k, v) },
		"cpu_milli":  func(k string, v *yaml.Node) { o.CPUMilli, _ = r.number(k, v, 1, 1_000_000) },
		"timeout": func(k string, v *yaml.Node) {
			n, _ := r.number(k, v, 1, 24*3600)
			o.StartTimeout = app.Duration(time.Duration(n) * time.Second)
		},
		"health-check-type": func(k string, v *yaml.Node) { o.Check = r.check(k, v) },
		"health-check-http-endpoint": func(k string, v *yaml.Node) {
			if o.Path = r.text(k, v); o.Path != "" && !strings.HasPrefix(o.Path, "/") {
				r.bad(v, k, "%q is no path", o.Path).retry("begin it with /")
			}
		},
		"stop_grace": func(k string, v *yaml.Node) {
			if err := o.StopGrace.UnmarshalText([]byte(r.text(k, v))); err != nil {
				r.bad(v, k, "%s", err)
			}
		},
		"health-check-invocation-timeout":      r.seconds(&o.Timeout),
		"health-check-interval":                r.seconds(&o.Interval),
		"readiness-health-check-type":          r.ignored("the health check decides"),
		"readiness-health-check-http-endpoint": r.ignored("the health check decides"),
		"readiness-health-check-interval":      r.ignored("the health check decides"),
		"log-rate-limit-per-second":            r.ignored("the log rate is the machine's to bound"),
		"lifecycle":                            r.ignored("the builder decides"),
	}
}

// seconds reads a number of them.
func (r *reader) seconds(to *app.Duration) func(string, *yaml.Node) {
	return func(k string, v *yaml.Node) {
		n, _ := r.number(k, v, 1, 3600)
		*to = app.Duration(time.Duration(n) * time.Second)
	}
}

func (r *reader) check(k string, v *yaml.Node) app.CheckType {
	switch s := r.text(k, v); s {
	case "":
		return ""
	case "port", "http", "process":
		return app.CheckType(s)
	case "none":
		return app.CheckProcess
	default:
		r.bad(v, k, "%q is no health check", s).retry("port, http or process")
		return ""
	}
}

// buildpacks keeps the names of buildpacks, for only the server knows which were
// uploaded, and the builder that stands for them where none was.
func (r *reader) buildpacks(a *Application, key string, list []*yaml.Node) {
	for _, v := range list {
		name := r.text(key, v)
		if name == "" {
			continue
		}
		a.Build.Buildpacks = append(a.Build.Buildpacks, name)
		if builder, ok := BuilderOf(name); ok && a.Build.Builder == "" {
			a.Build.Builder = builder
		}
	}
}

// stack keeps for which of Cloud Foundry's stacks buildpacks are to be made.
func (r *reader) stack(a *Application, key string, v *yaml.Node) {
	if name := r.text(key, v); strings.HasPrefix(name, "cflinuxfs") {
		a.Build.Stack = name
		return
	}
	r.ignored("the foundation takes its place: naru.foundation")(key, v)
}

// BuilderOf is the builder that stands for a buildpack, given by its name or by the
// URL of its repository; "" where the source tree decides. ok tells whether it is
// known.
func BuilderOf(buildpack string) (builder string, ok bool) {
	if repository.MatchString(buildpack) && !strings.Contains(buildpack, "github.com/cloudfoundry/") {
		return "", false
	}
	builder, ok = builders[strings.TrimSuffix(strings.TrimSuffix(path.Base(buildpack), ".git"), "-buildpack")]
	return builder, ok
}

// Repository reports whether a buildpack is named by the URL of a repository that
// holds it. Those of Cloud Foundry itself stand for builders.
func Repository(buildpack string) bool {
	_, ok := BuilderOf(buildpack)
	return !ok && repository.MatchString(buildpack)
}

var repository = regexp.MustCompile(`^(https?|git|ssh)://\S+$|^git@\S+$`)

// builders by the name of a buildpack, of Cloud Foundry or our own.
var builders = map[string]string{
	"nodejs_buildpack": "node", "nodejs": "node", "node": "node", "go_buildpack": "go", "go": "go",
	"python_buildpack": "python", "python": "python", "staticfile_buildpack": "static", "staticfile": "static", "static": "static",
	"binary_buildpack": "procfile", "binary": "procfile", "procfile": "procfile", "dockerfile": "dockerfile",
	"java_buildpack": "", "java": "java", "maven": "maven", "jar": "jar",
}

// own reads the keys below "naru:".
func (r *reader) own(a *Application, web *Process, key string, v *yaml.Node) {
	var judge *app.Judging
	r.mapping(v, key, map[string]func(string, *yaml.Node){
		"builder":    func(k string, v *yaml.Node) { a.Build.Builder = r.text(k, v) },
		"foundation": func(k string, v *yaml.Node) { a.Build.Foundation = r.text(k, v) },
		"dockerfile": func(k string, v *yaml.Node) { a.Build.Dockerfile = r.path(k, v) },
		"target":     func(k string, v *yaml.Node) { a.Build.Target = r.text(k, v) },
		"args":       func(k string, v *yaml.Node) { a.Build.Args = r.environment(k, v) },
		"strategy":   func(k string, v *yaml.Node) { a.Strategy = r.strategy(k, v) },
		"judge":      func(k string, v *yaml.Node) { judge = new(r.judge(k, v)) },
		"metrics":    func(k string, v *yaml.Node) { web.Overrides.Metrics = r.metrics(k, v) },
		"objectives": func(k string, v *yaml.Node) { a.Objectives = r.objectives(k, v) },
		"probes":     func(k string, v *yaml.Node) { a.Probes = r.probes(k, v) },
		"release_command": func(k string, v *yaml.Node) {
			if command := r.text(k, v); command != "" {
				a.Processes = append(a.Processes, Process{Type: app.ReleaseType, Overrides: app.Overrides{Command: command}})
			}
		},
		"build_env": func(k string, v *yaml.Node) { a.Build.Env = r.environment(k, v) },
	})
	if judge != nil {
		if a.Strategy == nil {
			a.Strategy = &app.Strategy{}
		}
		a.Strategy.Judge = *judge
	}
}
