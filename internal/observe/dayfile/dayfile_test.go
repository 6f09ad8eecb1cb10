package dayfile

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// words are the kind of the tests: an item is a word.
type words struct {
	press *Press
	owner string
}

func kindOfWords(p *Press) Kind {
	k := Kind{
		Name: "words", Items: "words", Owner: []string{"owner"}, Order: "id", Seal: 4 << 10, Cut: 8 << 10, Synced: true,
		Schema: `CREATE TABLE IF NOT EXISTS blocks (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, words INTEGER NOT NULL, rank INTEGER NOT NULL,
			bytes INTEGER NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL, filter BLOB, data BLOB NOT NULL) STRICT;
			CREATE TABLE IF NOT EXISTS notes (note TEXT PRIMARY KEY) STRICT;`,
		Carry: func(ctx context.Context, from *sql.DB, to *File, _ bool) error {
			var note string
			err := from.QueryRowContext(ctx, `SELECT coalesce(max(note), '') FROM notes`).Scan(&note)
			if err == nil {
				_, err = to.Writer.ExecContext(ctx, `INSERT OR IGNORE INTO notes VALUES (?)`, note)
			}
			return err
		},
	}
	k.Copy = func(ctx context.Context, to *File, b Block) (int64, error) {
		w := words{p, b.Owner[0]}
		all, err := w.Open(b.At, b.Data)
		if err != nil {
			return 0, nil //nolint:nilerr // a damaged block
		}
		return int64(len(all)), to.Write(ctx, func(tx *sql.Tx) error { return Add(ctx, to, tx, w, all) })
	}
	return k
}

func (w words) Owner() []any         { return []any{w.owner} }
func (w words) Size(word string) int { return len(word) + 1 }

