package logs_test

import (
	"database/sql"
	"log/slog"
	"os"

	"fmt"

	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/observe/logs"
	"naru/internal/observe/logs/search"
	"naru/internal/run/spool"
)

func parsed(t testing.TB, text string) *search.Expr {
	t.Helper()
	e, err := search.Parse(text)
	must(t, err)
	return e
}

// TestBlocksHoldWhatWasAppended keeps lines in batches of all sizes, of several
// apps, opens the book anew now and then, and compares all ways of reading with
// a list.
func TestBlocksHoldWhatWasAppended(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // the same each time
	now := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	book, err := logs.Open(dir, logs.Limits{Days: 3}, func() time.Time { return now }, quiet)
	must(t, err)
	want := map[app.ID][]logs.Line{}
	rounds := 120
	if testing.Short() {
		rounds = 40
	}
	for round := range rounds {
		if round%25 == 24 {
			must(t, book.Close())
			book, err = logs.Open(dir, logs.Limits{Days: 3}, func() time.Time { return now }, quiet)
			must(t, err)
		}
		if round == rounds*2/3 {
			now = now.Add(2 * time.Hour) // the next day
		}
		var lines []logs.Line
		for range []int{1, 1, 3, 40, 3000}[r.IntN(5)] {
			a := app.ID([]string{"a", "a", "a", "b"}[r.IntN(4)])
			l := logs.Line{
				Time: now.Add(time.Duration(r.IntN(1e9)) * time.Microsecond), App: a, Source: logs.App, Process: []string{"web", "worker"}[r.IntN(2)],
				Index: r.IntN(3), Instance: fmt.Sprint("i", r.IntN(3)), Stream: []string{"stdout", "stderr"}[r.IntN(2)],
				Text: strings.Repeat(fmt.Sprintf("word%d ", r.IntN(5)), r.IntN(60)) + fmt.Sprintf("n%d", len(want[a])+len(lines)),
			}
			switch r.IntN(50) {
			case 0:
				l.Partial = true
			case 1:
				l.Dropped, l.Text = int64(1+r.IntN(9)), "dropped"
			case 2:
				l.Text += "\nsecond line of it"
			case 3:
				l.Text = ""
			}
			lines = append(lines, l)
		}
		must(t, book.Append(t.Context(), lines, nil))
		for _, l := range lines {
			want[l.App] = append(want[l.App], l)
		}
	}
	t.Cleanup(func() { must(t, book.Close()) })
	for a, all := range want {
		var got []logs.Line
		q := logs.Query{App: a, Limit: 777}
		for {
			p, err := book.Read(t.Context(), q)
			must(t, err)
			got = append(got, p.Lines...)
			if q.After = p.Next; !p.More {
				break
			}
		}
		same(t, "read in pages", got, all)
		end, err := book.End(t.Context(), a)
		must(t, err)
		if end != all[len(all)-1].Cursor || q.After != end {
			t.Errorf("%s ends at %v, reading ended at %v, the last line is at %v", a, end, q.After, all[len(all)-1].Cursor)
		}
		tail, err := book.Tail(t.Context(), logs.Query{App: a, Limit: 234})
		must(t, err)
		same(t, "tail", tail.Lines, all[len(all)-234:])

		one := 1
		since, until := now.Add(-90*time.Minute), now.Add(8*time.Minute)
		some := func(l logs.Line) bool {
			return l.Index == 1 && l.Process == "web" && !l.Time.Before(since) && l.Time.Before(until)
		}
		q = logs.Query{App: a, Index: &one, Process: "web", Since: since, Until: until, Limit: 1e6}
		p, err := book.Read(t.Context(), q)
		must(t, err)
		same(t, "one instance for a time", p.Lines, keep(all, some))

		for ask, has := range map[string]func(string) bool{
			"word3":              func(s string) bool { return strings.Contains(s, "word3 ") },
			"word3 second":       func(s string) bool { return strings.Contains(s, "word3 ") && strings.Contains(s, "second") },
			"word1 OR word2":     func(s string) bool { return strings.Contains(s, "word1 ") || strings.Contains(s, "word2 ") },
			"word1 NOT n17*":     func(s string) bool { return strings.Contains(s, "word1 ") && !strings.Contains(s, "n17") },
			"n1001":              func(s string) bool { return strings.HasSuffix(strings.TrimSuffix(s, "\nsecond line of it"), "n1001") },
			"nowhere":            func(string) bool { return false },
			`"word4 word4"`:      func(s string) bool { return strings.Contains(s, "word4 word4 ") },
			"source=RTR OR abcd": func(string) bool { return false },
		} {
			found := keep(all, func(l logs.Line) bool { return has(l.Text) })
			p, err := book.Read(t.Context(), logs.Query{App: a, Search: parsed(t, ask), Limit: 1e6})
			must(t, err)
			same(t, "search "+ask, p.Lines, found)
			if p.Next != end {
				t.Errorf("search %s went to %v of %v", ask, p.Next, end)
			}
			p, err = book.Tail(t.Context(), logs.Query{App: a, Search: parsed(t, ask), Limit: 5})
			must(t, err)
			same(t, "last of "+ask, p.Lines, found[max(0, len(found)-5):])
		}
	}
}

