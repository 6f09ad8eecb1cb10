package traces

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
)

// noon is when the tests are.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type world struct {
	*Store
	now  time.Time
	told []Limited
	lost []int
}

func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{now: noon}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Now = func() time.Time { return w.now }
	o.Limited = func(_ context.Context, l Limited) { w.told = append(w.told, l) }
	o.Lost = func(_ context.Context, day int, _ string) { w.lost = append(w.lost, day) }
	s, err := Open(o, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	w.Store = s
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	shop  = Owner{Space: "space1", App: "shop", Instance: "i1"}
	stock = Owner{Space: "space2", App: "stock"}
	all   = Reader{All: true}
)

func (w *world) keep(t *testing.T, of Owner, spans ...Span) Taken {
	t.Helper()
	taken, err := w.Append(t.Context(), of, spans)
	must(t, err)
	return taken
}

func traceID(n int) (id ID) {
	binary.BigEndian.PutUint64(id[:], 7)
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func spanID(n int) (id SpanID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

// span is span id of trace n below parent, a millisecond after noon for each id.
func span(n, id, parent int, service, name string) Span {
	return Span{
		Trace: traceID(n), ID: spanID(id), Parent: spanID(parent), Service: service, Name: name, Kind: Server,
		Start: noon.Add(time.Duration(id) * time.Millisecond), Took: 5 * time.Millisecond,
	}
}

func TestASpanComesBackWhole(t *testing.T) {
	w := newWorld(t, Options{})
	s := span(1, 1, 0, "shop", "GET /cart")
	s.Remote, s.Error, s.Message, s.Shared, s.Kind = "stock", true, "no more", true, Client
	s.Start = s.Start.Add(123 * time.Nanosecond)
	s.Tags = []Tag{{"http.method", "GET"}, {"päth", "/ä"}, {"empty", ""}}
	s.Events = []Event{{s.Start.Add(time.Millisecond), "retry", []Tag{{"n", "2"}}}, {s.Start.Add(-time.Millisecond), "before", nil}}
	s.Links = []Link{{traceID(9), spanID(8)}}
	if got := w.keep(t, shop, s); got.Kept != 1 || got.Refused != 0 {
		t.Fatalf("taken: %+v", got)
	}
	s.Owner = shop
	got, err := w.Traces(t.Context(), all, traceID(1))
	must(t, err)
	if len(got) != 1 || len(got[0].Spans) != 1 || !reflect.DeepEqual(got[0].Spans[0], s) {
		t.Errorf("got  %+v\nwant %+v", got, s)
	}
}

func TestPiecesOfATraceInAnyOrder(t *testing.T) {
	w := newWorld(t, Options{})
	var spans []Span
	for id := 1; id <= 40; id++ {
		spans = append(spans, span(1, id, id-1, fmt.Sprint("s", id%3), "op"))
	}
	want := slices.Clone(spans)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	for i, s := range spans {
		of := shop
		if i%2 == 1 {
			of = stock
		}
		if i == 20 { // the rest comes after midnight
			w.now = w.now.Add(13 * time.Hour)
		}
		w.keep(t, of, s)
		w.keep(t, of, s) // an exporter that heard no answer sends again
	}
	got, err := w.Traces(t.Context(), all, traceID(1))
	must(t, err)
	if len(got) != 1 || len(got[0].Spans) != 40 {
		t.Fatalf("got %d traces: %+v", len(got), got)
	}
	for i, s := range got[0].Spans {
		if s.ID != want[i].ID || s.Parent != want[i].Parent || !s.Start.Equal(want[i].Start) {
			t.Errorf("span %d is %s, want %s", i, s.ID, want[i].ID)
		}
	}
	only, err := w.Traces(t.Context(), Reader{Spaces: []app.SpaceID{stock.Space}}, traceID(1))
	must(t, err)
	if len(only) != 1 || len(only[0].Spans) != 20 {
		t.Errorf("a reader of one space sees %d spans, want 20", len(only[0].Spans))
	}
	none, err := w.Traces(t.Context(), Reader{}, traceID(1))
	must(t, err)
	if len(none) != 0 {
		t.Errorf("a reader of no space sees %+v", none)
	}
	sum := got[0].Summary()
	if sum.Root.ID != spanID(1) || sum.Took != 44*time.Millisecond || sum.Spans != 40 || len(sum.Services) != 3 {
		t.Errorf("summary: %+v", sum)
	}
}

func TestAskedByTheSecondHalf(t *testing.T) {
	w := newWorld(t, Options{})
	w.keep(t, shop, span(5, 1, 0, "shop", "op"))
	id, err := ParseID("id", "5")
	must(t, err)
	got, err := w.Traces(t.Context(), all, id)
	must(t, err)
	if len(got) != 1 || got[0].ID != traceID(5) {
		t.Errorf("got %+v", got)
	}
	other := traceID(5)
	other[0] = 9 // another trace that ends alike
	if got, err = w.Traces(t.Context(), all, other); err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// spread writes 300 traces of three spans in batches of a size.
func (w *world) spread(t *testing.T, batch int) {
	t.Helper()
	var spans []Span
	for n := 1; n <= 300; n++ {
		root := span(n, 3*n, 0, "shop", []string{"GET /", "GET /cart"}[n%2])
		root.Took = time.Duration(n) * time.Millisecond
		root.Tags = []Tag{{"user", fmt.Sprint(n % 7)}, {"only", fmt.Sprint(n)}}
		middle := span(n, 3*n+1, 3*n, "shop", "stock")
		middle.Kind, middle.Remote = Client, "stock"
		last := span(n, 3*n+2, 3*n+1, "stock", "count")
		if n%10 == 0 {
			last.Error, last.Message = true, "empty"
			last.Events = []Event{{last.Start, "exception", nil}}
		}
		spans = append(spans, root, middle, last)
	}
	for part := range slices.Chunk(spans, batch) {
		w.keep(t, shop, part...)
	}
}

func TestSearch(t *testing.T) {
	for _, batch := range []int{1, 10, 900} {
		w := newWorld(t, Options{SearchBytes: 1 << 30})
		w.spread(t, batch)
		for name, tc := range map[string]struct {
			q    Query
			want []int // traces
		}{
			"the newest":           {Query{Limit: 3}, []int{300, 299, 298}},
			"a service":            {Query{Service: "stock", Limit: 2}, []int{300, 299}},
			"no such service":      {Query{Service: "billing"}, nil},
			"an operation":         {Query{Service: "shop", Name: "GET /cart", Limit: 2}, []int{299, 297}},
			"of another service":   {Query{Service: "stock", Name: "GET /cart"}, nil},
			"slow":                 {Query{Least: 299 * time.Millisecond}, []int{300, 299}},
			"neither slow nor not": {Query{Least: 100 * time.Millisecond, Most: 101 * time.Millisecond}, []int{101, 100}},
			"failed":               {Query{Error: true, Limit: 2}, []int{300, 290}},
			"a tag":                {Query{Tags: []Condition{{Key: "user", Value: "3"}}, Limit: 2}, []int{297, 290}},
			"a rare tag":           {Query{Tags: []Condition{{Key: "only", Value: "17"}}}, []int{17}},
			"two tags":             {Query{Tags: []Condition{{Key: "only", Value: "17"}, {Key: "user", Value: "4"}}}, nil},
			"any value":            {Query{Tags: []Condition{{Key: "only", Any: true}}, Limit: 1}, []int{300}},
			"an event":             {Query{Tags: []Condition{{Key: "exception", Any: true}}, Limit: 1}, []int{300}},
			"a value as a key":     {Query{Tags: []Condition{{Key: "17", Value: "only"}}}, nil},
			"the other side":       {Query{Remote: "stock", Limit: 1}, []int{300}},
			"until":                {Query{Until: noon.Add(30 * time.Millisecond), Limit: 1}, []int{9}},
			"since":                {Query{Since: noon.Add(900 * time.Millisecond), Limit: 10}, []int{300}},
			"of an app":            {Query{App: "shop", Limit: 1}, []int{300}},
			"of another app":       {Query{App: "stock"}, nil},
			"of another space":     {Query{Reader: Reader{Spaces: []app.SpaceID{"space2"}}}, nil},
		} {
			t.Run(fmt.Sprintf("%s in batches of %d", name, batch), func(t *testing.T) {
				if tc.q.Reader.Spaces == nil {
					tc.q.Reader = all
				}
				got, err := w.Search(t.Context(), tc.q)
				must(t, err)
				var ids []int
				for _, tr := range got.Traces {
					ids = append(ids, int(tr.ID.low()))
					if len(tr.Spans) != 3 {
						t.Errorf("trace %s has %d spans", tr.ID, len(tr.Spans))
					}
				}
				if !slices.Equal(ids, tc.want) {
					t.Errorf("found %v, want %v", ids, tc.want)
				}
			})
		}
	}
}

func TestSearchSaysWhereItEnded(t *testing.T) {
	w := newWorld(t, Options{SearchBytes: 1})
	w.spread(t, 100)
	got, err := w.Search(t.Context(), Query{Reader: all, Tags: []Condition{{Key: "user", Value: "3"}, {Key: "only", Any: true}}, Limit: 300})
	must(t, err)
	if !got.More || got.Back.IsZero() {
		t.Errorf("got more %t, back %s", got.More, got.Back)
	}
}

func TestNamesAndTags(t *testing.T) {
	w := newWorld(t, Options{})
	w.spread(t, 100)
	n, err := w.Names(t.Context(), all, "")
	must(t, err)
	if !slices.Equal(n.Services, []string{"shop", "stock"}) || len(n.Names) > 0 {
		t.Errorf("names %+v", n)
	}
	if n, err = w.Names(t.Context(), all, "shop"); err != nil || !slices.Equal(n.Names, []string{"GET /", "GET /cart", "stock"}) || !slices.Equal(n.Remotes, []string{"stock"}) {
		t.Errorf("names of shop %+v, %v", n, err)
	}
	if n, err = w.Names(t.Context(), Reader{Spaces: []app.SpaceID{"space2"}}, ""); err != nil || len(n.Services) > 0 {
		t.Errorf("names of another space %+v, %v", n, err)
	}
	tags, err := w.Tags(t.Context(), all)
	must(t, err)
	if !slices.Equal(tags["user"], strings.Split("0123456", "")) || tags["only"] != nil {
		t.Errorf("tags %v", tags)
	}
}

func TestAppsAreForgotten(t *testing.T) {
	w := newWorld(t, Options{})
	w.keep(t, shop, span(1, 1, 0, "shop", "op"))
	w.keep(t, stock, span(1, 2, 1, "stock", "op"))
	must(t, w.Forget(t.Context(), shop.App))
	got, err := w.Traces(t.Context(), all, traceID(1))
	must(t, err)
	if len(got) != 1 || len(got[0].Spans) != 1 || got[0].Spans[0].Service != "stock" {
		t.Errorf("left: %+v", got)
	}
	w.keep(t, shop, span(2, 1, 0, "shop", "op"))
	if got, err = w.Traces(t.Context(), all, traceID(2)); err != nil || len(got) != 1 {
		t.Errorf("after: %+v, %v", got, err)
	}
}

func TestTheOldestDayGoesFirst(t *testing.T) {
	w := newWorld(t, Options{Days: 3})
	for n := 1; n <= 4; n++ {
		w.keep(t, shop, func() Span { s := span(n, 1, 0, "shop", "op"); s.Start = w.now; return s }())
		w.now = w.now.AddDate(0, 0, 1)
	}
	w.now = w.now.AddDate(0, 0, -1)
	lost, err := w.Prune(t.Context())
	must(t, err)
	got, err := w.Search(t.Context(), Query{Reader: all})
	must(t, err)
	if lost != 0 || len(got.Traces) != 3 || got.Traces[2].ID != traceID(2) {
		t.Errorf("lost %d, left %+v", lost, got.Traces)
	}
	w.o.Bytes = 1
	if lost, err = w.Prune(t.Context()); err != nil || lost != 3 {
		t.Errorf("lost %d, %v", lost, err)
	}
}

func TestOneDayShrinks(t *testing.T) {
	w := newWorld(t, Options{})
	w.spread(t, 100)
	before, err := w.Size(t.Context())
	must(t, err)
	w.o.Bytes = before - before/10
	lost, err := w.Prune(t.Context())
	must(t, err)
	got, err := w.Search(t.Context(), Query{Reader: all, Limit: 1000})
	must(t, err)
	if lost == 0 || len(got.Traces) == 0 || got.Traces[0].ID != traceID(300) {
		t.Errorf("lost %d, left %d traces", lost, len(got.Traces))
	}
	w.spread(t, 100)
}

func TestAFullDiskTakesTheOldest(t *testing.T) {
	full := false
	w := newWorld(t, Options{Full: func() bool { return full }})
	for n := 1; n <= 2; n++ {
		w.keep(t, shop, func() Span { s := span(n+1000, 1, 0, "shop", "op"); s.Start = w.now; return s }())
		w.now = w.now.AddDate(0, 0, 1)
	}
	for range 20 {
		w.spread(t, 450)
	}
	full = true
	if lost, err := w.Prune(t.Context()); err != nil || lost != 1 {
		t.Errorf("lost %d, %v", lost, err)
	}
	if lost, err := w.Shed(t.Context()); err != nil || lost != 1 {
		t.Errorf("then lost %d, %v", lost, err)
	}
	before, err := w.Size(t.Context())
	must(t, err)
	lost, err := w.Shed(t.Context())
	must(t, err)
	after, err := w.Size(t.Context())
	must(t, err)
	file, err := os.Stat(w.row.Path(dayfile.Of(w.now)))
	must(t, err)
	if lost == 0 || lost >= 20*900 || after > before*4/5 || file.Size() > before {
		t.Errorf("of the last day %d spans went: %d bytes of %d are left, the file has %d", lost, after, before, file.Size())
	}
}

func TestADamagedFileIsRescued(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, path string){
		"cut": func(t *testing.T, path string) {
			info, err := os.Stat(path)
			must(t, err)
			must(t, os.Truncate(path, info.Size()*2/3))
		},
		"nothing left": func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("no database at all"), 0o600)) },
		"overwritten": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			must(t, err)
			defer f.Close()
			info, err := f.Stat()
			must(t, err)
			_, err = f.WriteAt(slices.Repeat([]byte{0xff}, 4096), info.Size()/4096/2*4096)
			must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := newWorld(t, Options{Dir: dir})
			for range 20 {
				w.spread(t, 450)
			}
			must(t, w.Close())
			harm(t, w.row.Path(dayfile.Of(noon)))
			w = newWorld(t, Options{Dir: dir})
			w.keep(t, shop, span(1000, 1, 0, "new", "op"))
			if _, err := w.Search(t.Context(), Query{Reader: all, Service: "shop", Limit: 1000}); err != nil {
				t.Errorf("search: %v", err)
			}
			got, err := w.Traces(t.Context(), all, traceID(1000))
			if err != nil || len(got) != 1 {
				t.Errorf("what came after: %+v, %v", got, err)
			}
			if name != "overwritten" && len(w.lost) != 1 {
				t.Errorf("told of %v", w.lost)
			}
		})
	}
}

