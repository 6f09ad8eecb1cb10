package config

import (
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFile is far above any honest configuration file.
const maxFile = 1 << 20

// readFile reads the YAML file at path into c. Each complaint says FILE:LINE.
func readFile(c *Config, path string) []error {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		return []error{fmt.Errorf("%s: is larger than %d bytes", path, maxFile)}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", path, err)}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return []error{fmt.Errorf("%s: %w", path, err)}
	}
	if len(doc.Content) == 0 {
		return nil // empty, or only comments
	}
	r := reader{c: c, path: path, fields: map[string]Field{}, groups: map[string]bool{}, seen: map[string]int{}}
	for _, f := range Fields() {
		r.fields[f.Key] = f
		if group, _, ok := strings.Cut(f.Key, "."); ok {
			r.groups[group] = true
		}
	}
	r.mapping(doc.Content[0], "")
	return r.complaints
}

type reader struct {
	c          *Config
	path       string
	fields     map[string]Field
	groups     map[string]bool
	seen       map[string]int // line of each key
	complaints []error
}

func (r *reader) complain(n *yaml.Node, format string, args ...any) {
	r.complaints = append(r.complaints, fmt.Errorf("%s:%d: %s", r.path, n.Line, fmt.Sprintf(format, args...)))
}

func (r *reader) mapping(n *yaml.Node, prefix string) {
	if n.Kind != yaml.MappingNode {
		r.complain(n, "%s must be a list of KEY: VALUE lines", nameOf(prefix))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := prefix + key.Value
		if line, twice := r.seen[name]; twice {
			r.complain(key, "%s is given twice, first on line %d", name, line)
			continue
		}
		r.seen[name] = key.Line
		field, known := r.fields[name]
		switch {
		case known:
			r.value(field, value)
		case r.groups[name]:
			r.mapping(value, name+".")
		default:
			r.complain(key, "%s is not a setting%s", name, r.nearest(name))
		}
	}
}

func (r *reader) value(f Field, n *yaml.Node) {
	text := n.Value
	switch {
	case n.Kind == yaml.SequenceNode && f.Kind == "list":
		parts := make([]string, 0, len(n.Content))
		for _, item := range n.Content {
			parts = append(parts, item.Value)
		}
		text = strings.Join(parts, ",")
	case n.Kind != yaml.ScalarNode:
		r.complain(n, "%s takes one %s value", f.Key, f.Kind)
		return
	case n.Tag == "!!null":
		text = ""
		if f.Kind != "text" && f.Kind != "list" {
			r.complain(n, "%s has no value", f.Key)
			return
		}
	}
	if err := f.set(r.c, text); err != nil {
		r.complain(n, "%s %v (got %q)", f.Key, err, text)
	}
}

// nearest suggests the setting whose name differs in the fewest letters.
func (r *reader) nearest(name string) string {
	best, least := "", 3 // more than two letters apart is another word
	for key := range r.fields {
		if d := distance(name, key); d < least || d == least && key < best {
			best, least = key, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance counts the letters to change, add or drop to make a of b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func nameOf(prefix string) string {
	if prefix == "" {
		return "the file"
	}
	return strings.TrimSuffix(prefix, ".")
}
