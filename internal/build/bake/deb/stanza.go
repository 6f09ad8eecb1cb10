package deb

import (
	"fmt"
	"iter"
	"strings"
)

// Stanza is one paragraph of a control file, unparsed.
type Stanza string

// Get returns a field by its exact name, continuation lines included, with the
// surrounding white space removed; "" where it is absent.
func (s Stanza) Get(field string) string {
	for name, value := range s.Fields() {
		if name == field {
			return value
		}
	}
	return ""
}

// Fields yields every field in the order of the text. Lines that are neither a
// field nor a continuation are passed over.
func (s Stanza) Fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		rest := string(s)
		for rest != "" {
			end := fieldEnd(rest)
			name, value, ok := strings.Cut(rest[:end], ":")
			if ok && name != "" && !strings.ContainsAny(name, " \t\n") && !yield(name, strings.TrimSpace(value)) {
				return
			}
			rest = rest[end:]
		}
	}
}

// fieldEnd is the length of the first field of s with its continuation lines.
func fieldEnd(s string) int {
	for end := 0; ; {
		nl := strings.IndexByte(s[end:], '\n')
		if nl < 0 {
			return len(s)
		}
		end += nl + 1
		if end == len(s) || s[end] != ' ' && s[end] != '\t' {
			return end
		}
	}
}

// Stanzas yields the paragraphs of a control file and where each begins.
func Stanzas(text string) iter.Seq2[int, Stanza] {
	return func(yield func(int, Stanza) bool) {
		for at := 0; at < len(text); {
			if text[at] == '\n' {
				at++
				continue
			}
			end := strings.Index(text[at:], "\n\n")
			if end < 0 {
				yield(at, Stanza(text[at:]))
				return
			}
			if !yield(at, Stanza(text[at:at+end+1])) {
				return
			}
			at += end + 2
		}
	}
}

// Source is the source package's name and version of a binary package's stanza.
func (s Stanza) Source() (name, version string) {
	name, version = s.Get("Package"), s.Get("Version")
	if src := s.Get("Source"); src != "" {
		var v string
		name, v, _ = strings.Cut(src, " ")
		if v = strings.Trim(v, " ()"); v != "" {
			version = v
		}
	}
	return name, version
}

// ParseControl checks a control file for the fields that every binary package has.
func ParseControl(text string) (Stanza, error) {
	s := Stanza(strings.TrimSpace(text) + "\n")
	for _, field := range []string{"Package", "Version", "Architecture"} {
		if s.Get(field) == "" {
			return "", fmt.Errorf("control file: no %s", field)
		}
	}
	if strings.Contains(string(s), "\n\n") {
		return "", fmt.Errorf("control file of %s: more than one paragraph", s.Get("Package"))
	}
	return s, nil
}
