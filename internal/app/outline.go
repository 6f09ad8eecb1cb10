package app

import (
	"slices"
	"time"
)

// Outline is of an app what it takes to find its processes.
type Outline struct {
	ID       ID
	Space    SpaceID
	Created  time.Time
	Updated  time.Time
	Released []string // process types of its current release
	Drafted  []string // those that its draft says something of, sorted
}

// Types are the process types that an app has: those of its release, web where
// there is none yet, and those that its draft says something of. What runs once
// before a release is no process.
func (o Outline) Types() []string {
	types := slices.Clone(o.Released)
	if len(types) == 0 {
		types = []string{Web}
	}
	for _, kind := range o.Drafted {
		if !slices.Contains(types, kind) {
			types = append(types, kind)
		}
	}
	return slices.DeleteFunc(types, func(kind string) bool { return kind == ReleaseType })
}
