package resolve

import (
	"strings"

	"naru/internal/build/bake/deb"
)

// preferred orders two packages that would both do for a dependency on name:
// protected ones, the one really called so, essential, important, by priority,
// and at last the one that the indexes mention later. The last rule looks odd
// and decides often: it is how apt breaks ties.
func (s *state) preferred(name string, a, b *Package) int {
	na, nb := s.node(a.Name), s.node(b.Name)
	for _, rule := range [][2]bool{
		{na.protect, nb.protect},
		{a.Name == name, b.Name == name},
		{essential(a), essential(b)},
		{a.Important || a.Name == "apt", b.Important || b.Name == "apt"},
	} {
		if rule[0] != rule[1] {
			if rule[0] {
				return -1
			}
			return 1
		}
	}
	if a.Priority != b.Priority {
		return a.Priority - b.Priority
	}
	if a.Name == b.Name {
		return 0
	}
	if s.u.mention(na.entry).before(s.u.mention(nb.entry)) {
		return 1
	}
	return -1
}

// essential counts apt itself in, as apt does.
func essential(p *Package) bool { return p.Essential || p.Name == "apt" }

// mention is where a package's name is first seen in the indexes, be it as a
// package, in a relation or as something provided.
type mention struct {
	index, stanza, field, offset int
}

func (m *mention) before(o *mention) bool {
	for _, c := range [][2]int{{m.index, o.index}, {m.stanza, o.stanza}, {m.field, o.field}} {
		if c[0] != c[1] {
			return c[0] < c[1]
		}
	}
	return m.offset < o.offset
}

// fieldOrder is the order in which apt reads the fields of a stanza.
var fieldOrder = map[string]int{
	"Package": 0, "Pre-Depends": 1, "Depends": 2, "Conflicts": 3, "Breaks": 4, "Recommends": 5,
	"Suggests": 6, "Replaces": 7, "Enhances": 8, "Provides": 9,
}

// mention searches the text of the indexes; only ties get here, so it is not
// worth remembering every name while reading them.
func (u *Universe) mention(e *entry) *mention {
	if e.first != nil {
		return e.first
	}
	for i, index := range u.indexes {
		if at := firstStanza(index.text, e.name); at >= 0 {
			e.first = inStanza(index.text, at, e.name)
			e.first.index = i
			return e.first
		}
	}
	e.first = &mention{index: len(u.indexes)}
	return e.first
}

// firstStanza is where the first paragraph begins that names the package in one
// of the fields of fieldOrder, or -1.
func firstStanza(text, name string) int {
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return -1
		}
		at := from + i
		from = at + len(name)
		start := strings.LastIndex(text[:at], "\n\n") + 2
		if start == 1 {
			start = 0
		}
		if m := inStanza(text, start, name); m != nil {
			return start
		}
	}
}

// inStanza finds the name in the paragraph that begins at start.
func inStanza(text string, start int, name string) *mention {
	end := strings.Index(text[start:], "\n\n")
	if end < 0 {
		end = len(text) - start
	}
	var first *mention
	for field, value := range deb.Stanza(text[start : start+end]).Fields() {
		rank, ok := fieldOrder[field]
		if !ok {
			continue
		}
		if at := word(value, name); at >= 0 {
			m := &mention{stanza: start, field: rank, offset: at}
			if first == nil || m.before(first) {
				first = m
			}
		}
	}
	return first
}

// word is where name stands alone in a relation field, or -1. "name:any" is
// another package to apt, so a colon after it does not count.
func word(value, name string) int {
	for from := 0; ; {
		i := strings.Index(value[from:], name)
		if i < 0 {
			return -1
		}
		at := from + i
		end := at + len(name)
		if (at == 0 || strings.IndexByte(" ,|\n", value[at-1]) >= 0) &&
			(end == len(value) || strings.IndexByte(" ,|(\n", value[end]) >= 0) {
			return at
		}
		from = end
	}
}
