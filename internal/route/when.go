package route

import (
	"net/textproto"
	"slices"
	"strings"

	"naru/internal/fault"
)

// Normal returns the condition as it is kept: methods and matches sorted and
// once, names of headers as HTTP writes them, so that equal conditions have equal
// keys. nil stays nil. field is the prefix of what an error names.
func (w *When) Normal(field string) (*When, error) {
	if w == nil {
		return nil, nil
	}
	if p := w.problem(); p != nil {
		return nil, fault.New(fault.Invalid, field+p.key, "%s", p.what).WithTry("see docs/routes.md for conditions")
	}
	out := When{Methods: slices.Compact(slices.Sorted(slices.Values(w.Methods)))}
	for _, m := range w.Match {
		m.Header = textproto.CanonicalMIMEHeaderKey(m.Header)
		out.Match = append(out.Match, m)
	}
	slices.SortFunc(out.Match, func(a, b Match) int { return strings.Compare(a.String(), b.String()) })
	out.Match = slices.Compact(out.Match)
	return &out, nil
}

// ParseWhen reads conditions as Key writes them, in any order:
// "cookie:beta=yes header:X-Team=a method:GET,HEAD". "" is nil.
func ParseWhen(text string) (*When, error) {
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil
	}
	var w When
	for _, part := range parts(text) {
		if methods, ok := strings.CutPrefix(part, "method:"); ok {
			w.Methods = append(w.Methods, strings.Split(strings.ToUpper(methods), ",")...)
			continue
		}
		m, err := ParseMatch(part)
		if err != nil || m == nil {
			return nil, fault.New(fault.Invalid, "route", "%q is no condition", part).
				WithTry("write conditions like method:POST header:X-Beta=1 cookie:beta=yes")
		}
		w.Match = append(w.Match, *m)
	}
	return w.Normal("route")
}

// parts cuts conditions apart where the next one begins: a value may have spaces.
func parts(text string) (out []string) {
	for _, word := range strings.Split(text, " ") {
		begins := slices.ContainsFunc([]string{"method:", "header:", "cookie:"}, func(kind string) bool { return strings.HasPrefix(word, kind) })
		if begins || len(out) == 0 {
			out = append(out, word)
			continue
		}
		out[len(out)-1] += " " + word
	}
	return out
}
