package logs_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/observe/logs"
	"naru/internal/run/spool"
)

var quiet = slog.New(slog.DiscardHandler)

func openBook(t *testing.T, dir string, clock func() time.Time) *logs.Book {
	t.Helper()
	b, err := logs.Open(dir, logs.Limits{Days: 3}, clock, quiet)
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func texts(p logs.Page) (out []string) {
	for _, l := range p.Lines {
		out = append(out, l.Text)
	}
	return out
}

func TestBookReadsForwardAcrossDays(t *testing.T) {
	now := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	b := openBook(t, t.TempDir(), func() time.Time { return now })
	for n := range 6 {
		if n == 3 {
			now = now.Add(2 * time.Minute)
		}
		must(t, b.Append(t.Context(), []logs.Line{{App: "a", Source: logs.App, Time: now, Index: n % 2, Text: fmt.Sprint(n)}, {App: "b", Text: "other"}}, nil))
	}
	page, err := b.Read(t.Context(), logs.Query{App: "a", Limit: 4})
	must(t, err)
	rest, err := b.Read(t.Context(), logs.Query{App: "a", After: page.Next})
	must(t, err)
	if got := fmt.Sprint(texts(page), page.More, texts(rest), rest.More); got != "[0 1 2 3] true [4 5] false" {
		t.Errorf("read %s", got)
	}
	tail, err := b.Tail(t.Context(), logs.Query{App: "a", Limit: 4})
	must(t, err)
	if got := fmt.Sprint(texts(tail)); got != "[2 3 4 5]" {
		t.Errorf("tail %s", got)
	}
	one := 1
	odd, err := b.Read(t.Context(), logs.Query{App: "a", Index: &one, Source: logs.App})
	must(t, err)
	if got := fmt.Sprint(texts(odd)); got != "[1 3 5]" {
		t.Errorf("instance 1 said %s", got)
	}
}

func TestBookDropsOldDays(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	b := openBook(t, dir, func() time.Time { return now })
	for range 5 {
		must(t, b.Append(t.Context(), []logs.Line{{App: "a", Text: now.Format("2")}}, nil))
		now = now.AddDate(0, 0, 1)
	}
	now = now.AddDate(0, 0, -1)
	_, err := b.Prune(t.Context())
	must(t, err)
	got, err := b.Read(t.Context(), logs.Query{App: "a"})
	must(t, err)
	if fmt.Sprint(texts(got)) != "[3 4 5]" {
		t.Errorf("kept %v", texts(got))
	}
	if _, err := os.Stat(filepath.Join(dir, "20260301.logs")); !os.IsNotExist(err) {
		t.Errorf("the file of an old day is still there: %v", err)
	}
}

func TestFollowersHearOfTheirAppOnly(t *testing.T) {
	b := openBook(t, t.TempDir(), time.Now)
	mine, stop := b.Changed("a")
	defer stop()
	must(t, b.Append(t.Context(), []logs.Line{{App: "b", Text: "x"}}, nil))
	select {
	case <-mine:
		t.Error("woken by another app")
	default:
	}
	must(t, b.Append(t.Context(), []logs.Line{{App: "a", Text: "x"}}, nil))
	select {
	case <-mine:
	default:
		t.Error("not woken")
	}
}

// TestImporterLosesNothingWhenItDies imports a spool with an importer that is
// thrown away after every round: each line must be there once.
func TestImporterLosesNothingWhenItDies(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	spoolDir := filepath.Join(root, "i1")
	must(t, spool.Create(spoolDir, spool.Meta{Instance: "i1", App: "a", Process: "web", Index: 2}))
	out, in := io.Pipe()
	copied := make(chan error, 1)
	go func() { copied <- spool.Copy(spoolDir, out, nil, spool.Options{}) }()
	var want []string
	for round := range 5 {
		for n := range 200 {
			text := fmt.Sprintf("round %d line %d", round, n)
			want = append(want, text)
			_, err := fmt.Fprintln(in, text)
			must(t, err)
		}
		b, err := logs.Open(dir, logs.Limits{Days: 3}, time.Now, quiet)
		must(t, err)
		_, err = logs.NewImporter(root, b, time.Hour, 0, slog.New(slog.DiscardHandler)).Import(t.Context())
		must(t, err)
		must(t, b.Close())
	}
	must(t, in.Close())
	must(t, <-copied)
	b := openBook(t, dir, time.Now)
	im := logs.NewImporter(root, b, time.Hour, 0, slog.New(slog.DiscardHandler))
	_, err := im.Import(t.Context())
	must(t, err)
	got, err := b.Read(t.Context(), logs.Query{App: "a", Process: "web"})
	must(t, err)
	if fmt.Sprint(texts(got)) != fmt.Sprint(want) {
		t.Errorf("imported %d lines %v, want %d", len(got.Lines), texts(got), len(want))
	}
	if _, err := os.Stat(spoolDir); !os.IsNotExist(err) {
		t.Errorf("a spool that was read to its end is still there: %v", err)
	}
}

func TestCursorText(t *testing.T) {
	for _, bad := range []string{"x", "1", "1.x", "-1.2", "1.-2"} {
		if _, err := logs.ParseCursor(bad); err == nil {
			t.Errorf("ParseCursor(%q) was read", bad)
		}
	}
	c := logs.Cursor{Day: 20260301, ID: 42}
	if got, err := logs.ParseCursor(c.String()); err != nil || got != c {
		t.Errorf("ParseCursor(%s) = %v, %v", c, got, err)
	}
}