func TestSpansThatCannotBe(t *testing.T) {
	for name, tc := range map[string]struct {
		harm func(s *Span)
		why  string // "": it is kept
	}{
		"nothing wrong":        {func(*Span) {}, ""},
		"no trace":             {func(s *Span) { s.Trace = ID{} }, "no trace id"},
		"no id":                {func(s *Span) { s.ID = SpanID{} }, "no id"},
		"ends before it began": {func(s *Span) { s.Took = -1 }, "before it starts"},
		"takes a year":         {func(s *Span) { s.Took = 365 * 24 * time.Hour }, "more than"},
		"of tomorrow":          {func(s *Span) { s.Start = noon.AddDate(0, 0, 1) }, "traces.ahead"},
		"a clock a bit ahead":  {func(s *Span) { s.Start = noon.Add(time.Minute) }, ""},
		"of 1970":              {func(s *Span) { s.Start = time.Unix(1, 0) }, "traces.days"},
		"of the year 2200":     {func(s *Span) { s.Start = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }, "traces.ahead"},
		"of no time":           {func(s *Span) { s.Start = time.Time{} }, ""},
		"too large": {func(s *Span) {
			for i := range 100 {
				s.Tags = append(s.Tags, Tag{fmt.Sprint(i), strings.Repeat("x", 4000)})
			}
		}, "traces.span_bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Options{})
			s := span(1, 1, 0, "shop", "op")
			tc.harm(&s)
			got := w.keep(t, shop, s)
			if (got.Kept == 1) != (tc.why == "") || !strings.Contains(got.Why, tc.why) {
				t.Errorf("got %+v, want %q", got, tc.why)
			}
			if (len(w.told) == 1) != (tc.why != "") {
				t.Errorf("told %+v", w.told)
			}
		})
	}
}

