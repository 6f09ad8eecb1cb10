package logs_test

import (
	"bytes"
	"fmt"
	"io"
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

// output is what an instance of an app wrote, and its spool ended.
func output(t *testing.T, root string, m spool.Meta, in io.Reader, o spool.Options) {
	t.Helper()
	dir := filepath.Join(root, m.Instance)
	must(t, spool.Create(dir, m))
	must(t, spool.Copy(dir, in, nil, o))
}

func imported(t *testing.T, im *logs.Importer) {
	t.Helper()
	for more := true; more; {
		var err error
		more, err = im.Import(t.Context())
		must(t, err)
	}
}

func TestHostileOutput(t *testing.T) {
	root := t.TempDir()
	long := strings.Repeat("überlänge 日本 ", 10<<20/21) // 10 MB, and no part ends where a character does
	odd := []string{
		"nul \x00 and bell \x07",
		"not \xff\xfe UTF-8 \xc3",
		"\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J",
		"", "\r",
		"a carriage\rreturn",
		long,
		"the last one",
	}
	output(t, root, spool.Meta{Instance: "i", App: "a", Process: "web"}, strings.NewReader(strings.Join(odd, "\n")+"\n"), spool.Options{Line: 64 << 10, Bound: 64 << 20})
	book := openBook(t, t.TempDir(), time.Now)
	imported(t, logs.NewImporter(root, book, time.Hour, 0, quiet))
	var got []string
	whole := ""
	page := logs.Page{More: true}
	for page.More {
		var err error
		page, err = book.Read(t.Context(), logs.Query{App: "a", After: page.Next, Limit: 50})
		must(t, err)
		for _, l := range page.Lines {
			if whole += l.Text; !l.Partial {
				got, whole = append(got, whole), ""
			}
		}
	}
	for i, text := range odd {
		want := strings.ToValidUTF8(text, "\uFFFD")
		if text == "\r" {
			want = "" // the end of a line, as Windows writes it
		}
		if i >= len(got) || got[i] != want {
			t.Errorf("line %d of %d came as %.80q, want %.80q", i, len(got), slices.Concat(got, []string{"nothing"})[min(i, len(got))], want)
		}
	}
	for ask, want := range map[string]int{"red": 1, "nul bell": 1, "title": 1, "carriage": 1, `"last one"`: 1} {
		e, err := search.Parse(ask)
		must(t, err)
		p, err := book.Read(t.Context(), logs.Query{App: "a", Search: e})
		must(t, err)
		if len(p.Lines) != want {
			t.Errorf("%s is in %d lines, want %d", ask, len(p.Lines), want)
		}
	}
}

// TestALoudAppHoldsUpNobody has a spool with more than one turn takes.
func TestALoudAppHoldsUpNobody(t *testing.T) {
	root := t.TempDir()
	output(t, root, spool.Meta{Instance: "1-loud", App: "loud", Process: "web"}, bytes.NewReader(bytes.Repeat([]byte("x\n"), 100_000)), spool.Options{})
	output(t, root, spool.Meta{Instance: "2-quiet", App: "quiet", Process: "web"}, strings.NewReader("I am here\n"), spool.Options{})
	book := openBook(t, t.TempDir(), time.Now)
	im := logs.NewImporter(root, book, time.Hour, 0, quiet)
	more, err := im.Import(t.Context())
	must(t, err)
	quietly, err := book.Read(t.Context(), logs.Query{App: "quiet"})
	must(t, err)
	loudly, err := book.Behind(t.Context(), "loud", logs.Cursor{})
	must(t, err)
	if len(quietly.Lines) != 1 || !more || loudly >= 100_000 {
		t.Errorf("after one turn %d lines of the quiet app and %d of the loud one", len(quietly.Lines), loudly)
	}
	imported(t, im)
	if loudly, err = book.Behind(t.Context(), "loud", logs.Cursor{}); err != nil || loudly != 100_000 {
		t.Errorf("at last %d lines of the loud one, %v", loudly, err)
	}
}

// TestAnAppHasARate has three instances write more than their app may together.
func TestAnAppHasARate(t *testing.T) {
	root := t.TempDir()
	text := strings.Repeat("x", 99) + "\n"
	for i := range 3 {
		output(t, root, spool.Meta{Instance: fmt.Sprint("i", i), App: "loud", Process: "web", Index: i}, strings.NewReader(strings.Repeat(text, 1000)), spool.Options{})
	}
	output(t, root, spool.Meta{Instance: "j", App: "quiet", Process: "web"}, strings.NewReader(strings.Repeat(text, 10)), spool.Options{})
	book := openBook(t, t.TempDir(), time.Now)
	imported(t, logs.NewImporter(root, book, time.Hour, 1000, quiet)) // 10,000 bytes in ten seconds: a hundred lines
	count := func(a app.ID) (kept int, dropped int64, notices []logs.Line) {
		page, err := book.Read(t.Context(), logs.Query{App: a, Limit: 10_000})
		must(t, err)
		for _, l := range page.Lines {
			if dropped += l.Dropped; l.Dropped > 0 {
				notices = append(notices, l)
			} else {
				kept++
			}
		}
		return kept, dropped, notices
	}
	// The lines were written within a moment: that is one window of ten seconds, or two
	// where one ended just then.
	kept, dropped, notices := count("loud")
	if kept+int(dropped) != 3000 || kept != 100 && kept != 200 {
		t.Errorf("%d lines kept, %d dropped of 3000", kept, dropped)
	}
	for _, n := range notices {
		if n.Source != logs.Platform || !strings.Contains(n.Text, fmt.Sprint(n.Dropped, " lines dropped")) || !strings.Contains(n.Text, "logs.app_rate") {
			t.Errorf("it is told as %+v", n)
		}
	}
	if kept, dropped, _ := count("quiet"); kept != 10 || dropped != 0 {
		t.Errorf("of the quiet app %d lines kept, %d dropped", kept, dropped)
	}
}

// TestAClockThatIsSetBack: followers get what comes, in its order.
func TestAClockThatIsSetBack(t *testing.T) {
	now := time.Date(2026, 3, 5, 0, 1, 0, 0, time.UTC)
	dir := t.TempDir()
	var after logs.Cursor
	var got []string
	for i, at := range []time.Time{now, now.Add(-10 * time.Minute), now.AddDate(1, 0, 0), now.AddDate(0, 0, -3), now.AddDate(0, 0, 1)} {
		b, err := logs.Open(dir, logs.Limits{Days: 3}, func() time.Time { return at }, quiet) // also after a restart
		must(t, err)
		for n := range 2 {
			must(t, b.Append(t.Context(), []logs.Line{{App: "a", Time: at, Text: fmt.Sprint(i, n)}}, nil))
		}
		page, err := b.Read(t.Context(), logs.Query{App: "a", After: after})
		must(t, err)
		got, after = append(got, texts(page)...), page.Next
		must(t, b.Close())
	}
	if want := "0 0,0 1,1 0,1 1,2 0,2 1,3 0,3 1,4 0,4 1"; strings.Join(got, ",") != want {
		t.Errorf("got %q", got)
	}

	// The file of the year to come holds lines of many days: they go for their age.
	b := openBook(t, dir, func() time.Time { return now.AddDate(0, 0, 30) })
	must(t, b.Append(t.Context(), []logs.Line{{App: "a", Time: now.AddDate(0, 0, 30), Text: "new"}}, nil))
	_, err := b.Prune(t.Context())
	must(t, err)
	page, err := b.Read(t.Context(), logs.Query{App: "a"})
	must(t, err)
	if rest := texts(page); slices.Contains(rest, "3 0") || slices.Contains(rest, "0 0") || !slices.Contains(rest, "new") {
		t.Errorf("a month later %q", rest)
	}
}

// TestAFullDiskCostsTheOldest: first the oldest days, and of the last one the
// oldest lines.
func TestAFullDiskCostsTheOldest(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	days := func() (n int) {
		files, err := filepath.Glob(filepath.Join(dir, "*.logs"))
		must(t, err)
		return len(files)
	}
	full := func() bool { return false }
	b, err := logs.Open(dir, logs.Limits{Days: 9, Full: func() bool { return full() }}, func() time.Time { return now }, quiet)
	must(t, err)
	defer func() { must(t, b.Close()) }()
	texts := shop(40_000)
	for d := range 4 {
		now = now.AddDate(0, 0, 1)
		for n := 0; n < 10_000; n += 1000 {
			var lines []logs.Line
			for _, text := range texts[d*10_000+n:][:1000] {
				lines = append(lines, logs.Line{App: "a", Time: now, Text: text})
			}
			must(t, b.Append(t.Context(), lines, nil))
		}
	}
	left := func() int64 {
		n, err := b.Behind(t.Context(), "a", logs.Cursor{})
		must(t, err)
		return n
	}
	full = func() bool { return days() > 2 }
	lost, err := b.Prune(t.Context())
	must(t, err)
	if lost != 20_000 || left() != 20_000 || days() != 2 {
		t.Errorf("%d lines went, %d are left in %d files", lost, left(), days())
	}
	full = func() bool { return true }
	_, err = b.Shed(t.Context())
	must(t, err)
	if n := left(); n <= 0 || n >= 10_000 || days() != 1 {
		t.Errorf("of the last day %d lines are left, in %d files", n, days())
	}
	page, err := b.Tail(t.Context(), logs.Query{App: "a", Limit: 1})
	must(t, err)
	if len(page.Lines) != 1 || page.Lines[0].Text != texts[39_999] {
		t.Errorf("the newest line is %+v", page.Lines)
	}
}
