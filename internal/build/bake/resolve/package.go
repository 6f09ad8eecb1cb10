package resolve

import (
	"fmt"

	"naru/internal/build/bake/deb"
)

// Package is one version of a package in one index.
type Package struct {
	Name, Version, Arch string
	MultiArch           string // "", "same", "foreign" or "allowed"
	Essential           bool
	Important           bool // Important or Protected: yes
	Priority            int  // 1 required ... 5 extra, 0 none given
	Depends             []deb.Or
	Conflicts           []deb.Relation // Conflicts, then Breaks
	Provides            []deb.Relation
	Stanza              deb.Stanza
	Index               int // into the order of Universe.Add
}

var priorities = map[string]int{"required": 1, "important": 2, "standard": 3, "optional": 4, "extra": 5}

func parsePackage(s deb.Stanza, index int) (*Package, error) {
	p := &Package{Stanza: s, Index: index}
	fields := map[string]string{}
	for name, value := range s.Fields() {
		fields[name] = value
	}
	p.Name, p.Version, p.Arch = fields["Package"], fields["Version"], fields["Architecture"]
	if err := deb.CheckVersion(p.Version); err != nil {
		return nil, fmt.Errorf("package %s: %w", p.Name, err)
	}
	p.MultiArch = fields["Multi-Arch"]
	p.Essential = fields["Essential"] == "yes"
	p.Important = fields["Important"] == "yes" || fields["Protected"] == "yes"
	p.Priority = priorities[fields["Priority"]]
	for _, field := range []string{"Pre-Depends", "Depends"} {
		ors, err := deb.ParseRelations(fields[field])
		if err != nil {
			return nil, fmt.Errorf("package %s: %s: %w", p.Name, field, err)
		}
		p.Depends = append(p.Depends, ors...)
	}
	for _, field := range []string{"Conflicts", "Breaks", "Provides"} {
		ors, err := deb.ParseRelations(fields[field])
		if err != nil {
			return nil, fmt.Errorf("package %s: %s: %w", p.Name, field, err)
		}
		for _, or := range ors {
			if field == "Provides" {
				p.Provides = append(p.Provides, or...)
			} else {
				p.Conflicts = append(p.Conflicts, or...)
			}
		}
	}
	return p, nil
}

// Weak is what the package recommends and suggests: never followed to install,
// only to keep.
func (p *Package) Weak() []deb.Or {
	var all []deb.Or
	for _, field := range []string{"Recommends", "Suggests"} {
		ors, err := deb.ParseRelations(p.Stanza.Get(field))
		if err == nil {
			all = append(all, ors...)
		}
	}
	return all
}

// isNamed says whether this version is, by its own name, what the relation asks
// for on the given architecture.
func (p *Package) isNamed(r deb.Relation, arch string) bool {
	if p.Name != r.Name || !r.Accepts(p.Version) {
		return false
	}
	switch r.Arch {
	case "", arch, "native":
		return true
	case "any":
		return p.MultiArch == "allowed"
	}
	return false
}

// provides says the same of what the version provides.
func (p *Package) provides(r deb.Relation, arch string) bool {
	for _, v := range p.Provides {
		if v.Name != r.Name || v.Op != deb.Any && v.Op != deb.Equal || !r.Accepts(v.Version) {
			continue
		}
		switch r.Arch {
		case "", arch, "native":
			if v.Arch == "" || v.Arch == arch {
				return true
			}
		case "any":
			if v.Arch == "any" || v.Arch == "" && p.MultiArch == "allowed" {
				return true
			}
		}
	}
	return false
}
