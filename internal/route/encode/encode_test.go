package encode_test

import (
	"encoding/json"
	"testing"
	"time"

	"naru/internal/route/encode"
)

func FuzzAsEncodingJSON(f *testing.F) {
	for _, s := range []string{"", "plain", `"quoted" \ <b> & more`, "\x00\n\x7f", "ü \u2028 \xff", "a&b"} {
		f.Add(s, int64(-5), 0.25, int64(1))
		f.Add(s, int64(0), 5e-9, int64(1<<40))
	}
	f.Fuzz(func(t *testing.T, s string, n int64, x float64, ns int64) {
		if !(x >= 0 && x < 1e300) {
			return
		}
		at := time.Unix(0, ns).UTC()
		want, err := json.Marshal(struct {
			S string    `json:"s"`
			I int64     `json:"i"`
			F float64   `json:"f"`
			T time.Time `json:"t"`
			B bool      `json:"b,omitempty"`
			E string    `json:"e,omitempty"`
			O struct {
				S string `json:"s"`
			} `json:"o"`
		}{s, n, x, at, true, "", struct {
			S string `json:"s"`
		}{s}})
		if err != nil {
			t.Fatal(err)
		}
		var o encode.Object
		o.Begin()
		o.String("s", s)
		o.Int("i", n)
		o.Float("f", x)
		o.Time("t", at)
		o.True("b")
		o.StringIf("e", "")
		o.Inside("o")
		o.String("s", s)
		o.End()
		o.End()
		if string(o.B) != string(want) {
			t.Errorf("got  %s\nwant %s", o.B, want)
		}
	})
}