func keep(lines []logs.Line, is func(logs.Line) bool) (out []logs.Line) {
	for _, l := range lines {
		if is(l) {
			out = append(out, l)
		}
	}
	return out
}

func same(t *testing.T, what string, got, want []logs.Line) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s: line %d of %d is %+v, want %+v of %d", what, i, len(got), got[i], want[i], len(want))
			return
		}
	}
	t.Errorf("%s: %d lines, want %d", what, len(got), len(want))
}

// TestSearchEndsAtItsLimit searches more text than is allowed, from both ends.
func TestSearchEndsAtItsLimit(t *testing.T) {
	b := openBook(t, t.TempDir(), time.Now)
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for n := range 20 {
		var lines []logs.Line
		for i := range 600 {
			lines = append(lines, logs.Line{App: "a", Time: start.Add(time.Duration(n*600+i) * time.Second), Text: strings.Repeat("x", 1000)})
		}
		must(t, b.Append(t.Context(), lines, nil))
	}
	q := logs.Query{App: "a", Search: parsed(t, "NOT y"), Limit: 1e6, Bytes: 2 << 20}
	p, err := b.Read(t.Context(), q)
	must(t, err)
	if n := len(p.Lines); n < 2000 || n > 4200 || !p.More || p.Next != p.Lines[n-1].Cursor {
		t.Errorf("reading found %d lines, more %t, and goes on at %v", n, p.More, p.Next)
	}
	p, err = b.Tail(t.Context(), q)
	must(t, err)
	if n := len(p.Lines); n < 2000 || n > 4200 || !p.More || !p.Back.Equal(p.Lines[0].Time) {
		t.Errorf("tail found %d lines, more %t, back to %v", n, p.More, p.Back)
	}
}

// TestADamagedBlockIsSaid damages a block on disk: its lines are one that says
// so, everything else stays, and lines can still be added and merged.
func TestADamagedBlockIsSaid(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b := openBook(t, dir, func() time.Time { return now })
	for n := range 10 {
		must(t, b.Append(t.Context(), []logs.Line{{App: "a", Time: now, Text: fmt.Sprint("line ", n)}, {App: "a", Time: now, Text: "and"}}, nil))
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "20260301.logs"))
	must(t, err)
	_, err = db.Exec(`UPDATE blocks SET data = x'28b52ffd00' WHERE first = 5`)
	must(t, err)
	must(t, db.Close())
	for n := range 20 { // enough to merge
		must(t, b.Append(t.Context(), []logs.Line{{App: "a", Time: now, Text: fmt.Sprint("later ", n)}}, nil))
	}
	p, err := b.Read(t.Context(), logs.Query{App: "a"})
	must(t, err)
	if len(p.Lines) != 39 || p.Lines[4].Dropped != 2 || p.Lines[4].Text != "2 lines dropped (damaged on disk)" || p.Lines[5].Text != "line 3" || p.Lines[38].Text != "later 19" {
		t.Errorf("read %v", texts(p))
	}
	again, err := b.Read(t.Context(), logs.Query{App: "a", After: p.Lines[4].Cursor, Limit: 1})
	must(t, err)
	if texts(again)[0] != "line 3" {
		t.Errorf("behind the damage is %v", texts(again))
	}
}

