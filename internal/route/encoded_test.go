package route_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"naru/internal/route"
)

// TestEncodedAsJSON fills every field, so that one that is added and not written
// is found.
func TestEncodedAsJSON(t *testing.T) {
	for name, full := range map[string]bool{"full": true, "empty": false} {
		t.Run(name, func(t *testing.T) {
			var a route.Access
			var s route.Span
			if full {
				fill(t, reflect.ValueOf(&a).Elem())
				fill(t, reflect.ValueOf(&s).Elem())
			}
			for _, c := range []struct {
				got []byte
				of  any
			}{{a.AppendJSON(nil), a}, {s.AppendJSON(nil), s}} {
				want, err := json.Marshal(c.of)
				if err != nil {
					t.Fatal(err)
				}
				if string(c.got) != string(want) {
					t.Errorf("got  %s\nwant %s", c.got, want)
				}
			}
		})
	}
}

// fill gives each field a value.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case time.Time:
			f.Set(reflect.ValueOf(time.Unix(1, 5).UTC()))
		case route.App:
			fill(t, f)
		case string:
			f.SetString(v.Type().Field(i).Name + ` "<&`)
		case int, int64, time.Duration:
			f.SetInt(int64(i + 1))
		case bool:
			f.SetBool(true)
		default:
			t.Fatalf("a field of type %s", f.Type())
		}
	}
}
