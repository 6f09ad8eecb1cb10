package spool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// spoolOf runs a whole output through Copy and returns its folder.
func spoolOf(t *testing.T, output string, o Options) string {
	t.Helper()
	dir := t.TempDir()
	if err := Copy(dir, strings.NewReader(output), nil, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

func readAll(t *testing.T, dir string, from Offset) ([]Record, Offset) {
	t.Helper()
	r := OpenReader(dir, from)
	defer r.Close()
	var all []Record
	for {
		records, err := r.Read(100, &Memory{})
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			return all, r.Offset()
		}
		all = append(all, records...)
	}
}

// text joins lines and parts, and counts what was dropped.
func text(records []Record) (lines string, dropped uint64) {
	var b strings.Builder
	for _, r := range records {
		switch r.Kind {
		case Line:
			b.Write(r.Text)
			b.WriteByte('\n')
		case Part:
			b.Write(r.Text)
		case Dropped:
			dropped += r.Count
		}
	}
	return b.String(), dropped
}

// lineByLine gives no more than a line at a time.
type lineByLine struct{ *strings.Reader }

func (l lineByLine) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c, err := l.ReadByte()
		if err != nil {
			return n, err
		}
		p[n] = c
		if n++; c == '\n' {
			break
		}
	}
	return n, nil
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

func TestLinesComeBackAsTheyWere(t *testing.T) {
	long := strings.Repeat("x", 50_000)
	for name, tc := range map[string]struct{ in, want string }{
		"lines":              {"a\nb\n", "a\nb\n"},
		"last one unended":   {"a\nb", "a\nb\n"},
		"empty lines":        {"\n\na\n", "\n\na\n"},
		"carriage returns":   {"a\r\nb\r\n", "a\nb\n"},
		"bytes of any kind":  {"\x00\xff\n", "\x00\xff\n"},
		"longer than a part": {long + "\nb\n", long + "\nb\n"},
		"exactly a part":     {long[:defaultLine] + "\nb\n", long[:defaultLine] + "\nb\n"},
		"a byte more":        {long[:defaultLine+1] + "\n", long[:defaultLine+1] + "\n"},
		"nothing":            {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			records, at := readAll(t, spoolOf(t, tc.in, Options{}), Offset{})
			if got, dropped := text(records); got != tc.want || dropped != 0 {
				t.Errorf("got %.60q (dropped %d), want %.60q", got, dropped, tc.want)
			}
			if !at.End {
				t.Error("no end was marked")
			}
		})
	}
}

func TestStampsRiseStrictly(t *testing.T) {
	still := time.Unix(1000, 0)
	dir := spoolOf(t, numbered(5000), Options{Now: func() time.Time { return still }})
	records, _ := readAll(t, dir, Offset{})
	for i := 1; i < len(records); i++ {
		if !records[i].Time.After(records[i-1].Time) || records[i].Seq != records[i-1].Seq+1 {
			t.Fatalf("record %d: %v #%d after %v #%d", i, records[i].Time, records[i].Seq, records[i-1].Time, records[i-1].Seq)
		}
	}
}

func TestStreamsAreKeptApart(t *testing.T) {
	dir := t.TempDir()
	if err := Copy(dir, strings.NewReader("out\n"), strings.NewReader("err\n"), Options{}); err != nil {
		t.Fatal(err)
	}
	records, _ := readAll(t, dir, Offset{})
	got := map[Stream]string{}
	for _, r := range records {
		got[r.Stream] += string(r.Text)
	}
	if got[Stdout] != "out" || got[Stderr] != "err" {
		t.Errorf("got %q", got)
	}
}

func TestReadingGoesOnFromAnyOffset(t *testing.T) {
	dir := spoolOf(t, numbered(30_000), Options{Bound: 10 << 20})
	want, _ := readAll(t, dir, Offset{})
	var got []Record
	var at Offset
	for step := 1; !at.End; step = step%997 + 13 {
		r := OpenReader(dir, at)
		records, err := r.Read(step, &Memory{})
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			t.Fatalf("stuck at %+v", at)
		}
		got, at = append(got, records...), r.Offset()
		r.Close()
		if err := Free(dir, Offset{File: at.File, Pos: at.Pos, Seq: at.Seq}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.EqualFunc(got, want, func(a, b Record) bool { return a.Seq == b.Seq && bytes.Equal(a.Text, b.Text) }) {
		t.Errorf("read %d records in steps, %d at once", len(got), len(want))
	}
	if numbers, _ := files(dir); len(numbers) > 2 {
		t.Errorf("%d files are left of what was read", len(numbers))
	}
	if err := Free(dir, at); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder outlived its end: %v", err)
	}
}

