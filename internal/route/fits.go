package route

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"naru/internal/fault"
)

// fault is a problem as people read it.
func (p *problem) fault() error {
	return fault.New(fault.Invalid, strings.TrimPrefix(p.key, "."), "%s", p.what).WithTry("see docs/routes.md for what a route can ask for")
}

// fits is a problem where decoded JSON is not of the shape of a type: encoding/json
// does not say where it met a name that it does not know. Null fits everywhere but
// in lists.
func fits(value any, t reflect.Type) *problem {
	if value == nil {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		return fits(value, t.Elem())
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return fitsText(value, t)
	}
	switch t.Kind() {
	case reflect.Struct:
		return fitsStruct(value, t)
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			return wants("an object", value)
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if p := fits(object[name], t.Elem()); p != nil {
				return &problem{"." + name + p.key, p.what}
			}
		}
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return wants("a list", value)
		}
		for i, one := range list {
			if one == nil {
				return wants("a value", nil).under("", i)
			}
			if p := fits(one, t.Elem()); p != nil {
				return p.under("", i)
			}
		}
	default:
		return fitsScalar(value, t)
	}
	return nil
}

func fitsStruct(value any, t reflect.Type) *problem {
	object, ok := value.(map[string]any)
	if !ok {
		return wants("an object", value)
	}
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = t.Field(i).Type
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		field, known := fields[name]
		if !known {
			return &problem{"." + name, "is not known; there are " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")}
		}
		if p := fits(object[name], field); p != nil {
			return &problem{"." + name + p.key, p.what}
		}
	}
	return nil
}

func fitsText(value any, t reflect.Type) *problem {
	text, ok := value.(string)
	if !ok {
		return wants("a text such as 90s", value)
	}
	into, _ := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	if err := into.UnmarshalText([]byte(text)); err != nil {
		return &problem{"", err.Error()}
	}
	return nil
}

func fitsScalar(value any, t reflect.Type) *problem {
	want := map[reflect.Kind]string{
		reflect.String: "a text", reflect.Bool: "true or false", reflect.Float64: "a number", reflect.Int: "a whole number", reflect.Int64: "a whole number",
	}[t.Kind()]
	data, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(data, reflect.New(t).Interface())
	}
	if err != nil {
		return wants(want, value)
	}
	return nil
}

func wants(what string, got any) *problem {
	return &problem{"", fmt.Sprintf("it is %s, want %s", plainValue(got), what)}
}

// plainValue says what decoded JSON is, in words.
func plainValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		if len(v) > 64 {
			return "a text"
		}
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}
