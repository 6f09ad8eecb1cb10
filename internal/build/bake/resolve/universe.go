package resolve

import (
	"fmt"
	"strings"

	"naru/internal/build/bake/deb"
)

// Universe is every package of the configured suites for one architecture. The
// text of the indexes is kept and parsed on demand: of some 70,000 packages a
// wish touches a few hundred.
type Universe struct {
	arch     string
	indexes  []index
	byName   map[string]*entry
	provides map[string][]*entry // name -> packages with that name in a Provides field
}

type index struct {
	suite string
	pin   int
	text  string
}

// entry is one package name: where its stanzas are, and once somebody asked,
// what they say.
type entry struct {
	name     string
	stanzas  []place
	versions []*Package // best first
	parsed   bool
	first    *mention
}

type place struct {
	index      int
	start, end int
}

// The priorities apt gives a suite that nobody pinned.
const (
	PinDefault     = 500
	PinUpgradeOnly = 100 // NotAutomatic with ButAutomaticUpgrades: backports
	PinManual      = 1   // NotAutomatic: experimental
)

// NewUniverse is empty; arch is Debian's name of the architecture ("amd64").
func NewUniverse(arch string) *Universe {
	return &Universe{arch: arch, byName: map[string]*entry{}, provides: map[string][]*entry{}}
}

// Add reads a Packages index. The order of calls is the order of the sources:
// where two packages are equally good in every other way, apt prefers by it.
func (u *Universe) Add(suite string, pin int, text string) error {
	i := len(u.indexes)
	u.indexes = append(u.indexes, index{suite, pin, text})
	for at, s := range deb.Stanzas(text) {
		name, provides, arch := skim(string(s))
		if name == "" {
			return fmt.Errorf("packages index of %s: paragraph at byte %d names no package", suite, at)
		}
		if arch != u.arch && arch != "all" {
			continue
		}
		e := u.byName[name]
		if e == nil {
			e = &entry{name: name}
			u.byName[name] = e
		}
		e.stanzas = append(e.stanzas, place{i, at, at + len(s)})
		if provides == "" {
			continue
		}
		ors, err := deb.ParseRelations(provides)
		if err != nil {
			return fmt.Errorf("packages index of %s: package %s provides: %w", suite, name, err)
		}
		for _, or := range ors {
			u.provides[or[0].Name] = append(u.provides[or[0].Name], e)
		}
	}
	return nil
}

// Len is the number of package names.
func (u *Universe) Len() int { return len(u.byName) }

// skim finds the three fields needed to file a stanza, without splitting the
// rest: this runs over all of the index.
func skim(s string) (name, provides, arch string) {
	for len(s) > 0 {
		line := s
		if nl := strings.IndexByte(s, '\n'); nl >= 0 {
			line, s = s[:nl], s[nl+1:]
		} else {
			s = ""
		}
		if len(line) < 9 {
			continue
		}
		switch line[0] {
		case 'P':
			if v, ok := strings.CutPrefix(line, "Package: "); ok {
				name = v
			} else if v, ok := strings.CutPrefix(line, "Provides: "); ok {
				provides = v
			}
		case 'A':
			if v, ok := strings.CutPrefix(line, "Architecture: "); ok {
				arch = v
			}
		}
	}
	return name, provides, arch
}

// load parses the stanzas of a package once and puts the best version first.
func (u *Universe) load(e *entry) []*Package {
	if e.parsed {
		return e.versions
	}
	e.parsed = true
	for _, at := range e.stanzas {
		p, err := parsePackage(deb.Stanza(u.indexes[at.index].text[at.start:at.end]), at.index)
		if err != nil {
			continue // apt also passes over what it cannot read; a wish for it then says "not found"
		}
		e.insert(p, u)
	}
	return e.versions
}

// insert keeps versions sorted by pin, then version, then order of sources.
func (e *entry) insert(p *Package, u *Universe) {
	at := 0
	for at < len(e.versions) && !u.better(p, e.versions[at]) {
		at++
	}
	e.versions = append(e.versions, nil)
	copy(e.versions[at+1:], e.versions[at:])
	e.versions[at] = p
}

func (u *Universe) better(a, b *Package) bool {
	if pa, pb := u.indexes[a.Index].pin, u.indexes[b.Index].pin; pa != pb {
		return pa > pb
	}
	return deb.Compare(a.Version, b.Version) > 0
}

func (u *Universe) suiteNames() string {
	var names []string
	for _, i := range u.indexes {
		names = append(names, i.suite)
	}
	return strings.Join(names, ", ")
}
