package logs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the engine of the day files

	"naru/internal/app"
	"naru/internal/disk"
	"naru/internal/run/spool"
)

// Book is the row of day files. A day is dropped by removing its file.
type Book struct {
	dir   string
	days  int // kept, today included
	clock func() time.Time

	mu   sync.Mutex // guards open and pages; Append holds it across its write, so lines are in order
	open map[int]*sql.DB
	bell bell
}

// Open opens the book in a folder, which is made when missing. days is how many
// days are kept.
func Open(dir string, days int, clock func() time.Time) (*Book, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open logs: %w", err)
	}
	return &Book{dir: dir, days: max(1, days), clock: clock, open: map[int]*sql.DB{}, bell: bell{rings: map[app.ID]map[chan struct{}]bool{}}}, nil
}

// Close closes all day files.
func (b *Book) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, db := range b.open {
		errs = append(errs, db.Close())
	}
	b.open = map[int]*sql.DB{}
	return errors.Join(errs...)
}

const schema = `
CREATE TABLE IF NOT EXISTS lines (
	id       INTEGER PRIMARY KEY,
	app      TEXT NOT NULL,
	time     INTEGER NOT NULL, -- nanoseconds since 1970
	source   TEXT NOT NULL,
	process  TEXT NOT NULL,
	idx      INTEGER NOT NULL,
	instance TEXT NOT NULL,
	stream   TEXT NOT NULL,
	partial  INTEGER NOT NULL,
	dropped  INTEGER NOT NULL,
	text     TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS lines_by_app ON lines (app, id);
CREATE TABLE IF NOT EXISTS spools ( -- how far each spool was imported
	name   TEXT PRIMARY KEY,
	offset TEXT NOT NULL
) STRICT;`

// day returns the file of a day; nil when it does not exist and make is false.
func (b *Book) day(ctx context.Context, day int, make bool) (*sql.DB, error) {
	if db, ok := b.open[day]; ok {
		return db, nil
	}
	path := filepath.Join(b.dir, strconv.Itoa(day)+".db")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && !make {
		return nil, nil
	}
	// Committed means synced: the spool is freed behind it.
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(5000)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open log of day %d: %w", day, err)
	}
	db.SetMaxOpenConns(4)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("open log of day %d: %w", day, err), db.Close())
	}
	b.open[day] = db
	return db, nil
}

// Append keeps lines, and with them how far their spools were read, in one
// transaction. Cursor is filled in.
func (b *Book) Append(ctx context.Context, lines []Line, offsets map[string]spool.Offset) error {
	if len(lines) == 0 && len(offsets) == 0 {
		return nil
	}
	if disk.Tight(b.dir) { // what is not taken waits in its spool
		return disk.Error(b.dir)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	day := dayOf(b.clock())
	db, err := b.day(ctx, day, true)
	if err != nil {
		return err
	}
	if err := insert(ctx, db, day, lines, offsets); err != nil {
		return fmt.Errorf("append to log: %w", err)
	}
	touched := map[app.ID]bool{}
	for _, l := range lines {
		touched[l.App] = true
	}
	b.bell.ring(touched)
	return nil
}

func insert(ctx context.Context, db *sql.DB, day int, lines []Line, offsets map[string]spool.Offset) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO lines (app, time, source, process, idx, instance, stream, partial, dropped, text)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	for n := range lines {
		l := &lines[n]
		res, err := stmt.ExecContext(ctx, string(l.App), l.Time.UnixNano(), l.Source, l.Process, l.Index, l.Instance, l.Stream, l.Partial, l.Dropped, l.Text)
		if err != nil {
			return err
		}
		if l.Cursor.ID, err = res.LastInsertId(); err != nil {
			return err
		}
		l.Cursor.Day = day
	}
	for name, at := range offsets {
		text, err := json.Marshal(at)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO spools (name, offset) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET offset = excluded.offset`, name, string(text)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Offset returns how far a spool was imported; zero when it is new.
func (b *Book) Offset(ctx context.Context, name string) (at spool.Offset, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return at, err
	}
	for _, day := range slices.Backward(days) {
		db, err := b.day(ctx, day, false)
		if err != nil {
			return at, err
		}
		var text string
		err = db.QueryRowContext(ctx, `SELECT offset FROM spools WHERE name = ?`, name).Scan(&text)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err == nil {
			err = json.Unmarshal([]byte(text), &at)
		}
		if err != nil {
			return at, fmt.Errorf("read offset of spool %s: %w", name, err)
		}
		return at, nil
	}
	return at, nil
}

// list returns the days there are, rising.
func (b *Book) list() ([]int, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	var days []int
	for _, e := range entries {
		if base, ok := strings.CutSuffix(e.Name(), ".db"); ok {
			if day, err := strconv.Atoi(base); err == nil {
				days = append(days, day)
			}
		}
	}
	slices.Sort(days)
	return days, nil
}

// Prune removes days that are too old.
func (b *Book) Prune(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return err
	}
	oldest := dayOf(b.clock().AddDate(0, 0, 1-b.days))
	for _, day := range days {
		if day >= oldest {
			break
		}
		if db, ok := b.open[day]; ok {
			delete(b.open, day)
			if err := db.Close(); err != nil {
				return fmt.Errorf("close log of day %d: %w", day, err)
			}
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(filepath.Join(b.dir, strconv.Itoa(day)+".db"+suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove log of day %d: %w", day, err)
			}
		}
	}
	return nil
}

// Forget removes all lines of an app.
func (b *Book) Forget(ctx context.Context, a app.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return err
	}
	for _, day := range days {
		db, err := b.day(ctx, day, false)
		if err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, `DELETE FROM lines WHERE app = ?`, string(a)); err != nil {
			return fmt.Errorf("forget log: %w", err)
		}
	}
	return nil
}
