package metrics

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"naru/internal/fault"
)

// began is when the tests' clock begins: on the hour, so that blocks of two hours
// fall where the tests expect them.
var began = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// rig is an open store with a clock that only its test moves.
type rig struct {
	*Store
	t    *testing.T
	mu   sync.Mutex
	now  time.Time
	stop context.CancelFunc
	done chan error
	lost []Lost
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) at(t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = t
}

func start(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t: t, now: began}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Now == nil {
		o.Now = r.clock
	}
	o.Lost = func(_ context.Context, l Lost) { r.lost = append(r.lost, l) }
	r.Store = New(o, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r.stop, r.done = stop, make(chan error, 1)
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(r.end)
	select {
	case <-r.Ready():
	case <-t.Context().Done():
		t.Fatal("never open")
	}
	return r
}

// end closes the store; twice is once.
func (r *rig) end() {
	r.stop()
	if err, ok := <-r.done; ok {
		if err != nil {
			r.t.Error(err)
		}
		close(r.done)
	}
}

func series(pairs ...string) *Series { return &Series{Labels: labels.FromStrings(pairs...)} }

func (r *rig) put(at time.Time, points ...Point) Result {
	r.t.Helper()
	got, err := r.Write(r.t.Context(), at, points)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// ask returns what a query answers at a time, as text.
func (r *rig) ask(who Reader, at time.Time, text string) string {
	r.t.Helper()
	a, err := r.Query(r.t.Context(), who, Query{Text: text, To: at})
	if err != nil {
		r.t.Fatalf("%s: %v", text, err)
	}
	defer a.Close()
	return a.String()
}

var everything = Reader{All: true}

func TestWhatIsWrittenIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Options{Dir: dir})
	s := series("__name__", "up", "app", "shop")
	for i := range 10 {
		r.put(began.Add(time.Duration(i)*15*time.Second), Point{Series: s, Value: float64(i)})
	}
	r.end()
	if _, err := r.Query(t.Context(), everything, Query{Text: "up", To: began}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a closed store answers %v", err)
	}
	if _, err := r.Write(t.Context(), began, []Point{{Series: s}}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a closed store takes samples: %v", err)
	}
	r = start(t, Options{Dir: dir})
	if got := r.ask(everything, began.Add(3*time.Minute), "sum_over_time(up[5m])"); got != `{app="shop"} => 45 @[1772323380000]` {
		t.Errorf("got %s", got)
	}
	if len(r.lost) > 0 {
		t.Errorf("lost %+v", r.lost)
	}
	size, err := r.Size()
	if err != nil || size.Series != 1 || size.Bytes == 0 || !size.Oldest.Equal(began) {
		t.Errorf("size %+v, %v", size, err)
	}
}

// TestReadersSeeTheirOwnSpaces tries everything that a query can say against what
// its reader may see.
func TestReadersSeeTheirOwnSpaces(t *testing.T) {
	r := start(t, Options{})
	for _, space := range []string{"s1", "s2", "s.", "", "s1|s2"} {
		r.put(began, Point{Series: series("__name__", "m", "space_id", space, "app", "of "+space), Value: 1})
	}
	for name, c := range map[string]struct {
		who  Reader
		want string
	}{
		"one":        {Reader{Spaces: []string{"s1"}}, "s1"},
		"two":        {Reader{Spaces: []string{"s1", "s2"}}, "s1 s2"},
		"a pattern":  {Reader{Spaces: []string{"s.", "nothing"}}, "s."},
		"none":       {Reader{}, ""},
		"no name":    {Reader{Spaces: []string{""}}, ""},
		"no name ii": {Reader{Spaces: []string{"", "s2"}}, "s2"},
		"with a bar": {Reader{Spaces: []string{"s1|s2", "x"}}, "s1|s2"},
		"all":        {everything, " s. s1 s1|s2 s2"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{
				"m", `m or m{space_id="s2"} or {__name__=~".+"}`, `m{space_id=~".*"}`, `m{space_id!="s1"} or m{space_id="s1"}`,
				`{app=~".+"}`, `last_over_time({space_id=~"|.*", app!=""}[5m])`, `label_replace(m, "x", "y", "", "") or on(app) {space_id!~"nobody", app!=""}`,
				`m offset -1s`, `m @ 1772323200`,
			} {
				a, err := r.Query(t.Context(), c.who, Query{Text: text, To: began})
				if err != nil {
					t.Fatal(err)
				}
				seen := map[string]bool{}
				for _, s := range a.Value.(promql.Vector) {
					seen[s.Metric.Get("space_id")] = true
				}
				a.Close()
				allowed := map[string]bool{}
				if c.want != "" || c.who.All {
					for _, s := range strings.Split(c.want, " ") {
						allowed[s] = true
					}
				}
				if fmt.Sprint(seen) != fmt.Sprint(allowed) {
					t.Errorf("%s shows %v, want %v", text, seen, allowed)
				}
			}
			q, err := r.As(c.who).Querier(0, began.UnixMilli())
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			values, _, err := q.LabelValues(t.Context(), "space_id", nil)
			if got := strings.Join(values, " "); err != nil || strings.TrimSpace(c.want) != got {
				t.Errorf("values %q, %v, want %q", got, err, c.want)
			}
			names, _, err := q.LabelNames(t.Context(), nil, labels.MustNewMatcher(labels.MatchEqual, "app", "of s2"))
			if has := len(names) > 0; err != nil || has != r.As(c.who).(queryable).reader.sees("s2") {
				t.Errorf("names %v, %v", names, err)
			}
		})
	}
}

