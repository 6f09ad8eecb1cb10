package openslo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/fault"
)

// Bounds of files.
const (
	MaxBytes   = 4 << 20
	MaxObjects = 1000
	maxDepth   = 50
	maxNodes   = 20_000 // of one object, aliases counted as often as they are used
)

// Parse reads a file of one or more documents, each an object or a list of them. It
// returns the objects that are right; the error names each other one with file,
// line and reason.
func Parse(name string, data []byte) ([]Object, error) {
	if len(data) > MaxBytes {
		return nil, fault.New(fault.TooLarge, name, "it has %d KiB, at most %d are read", len(data)>>10, MaxBytes>>10)
	}
	var out []Object
	var errs []error
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			errs = append(errs, fault.New(fault.Invalid, name, "%s", strings.TrimPrefix(err.Error(), "yaml: ")))
			break
		}
		if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		entries := []*yaml.Node{doc.Content[0]}
		if entries[0].Kind == yaml.SequenceNode {
			entries = entries[0].Content
		}
		for _, n := range entries {
			if len(out)+len(errs) >= MaxObjects {
				return nil, fault.New(fault.TooLarge, name, "it has more than %d objects", MaxObjects)
			}
			o, err := parse(name, n)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			out = append(out, o)
		}
	}
	if len(out) == 0 && len(errs) == 0 {
		errs = append(errs, fault.New(fault.Invalid, name, "there is no object").WithTry("begin with  apiVersion: %s", Version))
	}
	return out, errors.Join(errs...)
}

func specOf(k Kind) any {
	switch k {
	case KindService:
		return &Service{}
	case KindDataSource:
		return &DataSource{}
	case KindSLI:
		return &SLI{}
	case KindSLO:
		return &SLO{}
	case KindPolicy:
		return &AlertPolicy{}
	case KindCondition:
		return &AlertCondition{}
	case KindTarget:
		return &NotificationTarget{}
	}
	return nil
}

// head is what every object has, its spec not read yet.
type head struct {
	APIVersion string    `yaml:"apiVersion"`
	Kind       Kind      `yaml:"kind"`
	Metadata   Metadata  `yaml:"metadata"`
	Spec       yaml.Node `yaml:"spec"`
}

func parse(file string, n *yaml.Node) (Object, error) {
	c := &checker{file: file, root: n}
	if n.Kind != yaml.MappingNode {
		c.bad("", "it is no object: want apiVersion, kind, metadata and spec")
		return Object{}, c.err()
	}
	var h head
	left := maxNodes
	if deep(n, 0, &left) {
		c.bad("", "it is nested more than %d deep, or has more than %d parts", maxDepth, maxNodes)
		return Object{}, c.err()
	}
	c.decode("", n, &h)
	c.name = h.Metadata.Name
	spec := specOf(h.Kind)
	switch {
	case h.APIVersion != Version:
		c.bad("apiVersion", "%q is not read, %s is", h.APIVersion, Version)
		return Object{}, c.err()
	case spec == nil:
		c.bad("kind", "%q is no kind, want one of %v", h.Kind, Kinds())
		return Object{}, c.err()
	}
	c.known("", n, reflect.TypeFor[head]())
	switch {
	case h.Spec.Kind == yaml.MappingNode:
		c.known("spec", &h.Spec, reflect.TypeOf(spec).Elem())
		c.decode("spec", &h.Spec, spec)
	case h.Kind != KindService:
		c.bad("spec", "it is missing")
	}
	o := Object{APIVersion: h.APIVersion, Kind: h.Kind, Metadata: h.Metadata, Spec: spec, File: file, Line: n.Line}
	if len(c.errs) == 0 {
		c.object(o)
	}
	return o, c.err()
}

// deep reports nesting, or a number of nodes, that nobody writes: an alias may hold
// itself, or ten of one that holds ten.
func deep(n *yaml.Node, level int, left *int) bool {
	if *left--; level > maxDepth || *left < 0 {
		return true
	}
	if n.Kind == yaml.AliasNode {
		return deep(n.Alias, level+1, left)
	}
	return slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return deep(c, level+1, left) })
}

// UnmarshalYAML reads one text or a list of them.
func (l *Label) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = Label{n.Value}
		return nil
	}
	var many []string
	err := n.Decode(&many)
	*l = many
	return err
}

// MarshalYAML writes one text as it is.
func (l Label) MarshalYAML() (any, error) {
	if len(l) == 1 {
		return l[0], nil
	}
	return []string(l), nil
}

// checker gathers what is wrong with one object.
type checker struct {
	file, name string
	root       *yaml.Node
	errs       []error
}

func (c *checker) err() error { return errors.Join(c.errs...) }

// bad complains about a path such as "spec.objectives.0.target", at the line of as
// much of it as there is.
func (c *checker) bad(path, format string, args ...any) {
	where := c.file
	n := c.root
	line := n.Line
	for key := range strings.SplitSeq(path, ".") {
		if n = child(n, key); n == nil {
			break
		}
		line = n.Line
	}
	where = fmt.Sprintf("%s:%d", where, line)
	if c.name != "" {
		where += ": " + c.name
	}
	if path != "" {
		where += ": " + path
	}
	c.errs = append(c.errs, fault.New(fault.Invalid, where, format, args...))
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		var i int
		if _, err := fmt.Sscan(key, &i); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// decode reads a node. What it says of types names lines, not values, because a
// data source may hold keys.
func (c *checker) decode(path string, n *yaml.Node, into any) {
	err := n.Decode(into)
	var types *yaml.TypeError
	switch {
	case err == nil:
	case errors.As(err, &types):
		for _, e := range types.Errors {
			line, _, _ := strings.Cut(strings.TrimPrefix(e, "line "), ":")
			_, want, _ := strings.Cut(e, " into ")
			c.bad(path, "line %s has another type than is wanted (%s)", line, strings.TrimPrefix(want, "openslo."))
		}
	default:
		c.bad(path, "it cannot be read")
	}
}

// known complains about keys that a type does not have.
func (c *checker) known(path string, n *yaml.Node, t reflect.Type) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[yaml.Node]() || t == reflect.TypeFor[Label]():
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for i, e := range n.Content {
			c.known(join(path, fmt.Sprint(i)), e, t.Elem())
		}
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		fields := map[string]reflect.Type{}
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			fields[name] = f.Type
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if ft, ok := fields[key]; ok {
				c.known(join(path, key), n.Content[i+1], ft)
			} else if key != "<<" {
				c.bad(join(path, key), "there is no such key%s", meant(key, fields))
			}
		}
	}
}

// meant suggests the key that was written with another case or one letter wrong.
func meant(got string, keys map[string]reflect.Type) string {
	for key := range keys {
		if strings.EqualFold(got, key) || len(got) > 3 && near(strings.ToLower(got), strings.ToLower(key)) {
			return ", did you mean " + key + "?"
		}
	}
	return ""
}

// near reports that a and b differ in one letter, or in the order of two.
func near(a, b string) bool {
	for i := 0; i < min(len(a), len(b)); i++ {
		if a[i] != b[i] {
			x, y := a[i:], b[i:]
			return x[1:] == y[1:] || x[1:] == y || x == y[1:] || len(x) > 1 && len(y) > 1 && x[0] == y[1] && x[1] == y[0] && x[2:] == y[2:]
		}
	}
	return len(a)-len(b) == 1 || len(b)-len(a) == 1
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
