package resolve

import (
	"slices"

	"naru/internal/build/bake/deb"
)

// state is one attempt: what is chosen so far, what may still be chosen.
type state struct {
	u         *Universe
	nodes     []*node // in the order they were first looked at
	byName    map[string]*node
	requested []*node
	banned    map[string]bool
}

// node is a package name in an attempt.
type node struct {
	name      string
	entry     *entry // nil for a name that no package has
	versions  []*Package
	candidate *Package // the version that would be installed; nil when it is ruled out
	install   *Package // the version that is to be installed; nil for none
	protect   bool     // only the user may change it: asked for, forced, or being worked on
}

func newState(u *Universe, banned map[string]bool) *state {
	return &state{u: u, byName: map[string]*node{}, banned: banned}
}

func (s *state) node(name string) *node {
	if n := s.byName[name]; n != nil {
		return n
	}
	n := &node{name: name, entry: s.u.byName[name]}
	if n.entry != nil {
		n.versions = s.u.load(n.entry)
		if len(n.versions) > 0 && !s.banned[name] {
			n.candidate = n.versions[0]
		}
	}
	s.byName[name] = n
	s.nodes = append(s.nodes, n)
	return n
}

func candidateOf(n *node) *Package { return n.candidate }
func installedOf(n *node) *Package { return n.install }

// providers lists the versions, as seen by get, that satisfy a relation.
func (s *state) providers(r deb.Relation, get func(*node) *Package) []*Package {
	var out []*Package
	if p := get(s.node(r.Name)); p != nil && p.isNamed(r, s.u.arch) {
		out = append(out, p)
	}
	for _, e := range s.u.provides[r.Name] {
		p := get(s.node(e.name))
		if p != nil && p.provides(r, s.u.arch) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// met says whether one of the alternatives is there.
func (s *state) met(or deb.Or, get func(*node) *Package) bool {
	return slices.ContainsFunc(or, func(r deb.Relation) bool { return len(s.providers(r, get)) > 0 })
}

// clashes lists the packages, as seen by get, that p may not be with. A package
// never clashes with itself, by name or by what it provides.
func (s *state) clashes(p *Package, r deb.Relation, get func(*node) *Package) []*Package {
	return slices.DeleteFunc(s.providers(r, get), func(o *Package) bool { return o.Name == p.Name })
}

// instBroken says whether an installed package lacks something or clashes.
func (s *state) instBroken(n *node) bool {
	if n.install == nil {
		return false
	}
	for _, or := range n.install.Depends {
		if !s.met(or, installedOf) {
			return true
		}
	}
	for _, r := range n.install.Conflicts {
		if len(s.clashes(n.install, r, installedOf)) > 0 {
			return true
		}
	}
	return false
}
