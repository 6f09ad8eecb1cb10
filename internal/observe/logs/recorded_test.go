package logs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/observe/logs"
	"naru/internal/run/spool"
)

// recorded is what testdata/20260301.logs holds. The file was written by naru as
// it was before the mechanics of day files had a package of their own; it must
// stay readable, so neither changes.
func recorded() (batches [][]logs.Line, offsets map[string]spool.Offset) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 40 { // one by one: they are merged
		batches = append(batches, []logs.Line{{Time: noon.Add(time.Duration(i) * time.Second), App: "quiet", Source: logs.Task, Process: "job", Index: i % 3, Instance: fmt.Sprint("q", i%3), Stream: "stderr", Text: fmt.Sprint("line ", i)}})
	}
	for b := range 3 { // enough to be sealed, and then some
		var lines []logs.Line
		for i := range 2000 {
			n := 2000*b + i
			lines = append(lines, logs.Line{
				Time: noon.Add(time.Duration(n) * time.Millisecond), App: "shop", Source: []string{logs.App, logs.Router}[n%2], Process: "web", Instance: "s1", Stream: "stdout",
				Text: fmt.Sprintf("order=%d stored, and this is the tail of a line that is longer than what is said in it, as lines of apps are %s", n, strings.Repeat("=", 20)),
			})
		}
		batches = append(batches, lines)
	}
	batches = append(batches, []logs.Line{
		{Time: noon, App: "odd", Source: logs.App, Text: "begins", Partial: true},
		{Time: noon.Add(-time.Hour), App: "odd", Source: logs.App, Text: "and\nends ü 日本 \uFFFD"},
		{Time: noon, App: "odd", Source: logs.Platform, Stream: "stderr", Text: "7 lines dropped (rate)", Dropped: 7},
		{Time: noon, App: "odd", Source: logs.Staging},
	})
	return batches, map[string]spool.Offset{"s1": {File: 3, Pos: 99, Seq: 6000}, "q0": {File: 1, Pos: 7, Seq: 14, End: true}}
}

func TestFilesOfBeforeAreRead(t *testing.T) {
	dir := t.TempDir()
	file, err := os.ReadFile(filepath.Join("testdata", "20260301.logs"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "20260301.logs"), file, 0o600))
	now := time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC)
	b := openBook(t, dir, func() time.Time { return now })
	batches, offsets := recorded()
	want := map[app.ID][]logs.Line{}
	for _, lines := range batches {
		for _, l := range lines {
			l.Cursor = logs.Cursor{Day: 20260301, ID: int64(len(want[l.App]) + 1)}
			want[l.App] = append(want[l.App], l)
		}
	}
	holds := func(when string) {
		for a, all := range want {
			p, err := b.Read(t.Context(), logs.Query{App: a, Limit: 1e6})
			must(t, err)
			same(t, when+" read", p.Lines, all)
			p, err = b.Tail(t.Context(), logs.Query{App: a, Limit: 3})
			must(t, err)
			same(t, when+" tail", p.Lines, all[len(all)-3:])
		}
		for ask, n := range map[string]int{"order=1234": 1, "5999": 1, "6000": 0, "stored": 6000} {
			p, err := b.Read(t.Context(), logs.Query{App: "shop", Search: parsed(t, ask), Limit: 1e6})
			must(t, err)
			if len(p.Lines) != n {
				t.Errorf("%s %q is in %d lines, want %d", when, ask, len(p.Lines), n)
			}
		}
	}
	holds("at first")
	for name, at := range offsets {
		if got, err := b.Offset(t.Context(), name); err != nil || got != at {
			t.Errorf("spool %s was imported to %+v: %v, want %+v", name, got, err, at)
		}
	}
	for i := range 40 { // they are merged with what was there
		lines := []logs.Line{{Time: now, App: "quiet", Text: fmt.Sprint("later ", i)}, {Time: now, App: "shop", Text: "more"}}
		must(t, b.Append(t.Context(), lines, nil))
		for _, l := range lines {
			want[l.App] = append(want[l.App], l)
		}
	}
	holds("after more came")
}