func TestASeriesThatIsGoneEnds(t *testing.T) {
	r := start(t, Options{})
	src := r.Source()
	a, b := series("__name__", "m", "x", "a"), series("__name__", "m", "x", "b")
	write := func(at time.Time, points ...Point) {
		t.Helper()
		if _, err := src.Write(t.Context(), at, points); err != nil {
			t.Fatal(err)
		}
	}
	write(began, Point{Series: a, Value: 1}, Point{Series: b, Value: 2})
	write(began.Add(15*time.Second), Point{Series: a, Value: 1})
	if got := r.ask(everything, began.Add(20*time.Second), "count(m)"); got != `{} => 1 @[1772323220000]` {
		t.Errorf("after one ended: %s", got)
	}
	write(began.Add(30*time.Second), Point{Series: a, Value: 1}, Point{Series: b, Value: 2})
	if got := r.ask(everything, began.Add(30*time.Second), "count(m)"); got != `{} => 2 @[1772323230000]` {
		t.Errorf("after it came again: %s", got)
	}
	if err := src.End(t.Context(), began.Add(45*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(everything, began.Add(45*time.Second), "m"); got != "" {
		t.Errorf("after the end: %s", got)
	}
}

func TestTheFirstErrorIsAnIncrease(t *testing.T) {
	r := start(t, Options{})
	s, before := series("__name__", "naru_errors_total"), began.Add(-15*time.Second)
	r.put(began, Point{Series: s, Value: 3, Born: before.UnixMilli()})
	r.put(began.Add(15*time.Second), Point{Series: s, Value: 3, Born: before.UnixMilli()})
	if got := r.ask(everything, began.Add(15*time.Second), "max_over_time(naru_errors_total[1m]) - min_over_time(naru_errors_total[1m])"); got != "{} => 3 @[1772323215000]" {
		t.Errorf("got %s", got)
	}
}

func TestTooManySeriesAreRefusedAndToldOnce(t *testing.T) {
	var told []Limited
	r := start(t, Options{Series: 8, SeriesPerApp: 3, Limited: func(_ context.Context, l Limited) { told = append(told, l) }})
	of := func(name, app string, n int) (out []Point) {
		for i := range n {
			out = append(out, Point{Series: series("__name__", name, "space_id", "s", "app", app, "i", fmt.Sprint(i)), Value: 1})
		}
		return out
	}
	shop := of("m", "shop", 5)
	for i := range 3 {
		got := r.put(began.Add(time.Duration(i)*time.Minute), shop...)
		if got.Written != 3 || got.Refused != 2 {
			t.Errorf("round %d: %+v", i, got)
		}
	}
	if len(told) != 1 || told[0].Owner != (Owner{"s", "shop"}) || told[0].Setting != "metrics.series_per_app" || told[0].Limit != 3 {
		t.Fatalf("told %+v", told)
	}
	if got := r.put(began, of("m", "other", 3)...); got.Written != 3 {
		t.Errorf("another app: %+v", got)
	}
	// Two places are left for all, and two more for naru itself.
	if got := r.put(began, of("naru_x", "shop", 9)...); got.Written != 4 || got.Refused != 5 {
		t.Errorf("naru's own: %+v", got)
	}
	if got := r.put(began, of("m", "third", 1)...); got.Refused != 1 {
		t.Errorf("a third app: %+v", got)
	}
	if n := len(told); n != 2 || told[n-1].Setting != "metrics.series" {
		t.Errorf("told %+v", told)
	}
	r.at(began.Add(25 * time.Hour))
	r.put(began, shop...)
	if len(told) < 3 {
		t.Error("nobody was told again a day later")
	}
}

func TestSamplesOfWrongTimes(t *testing.T) {
	r := start(t, Options{})
	s := series("__name__", "m")
	r.put(began, Point{Series: s, Value: 1})
	for name, c := range map[string]struct {
		at    time.Duration
		value float64
		want  Result
	}{
		"late, within the window": {-50 * time.Minute, 2, Result{Written: 1}},
		"too late":                {-2 * time.Hour, 2, Result{Late: 1}},
		"from the future":         {time.Hour, 2, Result{Late: 1}},
		"twice":                   {0, 2, Result{Twice: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.put(began.Add(c.at), Point{Series: s, Value: c.value}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestQueriesHaveLimits(t *testing.T) {
	r := start(t, Options{QuerySamples: 100, Queries: 1})
	s := series("__name__", "m")
	var points []Point
	for i := range 200 {
		points = append(points, Point{Series: s, At: began.Add(time.Duration(i-200) * time.Second).UnixMilli(), Value: 1})
	}
	r.put(began, points...)
	for name, c := range map[string]struct {
		q    Query
		kind fault.Kind
		says string
	}{
		"too many samples": {Query{Text: "sum_over_time(m[10m])", To: began}, fault.TooLarge, "metrics.query_samples"},
		"too many points":  {Query{Text: "m", From: began.Add(-24 * time.Hour), To: began, Step: time.Second}, fault.TooLarge, "11000"},
		"backwards":        {Query{Text: "m", From: began, To: began.Add(-time.Hour), Step: time.Minute}, fault.Invalid, "before"},
		"no PromQL":        {Query{Text: "sum(", To: began}, fault.Invalid, "parse error"},
		"nothing":          {Query{To: began}, fault.Invalid, "no expression"},
		"wrong types":      {Query{Text: "m[5m]", From: began, To: began.Add(time.Minute), Step: time.Second}, fault.Invalid, "range"},
		"ambiguous":        {Query{Text: "m + on() group_left m", To: began}, "", ""},
		"too long":         {Query{Text: "m", To: began, Timeout: 1}, fault.TooLarge, "metrics.query_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := r.Query(t.Context(), everything, c.q)
			if err == nil {
				a.Close()
			}
			if c.kind == "" && err == nil {
				return
			}
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	// All turns are given back, whatever became of the query.
	if n := len(r.engine.turns); n != 0 {
		t.Errorf("%d turns are still taken", n)
	}
	a, err := r.Query(t.Context(), everything, Query{Text: "1", To: began})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Query(ctx, everything, Query{Text: "1", To: began}); err == nil {
		t.Error("two queries at a time")
	}
	a.Close()
}

func TestMetadataOfOthersIsHidden(t *testing.T) {
	r := New(Options{}, slog.New(slog.DiscardHandler))
	r.Describe("", "naru_x", Metadata{Type: "counter"})
	r.Describe("s1", "m", Metadata{Type: "gauge", Help: strings.Repeat("a", 600)})
	r.Describe("s2", "m", Metadata{Type: "counter"})
	if got := r.Metadata(Reader{Spaces: []string{"s1"}}); len(got) != 2 || len(got["m"]) != 1 || got["m"][0].Type != "gauge" || len(got["m"][0].Help) != 512 {
		t.Errorf("got %+v", got)
	}
	if got := r.Metadata(everything); len(got["m"]) != 2 {
		t.Errorf("got %+v", got)
	}
}

// hours writes a sample every five minutes from the first hour to the last.
func (r *rig) hours(s *Series, first, last int) {
	r.t.Helper()
	for m := first * 60; m < last*60; m += 5 {
		at := began.Add(time.Duration(m) * time.Minute)
		r.at(at)
		r.put(at, Point{Series: s, Value: float64(m)})
	}
}

// compact makes blocks of what is old enough, and deletes those that are to go.
func (r *rig) compact() (blocks int) {
	r.t.Helper()
	if err := r.db.Compact(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return len(r.db.Blocks())
}

func TestTheOldestBlockGoesFirst(t *testing.T) {
	full := false
	r := start(t, Options{Retention: 10 * time.Hour, Full: func() bool { return full }})
	s := series("__name__", "m")
	r.hours(s, 0, 10)
	before := r.compact()
	if before < 3 {
		t.Fatalf("%d blocks", before)
	}
	oldest := r.db.Blocks()[0].MinTime()
	full = true
	r.hours(s, 10, 12)
	if r.compact(); r.db.Blocks()[0].MinTime() <= oldest {
		t.Errorf("kept from %d", r.db.Blocks()[0].MinTime())
	}
	full = false
	r.hours(s, 12, 24)
	r.compact()
	if first := time.UnixMilli(r.db.Blocks()[0].MaxTime()); first.Before(began.Add(10 * time.Hour)) {
		t.Errorf("kept from %v", first)
	}
}

func TestABrokenBlockIsSetAside(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Options{Dir: dir})
	r.hours(series("__name__", "m"), 0, 8)
	r.compact()
	broken := r.db.Blocks()[1].Dir()
	r.end()
	must(t, os.Truncate(filepath.Join(broken, "index"), 20))
	r = start(t, Options{Dir: dir, Now: func() time.Time { return began.Add(8 * time.Hour) }})
	if len(r.lost) != 1 || r.lost[0].From.IsZero() || r.lost[0].To.Sub(r.lost[0].From) > 2*time.Hour || !strings.Contains(r.lost[0].What, filepath.Base(broken)) {
		t.Fatalf("lost %+v", r.lost)
	}
	if _, err := os.Stat(filepath.Join(dir, "aside", filepath.Base(broken), "index")); err != nil {
		t.Error(err)
	}
	if got := r.ask(everything, began.Add(8*time.Hour), "count_over_time(m[8h5m])"); got != "{} => 72 @[1772352000000]" {
		t.Errorf("left: %s", got) // 96 less 24
	}
}

func TestADamagedEndIsCutOff(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, wal string){
		"torn": func(t *testing.T, wal string) {
			text, err := os.ReadFile(wal)
			must(t, err)
			text = bytes.TrimRight(text, "\x00") // a page ends in nothing
			must(t, os.WriteFile(wal, text[:len(text)-3], 0o600))
		},
		"overwritten": func(t *testing.T, wal string) {
			text, err := os.ReadFile(wal)
			must(t, err)
			for i := len(text) / 2; i < len(text)/2+200; i++ {
				text[i] ^= 0xff
			}
			must(t, os.WriteFile(wal, text, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := start(t, Options{Dir: dir})
			s := series("__name__", "m")
			r.hours(s, 0, 1)
			r.end()
			damage(t, filepath.Join(dir, "wal", "00000000"))
			r = start(t, Options{Dir: dir, Now: func() time.Time { return began.Add(time.Hour) }})
			if len(r.lost) != 1 || r.lost[0].What != "what came last" || !r.lost[0].From.Before(began.Add(time.Hour)) {
				t.Errorf("lost %+v", r.lost)
			}
			// What came before is there, and it goes on.
			r.put(began.Add(time.Hour), Point{Series: s, Value: 1})
			if got := r.ask(everything, began.Add(time.Hour), "count_over_time(m[2h]) > 3"); got == "" {
				t.Error("nothing is left")
			}
		})
	}
}

func TestAHeadThatCannotBeReadIsSetAside(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Options{Dir: dir})
	r.hours(series("__name__", "m"), 0, 1)
	r.end()
	must(t, os.RemoveAll(filepath.Join(dir, "chunks_head")))
	must(t, os.WriteFile(filepath.Join(dir, "chunks_head"), []byte("no folder"), 0o600))
	r = start(t, Options{Dir: dir})
	if len(r.lost) != 1 || r.lost[0].Aside == "" {
		t.Fatalf("lost %+v", r.lost)
	}
	r.put(began, Point{Series: series("__name__", "m"), Value: 1})
}

func TestAClockThatIsSetBack(t *testing.T) {
	r := start(t, Options{})
	s := series("__name__", "m")
	r.at(began.Add(48 * time.Hour))
	r.put(r.clock(), Point{Series: s, Value: 1})
	r.at(began)
	if got := r.put(began, Point{Series: s, Value: 2}); got.Late != 1 {
		t.Fatalf("got %+v", got)
	}
	must(t, r.keep(t.Context())) // as Run does every minute
	if len(r.lost) != 1 || r.lost[0].Cause != "the clock was set back" {
		t.Errorf("lost %+v", r.lost)
	}
	if got := r.put(began, Point{Series: s, Value: 2}); got.Written != 1 {
		t.Errorf("afterwards %+v", got)
	}
	if got := r.ask(everything, began, "m"); got != `{__name__="m"} => 2 @[1772323200000]` {
		t.Errorf("got %s", got)
	}
	// Within the window nothing is thrown away.
	r.at(began.Add(-30 * time.Minute))
	must(t, r.keep(t.Context()))
	if got := r.put(r.clock(), Point{Series: s, Value: 2}); got.Written != 1 || len(r.lost) != 1 {
		t.Errorf("half an hour back: %+v, lost %+v", got, r.lost)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
