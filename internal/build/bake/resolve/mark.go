package resolve

import (
	"slices"

	"naru/internal/build/bake/deb"
)

// maxDepth is where apt stops following chains of dependencies.
const maxDepth = 3000

// markInstall chooses n and, with follow, what it needs. byUser is a request:
// it is carried out even when it breaks something, to be reported later. The
// result says whether n can be had.
func (s *state) markInstall(n *node, follow bool, depth int, byUser bool) bool {
	if !s.mayInstall(n, depth, byUser) {
		return false
	}
	if !n.protect && n.install != nil && !s.instBroken(n) {
		return true
	}
	if follow && !s.satisfiable(n) {
		return false
	}
	if byUser {
		n.choose()
	}
	failEarly := !n.protect && !byUser
	failed := false
	var wants []deb.Or
	if follow {
		var against []deb.Relation
		wants, against = s.open(n)
		if !s.makeWay(n, against, byUser) {
			if failEarly {
				return false
			}
			failed = true
		}
	}
	if !byUser {
		n.choose()
	}
	if !follow {
		return !failed
	}
	// While its dependencies are sought, nothing may take n away again.
	propagate := n.protect
	n.protect = true
	ok := s.installDepends(n, wants, depth, propagate, byUser)
	n.protect = propagate
	if !ok && failEarly {
		n.install, n.candidate = nil, nil
		return false
	}
	return ok && !failed
}

func (s *state) mayInstall(n *node, depth int, byUser bool) bool {
	if depth > maxDepth || len(n.versions) == 0 || n.candidate == nil {
		return false
	}
	return byUser || n.install != nil || !n.protect
}

func (n *node) choose() {
	if n.protect && n.install == n.candidate {
		return
	}
	n.install = n.candidate
}

// satisfiable says whether every dependency could be met by some candidate; if
// not, the candidate is ruled out at once, for everybody.
func (s *state) satisfiable(n *node) bool {
	for _, or := range n.candidate.Depends {
		if s.met(or, installedOf) || s.met(or, candidateOf) {
			continue
		}
		if !n.protect {
			n.candidate, n.install = nil, nil
		}
		return false
	}
	return true
}

// open lists the dependencies of n's candidate that ask for work: for a
// protected package all of them, since protection is handed down.
func (s *state) open(n *node) (wants []deb.Or, against []deb.Relation) {
	for _, or := range n.candidate.Depends {
		if n.protect || !s.met(or, installedOf) {
			wants = append(wants, or)
		}
	}
	for _, r := range n.candidate.Conflicts {
		if n.protect || len(s.clashes(n.candidate, r, installedOf)) > 0 {
			against = append(against, r)
		}
	}
	return wants, against
}

// makeWay takes back what clashes with n. For a protected package the clashing
// candidates are ruled out for good.
func (s *state) makeWay(n *node, against []deb.Relation, byUser bool) bool {
	failed := false
	for _, r := range against {
		for _, p := range s.solutions(n.candidate, deb.Or{r}, true) {
			o := s.node(p.Name)
			switch {
			case o.install != nil && o.protect:
				failed = true
				if !n.protect && !byUser {
					return false
				}
			case o.install != nil:
				o.install = nil
				if n.protect {
					o.candidate, o.protect = nil, true
				}
			case n.protect:
				o.candidate, o.protect = nil, true
			}
		}
	}
	return !failed
}

func (s *state) installDepends(n *node, wants []deb.Or, depth int, propagate, byUser bool) bool {
	failed := false
	for _, or := range wants {
		if s.met(or, installedOf) {
			if propagate && !s.handDown(n, or, depth) {
				failed = true
			}
			continue
		}
		if s.installOne(n, or, depth, propagate) {
			continue
		}
		failed = true
		if !propagate && !byUser {
			return false
		}
	}
	return !failed
}

// handDown protects the only solution of a dependency that is met already.
func (s *state) handDown(n *node, or deb.Or, depth int) bool {
	all := s.solutions(n.candidate, or, false)
	if len(all) != 1 {
		return true
	}
	o := s.node(all[0].Name)
	if o.protect {
		return true
	}
	o.protect = true
	return s.markInstall(o, true, depth+1, false)
}

// installOne tries the solutions of a dependency in order of preference.
func (s *state) installOne(n *node, or deb.Or, depth int, propagate bool) bool {
	all := s.solutions(n.candidate, or, false)
	for _, p := range all {
		o := s.node(p.Name)
		if o.candidate != p {
			continue
		}
		if propagate && len(all) == 1 {
			if !s.markInstall(o, false, depth+1, false) {
				continue
			}
			o.protect = true
		}
		if s.markInstall(o, true, depth+1, false) {
			return true
		}
	}
	return false
}

// solutions lists the candidates that satisfy one of the alternatives, earlier
// alternatives first, and within one the order of preferred.
func (s *state) solutions(for_ *Package, or deb.Or, negative bool) []*Package {
	var out []*Package
	for _, r := range or {
		list := s.providers(r, candidateOf)
		if negative {
			list = s.clashes(for_, r, candidateOf)
		}
		slices.SortStableFunc(list, func(a, b *Package) int { return s.preferred(r.Name, a, b) })
		for _, p := range list {
			o := s.node(p.Name)
			forbidden := !negative && o.protect && o.install == nil
			if !forbidden && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
