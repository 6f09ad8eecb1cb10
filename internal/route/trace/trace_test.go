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
		"B3 that tells the sampling alone": {[]string{"b3: 1"}, false, "", ""},
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

// TestSpanOfOurs puts a span between a request and what comes behind it.
func TestSpanOfOurs(t *testing.T) {
	short := strings.Repeat("0", 16) + id[16:]
	for name, tc := range map[string]struct {
		fields   []string
		decision Decision
		id       string // "": a new one
		parent   string
		line     string   // what is sent, with OURS for the new span
		b3       []string // and as B3
	}{
		"nothing":         {nil, Undecided, "", "", "", []string{"b3: NEW-OURS-1"}},
		"a traceparent":   {[]string{"traceparent: 00-" + id + "-" + span + "-01"}, Yes, id, span, "00-" + id + "-OURS-01", []string{"b3: " + id + "-OURS-1-" + span}},
		"not sampled":     {[]string{"traceparent: 00-" + id + "-" + span + "-00"}, No, id, span, "00-" + id + "-OURS-01", []string{"b3: " + id + "-OURS-1-" + span}},
		"other flags":     {[]string{"traceparent: 00-" + id + "-" + span + "-02"}, No, id, span, "00-" + id + "-OURS-03", []string{"b3: " + id + "-OURS-1-" + span}},
		"flags to come":   {[]string{"traceparent: 00-" + id + "-" + span + "-fd"}, Yes, id, span, "00-" + id + "-OURS-01", []string{"b3: " + id + "-OURS-1-" + span}},
		"a later version": {[]string{"traceparent: 01-" + id + "-" + span + "-01-more"}, Yes, id, span, "00-" + id + "-OURS-01", []string{"b3: " + id + "-OURS-1-" + span}},
		"B3": {
			[]string{"X-B3-TraceId: " + id, "X-B3-SpanId: " + span, "X-B3-ParentSpanId: 1111111111111111"}, Undecided, id, span, "00-" + id + "-OURS-01",
			[]string{"X-B3-TraceId: " + id, "X-B3-SpanId: OURS", "X-B3-ParentSpanId: " + span, "X-B3-Sampled: 1"},
		},
		"B3, half as long": {
			[]string{"X-B3-TraceId: " + id[16:], "X-B3-SpanId: " + span, "X-B3-Sampled: 1"}, Yes, short, span, "00-" + short + "-OURS-01",
			[]string{"X-B3-TraceId: " + id[16:], "X-B3-SpanId: OURS", "X-B3-ParentSpanId: " + span, "X-B3-Sampled: 1"},
		},
		"B3, as older ones say it": {
			[]string{"X-B3-TraceId: " + id, "X-B3-SpanId: " + span, "X-B3-Sampled: false"}, No, id, span, "00-" + id + "-OURS-01",
			[]string{"X-B3-TraceId: " + id, "X-B3-SpanId: OURS", "X-B3-ParentSpanId: " + span, "X-B3-Sampled: 1"},
		},
		"B3 to look for a mistake": {
			[]string{"X-B3-TraceId: " + id, "X-B3-SpanId: " + span, "X-B3-Flags: 1"}, Yes, id, span, "00-" + id + "-OURS-01",
			[]string{"X-B3-TraceId: " + id, "X-B3-SpanId: OURS", "X-B3-ParentSpanId: " + span, "X-B3-Flags: 1"},
		},
		"B3 in one field":          {[]string{"b3: " + id + "-" + span + "-1-" + span}, Yes, id, span, "00-" + id + "-OURS-01", []string{"b3: " + id + "-OURS-1-" + span}},
		"without a decision":       {[]string{"b3: " + id + "-" + span}, Undecided, id, span, "00-" + id + "-OURS-01", []string{"b3: " + id + "-OURS-1-" + span}},
		"half as long":             {[]string{"b3: " + id[16:] + "-" + span + "-d"}, Yes, short, span, "00-" + short + "-OURS-01", []string{"b3: " + id[16:] + "-OURS-d-" + span}},
		"the decision alone":       {[]string{"b3: 0"}, No, "", "", "", []string{"b3: NEW-OURS-1"}},
		"the other one":            {[]string{"X-B3-Sampled: 1"}, Yes, "", "", "", []string{"X-B3-TraceId: NEW", "X-B3-SpanId: OURS", "X-B3-Sampled: 1"}},
		"both, and they differ":    {[]string{"traceparent: 00-" + id + "-" + span + "-01", "b3: " + id[16:] + "-1111111111111111-0"}, Yes, id, span, "00-" + id + "-OURS-01", []string{"b3: " + id + "-OURS-1-" + span}},
		"B3 that says what is not": {[]string{"b3: " + id + "-" + span + "-x"}, Undecided, id, span, "00-" + id + "-OURS-01", []string{"b3: " + id + "-OURS-1-" + span}},
	} {
		t.Run(name, func(t *testing.T) {
			var r h1.Request
			if why := r.Parse([]byte("GET / HTTP/1.1\r\nHost: shop.test\r\n" + strings.Join(append(tc.fields, ""), "\r\n") + "\r\n")); why != nil {
				t.Fatal(why)
			}
			var got Trace
			got.Of(&r)
			if got.Decision() != tc.decision {
				t.Errorf("decided: %d, want %d", got.Decision(), tc.decision)
			}
			got.Record(&r)
			if got.Kept() || !got.Recorded() {
				t.Error("the client's own goes on")
			}
			ours := string(got.Span())
			if tc.id != "" && string(got.ID(&r)) != tc.id || string(got.Parent()) != tc.parent || ours == tc.parent || zeros(got.Span()) {
				t.Errorf("trace %s, span %s behind %s", got.ID(&r), ours, got.Parent())
			}
			as := strings.NewReplacer("OURS", ours, "NEW", string(got.ID(&r)))
			if line := string(got.Line()); !goodTraceparent(got.Line()) || tc.line != "" && line != as.Replace(tc.line) || !strings.Contains(line, ours) {
				t.Errorf("sends %s", line)
			}
			want := ""
			for _, f := range tc.b3 {
				want += as.Replace(f) + "\r\n"
			}
			if b3 := string(got.AppendB3(nil, &r)); b3 != want {
				t.Errorf("sends\n%swant\n%s", b3, want)
			}
		})
	}
}

// TestSkippedTraceSaysSo has nobody behind us record what nobody asked for.
func TestSkippedTraceSaysSo(t *testing.T) {
	for fields, line := range map[string]string{"": "", "b3: " + id + "-" + span + "\r\n": "00-" + id + "-" + span + "-00"} {
		var r h1.Request
		if why := r.Parse([]byte("GET / HTTP/1.1\r\nHost: shop.test\r\n" + fields + "\r\n")); why != nil {
			t.Fatal(why)
		}
		var got Trace
		got.Of(&r)
		got.Skip()
		if s := string(got.Line()); !strings.HasSuffix(s, "-00") || line != "" && s != line || got.Recorded() {
			t.Errorf("%q: sends %s", fields, s)
		}
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
