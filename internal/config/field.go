package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Field is one setting, as people name it.
type Field struct {
	Key string // in the file: "listen.api"
	Doc string // one sentence without a full stop
	// Kind is the form of its values: text, number, size, time, yes/no, list.
	Kind string

	index []int
}

// Env is the variable of the setting: NARU_LISTEN_API.
func (f Field) Env() string {
	return "NARU_" + strings.ToUpper(strings.ReplaceAll(f.Key, ".", "_"))
}

// Flag is the flag of the setting, without dashes: listen-api.
func (f Field) Flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(f.Key)
}

// Value is the setting in c, as it would be written in a variable.
func (f Field) Value(c Config) string {
	v := reflect.ValueOf(c).FieldByIndex(f.index)
	switch x := v.Interface().(type) {
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	case []string:
		return strings.Join(x, ",")
	case time.Duration:
		return shortDuration(x)
	default:
		return fmt.Sprint(x)
	}
}

// set reads text into the setting; its error continues the sentence "KEY ...".
func (f Field) set(c *Config, text string) error {
	v := reflect.ValueOf(c).Elem().FieldByIndex(f.index)
	switch p := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return p.UnmarshalText([]byte(text))
	case *string:
		*p = text
	case *Driver:
		*p = Driver(text)
	case *[]string:
		*p = nil
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*p = append(*p, part)
			}
		}
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("is not true or false")
		}
		*p = b
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("is not a whole number")
		}
		*p = n
	case *float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("is not a number")
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("is not a duration such as 30s or 10m")
		}
		*p = d
	}
	return nil
}

// Fields lists every setting, in the order of the struct.
func Fields() []Field { return fieldsOf(reflect.TypeFor[Config](), "", nil) }

func fieldsOf(t reflect.Type, prefix string, index []int) []Field {
	var fields []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		key := prefix + sf.Tag.Get("key")
		at := append(append([]int(nil), index...), i)
		if doc := sf.Tag.Get("doc"); doc != "" {
			fields = append(fields, Field{Key: key, Doc: doc, Kind: kindOf(sf.Type), index: at})
			continue
		}
		fields = append(fields, fieldsOf(sf.Type, key+".", at)...)
	}
	return fields
}

func kindOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Bytes]():
		return "size"
	case reflect.TypeFor[time.Duration]():
		return "time"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "yes/no"
	case reflect.Int, reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list"
	}
	return "text"
}

// shortDuration leaves out what time.Duration writes for completeness: 30m,
// not 30m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
