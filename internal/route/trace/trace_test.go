package trace

import (
	"strings"
	"testing"

	"naru/internal/route/h1"
)

const (
	id   = "4bf92f3577b34da6a3ce929d0e0e4736"
	span = "00f067aa0ba902b7"
)

func TestTraceOfARequest(t *testing.T) {
	none := strings.Repeat("0", 32)
	for name, tc := range map[string]struct {
		fields []string
		kept   bool
		id     string // "": a new one
		line   string // "": one with a new parent, sampled
	}{
		"a traceparent":                    {[]string{"traceparent: 00-" + id + "-" + span + "-01"}, true, id, ""},
		"not sampled":                      {[]string{"Traceparent: 00-" + id + "-" + span + "-00"}, true, id, ""},
		"of a later version":               {[]string{"traceparent: 01-" + id + "-" + span + "-01-more"}, true, id, ""},
		"of a version that is forbidden":   {[]string{"traceparent: ff-" + id + "-" + span + "-01"}, false, "", ""},
		"more than the version has":        {[]string{"traceparent: 00-" + id + "-" + span + "-01-more"}, false, "", ""},
		"more without a dash":              {[]string{"traceparent: 01-" + id + "-" + span + "-01more"}, false, "", ""},
		"too short":                        {[]string{"traceparent: 00-" + id + "-" + span + "-0"}, false, "", ""},
		"upper case":                       {[]string{"traceparent: 00-" + strings.ToUpper(id) + "-" + span + "-01"}, false, "", ""},
		"a trace of zeros":                 {[]string{"traceparent: 00-" + none + "-" + span + "-01"}, false, "", ""},
		"a parent of zeros":                {[]string{"traceparent: 00-" + id + "-" + none[:16] + "-01"}, false, "", ""},
		"two":                              {[]string{"traceparent: 00-" + id + "-" + span + "-01", "traceparent: 00-" + id + "-" + span + "-01"}, false, "", ""},
		"none":                             {nil, false, "", ""},
		"B3":                               {[]string{"X-B3-TraceId: " + id, "X-B3-SpanId: " + span}, false, id, "00-" + id + "-" + span + "-01"},
		"B3, half as long":                 {[]string{"X-B3-TraceId: " + id[16:], "X-B3-SpanId: " + span}, false, none[:16] + id[16:], "00-" + none[:16] + id[16:] + "-" + span + "-01"},
		"B3, not sampled":                  {[]string{"X-B3-TraceId: " + id, "X-B3-SpanId: " + span, "X-B3-Sampled: 0"}, false, id, "00-" + id + "-" + span + "-00"},
		"B3 in one field":                  {[]string{"b3: " + id + "-" + span + "-1"}, false, id, "00-" + id + "-" + span + "-01"},
		"B3 in one field, not sampled":     {[]string{"b3: " + id + "-" + span + "-0-" + span}, false, id, "00-" + id + "-" + span + "-00"},
		"B3 in one field, half as long":    {[]string{"b3: " + id[16:] + "-" + span}, false, none[:16] + id[16:], "00-" + none[:16] + id[16:] + "-" + span + "-01"},
		"B3 that tells the sampling alone": {[]string{"b3: 0"}, false, "", ""},
		"B3 without a span":                {[]string{"X-B3-TraceId: " + id}, false, "", ""},
		"B3 of zeros":                      {[]string{"X-B3-TraceId: " + none, "X-B3-SpanId: " + span}, false, "", ""},
		"B3 beside a good traceparent":     {[]string{"b3: " + id[16:] + "-" + span, "traceparent: 00-" + id + "-" + span + "-01"}, true, id, ""},
		"B3 beside a bad traceparent":      {[]string{"b3: " + id + "-" + span, "traceparent: x"}, false, id, "00-" + id + "-" + span + "-01"},
	} {
		t.Run(name, func(t *testing.T) {
			var r h1.Request
			if why := r.Parse([]byte("GET / HTTP/1.1\r\nHost: shop.test\r\n" + strings.Join(append(tc.fields, ""), "\r\n") + "\r\n")); why != nil {
				t.Fatal(why)
			}
			var got Trace
			got.Of(&r)
			if got.Kept() != tc.kept {
				t.Fatalf("kept: %v", got.Kept())
			}
			if tc.id != "" && string(got.ID(&r)) != tc.id {
				t.Errorf("trace %s, want %s", got.ID(&r), tc.id)
			}
			line := string(got.Line())
			switch {
			case tc.kept:
			case tc.line != "":
				if line != tc.line {
					t.Errorf("sends %s, want %s", line, tc.line)
				}
			case !goodTraceparent(got.Line()) || line[:3] != "00-" || line[52:] != "-01" || strings.Contains(line, id):
				t.Errorf("sends %s", line)
			}
		})
	}
}

func TestNoTwoTracesAreEqual(t *testing.T) {
	var r h1.Request
	if why := r.Parse([]byte("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")); why != nil {
		t.Fatal(why)
	}
	seen := map[string]bool{}
	var one Trace
	for range 1000 {
		one.Of(&r)
		seen[string(one.ID(&r))] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000 are new", len(seen))
	}
	if n := testing.AllocsPerRun(100, func() { one.Of(&r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
