package build

import (
	"slices"
	"strings"

	"naru/internal/app"
)

// Recipe says how a source tree becomes an image: data, so that it can be
// shown, compared and hashed. A recipe holds either Steps and Layers or a
// Dockerfile.
type Recipe struct {
	Builder     string            `json:"builder"`              // "node": which builder wrote it
	Found       string            `json:"found"`                // "node 22, npm, package-lock.json": for people
	Foundations Names             `json:"foundations"`          // empty for a Dockerfile
	Steps       []Step            `json:"steps,omitempty"`      // in an order that satisfies After
	Layers      []Layer           `json:"layers,omitempty"`     // of the image, over the run foundation, lowest first
	Env         map[string]string `json:"env,omitempty"`        // of the image
	Processes   []app.Process     `json:"processes"`            // web first; empty only for a Dockerfile
	Dockerfile  *Dockerfile       `json:"dockerfile,omitempty"` //
	Buildpacks  []Buildpack       `json:"buildpacks,omitempty"` // classic ones, which do the work of the only step
	Ask         bool              `json:"ask,omitempty"`        // of Buildpacks only the first works whose bin/detect knows the source
	Warnings    []Hint            `json:"warnings,omitempty"`   // for people; not part of the recipe key
}

// Names are the foundations of a recipe: a name with a version ("node:22"), or
// an image reference.
type Names struct {
	Build string `json:"build,omitempty"` // where the steps run; "" when there are none
	Run   string `json:"run,omitempty"`   // below the image
}

// Step is one command of a build, run in /app as user 1000.
type Step struct {
	ID      string            `json:"id"`                // named by After and Layer.Step
	Title   string            `json:"title"`             // "install dependencies"
	After   string            `json:"after,omitempty"`   // whose files it starts with; "": the build foundation's
	Copy    []string          `json:"copy,omitempty"`    // paths of the source laid into /app first; "." is all
	Exclude []string          `json:"exclude,omitempty"` // patterns left out of Copy, as in .dockerignore
	Command string            `json:"command,omitempty"` // for /bin/sh -c; "": it only copies
	Then    string            `json:"then,omitempty"`    // shell after Command: moves results where layers take them; not shown
	Env     map[string]string `json:"env,omitempty"`     //
	Caches  []Cache           `json:"caches,omitempty"`  //
}

// Cache is a folder that outlives a build, kept per space.
type Cache struct {
	Name string `json:"name"` // "npm"
	Path string `json:"path"` // "/home/app/.npm"
}

// Layer is one layer of the image.
type Layer struct {
	Name    string   `json:"name"`              // "dependencies", "application"
	Step    string   `json:"step,omitempty"`    // whose files are taken; "": the source itself
	Static  bool     `json:"static,omitempty"`  // naru's file server, in place of From
	From    string   `json:"from,omitempty"`    // "/app/node_modules"; in the source: "."
	To      string   `json:"to,omitempty"`      // where it goes, below /app or /home/app
	Exclude []string `json:"exclude,omitempty"` // patterns below From, as in .dockerignore
}

// Dockerfile is a recipe that the tree brought along.
type Dockerfile struct {
	Path   string            `json:"path"`                // in the tree
	Target string            `json:"target,omitempty"`    // stage; "": the last
	Args   map[string]string `json:"args,omitempty"`      //
	Stands []string          `json:"stands_on,omitempty"` // foundations that FROM names: "node:22" for "FROM naru/node:22"
	Expose []int             `json:"expose,omitempty"`    // ports of the last stage as written; the built image decides
}

// Hint is something a person should know, and what to do about it.
type Hint struct {
	Message string `json:"message"`
	Try     string `json:"try,omitempty"`
}

// String joins both halves.
func (h Hint) String() string {
	if h.Try == "" {
		return h.Message
	}
	return h.Message + "; " + h.Try
}

// Step returns the step with an id.
func (r Recipe) Step(id string) (Step, bool) {
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.ID == id })
	if i < 0 {
		return Step{}, false
	}
	return r.Steps[i], true
}

// Process returns the process of a type.
func (r Recipe) Process(kind string) (app.Process, bool) {
	i := slices.IndexFunc(r.Processes, func(p app.Process) bool { return p.Type == kind })
	if i < 0 {
		return app.Process{}, false
	}
	return r.Processes[i], true
}

// Plan is the recipe as people read it, one line each, without trailing
// newline.
func (r Recipe) Plan() string {
	var b strings.Builder
	line := func(label, text string) { b.WriteString(pad(label) + text + "\n") }
	line("builder", r.Builder)
	line("found", r.Found)
	if d := r.Dockerfile; d != nil {
		line("dockerfile", d.Path)
	}
	if r.Foundations.Build != "" {
		line("build on", r.Foundations.Build)
	}
	for _, s := range r.Steps {
		line("step", s.plan())
	}
	if r.Foundations.Run != "" {
		line("run on", r.Foundations.Run)
	}
	for _, l := range r.Layers {
		line("layer", l.plan())
	}
	for _, p := range r.Processes {
		line("process", planProcess(p))
	}
	for _, h := range r.Warnings {
		line("note", h.String())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func pad(label string) string { return label + strings.Repeat(" ", max(1, 12-len(label))) }

func (s Step) plan() string {
	text := s.Title
	if s.Command != "" {
		text += ": " + s.Command
	}
	if len(s.Copy) > 0 && !slices.Contains(s.Copy, ".") {
		text += " (with " + strings.Join(s.Copy, ", ") + ")"
	}
	return text
}

func (l Layer) plan() string {
	switch {
	case l.Static:
		return l.Name + ": naru's file server"
	case l.Step == "":
		return l.Name + ": the source -> " + l.To
	}
	return l.Name + ": " + l.To
}

func planProcess(p app.Process) string {
	text := p.Type + ": " + commandLine(p.Command)
	if len(p.Command) == 0 {
		text = p.Type + ": the image's own command"
	}
	return text
}

// commandLine shows an argv: a shell's line as it was written, anything else
// joined.
func commandLine(argv []string) string {
	if len(argv) == 3 && argv[0] == "/bin/sh" && argv[1] == "-c" {
		return strings.TrimPrefix(argv[2], "exec ")
	}
	return strings.Join(argv, " ")
}
