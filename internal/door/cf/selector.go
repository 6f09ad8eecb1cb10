package cf

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxRequirements bounds a label selector.
const maxRequirements = 50

// requirement is one part of a label selector.
var requirement = regexp.MustCompile(`^(!)?\s*([A-Za-z0-9_./-]+)\s*(?:(==|!=|=)\s*([A-Za-z0-9_.-]*)|\s(in|notin)\s*\(([^()]*)\))?$`)

// selected reads the label selector of a query: what it says of labels.
func selected(q url.Values) (func(map[string]string) bool, error) {
	if !q.Has("label_selector") {
		return func(map[string]string) bool { return true }, nil
	}
	var all []func(map[string]string) bool
	for _, text := range outside(q.Get("label_selector")) {
		fits, ok := required(strings.TrimSpace(text))
		if !ok || len(all) == maxRequirements {
			return nil, badQuery.saying("The query parameter is invalid: Invalid label_selector value")
		}
		all = append(all, fits)
	}
	return func(labels map[string]string) bool {
		return !slices.ContainsFunc(all, func(fits func(map[string]string) bool) bool { return !fits(labels) })
	}, nil
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