func TestWhatIsTooMuchIsCut(t *testing.T) {
	w := newWorld(t, Options{Attributes: 3, ValueBytes: 10})
	s := span(1, 1, 0, strings.Repeat("s", 1000), "bad \xff")
	for i := range 5 {
		s.Tags = append(s.Tags, Tag{fmt.Sprint(i), "0123456789ä"})
		s.Events = append(s.Events, Event{Time: noon.AddDate(100, 0, 0), Name: "e"})
		s.Links = append(s.Links, Link{})
	}
	w.keep(t, shop, s)
	got, err := w.Traces(t.Context(), all, traceID(1))
	must(t, err)
	sp := got[0].Spans[0]
	if len(sp.Service) != 256 || sp.Name != "bad \uFFFD" || len(sp.Tags) != 3 || len(sp.Events) != 3 || len(sp.Links) != 3 || sp.Tags[0].Value != "0123456789" || !sp.Events[0].Time.Equal(sp.Start) {
		t.Errorf("kept %+v", sp)
	}
	if len(w.told) != 1 || w.told[0].Cut != 1 || w.told[0].Refused != 0 {
		t.Errorf("told %+v", w.told)
	}
}

func TestLimitsOfAnAppAreItsOwn(t *testing.T) {
	w := newWorld(t, Options{Rate: 10, SpansPerTrace: 50})
	many := func(n int) (spans []Span) {
		for i := 1; i <= n; i++ {
			spans = append(spans, span(i/40, i, 0, "s", "op"))
		}
		return spans
	}
	if got := w.keep(t, shop, many(150)[1:]...); got.Kept != 100 || got.Refused != 49 || !strings.Contains(got.Why, "traces.rate") {
		t.Errorf("taken %+v", got)
	}
	if got := w.keep(t, stock, span(99, 1, 0, "s", "op")); got.Kept != 1 {
		t.Errorf("another app: %+v", got)
	}
	if len(w.told) != 1 || w.told[0].Refused != 49 || w.told[0].Owner.App != "shop" || w.told[0].Owner.Instance != "" {
		t.Errorf("told %+v", w.told)
	}
	if got, want := w.Counted(), (Counted{Kept: 101, Refused: 49}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	w.now = w.now.Add(time.Second)
	if got := w.keep(t, shop, many(20)...); got.Kept != 10 {
		t.Errorf("a second later: %+v", got)
	}
	if len(w.told) != 1 {
		t.Errorf("told again within the minute: %+v", w.told)
	}
	w.now = w.now.Add(time.Minute)
	one := span(77, 1, 0, "s", "op")
	var same []Span
	for i := 1; i <= 60; i++ {
		one.ID = spanID(i)
		same = append(same, one)
	}
	if got := w.keep(t, shop, same...); got.Kept != 50 || !strings.Contains(got.Why, "traces.spans_per_trace") {
		t.Errorf("a long trace: %+v", got)
	}
	if len(w.told) != 2 || w.told[1].Refused != 10+10 {
		t.Errorf("told %+v", w.told)
	}
}

func TestGraph(t *testing.T) {
	client := func(s Span, remote string) Span { s.Kind, s.Remote = Client, remote; return s }
	failed := func(s Span) Span { s.Error = true; return s }
	internal := func(s Span) Span { s.Kind = Internal; return s }
	shared := func(s Span) Span { s.Shared = true; return s }
	gate := func(s Span, remote string) Span { s.Service, s.Remote = Gateway, remote; return s }
	for name, tc := range map[string]struct {
		spans []Span
		want  string
	}{
		"one calls another": {[]Span{span(1, 1, 0, "a", ""), client(span(1, 2, 1, "a", ""), "b?"), failed(span(1, 3, 2, "b", ""))}, "a>b 1/1"},
		"twice, once badly": {[]Span{span(1, 1, 0, "a", ""), failed(span(1, 2, 1, "b", "")), span(1, 3, 1, "b", "")}, "a>b 2/1"},
		"within a service":  {[]Span{span(1, 1, 0, "a", ""), internal(span(1, 2, 1, "a", "")), internal(span(1, 3, 2, "a", ""))}, ""},
		"itself":            {[]Span{span(1, 1, 0, "a", ""), client(span(1, 2, 1, "a", ""), ""), span(1, 3, 2, "a", "")}, "a>a 1/0"},
		"who says nothing":  {[]Span{span(1, 1, 0, "a", ""), failed(client(span(1, 2, 1, "a", ""), "postgresql"))}, "a>postgresql 1/1"},
		"both halves in one": {[]Span{client(span(1, 2, 1, "a", ""), "b"), shared(span(1, 2, 1, "b", "")), client(span(1, 3, 2, "b", ""), "c")},
			"a>b 1/0 b>c 1/0"},
		"through the gateway":          {[]Span{client(span(1, 1, 0, "a", ""), "shop.localhost"), gate(span(1, 2, 1, "", ""), "shop"), span(1, 3, 2, "b", "")}, "a>b 1/0"},
		"from outside":                 {[]Span{gate(span(1, 2, 0, "", ""), "shop"), span(1, 3, 2, "b", "")}, "gateway>b 1/0"},
		"to an app without spans":      {[]Span{gate(span(1, 2, 0, "", ""), "shop")}, "gateway>shop 1/0"},
		"from a to one without":        {[]Span{client(span(1, 1, 0, "a", ""), "x"), failed(gate(span(1, 2, 1, "", ""), "shop"))}, "a>shop 1/1"},
		"a parent that is not there":   {[]Span{span(1, 3, 2, "b", "")}, ""},
		"each other's parents":         {[]Span{gate(span(1, 2, 3, "", ""), "x"), gate(span(1, 3, 2, "", ""), "y"), span(1, 4, 3, "b", "")}, ""},
		"the caller by its name alone": {[]Span{func() Span { s := span(1, 1, 0, "b", ""); s.Remote = "phone"; return s }()}, "phone>b 1/0"},
		"another trace's span":         {[]Span{span(1, 1, 0, "a", ""), span(2, 2, 1, "b", "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Options{})
			for _, s := range slices.Backward(tc.spans) { // children first
				w.keep(t, shop, s)
			}
			g, err := w.Graph(t.Context(), all, GraphQuery{App: "", Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)})
			must(t, err)
			var got []string
			for _, c := range g.Calls {
				got = append(got, fmt.Sprintf("%s>%s %d/%d", c.From, c.To, c.Calls, c.Errors))
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %v, want %q", got, tc.want)
			}
		})
	}
}

func TestGraphOfAnApp(t *testing.T) {
	w := newWorld(t, Options{})
	w.keep(t, shop, span(1, 1, 0, "shop", ""))
	w.keep(t, stock, span(1, 2, 1, "stock", ""), span(1, 3, 2, "depot", ""), span(1, 4, 3, "truck", ""))
	g, err := w.Graph(t.Context(), all, GraphQuery{App: shop.App, Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)})
	must(t, err)
	if len(g.Calls) != 1 || g.Calls[0].From != "shop" || g.Calls[0].To != "stock" {
		t.Errorf("of shop: %+v", g.Calls)
	}
	g, err = w.Graph(t.Context(), Reader{Spaces: []app.SpaceID{shop.Space}}, GraphQuery{App: "", Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)})
	must(t, err)
	if len(g.Calls) != 0 {
		t.Errorf("seen from one space: %+v", g.Calls)
	}
}

