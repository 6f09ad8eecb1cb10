package manifest

import (
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/fault"
)

// reader walks the document and gathers every complaint.
type reader struct {
	file     string
	faults   []error
	warnings []Warning
}

// complaint lets a fault get its way out after it was gathered.
type complaint struct {
	r *reader
	i int
}

func (c complaint) retry(try string) {
	if f, ok := c.r.faults[c.i].(*fault.Error); ok {
		c.r.faults[c.i] = f.WithTry("%s", try)
	}
}

func (r *reader) bad(v *yaml.Node, key, format string, args ...any) complaint {
	return r.faultAt(v.Line, key, format, args...)
}

func (r *reader) faultAt(line int, key, format string, args ...any) complaint {
	r.faults = append(r.faults, fault.New(fault.Invalid, fmt.Sprintf("%s:%d: %s", r.file, line, key), format, args...))
	return complaint{r, len(r.faults) - 1}
}

func (r *reader) warn(v *yaml.Node, format string, args ...any) {
	r.warnings = append(r.warnings, Warning{v.Line, fmt.Sprintf(format, args...)})
}

// ignored passes a known key over, with the reason.
func (r *reader) ignored(why string) func(string, *yaml.Node) {
	return func(key string, v *yaml.Node) { r.warn(v, "%s is ignored: %s", key, why) }
}

// mapping calls the reader of each key. Unknown keys are warned of.
func (r *reader) mapping(v *yaml.Node, at string, keys map[string]func(string, *yaml.Node)) {
	v = resolved(v)
	if v.Kind != yaml.MappingNode {
		r.bad(v, or(at, "the file"), "it is %s, want keys and values", kind(v))
		return
	}
	for _, p := range r.pairs(v, at) {
		key := p.name.Value
		if at != "" {
			key = at + "." + key
		}
		if read, ok := keys[p.name.Value]; ok {
			read(key, p.value)
			continue
		}
		r.warn(p.name, "%s is not known and ignored%s", key, meant(p.name.Value, keys))
	}
}

// pair is a key of a map and what is behind it.
type pair struct{ name, value *yaml.Node }

// maxMerge bounds how deep maps merge others, for one may merge itself.
const maxMerge = 5

// pairs are the keys of a map: its own, then those of the maps it merges with
// "<<" that it does not have itself.
func (r *reader) pairs(v *yaml.Node, at string) []pair {
	var out []pair
	seen := map[string]bool{}
	level := []*yaml.Node{v}
	for depth := 0; len(level) > 0; depth++ {
		if depth > maxMerge {
			r.bad(v, or(at, "the file"), "maps are merged more than %d deep", maxMerge)
			return nil
		}
		var merged []*yaml.Node
		for _, m := range level {
			if m.Kind != yaml.MappingNode {
				r.bad(m, or(at, "the file"), "only maps can be merged, not %s", kind(m))
				return nil
			}
			for i := 0; i+1 < len(m.Content); i += 2 {
				name, value := m.Content[i], resolved(m.Content[i+1])
				switch {
				case name.Value == "<<" && value.Kind == yaml.SequenceNode:
					r.bad(name, or(at, "the file"), "only one map can be merged")
				case name.Value == "<<":
					merged = append(merged, value)
				case !seen[name.Value]:
					out = append(out, pair{name, value})
				case depth == 0:
					r.bad(name, name.Value, "the key is there twice")
				}
				seen[name.Value] = true
			}
		}
		level = merged
	}
	return out
}

func resolved(v *yaml.Node) *yaml.Node {
	for depth := 0; v.Kind == yaml.AliasNode && v.Alias != nil && depth < 10; depth++ {
		v = v.Alias
	}
	return v
}

// meant suggests the key that is nearest, if it is near.
func meant[T any](got string, keys map[string]T) string {
	best, distance := "", 3
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if d := edits(got, key); d < distance {
			best, distance = key, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		above := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := above
			if a[i-1] != b[j-1] {
				cost = 1 + min(above, row[j], row[j-1])
			}
			above, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}

func kind(v *yaml.Node) string {
	switch {
	case v.Kind == yaml.SequenceNode:
		return "a list"
	case v.Kind == yaml.MappingNode:
		return "a map"
	case v.Tag == "!!null":
		return "empty"
	}
	return strconv.Quote(v.Value)
}

func (r *reader) list(key string, v *yaml.Node) []*yaml.Node {
	if v.Kind != yaml.SequenceNode {
		r.bad(v, key, "it is %s, want a list", kind(v)).retry("begin each entry with  - ")
		return nil
	}
	out := make([]*yaml.Node, 0, len(v.Content))
	for _, e := range v.Content {
		out = append(out, resolved(e))
	}
	return out
}

func (r *reader) text(key string, v *yaml.Node) string {
	if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
		r.bad(v, key, "it is %s, want text", kind(v))
		return ""
	}
	return v.Value
}

func (r *reader) yes(key string, v *yaml.Node) bool {
	var b bool
	if v.Kind != yaml.ScalarNode || v.Decode(&b) != nil {
		r.bad(v, key, "it is %s, want true or false", kind(v))
	}
	return b
}

func (r *reader) number(key string, v *yaml.Node, low, high int) (int, bool) {
	n, err := strconv.Atoi(v.Value)
	if v.Kind != yaml.ScalarNode || err != nil {
		r.bad(v, key, "it is %s, want a whole number", kind(v))
		return 0, false
	}
	if n < low || n > high {
		r.bad(v, key, "%d is not between %d and %d", n, low, high)
		return 0, false
	}
	return n, true
}

// size reads "256M", "1G", "1024MB", "1.5GB" in MiB.
func (r *reader) size(key string, v *yaml.Node) int {
	bad := func() int {
		r.bad(v, key, "it is %s, want a size", kind(v)).retry("write  256M  or  1G")
		return 0
	}
	text := strings.ToUpper(strings.TrimSpace(v.Value))
	if v.Kind != yaml.ScalarNode {
		return bad()
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, "B"), "I")
	factor := map[string]float64{"K": 1.0 / 1024, "M": 1, "G": 1024, "T": 1 << 20}
	unit, ok := factor[text[max(0, len(text)-1):]]
	if !ok {
		return bad()
	}
	n, err := strconv.ParseFloat(text[:len(text)-1], 64)
	if err != nil || math.IsNaN(n) || n <= 0 || n*unit < 1 || n*unit > 1<<30 {
		return bad()
	}
	return int(n * unit)
}

// path reads a path that stays below the manifest's folder.
func (r *reader) path(key string, v *yaml.Node) string {
	p := r.text(key, v)
	clean := path.Clean(p)
	if p != "" && (path.IsAbs(p) || clean == ".." || strings.HasPrefix(clean, "../")) {
		r.bad(v, key, "%q leads out of the folder of the manifest", p)
		return ""
	}
	return clean
}

// environment reads names and values; numbers and truths are taken as written.
func (r *reader) environment(key string, v *yaml.Node) map[string]string {
	if v.Kind != yaml.MappingNode {
		r.bad(v, key, "it is %s, want NAME: VALUE", kind(v))
		return nil
	}
	out := map[string]string{}
	for _, p := range r.pairs(v, key) {
		name, value := p.name.Value, p.value
		switch {
		case value.Tag == "!!null":
			out[name] = ""
		case value.Kind != yaml.ScalarNode:
			r.bad(value, key+"."+name, "it is %s, want one value", kind(value))
		default:
			out[name] = value.Value
		}
	}
	return out
}
