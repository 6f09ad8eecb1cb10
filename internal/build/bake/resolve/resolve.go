// Package resolve chooses which packages, in which versions, make a wish come
// true in an empty root: the ones apt-get install --no-install-recommends would
// choose. It is arithmetic on indexes; it fetches nothing.
//
// The behaviour follows apt 2.6's own order of decisions, because "some set
// that satisfies every dependency" is not enough: people compare an image with
// what apt gives them. What apt's second stage (the problem resolver, entered
// only when the first leaves something broken) would do is approximated, see
// repair.
package resolve

import (
	"slices"
	"strings"

	"naru/internal/build/bake/deb"
	"naru/internal/fault"
)

// Choice is one package of a solution.
type Choice struct {
	*Package
	Requested bool // named in the wish, not only needed by something
}

// Install returns the packages that fulfil the requests, sorted by name. A
// request is NAME, NAME=VERSION or NAME/SUITE.
func Install(u *Universe, requests []string) ([]Choice, error) {
	banned := map[string]bool{}
	for range maxRepairs {
		s := newState(u, banned)
		if err := s.request(requests); err != nil {
			return nil, err
		}
		for _, n := range s.requested {
			s.markInstall(n, true, 0, true)
		}
		broken := s.mend(s.broken())
		if len(broken) == 0 {
			return s.solution(), nil
		}
		loser := s.repair(broken)
		if loser == "" || banned[loser] {
			return nil, unmet(broken)
		}
		banned[loser] = true
	}
	return nil, fault.New(fault.Invalid, "packages", "no consistent set found after %d attempts", maxRepairs)
}

// maxRepairs bounds how many packages are given up in turn before the wish is
// called impossible.
const maxRepairs = 32

// request marks what was asked for, before any dependency is looked at: as in
// apt, everything named wins over everything needed.
func (s *state) request(requests []string) error {
	for _, r := range requests {
		n, err := s.find(r)
		if err != nil {
			return err
		}
		n.protect = true
		if !slices.Contains(s.requested, n) {
			s.requested = append(s.requested, n)
		}
	}
	for _, n := range s.requested {
		s.markInstall(n, false, 0, true)
	}
	return nil
}

// find turns a request into a node with its candidate set.
func (s *state) find(request string) (*node, error) {
	name, version, byVersion := strings.Cut(request, "=")
	name, suite, bySuite := strings.Cut(name, "/")
	n := s.node(name)
	switch {
	case byVersion:
		return n, n.pick(request, func(p *Package) bool { return p.Version == version })
	case bySuite:
		return n, n.pick(request, func(p *Package) bool { return s.u.indexes[p.Index].suite == suite })
	case n.candidate != nil:
		return n, nil
	}
	var real []*node
	for _, p := range s.providers(deb.Relation{Name: name}, candidateOf) {
		if o := s.node(p.Name); !slices.Contains(real, o) {
			real = append(real, o)
		}
	}
	switch len(real) {
	case 0:
		return nil, fault.New(fault.Invalid, "packages", "package %q is in none of the configured suites (%s)", name, s.u.suiteNames()).
			WithTry("look the name up on packages.debian.org, or add its suite under from.suites")
	case 1:
		return real[0], nil
	}
	names := make([]string, len(real))
	for i, o := range real {
		names[i] = o.name
	}
	slices.Sort(names)
	return nil, fault.New(fault.Invalid, "packages", "package %q is virtual; it is provided by %s", name, strings.Join(names, ", ")).
		WithTry("name one of them instead")
}

func (n *node) pick(request string, want func(*Package) bool) error {
	for _, p := range n.versions {
		if want(p) {
			n.candidate = p
			return nil
		}
	}
	have := make([]string, len(n.versions))
	for i, p := range n.versions {
		have[i] = p.Version
	}
	return fault.New(fault.Invalid, "packages", "%q is not available; there is %s", request, strings.Join(have, ", "))
}

// solution lists what is marked and really needed: an alternative that was
// begun and given up leaves packages behind that nobody wants.
func (s *state) solution() []Choice {
	needed := s.needed()
	var out []Choice
	for _, n := range s.nodes {
		if n.install != nil && needed[n] {
			out = append(out, Choice{Package: n.install, Requested: slices.Contains(s.requested, n)})
		}
	}
	slices.SortFunc(out, func(a, b Choice) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// needed walks from what was asked for along every kind of dependency, weak
// ones included, through whatever is installed: apt's autoremover.
func (s *state) needed() map[*node]bool {
	seen := map[*node]bool{}
	var walk func(n *node)
	walk = func(n *node) {
		if n.install == nil || seen[n] {
			return
		}
		seen[n] = true
		for _, or := range slices.Concat(n.install.Depends, n.install.Weak()) {
			for _, r := range or {
				for _, p := range s.providers(r, installedOf) {
					walk(s.node(p.Name))
				}
			}
		}
	}
	for _, n := range s.requested {
		walk(n)
	}
	for _, n := range s.nodes {
		if n.install != nil && (n.install.Essential || n.install.Important) {
			walk(n)
		}
	}
	return seen
}
