// Package label is what people write on things: labels, which are searched for,
// and annotations, which are not.
package label

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
)

// Bounds of what is written on one thing.
const (
	MaxLabels      = 50
	MaxAnnotations = 200
	maxPrefix      = 253  // bytes of a key before its slash
	maxName        = 63   // bytes of a key behind it, and of a label's value
	maxAnnotation  = 5000 // characters of an annotation's value
)

// Set is what is written on a thing. The zero value is nothing.
type Set struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Empty reports that nothing is written.
func (s Set) Empty() bool { return len(s.Labels)+len(s.Annotations) == 0 }

// Change is what is to be written; nil takes a key away.
type Change struct {
	Labels      map[string]*string `json:"labels,omitempty"`
	Annotations map[string]*string `json:"annotations,omitempty"`
}

// Empty reports that nothing is to be changed.
func (c Change) Empty() bool { return len(c.Labels)+len(c.Annotations) == 0 }

// Kinds of things that people label by naru's own client. The cf door has more of
// them; they are named after their place in its API.
const (
	Apps     = "apps"
	Spaces   = "spaces"
	Orgs     = "organizations"
	Routes   = "routes"
	Domains  = "domains"
	Services = "service_instances"
)

// Thing is something that can be written on: what it is, by the name of all such
// ("apps"), its id, and what it goes with. At most one owner is named.
type Thing struct {
	Kind, ID string
	App      app.ID
	Space    app.SpaceID
	Org      app.OrgID
}

// events are what is recorded of things that others look at.
var events = map[string]event.Kind{
	Apps: "app.labelled", Spaces: "space.labelled", Orgs: "org.labelled", Routes: "route.labelled", Domains: "domain.labelled", Services: "service.labelled",
}

// Events is the record that somebody changes what is written on a thing, which
// people call subject; none where only its owner looks at it.
func (c Change) Events(on Thing, by, subject string) []event.Event {
	kind, ok := events[on.Kind]
	if !ok || c.Empty() {
		return nil
	}
	labels := map[string]any{}
	for key, value := range c.Labels {
		labels[key] = value
	}
	detail := map[string]any{}
	if len(labels) > 0 {
		detail["labels"] = labels
	}
	if len(c.Annotations) > 0 { // which may be long
		detail["annotations"] = slices.Sorted(maps.Keys(c.Annotations))
	}
	return []event.Event{{Kind: kind, Actor: by, Subject: subject, Detail: detail}}
}

// Apply returns the set with a change, unless there would be too much.
func (s Set) Apply(c Change) (Set, error) {
	out := Set{applied(s.Labels, c.Labels), applied(s.Annotations, c.Annotations)}
	switch {
	case len(out.Labels) > MaxLabels:
		return s, fault.New(fault.Invalid, "", "Failed to add %d labels because it would exceed maximum of %d", len(c.Labels), MaxLabels)
	case len(out.Annotations) > MaxAnnotations:
		return s, fault.New(fault.Invalid, "", "Failed to add %d annotations because it would exceed maximum of %d", len(c.Annotations), MaxAnnotations)
	}
	return out, nil
}

func applied(have map[string]string, change map[string]*string) map[string]string {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range change {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = *v
		}
	}
	return out
}

var (
	word   = regexp.MustCompile(`^[A-Za-z0-9_.-]*$`)
	ends   = regexp.MustCompile(`^[A-Za-z0-9](?:.*[A-Za-z0-9])?$`)
	prefix = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$`)
)

// Check refuses keys and values that cannot be written.
func (c Change) Check() error {
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		if why := keyIs(key); why != "" {
			return refused("label key", why)
		}
		if v := c.Labels[key]; v != nil {
			if why := valueIs(*v); why != "" {
				return refused("label value", why)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Annotations)) {
		if why := keyIs(key); why != "" {
			return refused("annotation key", why)
		}
		if v := c.Annotations[key]; v != nil && len([]rune(*v)) > maxAnnotation {
			return refused("annotation value", fmt.Sprintf("'%.8s...' is greater than %d characters", *v, maxAnnotation))
		}
	}
	return nil
}

func refused(what, why string) error {
	return fault.New(fault.Invalid, "", "Metadata %s error: %s", what, why)
}

// keyIs says what is wrong with a key; "": nothing.
func keyIs(key string) string {
	before, name, two := strings.Cut(key, "/")
	if !two {
		before, name = "", key
	}
	switch {
	case key == "":
		return "key cannot be empty string"
	case strings.Contains(name, "/"):
		return "key has more than one '/'"
	case two && (len(before) > maxPrefix || !prefix.MatchString(before)):
		return fmt.Sprintf("prefix '%.64s' must be in valid dns format", before)
	case strings.EqualFold(before, "cloudfoundry.org"):
		return "prefix 'cloudfoundry.org' is reserved"
	case name == "":
		return "key cannot be empty string"
	}
	return wordIs(name)
}

func valueIs(value string) string {
	if value == "" {
		return ""
	}
	return wordIs(value)
}

func wordIs(s string) string {
	switch {
	case len(s) > maxName:
		return fmt.Sprintf("'%.8s...' is greater than %d characters", s, maxName)
	case !word.MatchString(s):
		return fmt.Sprintf("'%s' contains invalid characters", s)
	case !ends.MatchString(s):
		return fmt.Sprintf("'%s' starts or ends with invalid characters", s)
	}
	return ""
}