func TestParseID(t *testing.T) {
	for in, want := range map[string]string{
		"4bf92f3577b34da6a3ce929d0e0e4736":                        "4bf92f3577b34da6a3ce929d0e0e4736",
		"4BF92F3577B34DA6A3CE929D0E0E4736":                        "4bf92f3577b34da6a3ce929d0e0e4736",
		"a3ce929d0e0e4736":                                        "0000000000000000a3ce929d0e0e4736",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": "4bf92f3577b34da6a3ce929d0e0e4736",
		"": "", "0": "", "xyz": "", "4bf92f3577b34da6a3ce929d0e0e47360": "",
	} {
		got, err := ParseID("id", in)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %s, %v", in, got, err)
		}
	}
}

func FuzzBlock(f *testing.F) {
	p, err := dayfile.NewPress()
	must(f, err)
	s := span(1, 1, 0, "shop", "GET /")
	s.Tags = []Tag{{"a", "b"}}
	s.Events = []Event{{s.Start, "e", []Tag{{"c", "d"}}}}
	raw, err := p.Open(pack(p, []*Span{&s, &s}, 0).data, nil)
	must(f, err)
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := openBlock(p, p.Shut(raw, nil, false))
		if err != nil {
			return
		}
		q := Query{Service: "shop", Tags: []Condition{{Key: "a", Value: "b"}}}
		q.match(b, func(int) {})
		for i := range b.len() {
			b.span("s", "a", i)
		}
		b.tags(map[string]map[string]bool{})
	})
}