func (w words) Insert(ctx context.Context, tx *sql.Tx, all []string, rank int, merged bool) error {
	text := strings.Join(all, " ")
	_, err := tx.ExecContext(ctx, `INSERT INTO blocks (owner, words, rank, bytes, oldest, newest, data) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		w.owner, len(all), rank, len(text)+1, noon.UnixMicro(), noon.UnixMicro(), w.press.Shut([]byte(text), nil, merged))
	return err
}

func (w words) Open(_ int64, data []byte) ([]string, error) {
	text, err := w.press.Open(data, nil)
	return strings.Split(string(text), " "), err
}

func openWords(t testing.TB, dir string, now func() time.Time) (*Row, *Press) {
	t.Helper()
	p, err := NewPress()
	must(t, err)
	r, err := Open(dir, kindOfWords(p), now, nil, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { p.Close(); must(t, r.Close()) })
	return r, p
}

func say(ctx context.Context, r *Row, p *Press, owner string, all ...string) error {
	return r.Append(ctx, func(f *File, tx *sql.Tx) error { return Add(ctx, f, tx, words{p, owner}, all) })
}

// heard are the words of an owner, and how many blocks they are in.
func heard(t testing.TB, r *Row, p *Press, owner string) (all []string, blocks int) {
	t.Helper()
	days, err := r.Days(0)
	must(t, err)
	for _, day := range days {
		must(t, r.Read(t.Context(), day, func(f *File) error {
			rows, err := f.Reader.Query(`SELECT data FROM blocks WHERE owner = ? ORDER BY id`, owner)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var data []byte
				if err := rows.Scan(&data); err != nil {
					return err
				}
				some, err := words{p, owner}.Open(0, data)
				must(t, err)
				all, blocks = append(all, some...), blocks+1
			}
			return rows.Err()
		}))
	}
	return all, blocks
}

func TestManySmallBlocksBecomeFew(t *testing.T) {
	dir := t.TempDir()
	r, p := openWords(t, dir, func() time.Time { return noon })
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	want := map[string][]string{}
	for n := range 3000 {
		owner := []string{"a", "b"}[random.IntN(2)]
		var some []string
		for i := range 1 + random.IntN(4) {
			some = append(some, fmt.Sprintf("%d.%d", n, i))
		}
		if n%1000 == 7 { // more than a block takes
			some = slices.Repeat(some, 1500)
		}
		must(t, say(t.Context(), r, p, owner, some...))
		want[owner] = append(want[owner], some...)
		if n == 1500 { // what is not sealed is found again
			must(t, r.Close())
			r, p = openWords(t, dir, func() time.Time { return noon })
		}
	}
	for owner, all := range want {
		got, blocks := heard(t, r, p, owner)
		if !slices.Equal(got, all) {
			t.Errorf("of %s %d words are there, want %d", owner, len(got), len(all))
		}
		if bytes := len(strings.Join(all, " ")); blocks > bytes/(2<<10)+ranks*fanIn {
			t.Errorf("%d bytes of %s are in %d blocks", bytes, owner, blocks)
		}
	}
}

// TestWhatIsLargeIsWrittenOnce: what comes in amounts that a block does not take is
// cut into blocks of about the same size, which are sealed as they come.
func TestWhatIsLargeIsWrittenOnce(t *testing.T) {
	r, p := openWords(t, t.TempDir(), func() time.Time { return noon })
	want := 0
	for n := range 10 {
		must(t, say(t.Context(), r, p, "a", "one", "by", "one"))
		must(t, say(t.Context(), r, p, "a", slices.Repeat([]string{fmt.Sprint("word-", n)}, 8<<10/7*5/4)...)) // a little more than a block
		want += 3 + 8<<10/7*5/4
	}
	got, _ := heard(t, r, p, "a")
	if len(got) != want {
		t.Errorf("%d words are there, want %d", len(got), want)
	}
	must(t, r.Read(t.Context(), Of(noon), func(f *File) error {
		var large, young, small int
		err := f.Reader.QueryRow(`SELECT count(*) FILTER (WHERE bytes >= 4096 AND bytes <= 8192), count(*) FILTER (WHERE rank < 9), count(*) FILTER (WHERE bytes < 4096) FROM blocks`).Scan(&large, &young, &small)
		if large != 20 || young != 0 || small != 10 {
			t.Errorf("%d large blocks, %d small, %d that are written again", large, small, young)
		}
		return err
	}))
}

// TestAClockThatWasAhead: what comes stays in order, and goes for its age with what
// is in the file of a day to come.
func TestAClockThatWasAhead(t *testing.T) {
	now := noon
	dir := t.TempDir()
	r, p := openWords(t, dir, func() time.Time { return now })
	for i, at := range []time.Time{noon, noon.AddDate(1, 0, 0), noon.Add(time.Minute), noon.AddDate(0, 0, -3)} {
		now = at
		must(t, say(t.Context(), r, p, "a", fmt.Sprint(i)))
	}
	if got, _ := heard(t, r, p, "a"); fmt.Sprint(got) != "[0 1 2 3]" {
		t.Errorf("there is %v", got)
	}
	now = noon.AddDate(0, 0, 30)
	_, err := r.Prune(t.Context(), Limits{Days: 3})
	must(t, err)
	if got, _ := heard(t, r, p, "a"); len(got) != 0 { // all are of noon, as Insert has it
		t.Errorf("a month later there is %v", got)
	}
}

func TestWhatFailsLeavesNothing(t *testing.T) {
	r, p := openWords(t, t.TempDir(), func() time.Time { return noon })
	broken := errors.New("broken")
	for n := range 40 {
		must(t, say(t.Context(), r, p, "a", fmt.Sprint(n)))
		err := r.Append(t.Context(), func(f *File, tx *sql.Tx) error {
			f.Memory = n
			return errors.Join(Add(t.Context(), f, tx, words{p, "a"}, []string{"never"}), broken)
		})
		if !errors.Is(err, broken) {
			t.Fatalf("it failed with %v", err)
		}
		must(t, r.Append(t.Context(), func(f *File, _ *sql.Tx) error {
			if f.Memory != nil {
				t.Errorf("it remembers %v", f.Memory)
			}
			return nil
		}))
	}
	if got, _ := heard(t, r, p, "a"); len(got) != 40 || slices.Contains(got, "never") {
		t.Errorf("there is %v", got)
	}
}

func TestWhatGoesOnIsCarriedOver(t *testing.T) {
	now := noon
	dir := t.TempDir()
	r, p := openWords(t, dir, func() time.Time { return now })
	must(t, r.Append(t.Context(), func(_ *File, tx *sql.Tx) error { _, err := tx.Exec(`INSERT INTO notes VALUES ('kept')`); return err }))
	must(t, os.WriteFile(r.Path(Of(now))+aside, []byte("x"), 0o600))
	for range 3 {
		must(t, say(t.Context(), r, p, "a", now.Format("2")))
		now = now.AddDate(0, 0, 1)
	}
	lost, err := r.Prune(t.Context(), Limits{Days: 2})
	must(t, err)
	if got, _ := heard(t, r, p, "a"); lost != 0 || fmt.Sprint(got) != "[3]" {
		t.Errorf("left %v, lost %d", got, lost)
	}
	must(t, r.Read(t.Context(), 20260303, func(f *File) error {
		var note string
		err := f.Reader.QueryRow(`SELECT note FROM notes`).Scan(&note)
		if note != "kept" {
			t.Errorf("carried over is %q", note)
		}
		return err
	}))
	if left, err := filepath.Glob(dir + "/20260301*"); err != nil || len(left) > 0 {
		t.Errorf("of the day that went is left %v", left)
	}
}

// TestKilledAtAnyInstant kills a process that appends, again and again: what it
// said was kept is there, in its order, and nothing by halves.
func TestKilledAtAnyInstant(t *testing.T) {
	const round = 12
	if dir := os.Getenv("NARU_DAYFILE_CHILD"); dir != "" {
		r, p := openWords(t, dir, func() time.Time { return noon })
		all, _ := heard(t, r, p, "a")
		for n := len(all); ; n += 3 {
			must(t, say(t.Context(), r, p, "a", fmt.Sprint(n), fmt.Sprint(n+1), fmt.Sprint(n+2)))
			fmt.Println("kept", n+3)
		}
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	said := 0
	for range round {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledAtAnyInstant$")
		child.Env = append(os.Environ(), "NARU_DAYFILE_CHILD="+dir)
		out, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		lines := bufio.NewScanner(out)
		for stop := 1 + random.IntN(60); stop > 0 && lines.Scan(); stop-- {
			if n, ok := strings.CutPrefix(lines.Text(), "kept "); ok {
				said, err = strconv.Atoi(n)
				must(t, err)
			}
		}
		must(t, child.Process.Kill())
		for lines.Scan() { // what it said before it died
			if n, ok := strings.CutPrefix(lines.Text(), "kept "); ok {
				if n, err := strconv.Atoi(n); err == nil {
					said = n
				}
			}
		}
		_ = child.Wait() // it was killed

		r, p := openWords(t, dir, func() time.Time { return noon })
		got, _ := heard(t, r, p, "a")
		must(t, r.Close())
		if len(got) < said || len(got)%3 != 0 {
			t.Fatalf("%d words are there of %d that were kept", len(got), said)
		}
		for i, word := range got {
			if word != fmt.Sprint(i) {
				t.Fatalf("word %d is %q", i, word)
			}
		}
	}
	if said < 10*round {
		t.Errorf("only %d words were kept in all", said)
	}
}

// TestAFileThatWasCut: what is whole is kept, what is missing is told, and what goes
// on is carried over.
func TestAFileThatWasCut(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // words that cannot be compressed
	r, p := openWords(t, dir, func() time.Time { return noon })
	must(t, r.Append(t.Context(), func(_ *File, tx *sql.Tx) error { _, err := tx.Exec(`INSERT INTO notes VALUES ('kept')`); return err }))
	var want []string
	for range 60 {
		var some []string
		for range 400 {
			some = append(some, strconv.FormatUint(random.Uint64(), 36))
		}
		must(t, say(t.Context(), r, p, "a", some...))
		want = append(want, some...)
	}
	must(t, r.Close())
	info, err := os.Stat(r.Path(Of(noon)))
	must(t, err)
	const cut = 17 * 4096
	must(t, os.Truncate(r.Path(Of(noon)), info.Size()-cut))

	var told strings.Builder
	var lost []int
	r, err = Open(dir, kindOfWords(p), func() time.Time { return noon }, func(_ context.Context, day int, _ string) { lost = append(lost, day) }, slog.New(slog.NewTextHandler(&told, nil)))
	must(t, err)
	defer r.Close()
	must(t, say(t.Context(), r, p, "a", "after"))
	got, _ := heard(t, r, p, "a")
	if n := len(got) - 1; n < len(want)/2 || n >= len(want) || got[n] != "after" || !slices.Equal(got[:n], want[:n]) {
		t.Errorf("%d words are left of %d", len(got), len(want))
	}
	for _, say := range []string{"bytes_missing=" + strconv.Itoa(cut), fmt.Sprint("words_kept=", len(got)-1), "newest_kept=2026-03-01T12:00:00.000Z", ".words.damaged"} {
		if !strings.Contains(told.String(), say) {
			t.Errorf("told %q, not %q", told.String(), say)
		}
	}
	if !slices.Equal(lost, []int{Of(noon)}) {
		t.Errorf("told of %v", lost)
	}
	must(t, r.Read(t.Context(), Of(noon), func(f *File) error {
		var note string
		err := f.Reader.QueryRow(`SELECT note FROM notes WHERE note <> ''`).Scan(&note)
		if note != "kept" {
			t.Errorf("carried over is %q", note)
		}
		return err
	}))
}

func TestAFilterIsSeldomWrong(t *testing.T) {
	for _, things := range []int{1, 10, 1000, 30_000} {
		f := NewFilter(things)
		var in []uint64
		for i := range things {
			in = append(in, Hash(fmt.Sprint("in", i)))
			f.Add(in[i])
		}
		if !f.May(in) {
			t.Errorf("of %d things one is not there", things)
		}
		wrong := 0
		for i := range 100_000 {
			if f.May([]uint64{Hash([]byte(fmt.Sprint("out", i)))}) {
				wrong++
			}
		}
		if wrong > 3000 { // the smaller, the rougher
			t.Errorf("of %d things: wrong about %d of 100,000", things, wrong)
		}
	}
	if !Filter(nil).May([]uint64{1}) {
		t.Error("a filter that is not there says no")
	}
}
