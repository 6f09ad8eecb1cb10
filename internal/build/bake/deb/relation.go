package deb

import (
	"fmt"
	"strings"
)

// Op is how a relation compares versions.
type Op string

// The operators of a relation; Any accepts every version.
const (
	Any          Op = ""
	Earlier      Op = "<<"
	EarlierEqual Op = "<="
	Equal        Op = "="
	LaterEqual   Op = ">="
	Later        Op = ">>"
)

// Relation names a package, perhaps of an architecture ("any", "amd64"),
// perhaps in some versions only.
type Relation struct {
	Name    string
	Arch    string // after the colon; empty where none is written
	Op      Op
	Version string
}

// Or is a list of alternatives in the order of preference.
type Or []Relation

// Accepts says whether a version satisfies the relation. An empty version (an
// unversioned Provides) satisfies only a relation that asks for none.
func (r Relation) Accepts(version string) bool {
	if r.Op == Any {
		return true
	}
	if version == "" {
		return false
	}
	c := Compare(version, r.Version)
	switch r.Op {
	case Earlier:
		return c < 0
	case EarlierEqual:
		return c <= 0
	case Equal:
		return c == 0
	case LaterEqual:
		return c >= 0
	default:
		return c > 0
	}
}

// String writes the relation as a control file does.
func (r Relation) String() string {
	s := r.Name
	if r.Arch != "" {
		s += ":" + r.Arch
	}
	if r.Op != Any {
		s += " (" + string(r.Op) + " " + r.Version + ")"
	}
	return s
}

// String writes the alternatives as a control file does.
func (o Or) String() string {
	parts := make([]string, len(o))
	for i, r := range o {
		parts[i] = r.String()
	}
	return strings.Join(parts, " | ")
}

// ParseRelations reads a field such as Depends: groups separated by commas,
// alternatives by bars. Architecture and profile restrictions belong to source
// packages and are refused.
func ParseRelations(field string) ([]Or, error) {
	var all []Or
	for group := range strings.SplitSeq(field, ",") {
		if strings.TrimSpace(group) == "" {
			continue // a trailing comma is common and harmless
		}
		var or Or
		for alt := range strings.SplitSeq(group, "|") {
			r, err := parseRelation(strings.TrimSpace(alt))
			if err != nil {
				return nil, err
			}
			or = append(or, r)
		}
		all = append(all, or)
	}
	return all, nil
}

func parseRelation(s string) (Relation, error) {
	name, constraint, versioned := strings.Cut(s, "(")
	r := Relation{Name: strings.TrimSpace(name)}
	r.Name, r.Arch, _ = strings.Cut(r.Name, ":")
	if r.Name == "" || strings.ContainsAny(r.Name, " \t\n[]<>()") || strings.ContainsAny(r.Arch, " \t[]<>()") {
		return Relation{}, fmt.Errorf("relation %q: not a package name", s)
	}
	if !versioned {
		return r, nil
	}
	constraint, after, ok := strings.Cut(constraint, ")")
	if !ok || strings.TrimSpace(after) != "" {
		return Relation{}, fmt.Errorf("relation %q: the version is not closed by one bracket", s)
	}
	constraint = strings.TrimSpace(constraint)
	n := 0
	for n < len(constraint) && strings.IndexByte("<>=", constraint[n]) >= 0 {
		n++
	}
	switch op := constraint[:n]; op {
	case "<<", "<=", "=", ">=", ">>":
		r.Op = Op(op)
	case "<":
		r.Op = EarlierEqual // as dpkg reads the old single signs
	case ">":
		r.Op = LaterEqual
	default:
		return Relation{}, fmt.Errorf("relation %q: unknown operator %q", s, op)
	}
	r.Version = strings.TrimSpace(constraint[n:])
	if r.Version == "" {
		return Relation{}, fmt.Errorf("relation %q: no version after the operator", s)
	}
	return r, nil
}
