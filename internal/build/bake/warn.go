package bake

import (
	"context"
	"fmt"
	"slices"

	"naru/internal/build/bake/deb"
)

// warn tells of something that was substituted or left out.
func (r *run) warn(ctx context.Context, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	r.log.WarnContext(ctx, "bake goes on without what it should have", "foundation", r.spec.Foundation, "what", what)
	r.event(Event{Kind: Warned, Name: what})
}

// lack warns of something missing in the image itself, which is as true of a
// remembered one. It is called by one goroutine at a time, the one that writes
// the layers.
func (m *making) lack(ctx context.Context, format string, args ...any) {
	m.lacks = append(m.lacks, fmt.Sprintf(format, args...))
	m.warn(ctx, format, args...)
}

// stripped warns of programs that will not have the privileges they are made
// for, where they were asked for: those of base are known.
func (m *making) stripped(ctx context.Context, source, path string) {
	i := slices.IndexFunc(m.lock.Packages, func(p LockedPackage) bool { return p.Name == source })
	if i >= 0 && m.lock.Packages[i].Requested && !m.lock.Packages[i].Base {
		m.lack(ctx, "%s: /%s has no setuid or setgid bit in the image: instances cannot gain privileges", source, path)
	}
}

// userless warns of packages whose scripts would make a user: no script is run.
func (m *making) userless(ctx context.Context) {
	for _, p := range m.lock.Packages {
		if !p.Base && needs(m.controls[p.Name], "adduser") {
			m.lack(ctx, "%s: its scripts, which are not run, make a system user or group: a daemon that wants it has to be started as another", p.Name)
		}
	}
}

func needs(control deb.Stanza, name string) bool {
	for _, field := range []string{"Pre-Depends", "Depends"} {
		ors, err := deb.ParseRelations(control.Get(field))
		if err != nil {
			continue // the resolver has read the same field from the index
		}
		for _, or := range ors {
			if or[0].Name == name {
				return true
			}
		}
	}
	return false
}
