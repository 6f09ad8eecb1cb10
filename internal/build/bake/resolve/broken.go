package resolve

import (
	"fmt"
	"slices"
	"strings"

	"naru/internal/build/bake/deb"
	"naru/internal/fault"
)

// trouble is a package that is to be installed and cannot work.
type trouble struct {
	node    *node
	missing deb.Or   // a dependency that nothing fulfils, or
	clash   *Package // a package it may not be with
	because string   // "conflicts with" or "depends on", for people
}

// broken lists what is wrong with the attempt; nothing is what apt calls an
// unbroken cache.
func (s *state) broken() []trouble {
	var all []trouble
	for _, n := range slices.Concat(s.requested, s.nodes) {
		if n.install == nil {
			if slices.Contains(s.requested, n) {
				all = append(all, trouble{node: n, because: "cannot be installed"})
			}
			continue
		}
		for _, or := range n.install.Depends {
			if !s.met(or, installedOf) {
				all = append(all, trouble{node: n, missing: or, because: "depends on"})
			}
		}
		for _, r := range n.install.Conflicts {
			for _, p := range s.clashes(n.install, r, installedOf) {
				all = append(all, trouble{node: n, clash: p, because: "conflicts with"})
			}
		}
	}
	return all
}

// mend follows the dependencies of broken packages once more: what they had may
// have been taken away by a later request, and another alternative may do.
func (s *state) mend(broken []trouble) []trouble {
	for range maxRepairs {
		if len(broken) == 0 {
			break
		}
		for _, t := range broken {
			if t.missing != nil {
				s.markInstall(t.node, true, 0, s.wasRequested(t.node.name))
			}
		}
		left := s.broken()
		if len(left) >= len(broken) {
			return left
		}
		broken = left
	}
	return broken
}

// repair names a package to do without in the next attempt: one that nobody
// asked for and that is in the way, or whose own needs cannot be met. apt keeps
// scores for this; where our choice would be another, the 30 sets of the
// comparison say so.
func (s *state) repair(broken []trouble) string {
	for _, t := range broken {
		if t.clash != nil && !s.wasRequested(t.clash.Name) {
			return t.clash.Name
		}
		if !s.wasRequested(t.node.name) {
			return t.node.name
		}
	}
	return ""
}

func (s *state) wasRequested(name string) bool {
	return slices.ContainsFunc(s.requested, func(n *node) bool { return n.name == name })
}

// unmet says why the wish cannot come true, at most five reasons.
func unmet(broken []trouble) error {
	var lines []string
	for _, t := range broken {
		line := t.node.name
		if t.node.install != nil {
			line += " " + t.node.install.Version
		}
		line += " " + t.because
		switch {
		case t.clash != nil:
			line += " " + t.clash.Name + " " + t.clash.Version
		case t.missing != nil:
			line += " " + t.missing.String() + ", which no package of the configured suites can fulfil here"
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	more := ""
	if len(lines) > 5 {
		more = fmt.Sprintf("; and %d more", len(lines)-5)
		lines = lines[:5]
	}
	return fault.New(fault.Invalid, "packages", "unmet dependencies: %s%s", strings.Join(lines, "; "), more).
		WithTry("remove one of the packages that exclude each other, or add the suite that has the missing one under from.suites")
}
