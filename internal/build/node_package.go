package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"naru/internal/fault"
)

// nodeVersions are the majors that foundations exist for, the usual one first.
var nodeVersions = []string{"22", "24", "20"}

// packageJSON is what a build reads of a package.json.
type packageJSON struct {
	Main            string            `json:"main"`
	Scripts         map[string]string `json:"scripts"`
	Engines         engines           `json:"engines"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
	Optional        map[string]string `json:"optionalDependencies"`
	Workspaces      json.RawMessage   `json:"workspaces"`

	pinned string // a note on a version that was asked for more exactly than it is had
}

// engines tolerates the list that very old packages have there.
type engines struct{ Node string }

func (e *engines) UnmarshalJSON(data []byte) error {
	var m map[string]any
	if json.Unmarshal(data, &m) == nil {
		e.Node, _ = m["node"].(string)
	}
	return nil
}

// all are the dependencies of every kind.
func (p packageJSON) all() map[string]string {
	out := maps.Clone(p.Dependencies)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, p.DevDependencies)
	maps.Copy(out, p.Optional)
	return out
}

func readPackage(t *tree) (packageJSON, error) {
	var p packageJSON
	data, err := t.read("package.json")
	if err != nil {
		return p, err
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if err := json.Unmarshal(data, &p); err != nil {
		return p, jsonFault("package.json", data, err)
	}
	return p, nil
}

// jsonFault names the line and, where it is known, the key of a JSON error.
func jsonFault(name string, data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fault.New(fault.Invalid, fmt.Sprintf("%s:%d", name, lineAt(data, syntax.Offset)), "%s", syntax)
	case errors.As(err, &kind):
		return fault.New(fault.Invalid, fmt.Sprintf("%s:%d", name, lineAt(data, kind.Offset)), "%s is a %s, want a %s", kind.Field, kind.Value, kind.Type)
	}
	return fault.Wrap(fault.Invalid, name, err)
}

func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(int(offset), len(data))], []byte("\n"))
}

// version picks the major version of Node: as set, else as package.json, .nvmrc
// or .node-version ask, else the usual one.
func (p *packageJSON) version(t *tree, set string) (string, error) {
	where, want := "builder", set
	if want == "" {
		where, want = "package.json: engines.node", p.Engines.Node
	}
	for _, name := range []string{".nvmrc", ".node-version"} {
		if want == "" && t.file(name) {
			where, want = name, t.line(name)
		}
	}
	want = strings.TrimSpace(want)
	if want == "" || want == "*" || want == "latest" || want == "node" || strings.HasPrefix(want, "lts/") {
		return nodeVersions[0], nil
	}
	for _, major := range nodeVersions {
		if ok, exact, err := nodeSatisfies(major, want); err != nil {
			return "", fault.New(fault.Invalid, where, "%q is not a version of Node", want).WithTry("write  >=22  or  22.x")
		} else if ok {
			if exact {
				p.pinned = fmt.Sprintf("%s asks for %s; the newest Node %s is used", where, want, major)
			}
			return major, nil
		}
	}
	return "", fault.New(fault.Invalid, where, "Node %s cannot be had, only %s", want, strings.Join(nodeVersions, ", ")).
		WithTry("ask for one of them, or use a Dockerfile or --foundation IMAGE with your own")
}

var exactVersion = regexp.MustCompile(`^[v=]*(\d+)\.\d+(\.\d+)?$`)

// nodeSatisfies reports whether the newest release of a major is what want
// means; exact says that it may be newer than what was named.
func nodeSatisfies(major, want string) (ok, exact bool, err error) {
	if m := exactVersion.FindStringSubmatch(want); m != nil {
		return m[1] == major, true, nil
	}
	// npm joins conditions with spaces, the library wants commas.
	constraint, err := semver.NewConstraint(npmRange(want))
	if err != nil {
		return false, false, err
	}
	n, err := strconv.ParseUint(major, 10, 64)
	if err != nil {
		return false, false, err
	}
	return constraint.Check(semver.New(n, 999, 999, "", "")), false, nil
}

var operatorSpace = regexp.MustCompile(`([<>=^~]+)\s+`)

func npmRange(s string) string {
	alternatives := strings.Split(s, "||")
	for i, a := range alternatives {
		a = operatorSpace.ReplaceAllString(strings.TrimSpace(a), "$1")
		if !strings.Contains(a, " - ") {
			a = strings.Join(strings.Fields(a), ", ")
		}
		alternatives[i] = a
	}
	return strings.Join(alternatives, " || ")
}