func TestWhatTheBoundDropsIsCounted(t *testing.T) {
	const lines, bound = 200_000, 1 << 20
	dir := spoolOf(t, numbered(lines), Options{Bound: bound})
	var size int64
	numbers, _ := files(dir)
	for _, n := range numbers {
		info, err := os.Stat(filepath.Join(dir, fileName(n)))
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > bound {
		t.Errorf("%d bytes are spooled, the bound is %d", size, bound)
	}
	records, _ := readAll(t, dir, Offset{})
	got, dropped := text(records)
	if n := uint64(strings.Count(got, "\n")); n+dropped != lines || dropped == 0 || records[0].Reason != ReasonBound {
		t.Errorf("%d kept + %d dropped, want %d in all, reason %q", n, dropped, lines, records[0].Reason)
	}
	if !strings.HasSuffix(got, fmt.Sprintf("line %d\n", lines-1)) {
		t.Error("the newest lines were dropped, not the oldest")
	}
}

func TestWhatTheRateDropsIsCounted(t *testing.T) {
	now := time.Unix(1000, 0)
	const lines = 10_000
	dir := t.TempDir()
	o := Options{Rate: 1000, Now: func() time.Time { now = now.Add(time.Millisecond); return now }}
	if err := Copy(dir, lineByLine{strings.NewReader(numbered(lines))}, nil, o); err != nil {
		t.Fatal(err)
	}
	records, _ := readAll(t, dir, Offset{})
	got, dropped := text(records)
	kept := uint64(strings.Count(got, "\n"))
	if kept+dropped != lines {
		t.Errorf("%d kept + %d dropped, want %d", kept, dropped, lines)
	}
	// 10 s at 1000 bytes/s and a burst of 4 s, at about 10 bytes a line.
	if kept < 1200 || kept > 1600 {
		t.Errorf("kept %d lines, want about 1400", kept)
	}
	if i := slices.IndexFunc(records, func(r Record) bool { return r.Kind == Dropped }); i < 0 || records[i].Reason != ReasonRate {
		t.Error("the reason is not told")
	}
}

func TestWriterGoesOnAfterItsProcessDied(t *testing.T) {
	dir := spoolOf(t, "before\n", Options{})
	numbers, _ := files(dir)
	path := filepath.Join(dir, fileName(numbers[0]))
	info, _ := os.Stat(path)
	if err := os.Truncate(path, info.Size()-recordSize); err != nil { // no End
		t.Fatal(err)
	}
	if err := Copy(dir, strings.NewReader("after\n"), nil, Options{Now: func() time.Time { return time.Unix(1, 0) }}); err != nil {
		t.Fatal(err)
	}
	records, _ := readAll(t, dir, Offset{})
	if got, dropped := text(records); got != "before\nafter\n" || dropped != 0 {
		t.Errorf("got %q, dropped %d", got, dropped)
	}
	if !records[1].Time.After(records[0].Time) {
		t.Error("a clock that went back turned the order")
	}
}

func TestDamageCostsOnlyItsFile(t *testing.T) {
	for name, harm := range map[string]func([]byte) []byte{
		"torn":    func(b []byte) []byte { return b[:len(b)-7] },
		"flipped": func(b []byte) []byte { b[headerSize+recordSize] ^= 1; return b },
		"length":  func(b []byte) []byte { b[headerSize+3] = 0xff; return b },
	} {
		t.Run(name, func(t *testing.T) {
			dir := spoolOf(t, "one\ntwo\n", Options{})
			path := filepath.Join(dir, fileName(1))
			data, _ := os.ReadFile(path)
			if err := os.WriteFile(path, harm(data), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := Finish(dir); err != nil {
				t.Fatal(err)
			}
			records, at := readAll(t, dir, Offset{})
			if !at.End {
				t.Fatalf("the reader stays at %+v", at)
			}
			got, dropped := text(records)
			if name == "torn" && got != "one\ntwo\n" {
				t.Errorf("got %q, dropped %d", got, dropped)
			}
		})
	}
}

func TestTailAndFinish(t *testing.T) {
	dir := spoolOf(t, numbered(40_000), Options{Bound: 4 << 20})
	lines, ended, err := Tail(dir, 3)
	if err != nil || !ended || !slices.Equal(lines, []string{"line 39997", "line 39998", "line 39999"}) {
		t.Errorf("Tail = %q, %v, %v", lines, ended, err)
	}
	if err := Finish(dir); err != nil {
		t.Fatal(err)
	}
	records, _ := readAll(t, dir, Offset{})
	if n := slices.IndexFunc(records, func(r Record) bool { return r.Kind == End }); n != len(records)-1 {
		t.Error("Finish marked a second end")
	}
	if err := Finish(filepath.Join(dir, "gone")); err != nil {
		t.Error(err)
	}
}

func TestReaderFollowsAWriter(t *testing.T) {
	dir := t.TempDir()
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Copy(dir, in, nil, Options{Bound: 64 << 20}) }()
	go func() {
		io.WriteString(out, numbered(100_000))
		out.Close()
	}()
	r := OpenReader(dir, Offset{})
	defer r.Close()
	var all []Record
	for !r.Offset().End {
		if err := r.Wait(context.Background(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
		records, err := r.Read(1000, &Memory{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, records...)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, dropped := text(all); got != numbered(100_000) || dropped != 0 {
		t.Errorf("%d bytes, dropped %d", len(got), dropped)
	}
}

func TestMeta(t *testing.T) {
	root := t.TempDir()
	m := Meta{Instance: "i1", Group: "g", App: "a", AppName: "shop", Space: "s", Process: "web", Index: 2}
	if err := Create(filepath.Join(root, "i1"), m); err != nil {
		t.Fatal(err)
	}
	got, err := ReadMeta(filepath.Join(root, "i1"))
	if err != nil || got != m || got.Source() != "APP/PROC/WEB" {
		t.Errorf("ReadMeta = %+v, %v", got, err)
	}
	if names, err := Instances(root); err != nil || !slices.Equal(names, []string{"i1"}) {
		t.Errorf("Instances = %v, %v", names, err)
	}
	if names, err := Instances(filepath.Join(root, "none")); err != nil || names != nil {
		t.Errorf("Instances of nothing = %v, %v", names, err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(appendRecord(nil, Line, Stdout, 1, 2, []byte("hello")))
	f.Add(appendRecord(nil, Dropped, 0, 1, 2, droppedText(7, ReasonRate)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, err := decodeRecord(b)
		if err != nil {
			return
		}
		if n < recordSize || n > len(b) || len(r.Text) > n {
			t.Errorf("size %d of %d, text %d", n, len(b), len(r.Text))
		}
	})
}

func BenchmarkCopy(b *testing.B) {
	line := []byte(strings.Repeat("x", 99) + "\n")
	data := bytes.Repeat(line, 600_000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		dir := b.TempDir()
		if err := Copy(dir, bytes.NewReader(data), nil, Options{Bound: 256 << 20}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAReadIsBounded: in records, in bytes, and memory is used again.
func TestAReadIsBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		line         string
		lines, limit int
		full         func(n, bytes int) bool
	}{
		"many short lines": {"short\n", 5000, 1000, func(n, _ int) bool { return n == 1000 }},
		"few long lines":   {strings.Repeat("x", 60<<10) + "\n", 60, 1000, func(_, bytes int) bool { return bytes >= most && bytes < most+64<<10 }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := spoolOf(t, strings.Repeat(tc.line, tc.lines), Options{Line: 64 << 10, Bound: 64 << 20})
			r := OpenReader(dir, Offset{})
			defer r.Close()
			m := &Memory{}
			got, reads := 0, 0
			for !r.Offset().End {
				records, err := r.Read(tc.limit, m)
				if err != nil {
					t.Fatal(err)
				}
				n, bytes := 0, 0
				for _, rec := range records {
					if rec.Kind == Line && string(rec.Text)+"\n" != tc.line {
						t.Fatalf("a line is %.50q", rec.Text)
					}
					n, bytes = n+1, bytes+len(rec.Text)
				}
				if m.Full != tc.full(n, bytes) {
					t.Fatalf("a read of %d records, %d bytes: full %t", n, bytes, m.Full)
				}
				got, reads = got+n, reads+1
			}
			if got != tc.lines+1 || reads < 5 { // and the end
				t.Errorf("%d records in %d reads, want %d", got, reads, tc.lines+1)
			}
		})
	}
}
