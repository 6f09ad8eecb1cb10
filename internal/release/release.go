// Package release freezes an image and a configuration as a numbered Release,
// which never changes afterwards. It starts nothing: that is package run.
package release

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/id"
)

// ID identifies a release.
type ID string

// Release is app + image + configuration. Plain environment values are frozen;
// secrets are names only and resolve to their current value when an instance
// starts, so that a rollback never brings an old password back.
type Release struct {
	ID        ID
	App       app.ID
	Number    int // v1, v2, ... per app
	Image     artifact.Ref
	Snapshot  string // digest of the source it was built from, "" for --image
	Env       map[string]string
	Secrets   []string
	Overrides map[string]app.Overrides // of the draft it was cut from, so that a rollback restores the draft too
	Processes []app.Process            // resolved, web first
	Reason    string                   // "push", "set-env GREETING", "rollback to v3"
	By        string                   // who asked
	Created   time.Time
}

// ReliabilityFix is the Reason of a release that was declared to bring an objective
// back.
const ReliabilityFix = "reliability fix"

// Name is how people write it: v42.
func (r Release) Name() string { return fmt.Sprintf("v%d", r.Number) }

// ParseNumber reads a release's number as people write it: "v3" or "3".
func ParseNumber(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "v"))
	if err != nil || n < 1 {
		return 0, fault.New(fault.Invalid, "release", "%q is not a release", s).WithTry("naru releases APP lists them: v1, v2, ...")
	}
	return n, nil
}

// Process returns the process of a type.
func (r Release) Process(process string) (app.Process, bool) {
	i := slices.IndexFunc(r.Processes, func(p app.Process) bool { return p.Type == process })
	if i < 0 {
		return app.Process{}, false
	}
	return r.Processes[i], true
}

// Cut freezes an image and an app's draft. Processes are those the image
// defines, with the draft's overrides; a draft may add a process type by giving
// it a command. number is the next free one of the app.
func Cut(a app.App, img artifact.Image, number int, reason, by string, now time.Time) (Release, error) {
	rel := Release{
		ID: ID(id.New()), App: a.ID, Number: number, Image: img.Ref, Snapshot: img.Snapshot,
		Env: maps.Clone(a.Draft.Env), Secrets: slices.Clone(a.Draft.Secrets), Overrides: maps.Clone(a.Draft.Processes),
		Reason: reason, By: by, Created: now,
	}
	known := map[string]app.Process{}
	for _, p := range img.Processes {
		known[p.Type] = p
	}
	for process, o := range a.Draft.Processes {
		if _, ok := known[process]; ok {
			continue
		}
		if o.Command == "" {
			return Release{}, fault.New(fault.Invalid, "processes."+process,
				"the image has no process %q and the app gives it no command", process).
				WithTry("add it to the Procfile, or set its command in manifest.yml")
		}
		known[process] = app.Process{Type: process}
	}
	if len(known) == 0 {
		known[app.Web] = app.Process{Type: app.Web}
	}
	for process, p := range known {
		rel.Processes = append(rel.Processes, p.Resolve(a.Draft.Processes[process]))
	}
	order := app.Types(rel.Processes)
	slices.SortFunc(rel.Processes, func(x, y app.Process) int {
		return slices.Index(order, x.Type) - slices.Index(order, y.Type)
	})
	return rel, nil
}

// Again makes a new release equal to an old one, for a rollback or a restart.
func Again(old Release, number int, reason, by string, now time.Time) Release {
	rel := old
	rel.ID, rel.Number, rel.Reason, rel.By, rel.Created = ID(id.New()), number, reason, by, now
	rel.Overrides = maps.Clone(old.Overrides)
	rel.Env, rel.Secrets, rel.Processes = maps.Clone(old.Env), slices.Clone(old.Secrets), slices.Clone(old.Processes)
	return rel
}

// Draft is the configuration the release was cut from.
func (r Release) Draft() app.Config {
	return app.Config{Env: maps.Clone(r.Env), Secrets: slices.Clone(r.Secrets), Processes: maps.Clone(r.Overrides)}
}

// Changes says in words what differs from an earlier release, for "what
// shipped": "image", "2 settings", "process worker".
func (r Release) Changes(old Release) []string {
	var out []string
	if r.Image != old.Image {
		out = append(out, "image")
	}
	settings := len(changedSettings(r, old))
	switch {
	case settings == 1:
		out = append(out, "1 setting")
	case settings > 1:
		out = append(out, fmt.Sprintf("%d settings", settings))
	}
	for _, p := range r.Processes {
		was, ok := old.Process(p.Type)
		if !ok || !equal(p, was) {
			out = append(out, "process "+p.Type)
		}
	}
	for _, p := range old.Processes {
		if _, ok := r.Process(p.Type); !ok {
			out = append(out, "process "+p.Type+" gone")
		}
	}
	return out
}

func equal(a, b app.Process) bool {
	commands := slices.Equal(a.Command, b.Command)
	a.Command, b.Command = nil, nil
	return commands && fmt.Sprint(a) == fmt.Sprint(b)
}

// changedSettings names the environment variables that differ, plain or secret.
func changedSettings(r, old Release) map[string]bool {
	changed := map[string]bool{}
	for _, pair := range [][2]Release{{r, old}, {old, r}} {
		a, b := pair[0], pair[1]
		for name, value := range a.Env {
			if other, ok := b.Env[name]; !ok || other != value {
				changed[name] = true
			}
		}
		for _, name := range a.Secrets {
			if !slices.Contains(b.Secrets, name) {
				changed[name] = true
			}
		}
	}
	return changed
}
