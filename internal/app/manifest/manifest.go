// Package manifest reads manifest.yml in Cloud Foundry's form, the one file in
// which a source tree says how its apps are pushed. Keys of naru's own are below
// "naru:" of each application.
package manifest

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/fault"
)

// Name is what the file is called.
const Name = "manifest.yml"

// MaxBytes is the largest file that is read.
const MaxBytes = 1 << 20

// File is a manifest as read.
type File struct {
	Applications []Application
	Warnings     []Warning
}

// Warning is something that was passed over.
type Warning struct {
	Line    int
	Message string // names the key and what was done
}

// String gives line and message, the file's name being the caller's.
func (w Warning) String() string { return fmt.Sprintf("line %d: %s", w.Line, w.Message) }

// Application is one entry of applications. Zero fields were not said.
type Application struct {
	Name        string
	Line        int               // where the entry begins
	Path        string            // of the source, relative to the manifest; "": its folder
	Env         map[string]string //
	Processes   []Process         // web first when the entry says anything about it, then as written
	Routes      []Route           //
	NoRoute     bool              //
	RandomRoute bool              //
	Image       string            // docker.image: nothing is built
	ImageUser   string            // docker.username
	Build       Build             //
	Strategy    *app.Strategy     // naru.strategy: how what runs is replaced
	Objectives  []app.Objective   `json:",omitempty"` // naru.objectives: what it promises; nil where nothing is said
	Probes      []app.Probe       `json:",omitempty"` // naru.probes: how it is asked; likewise
	Metadata    *label.Change     `json:",omitempty"` // labels and annotations; nil where nothing is said
}

// Build is what an entry says about building: naru's own keys, and buildpacks.
type Build struct {
	Builder    string            // naru.builder, or the buildpack's name in naru's words
	Buildpacks []string          `json:",omitempty"` // names, or URLs of repositories of classic buildpacks, in their order
	Stack      string            `json:",omitempty"` // of Cloud Foundry, for which buildpacks are made
	Foundation string            // naru.foundation
	Dockerfile string            // naru.dockerfile
	Target     string            // naru.target
	Args       map[string]string // naru.args, of the Dockerfile
	Env        map[string]string // naru.build_env, seen by the commands of the build
}

// Process is what an entry says about one process type.
type Process struct {
	Type      string
	Instances *int // nil: not said
	Overrides app.Overrides
}

// Find returns the application of a name.
func (f File) Find(name string) (Application, error) {
	var names []string
	for _, a := range f.Applications {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return Application{}, fault.New(fault.NotFound, Name, "it has no application %q, only %s", name, strings.Join(names, ", "))
}

// Parse reads a manifest. name is the file's, for messages: every complaint
// names file, line and key; all of them are returned at once.
func Parse(name string, data []byte) (File, error) {
	if len(data) > MaxBytes {
		return File{}, fault.New(fault.TooLarge, name, "it has %d KiB, at most %d are read", len(data)>>10, MaxBytes>>10)
	}
	r := &reader{file: name}
	if text, line := variable(data); text != "" {
		return File{}, fault.New(fault.Unsupported, fmt.Sprintf("%s:%d", name, line), "variables such as ((%s)) are not filled in", text).
			WithTry("write the value, or set it with naru set-env")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return File{}, syntax(name, err)
	}
	if len(doc.Content) == 0 {
		return File{}, fault.New(fault.Invalid, name, "the file is empty").WithTry("begin with\napplications:\n- name: NAME")
	}
	return r.read(doc.Content[0])
}

// Read is Parse of a document that somebody else has taken apart, and in which
// nothing is left to be filled in. root is its outermost map.
func Read(name string, root *yaml.Node) (File, error) { return (&reader{file: name}).read(root) }

func (r *reader) read(root *yaml.Node) (File, error) {
	f := r.document(root)
	if len(r.faults) > 0 {
		return File{}, errors.Join(r.faults...)
	}
	f.Warnings = r.warnings
	return f, nil
}

// variable finds the first ((variable)) outside comments.
func variable(data []byte) (string, int) {
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if _, rest, ok := strings.Cut(line, "(("); ok {
			if text, _, ok := strings.Cut(rest, "))"); ok && text != "" && !strings.ContainsAny(text, " ()$") {
				return text, n
			}
		}
	}
	return "", 0
}

// syntax turns "yaml: line 3: ..." into a fault at that line.
func syntax(name string, err error) error {
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", ""), "yaml: ")
	var line int
	if n, err := fmt.Sscanf(text, "line %d:", &line); n == 1 && err == nil {
		_, text, _ = strings.Cut(text, ": ")
		return fault.New(fault.Invalid, fmt.Sprintf("%s:%d", name, line), "%s", text)
	}
	return fault.New(fault.Invalid, name, "%s", text)
}

// document reads the root.
func (r *reader) document(root *yaml.Node) File {
	var f File
	r.mapping(root, "", map[string]func(key string, v *yaml.Node){
		"version": func(string, *yaml.Node) {},
		"applications": func(key string, v *yaml.Node) {
			for i, entry := range r.list(key, v) {
				f.Applications = append(f.Applications, r.application(fmt.Sprintf("%s[%d]", key, i), entry))
			}
		},
	})
	if len(f.Applications) == 0 && len(r.faults) == 0 {
		r.bad(root, "applications", "there is no application").retry("applications:\n- name: NAME")
	}
	seen := map[string]bool{}
	for _, a := range f.Applications {
		if a.Name != "" && seen[a.Name] {
			r.faultAt(a.Line, "name", "two applications are named %q", a.Name)
		}
		seen[a.Name] = true
	}
	return f
}
