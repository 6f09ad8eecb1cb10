package bake

import (
	"embed"
	"io/fs"
	"slices"
	"strings"

	"naru/internal/fault"
)

//go:embed foundations/*.yaml
var builtin embed.FS

// BaseName is the foundation whose packages every other one stands on: equal
// lower layers are stored and pulled once.
const BaseName = "base"

// Builtin returns the foundations that come with naru, by name.
func Builtin() ([]Spec, error) {
	names, err := fs.Glob(builtin, "foundations/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []Spec
	for _, name := range names {
		raw, err := builtin.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s, err := ParseSpec(name, raw)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Spec) int { return strings.Compare(a.Foundation, b.Foundation) })
	return all, nil
}

// defaults are what a name without a version means.
var defaults = map[string]string{"node": "node:22", "node-build": "node-build:22"}

// BuiltinSpec returns one foundation by name, with or without version.
func BuiltinSpec(name string) (Spec, error) {
	all, err := Builtin()
	if err != nil {
		return Spec{}, err
	}
	want := name
	if d, ok := defaults[name]; ok {
		want = d
	}
	var names []string
	for _, s := range all {
		if s.Foundation == want {
			return s, nil
		}
		names = append(names, s.Foundation)
	}
	return Spec{}, fault.New(fault.NotFound, "foundation", "there is no foundation %q", name).
		WithTry("there are %s; or bake your own: naru bake FILE", strings.Join(names, ", "))
}
