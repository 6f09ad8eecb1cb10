package bake

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/fault"
)

// keys are the keys a mapping may have; a nil value is a leaf, whose content is
// checked by its type.
type keys map[string]keys

// specKeys is read off Spec, so that the two cannot drift apart.
var specKeys = keysOf(reflect.TypeFor[Spec]())

func keysOf(t reflect.Type) keys {
	k := keys{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		sub := f.Type
		if sub.Kind() == reflect.Slice {
			sub = sub.Elem()
		}
		k[name] = nil
		if sub.Kind() == reflect.Struct {
			k[name] = keysOf(sub)
		}
	}
	return k
}

// checkKeys refuses keys that mean nothing, since a misspelt key would silently
// be a default.
func checkKeys(file, prefix string, n *yaml.Node, allowed keys) error {
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if err := checkKeys(file, prefix, item, allowed); err != nil {
				return err
			}
		}
		return nil
	case yaml.MappingNode:
	default:
		return fault.New(fault.Invalid, fmt.Sprintf("%s:%d", file, n.Line), "%s is not a table of keys", cmp.Or(strings.TrimSuffix(prefix, "."), "the document"))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		sub, ok := allowed[key.Value]
		if !ok {
			return fault.New(fault.Invalid, fmt.Sprintf("%s:%d", file, key.Line), "unknown key %q", prefix+key.Value).
				WithTry("known here: %s", strings.Join(slices.Sorted(maps.Keys(allowed)), ", "))
		}
		if sub != nil {
			if err := checkKeys(file, prefix+key.Value+".", value, sub); err != nil {
				return err
			}
		}
	}
	return nil
}

// lineOf finds where a dotted key stands; 0 when it does not.
func lineOf(n *yaml.Node, key string) int {
	first, rest, deeper := strings.Cut(key, ".")
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != first {
			continue
		}
		if deeper {
			if line := lineOf(n.Content[i+1], rest); line > 0 {
				return line
			}
		}
		return n.Content[i].Line
	}
	return 0
}
