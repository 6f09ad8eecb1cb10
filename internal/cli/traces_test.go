package cli

import (
	"strings"
	"testing"
	"time"

	"naru/internal/client"
)

func TestTreeOfATrace(t *testing.T) {
	span := func(id, parent, service string) client.Span {
		return client.Span{ID: id, Parent: parent, Service: service}
	}
	shared := func(s client.Span) client.Span { s.Shared = true; return s }
	for name, tc := range map[string]struct {
		spans []client.Span
		want  string // a dot for each level, ! for a lost parent
	}{
		"nothing":              {nil, ""},
		"a chain":              {[]client.Span{span("1", "", "a"), span("2", "1", "b"), span("3", "2", "c")}, "a .b ..c"},
		"siblings":             {[]client.Span{span("1", "", "a"), span("2", "1", "b"), span("3", "1", "c"), span("4", "2", "d")}, "a .b ..d .c"},
		"children first":       {[]client.Span{span("2", "1", "b"), span("1", "", "a")}, "a .b"},
		"a parent that is not": {[]client.Span{span("2", "1", "b"), span("3", "2", "c")}, "!b .c"},
		"halves":               {[]client.Span{span("1", "", "a"), span("2", "1", "client"), shared(span("2", "1", "server")), span("3", "2", "c")}, "a .client ..server ...c"},
		"half alone":           {[]client.Span{shared(span("2", "1", "server")), span("3", "2", "c")}, "!server .c"},
		"server's half first":  {[]client.Span{shared(span("2", "", "server")), span("2", "", "client")}, "client .server"},
		"each other's parents": {[]client.Span{span("1", "2", "a"), span("2", "1", "b")}, "a .b"},
		"its own parent":       {[]client.Span{span("1", "1", "a")}, "!a"},
	} {
		var got []string
		for _, r := range treeOf(tc.spans) {
			text := strings.Repeat(".", r.depth) + r.span.Service
			if r.lost {
				text = "!" + text
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, want %q", name, got, tc.want)
		}
	}
}

func TestBars(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		at, took, whole time.Duration
		want            string
	}{
		"all of it":       {0, 10, 10, "━━━━━━━━━━"},
		"the first half":  {0, 5, 10, "━━━━━     "},
		"the end":         {8, 2, 10, "        ━━"},
		"no time at all":  {3, 0, 10, "   ━      "},
		"at the very end": {10, 0, 10, "         ━"},
		"before it began": {-5, 5, 10, "━━━━━     "},
		"longer than all": {5, 50, 10, "     ━━━━━"},
		"an empty trace":  {0, 0, 0, "━━━━━━━━━━"},
	} {
		trace := client.Trace{Start: start, Took: client.Duration(tc.whole)}
		if got := bar(trace, client.Span{Start: start.Add(tc.at), Took: client.Duration(tc.took)}, 10); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestSearchOfATrace(t *testing.T) {
	const long, short = "4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e4736"
	for in, want := range map[[2]string]string{
		{long, ""}:                         long,
		{strings.ToUpper(long), "timeout"}: long + " AND (timeout)",
		{short, ""}:                        short,
		{strings.Repeat("0", 16) + short, "a OR b"}: "(" + strings.Repeat("0", 16) + short + " OR " + short + ") AND (a OR b)",
	} {
		if got, err := ofTrace(in[0], in[1]); err != nil || got != want {
			t.Errorf("%v: %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "x", long + "0", "zzf92f3577b34da6a3ce929d0e0e4736"} {
		if got, err := ofTrace(bad, ""); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}
