package label

import (
	"regexp"
	"slices"
	"strings"

	"naru/internal/fault"
)

// maxRequirements bounds a selector.
const maxRequirements = 50

// Selector says which labels are meant. The zero value means all.
type Selector struct {
	all []func(map[string]string) bool
}

// requirement is one part of a selector.
var requirement = regexp.MustCompile(`^(!)?\s*([A-Za-z0-9_./-]+)\s*(?:(==|!=|=)\s*([A-Za-z0-9_.-]*)|\s(in|notin)\s*\(([^()]*)\))?$`)

// ParseSelector reads requirements, all of which have to be met, with commas
// between them: KEY, !KEY, KEY=VALUE, KEY==VALUE, KEY!=VALUE, KEY in (A,B) and
// KEY notin (A,B). What has no such key meets != and notin.
func ParseSelector(text string) (Selector, error) {
	var s Selector
	for _, part := range outside(text) {
		part = strings.TrimSpace(part)
		fits, ok := required(part)
		switch {
		case !ok:
			return Selector{}, fault.New(fault.Invalid, "selector", "%q selects no labels", part).
				WithTry("KEY, !KEY, KEY=VALUE, KEY!=VALUE, 'KEY in (A,B)' or 'KEY notin (A,B)', with commas between several")
		case len(s.all) == maxRequirements:
			return Selector{}, fault.New(fault.Invalid, "selector", "a selector has at most %d requirements", maxRequirements)
		}
		s.all = append(s.all, fits)
	}
	return s, nil
}

// Selects reports whether labels meet every requirement.
func (s Selector) Selects(labels map[string]string) bool {
	return !slices.ContainsFunc(s.all, func(fits func(map[string]string) bool) bool { return !fits(labels) })
}

func required(text string) (func(map[string]string) bool, bool) {
	m := requirement.FindStringSubmatch(text)
	if m == nil || m[1] != "" && m[3]+m[5] != "" {
		return nil, false
	}
	key, want, not := m[2], []string{m[4]}, m[3] == "!=" || m[5] == "notin"
	if m[5] != "" {
		want = nil
		for v := range strings.SplitSeq(m[6], ",") {
			want = append(want, strings.TrimSpace(v))
		}
	}
	return func(labels map[string]string) bool {
		have, there := labels[key]
		switch {
		case m[1] != "":
			return !there
		case m[3]+m[5] == "":
			return there
		case not:
			return !there || !slices.Contains(want, have)
		}
		return there && slices.Contains(want, have)
	}, true
}

// outside splits at the commas that are in no parentheses.
func outside(text string) []string {
	var out []string
	depth, from := 0, 0
	for i, r := range text {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			out, from = append(out, text[from:i]), i+1
		}
	}
	return append(out, text[from:])
}
