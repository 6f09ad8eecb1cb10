package search

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// field compares a field of a line with a value.
type field struct {
	name   string // as people write it: source, user.id
	path   string // the same for gjson; "" for a field of the line's own
	op     string // = != < <= > >=
	value  string
	prefix bool    // = and !=: the value is the beginning
	number float64 // of the four others
	routed bool    // it is one of OfRouter
}

func (f field) match(l *Line) bool {
	got, ok := f.of(l)
	switch f.op {
	case "=":
		return ok && f.equals(got)
	case "!=":
		return !ok || !f.equals(got)
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(got), 64)
	if !ok || err != nil {
		return false
	}
	switch f.op {
	case "<":
		return n < f.number
	case "<=":
		return n <= f.number
	case ">":
		return n > f.number
	}
	return n >= f.number
}

func (f field) equals(got string) bool {
	if f.prefix {
		return len(got) >= len(f.value) && strings.EqualFold(got[:len(f.value)], f.value)
	}
	return strings.EqualFold(got, f.value)
}

// of is the field's value in a line.
func (f field) of(l *Line) (string, bool) {
	if f.path == "" {
		v := l.Meta(f.name)
		return v, v != ""
	}
	if l.Form == Router && f.routed {
		return routed(l.Text, f.name)
	}
	return inText(l.Text, f.name, f.path)
}

// Field is the value of a field of a line's text; "" where there is none.
func Field(text []byte, name string) string {
	v, _ := inText(text, name, path(name))
	return v
}

func inText(text []byte, name, path string) (string, bool) {
	if at := bytes.IndexByte(text, '{'); at >= 0 && len(bytes.TrimSpace(text[:at])) == 0 {
		r := gjson.GetBytes(text, path)
		return r.String(), r.Exists()
	}
	return pair(text, name)
}

// needs of a comparison are the words of what must stand in the line: the last
// name on the way and, for =, the value. Whole words only: what is written with
// escapes in JSON, or as another form of a number, is left to match.
func (f field) needs(out [][]byte, of Form) [][]byte {
	if f.path == "" || f.op == "!=" {
		return out
	}
	if of == Text || !f.routed {
		name := f.name[strings.LastIndexByte(f.name, '.')+1:]
		out = append(out, plain(name, false)...)
	}
	if f.op != "=" {
		return out
	}
	return append(out, plain(f.value, f.prefix)...)
}

// plain are the words of a text, where every encoder of JSON leaves them whole.
func plain(text string, prefix bool) [][]byte {
	for _, c := range []byte(text) {
		if c >= utf8.RuneSelf || c < ' ' || strings.IndexByte("\"'<>&+`", c) >= 0 {
			return nil // it may be written \u0026, which makes another word
		}
	}
	p := newPhrase(text, prefix, false)
	if len(p.words) == 0 {
		return nil
	}
	return p.needs(nil, Text)
}

// pair finds name=value or name="value" in a line (logfmt), or the same with a
// colon, as routers of Cloud Foundry write it.
func pair(text []byte, name string) (string, bool) {
	for rest := text; ; {
		i := bytes.Index(rest, []byte(name))
		if i < 0 {
			return "", false
		}
		end := i + len(name)
		if (i == 0 || rest[i-1] == ' ' || rest[i-1] == '\t' || rest[i-1] == '[' || rest[i-1] == ',') && end < len(rest) && (rest[end] == '=' || rest[end] == ':') {
			return value(rest[end+1:]), true
		}
		rest = rest[end:]
	}
}

// value is what follows a = sign.
func value(text []byte) string {
	if len(text) > 0 && text[0] == '"' {
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				if s, err := strconv.Unquote(string(text[:i+1])); err == nil {
					return s
				}
				return string(text[1:i])
			}
		}
	}
	if i := bytes.IndexAny(text, " \t,]"); i >= 0 {
		text = text[:i]
	}
	return string(text)
}

// newField makes a comparison; name is "source", "user.id" or ".source".
func newField(name, op, val string, prefix bool) (field, error) {
	f := field{name: strings.TrimPrefix(name, "."), op: op, value: val, prefix: prefix}
	f.routed = slices.Contains(OfRouter, f.name)
	if !slices.Contains(Own, name) {
		f.path = path(f.name)
	}
	if op == "=" || op == "!=" {
		return f, nil
	}
	n, err := strconv.ParseFloat(val, 64)
	if err != nil || prefix {
		return f, refuse("%s compares numbers, and %q is none", op, val)
	}
	f.number = n
	return f, nil
}

// path is a name in gjson's language, in which * and others mean something.
func path(name string) string {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = gjson.Escape(p)
	}
	return strings.Join(parts, ".")
}
