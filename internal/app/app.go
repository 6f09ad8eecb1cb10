// Package app holds what a person talks about: organisations, spaces,
// applications, their processes and their draft configuration. It starts
// nothing and imports nothing of ours but leaves.
package app

import (
	"maps"
	"slices"
	"time"
)

// Ids are UUIDs (version 7). People type names; ids are what stays when a name
// changes.
type (
	OrgID   string
	SpaceID string
	ID      string
)

// The organisation and space that exist from the first start, so that a push
// needs no target.
const (
	DefaultOrg   = "default"
	DefaultSpace = "dev"
)

// Org owns spaces.
type Org struct {
	ID      OrgID
	Name    string
	Created time.Time
}

// Space owns applications, routes and credentials; it is the border of network
// isolation, of build caches and of who sees what.
type Space struct {
	ID        SpaceID
	Org       OrgID
	Name      string
	AllowRoot bool // images without a numeric user may run as their root, with few capabilities
	NoSSH     bool // nobody gets into instances of the space
	Created   time.Time
}

// State is what people want of an app as a whole.
type State string

// An app that is Stopped keeps its releases, routes and settings and has no
// instance.
const (
	Started State = "started"
	Stopped State = "stopped"
)

// App is one application. Draft is its editable configuration; what runs was
// frozen from it into a release.
type App struct {
	ID       ID
	Space    SpaceID
	Name     string // as people wrote it
	Slug     string // [a-z0-9-], at most 40: host, image repository, group names
	State    State
	Draft    Config
	Image    string         // id of the image that the next release is cut from, "" before the first push
	Strategy Strategy       // how what runs is replaced, where a push does not say
	Build    Build          // how its source becomes an image, where clients keep that with the app
	Scale    map[string]int // wanted instances by process type; not part of a release
	NoSSH    bool           // nobody gets into its instances
	Created  time.Time
	Updated  time.Time
}

// Wanted returns the instances wanted of a process type: as scaled, else 1 for
// web and 0 for others, else 0 while the app is stopped.
func (a App) Wanted(process string) int {
	if a.State == Stopped {
		return 0
	}
	return a.Count(process)
}

// Count is Wanted regardless of the app's state.
func (a App) Count(process string) int {
	if n, ok := a.Scale[process]; ok {
		return n
	}
	if process == Web {
		return 1
	}
	return 0
}

// Config is an app's draft configuration. A release freezes it; nothing that
// runs changes when it is edited.
type Config struct {
	Env       map[string]string    `json:"env,omitempty"`       // plain values
	Secrets   []string             `json:"secrets,omitempty"`   // names of sealed values, sorted
	Processes map[string]Overrides `json:"processes,omitempty"` // by process type, over what the build found
}

// WithEnv returns a copy with the values set; a name that was a secret becomes
// plain.
func (c Config) WithEnv(set map[string]string) Config {
	out := c.clone()
	for name, value := range set {
		out.Env[name] = value
		out.Secrets = slices.DeleteFunc(out.Secrets, func(s string) bool { return s == name })
	}
	return out
}

// WithSecrets returns a copy in which the names are secrets.
func (c Config) WithSecrets(names ...string) Config {
	out := c.clone()
	for _, name := range names {
		delete(out.Env, name)
		if !slices.Contains(out.Secrets, name) {
			out.Secrets = append(out.Secrets, name)
		}
	}
	slices.Sort(out.Secrets)
	return out
}

// WithoutEnv returns a copy without the names, secret or not.
func (c Config) WithoutEnv(names ...string) Config {
	out := c.clone()
	for _, name := range names {
		delete(out.Env, name)
		out.Secrets = slices.DeleteFunc(out.Secrets, func(s string) bool { return s == name })
	}
	return out
}

// WithProcess returns a copy with the overrides of one process type replaced.
func (c Config) WithProcess(process string, o Overrides) Config {
	out := c.clone()
	out.Processes[process] = o
	return out
}

func (c Config) clone() Config {
	out := Config{Env: maps.Clone(c.Env), Secrets: slices.Clone(c.Secrets), Processes: maps.Clone(c.Processes)}
	if out.Env == nil {
		out.Env = map[string]string{}
	}
	if out.Processes == nil {
		out.Processes = map[string]Overrides{}
	}
	return out
}
