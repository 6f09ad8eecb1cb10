package build

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

// Options steer Detect.
type Options struct {
	Builder    string            // -b: "node", or "go,main=./cmd/api": a name from Builders and its settings
	Foundation string            // --foundation: an image reference or a foundation's name, in place of the builder's own below the image
	Dockerfile string            // path in the tree; "": Dockerfile
	Target     string            // stage of the Dockerfile
	BuildArgs  map[string]string // of the Dockerfile
	Processes  []app.Process     // from the manifest or the command line; their non-zero fields win over the tree's
}

// Info describes a builder to people, for `naru builders`.
type Info struct {
	Name     string    `json:"name"`
	Looks    string    `json:"looks_for"`          // "package.json"
	Makes    string    `json:"makes"`              // one sentence
	Versions []string  `json:"versions,omitempty"` // of its language
	Settings []Setting `json:"settings,omitempty"` // of -b NAME,KEY=VALUE
}

// Setting is a key of -b NAME,KEY=VALUE.
type Setting struct {
	Key   string `json:"key"`
	About string `json:"about"`
}

// detector is one builder's eye and hand.
type detector interface {
	info() Info
	// sees reports whether the tree is one of its kind, without reading more than
	// it must.
	sees(t *tree) bool
	// recipe writes the recipe. It is called when sees is true or when the
	// builder was chosen by name.
	recipe(t *tree, set settings) (Recipe, error)
}

// detectors in the order in which they are asked.
func detectors() []detector {
	return []detector{
		dockerfile{}, node{}, golang{}, python{}, javaMaven{}, gradle{}, javaArchive{}, javaSource{}, procfileBinary{}, staticSite{},
	}
}

// Builders lists the builders in the order in which they are asked.
func Builders() []Info {
	var out []Info
	for _, d := range detectors() {
		out = append(out, d.info())
	}
	return out
}

// Detect looks at a tree and writes the recipe for it. It reads files and does
// nothing else. A Dockerfile wins, then the builder that was asked for, then
// the first that recognises the tree. A tree that nobody recognises is a fault
// that names everything that was looked for.
func Detect(fsys fs.FS, opts Options) (Recipe, error) {
	t, err := look(fsys)
	if err != nil {
		return Recipe{}, err
	}
	d, set, err := choose(t, opts)
	if err != nil {
		return Recipe{}, err
	}
	r, err := d.recipe(t, set)
	if err != nil {
		return Recipe{}, err
	}
	return finish(t, r, opts)
}

// choose picks the detector and its settings.
func choose(t *tree, opts Options) (detector, settings, error) {
	set := settings{dockerfile: opts.Dockerfile, target: opts.Target, args: opts.BuildArgs, commands: len(opts.Processes) > 0}
	if opts.Builder != "" {
		return chosen(opts.Builder, set)
	}
	if opts.Dockerfile != "" {
		return dockerfile{}, set, nil
	}
	for _, d := range detectors() {
		if d.sees(t) {
			return d, set, nil
		}
	}
	return nil, settings{}, nothing(t)
}

func chosen(s string, set settings) (detector, settings, error) {
	name, rest, _ := strings.Cut(s, ",")
	all := detectors()
	i := slices.IndexFunc(all, func(d detector) bool { return d.info().Name == strings.TrimSpace(name) })
	if i < 0 {
		return nil, settings{}, fault.New(fault.Invalid, "builder", "there is no builder %q, only %s", name, names(all)).
			WithTry("naru builders")
	}
	set.named = true
	values, err := parseSettings(rest, all[i].info())
	if err != nil {
		return nil, settings{}, err
	}
	set.values = values
	return all[i], set, nil
}

// settings are what a detector was told.
type settings struct {
	named      bool // chosen with -b: there must be a recipe or a reason
	commands   bool // whoever asks says how to start it
	values     map[string]string
	dockerfile string
	target     string
	args       map[string]string
}

func (s settings) get(key string) string { return s.values[key] }

func parseSettings(s string, info Info) (map[string]string, error) {
	values := map[string]string{}
	if s == "" {
		return values, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		key, value, ok := strings.Cut(part, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" || value == "" {
			return nil, fault.New(fault.Invalid, "builder", "%q is not KEY=VALUE", part).
				WithTry("-b %s,KEY=VALUE; naru builders lists the keys", info.Name)
		}
		if !slices.ContainsFunc(info.Settings, func(k Setting) bool { return k.Key == key }) {
			return nil, fault.New(fault.Invalid, "builder", "builder %s has no setting %q, only %s", info.Name, key, keys(info)).
				WithTry("naru builders")
		}
		values[key] = value
	}
	return values, nil
}

func keys(info Info) string {
	var out []string
	for _, s := range info.Settings {
		out = append(out, s.Key)
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

func names(all []detector) string {
	var out []string
	for _, d := range all {
		if n := d.info().Name; !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return strings.Join(out, ", ")
}

// Unrecognised reports that an error of Detect says that no builder recognises the
// tree.
func Unrecognised(err error) bool {
	var u unrecognised
	return errors.As(err, &u)
}

// unrecognised is the fault for a tree that nobody recognises, told from others.
type unrecognised struct{ fault *fault.Error }

func (u unrecognised) Error() string { return u.fault.Error() }

func (u unrecognised) Unwrap() error { return u.fault }

// nothing is the fault for a tree that nobody recognises.
func nothing(t *tree) error {
	var looked []string
	for _, d := range detectors() {
		looked = append(looked, d.info().Looks+" ("+d.info().Name+")")
	}
	what := "nothing here says how to build it"
	if len(t.names) == 0 {
		what = "the directory is empty"
	}
	return unrecognised{fault.New(fault.Invalid, "source", "%s; looked for %s", what, strings.Join(looked, ", ")).
		WithTry("push the directory that holds one of them (%s), add a Dockerfile, or choose with -b", t.summary())}
}

// finish lays the Procfile's and the caller's processes over the recipe's and
// checks the whole.
func finish(t *tree, r Recipe, opts Options) (Recipe, error) {
	if r.Dockerfile == nil {
		procs, err := t.procfile()
		if err != nil {
			return Recipe{}, err
		}
		r.Processes = overlay(r.Processes, procs)
	}
	r.Processes = overlay(r.Processes, opts.Processes)
	if len(r.Steps) == 0 {
		r.Foundations.Build = ""
	}
	if opts.Foundation != "" {
		if r.Dockerfile != nil {
			return Recipe{}, fault.New(fault.Invalid, "foundation", "a Dockerfile names its own foundation with FROM").
				WithTry("remove --foundation, or the Dockerfile")
		}
		r.Foundations.Run = opts.Foundation
	}
	if r.Dockerfile == nil && len(r.Processes) == 0 {
		return Recipe{}, noCommand(r)
	}
	for _, p := range r.Processes {
		if err := app.CheckProcessType("processes", p.Type); err != nil {
			return Recipe{}, err
		}
	}
	return r, nil
}

func noCommand(r Recipe) error {
	return fault.New(fault.Invalid, "command", "%s was found, but nothing says how to start it", r.Found).
		WithTry("write a file named Procfile with the line  web: COMMAND")
}