// TestTheOldestLinesGoFirst keeps less than is appended: whole days first, then
// blocks of the day, and never the newest lines of an app.
func TestTheOldestLinesGoFirst(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // lines that cannot be compressed
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	b, err := logs.Open(dir, logs.Limits{Days: 9, Bytes: 3 << 20}, func() time.Time { return now }, quiet)
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	must(t, b.Append(t.Context(), []logs.Line{{App: "quiet", Time: now, Text: "yesterday"}}, map[string]spool.Offset{"still": {Seq: 7}, "over": {End: true}}))
	now = now.AddDate(0, 0, 1)
	must(t, b.Append(t.Context(), []logs.Line{{App: "quiet", Time: now, Text: "today"}}, nil))
	for range 12 {
		var lines []logs.Line
		for range 600 {
			now = now.Add(time.Second)
			text := make([]byte, 1000)
			for i := range text {
				text[i] = byte('!' + r.IntN(90))
			}
			lines = append(lines, logs.Line{App: "loud", Time: now, Text: string(text)})
		}
		must(t, b.Append(t.Context(), lines, nil))
	}
	lost, err := b.Prune(t.Context())
	must(t, err)
	loud, err := b.Read(t.Context(), logs.Query{App: "loud", Limit: 1e6})
	must(t, err)
	quiet, err := b.Read(t.Context(), logs.Query{App: "quiet"})
	must(t, err)
	if n := int64(len(loud.Lines)); n < 1200 || n > 4200 || lost != 7200-n+1 || !loud.Lines[n-1].Time.Equal(now) {
		t.Errorf("%d loud lines are left, %d were lost", n, lost)
	}
	if fmt.Sprint(texts(quiet)) != "[today]" {
		t.Errorf("of the quiet app is left %v", texts(quiet))
	}
	if lost, err := b.Prune(t.Context()); lost != 0 || err != nil {
		t.Errorf("pruning again removed %d lines: %v", lost, err)
	}
	if at, err := b.Offset(t.Context(), "still"); err != nil || at.Seq != 7 {
		t.Errorf("the spool of a silent instance begins again at %v: %v", at, err)
	}
	must(t, b.Append(t.Context(), []logs.Line{{App: "loud", Time: now, Text: "next"}}, nil))
	end, err := b.End(t.Context(), "loud")
	must(t, err)
	if end.ID != 7201 {
		t.Errorf("after pruning the next line is number %d", end.ID)
	}
}

func TestForgottenLinesAreGone(t *testing.T) {
	dir := t.TempDir()
	b := openBook(t, dir, time.Now)
	must(t, b.Append(t.Context(), []logs.Line{{App: "a", Text: "mine"}, {App: "b", Text: "theirs"}}, nil))
	must(t, b.Forget(t.Context(), "a"))
	p, err := b.Read(t.Context(), logs.Query{App: "a"})
	must(t, err)
	if len(p.Lines) != 0 {
		t.Errorf("left %v", texts(p))
	}
	if p, err = b.Read(t.Context(), logs.Query{App: "b"}); err != nil || len(p.Lines) != 1 {
		t.Errorf("another app has %v: %v", texts(p), err)
	}
}

// TestADamagedFileIsRescued damages the file of a day in several ways: the book
// goes on, keeps what can be read and tells what it found.
func TestADamagedFileIsRescued(t *testing.T) {
	for name, tc := range map[string]struct {
		harm func(file []byte) []byte
		some bool // lines survive
	}{
		"cut at the end":        {func(f []byte) []byte { return f[:len(f)*2/3] }, true},
		"zeros in the middle":   {func(f []byte) []byte { clear(f[len(f)/2 : len(f)/2+3*4096]); return f }, true},
		"not a database at all": {func([]byte) []byte { return []byte(strings.Repeat("no database ", 1000)) }, false},
		"its first page":        {func(f []byte) []byte { clear(f[:100]); return f }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			clock := func() time.Time { return now }
			var told strings.Builder
			b, err := logs.Open(dir, logs.Limits{Days: 3}, clock, slog.New(slog.NewTextHandler(&told, nil)))
			must(t, err)
			r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // lines that cannot be compressed
			for n := range 8 {
				var lines []logs.Line
				for range 600 {
					lines = append(lines, logs.Line{App: "a", Time: now, Text: fmt.Sprintf("%d %0900x", n, r.Uint64())})
				}
				must(t, b.Append(t.Context(), lines, nil))
			}
			must(t, b.Close())
			path := filepath.Join(dir, "20260301.logs")
			file, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, tc.harm(file), 0o600))

			b, err = logs.Open(dir, logs.Limits{Days: 3}, clock, slog.New(slog.NewTextHandler(&told, nil)))
			must(t, err)
			if name == "zeros in the middle" { // a reader finds it first
				_, err := b.Read(t.Context(), logs.Query{App: "a", Limit: 1e6})
				must(t, err)
			}
			for range 3 {
				must(t, b.Append(t.Context(), []logs.Line{{App: "a", Time: now, Text: "after"}}, nil))
			}
			p, err := b.Read(t.Context(), logs.Query{App: "a", Limit: 1e6})
			must(t, err)
			must(t, b.Close())
			if n := len(p.Lines); n < 3 || p.Lines[n-1].Text != "after" || (n > 1000) != tc.some {
				t.Errorf("%d lines are left", n)
			}
			if !strings.Contains(told.String(), "20260301.logs.damaged") {
				t.Errorf("told %q", told.String())
			}
		})
	}
}
