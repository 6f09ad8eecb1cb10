package route

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// positions are the byte offsets of keys in a JSON text, by path
// ("routes[0].host").
type positions map[string]int64

// near returns the offset of a key, or of the closest one around it.
func (p positions) near(key string) int64 {
	for key != "" {
		if offset, ok := p[key]; ok {
			return offset
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 0
}

// readKeys walks JSON that is known to fit v, notes where every key stands and
// returns the first key that v does not have or that stands twice.
func readKeys(data []byte, v any) (positions, *problem) {
	w := keyWalk{dec: json.NewDecoder(bytes.NewReader(data)), found: positions{}}
	w.value(reflect.TypeOf(v), "")
	return w.found, w.bad
}

type keyWalk struct {
	dec   *json.Decoder
	found positions
	bad   *problem // the first
}

// value reads one value of type t; every call consumes exactly that value.
func (w *keyWalk) value(t reflect.Type, path string) {
	token, err := w.dec.Token()
	if err != nil {
		return
	}
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch token {
	case json.Delim('{'):
		w.object(t, path)
	case json.Delim('['):
		w.array(t, path)
	}
}

func (w *keyWalk) object(t reflect.Type, path string) {
	fields := fieldsOf(t)
	seen := map[string]bool{}
	for w.dec.More() {
		token, err := w.dec.Token()
		if err != nil {
			return
		}
		key, _ := token.(string)
		full := strings.TrimPrefix(path+"."+key, ".")
		if _, ok := w.found[full]; !ok {
			w.found[full] = w.dec.InputOffset() - 1
		}
		field, known := fields[key]
		switch {
		case w.bad != nil:
		case fields != nil && !known:
			w.bad = &problem{full, "is not a key of a table; known here: " + names(fields)}
		case seen[key]:
			w.found[full] = w.dec.InputOffset() - 1
			w.bad = &problem{full, "stands here twice"}
		}
		seen[key] = true
		w.value(field, full)
	}
	w.end()
}

func (w *keyWalk) array(t reflect.Type, path string) {
	var elem reflect.Type
	if t != nil && t.Kind() == reflect.Slice {
		elem = t.Elem()
	}
	for i := 0; w.dec.More(); i++ {
		full := path + "[" + strconv.Itoa(i) + "]"
		w.found[full] = w.dec.InputOffset() + 1
		w.value(elem, full)
	}
	w.end()
}

// end consumes the closing delimiter; the text is known to be well formed.
func (w *keyWalk) end() { _, _ = w.dec.Token() }

// fieldsOf maps JSON names to the types of a struct's fields; nil where keys
// are free.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return nil
	}
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out[name] = t.Field(i).Type
	}
	return out
}

func names(fields map[string]reflect.Type) string {
	out := make([]string, 0, len(fields))
	for name := range fields {
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// plainType says a Go kind in words of JSON.
func plainType(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	}
	return fmt.Sprintf("a %s", k)
}
