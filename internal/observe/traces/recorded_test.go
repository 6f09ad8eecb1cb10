package traces

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// recorded is what testdata/20260301.traces holds. The file was written by naru
// as it was before the mechanics of day files had a package of their own; it
// must stay readable, so neither changes.
func recorded() map[Owner][][]Span {
	odd := span(9000, 1, 0, "shop", "GET /cart")
	odd.Remote, odd.Error, odd.Message, odd.Shared, odd.Kind = "stock", true, "no more", true, Client
	odd.Start = odd.Start.Add(123 * time.Nanosecond)
	odd.Tags = []Tag{{"http.method", "GET"}, {"päth", "/ä"}, {"empty", ""}}
	odd.Events = []Event{{odd.Start.Add(time.Millisecond), "retry", []Tag{{"n", "2"}}}, {odd.Start.Add(-time.Millisecond), "before", nil}}
	odd.Links = []Link{{traceID(9), spanID(8)}}
	out := map[Owner][][]Span{shop: {{odd}}, {Space: "space1"}: {{span(9000, 2, 1, "edge", "proxy")}}}
	for b := range 3 { // enough to be sealed, and then some
		var spans []Span
		for i := range 200 {
			s := span(200*b+i+1, i+1, 0, fmt.Sprint("s", i%3), "sealed")
			s.Tags = []Tag{{"n", fmt.Sprint(i % 7)}, {"long", strings.Repeat("as long as they come ", 150)}}
			spans = append(spans, s)
		}
		out[stock] = append(out[stock], spans)
	}
	for i := range 40 { // one by one: they are merged
		out[shop] = append(out[shop], []Span{span(9001+i, 1, 0, "shop", "quiet")})
	}
	return out
}

func TestFilesOfBeforeAreRead(t *testing.T) {
	dir := t.TempDir()
	file, err := os.ReadFile(filepath.Join("testdata", "20260301.traces"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "20260301.traces"), file, 0o600))
	w := newWorld(t, Options{Dir: dir})
	want := map[ID][]Span{}
	for of, batches := range recorded() {
		for _, s := range slices.Concat(batches...) {
			s.Owner = of
			want[s.Trace] = append(want[s.Trace], s)
		}
	}
	byID := func(a, b Span) int { return bytes.Compare(a.ID[:], b.ID[:]) }
	holds := func(when string) {
		var ids []ID
		for id, spans := range want {
			ids = append(ids, id)
			slices.SortFunc(spans, byID)
		}
		got, err := w.Traces(t.Context(), all, ids...)
		must(t, err)
		if len(got) != len(want) {
			t.Errorf("%s there are %d traces, want %d", when, len(got), len(want))
		}
		for _, trace := range got {
			slices.SortFunc(trace.Spans, byID)
			if !reflect.DeepEqual(trace.Spans, want[trace.ID]) {
				t.Errorf("%s a trace is\n%.500s\nwant\n%.500s", when, fmt.Sprint(trace.Spans), fmt.Sprint(want[trace.ID]))
				return
			}
		}
		for n, q := range map[int]Query{
			600: {Name: "sealed"}, 1: {Remote: "stock"}, 84: {Tags: []Condition{{Key: "n", Value: "6"}}, Name: "sealed"}, 41: {App: "shop", Service: "shop"},
		} {
			q.Reader, q.Limit = all, 1000
			if found, err := w.Search(t.Context(), q); err != nil || len(found.Traces) != n {
				t.Errorf("%s %+v finds %d traces: %v, want %d", when, q, len(found.Traces), err, n)
			}
		}
	}
	holds("at first")
	names, err := w.Names(t.Context(), all, "shop")
	must(t, err)
	if fmt.Sprint(names) != "{[shop] [GET /cart quiet] [stock]}" {
		t.Errorf("names are %v", names)
	}
	for i := range 40 { // they are merged with what was there
		for _, of := range []Owner{shop, stock} {
			of.Instance = ""
			s := span(20_000+2*i, 1, 0, "later", string(of.App))
			if of == stock {
				s.Trace = traceID(20_001 + 2*i)
			}
			w.keep(t, of, s)
			s.Owner = of
			want[s.Trace] = append(want[s.Trace], s)
		}
	}
	holds("after more came")
	must(t, w.Forget(t.Context(), "shop"))
	if left, err := w.Traces(t.Context(), all, traceID(9001)); err != nil || len(left) != 0 {
		t.Errorf("what was forgotten is still there: %+v, %v", left, err)
	}
}
