package logs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/disk"
	"naru/internal/run/spool"
)

// Book is the row of day files. A day is dropped by removing its file.
type Book struct {
	dir    string
	limits Limits
	clock  func() time.Time
	press  *press
	log    *slog.Logger

	mu   sync.Mutex // guards open and pages; Append holds it across its write, so lines are in order
	open map[int]*day
	bell bell

	newest int // the last day that is known to be there, or is written; 0: none
}

// Limits says how much is kept.
type Limits struct {
	Days  int   // today included, at least 1
	Bytes int64 // of files; 0: any. The oldest lines go first.
	// Full reports that the disk needs what logs take; nil: never. The oldest lines
	// go then, too.
	Full func() bool
}

// Open opens the book in a folder, which is made when missing.
func Open(dir string, l Limits, clock func() time.Time, log *slog.Logger) (*Book, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open logs: %w", err)
	}
	p, err := newPress()
	if err != nil {
		return nil, fmt.Errorf("open logs: %w", err)
	}
	l.Days = max(1, l.Days)
	return &Book{dir: dir, limits: l, clock: clock, press: p, log: log, open: map[int]*day{}, bell: bell{rings: map[app.ID]map[chan struct{}]bool{}}}, nil
}

// Close closes all day files.
func (b *Book) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, d := range b.open {
		errs = append(errs, d.close())
	}
	clear(b.open)
	b.press.close()
	return errors.Join(errs...)
}

const suffix = ".logs"

func (b *Book) path(day int) string { return filepath.Join(b.dir, strconv.Itoa(day)+suffix) }

// day returns the file of a day; nil when it does not exist and make is false.
// b.mu is held.
func (b *Book) day(ctx context.Context, number int, make bool) (*day, error) {
	if d, ok := b.open[number]; ok {
		return d, nil
	}
	if _, err := os.Stat(b.path(number)); errors.Is(err, os.ErrNotExist) && !make {
		return nil, nil
	}
	d, err := openDay(ctx, b.path(number), number)
	if damaged(err) {
		d, err = b.rescue(ctx, number)
	}
	if err != nil {
		return nil, err
	}
	b.open[number] = d
	return d, nil
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
	today, err := b.today()
	if err != nil {
		return err
	}
	d, err := b.day(ctx, today, true)
	if err != nil {
		return err
	}
	err = d.append(ctx, b.press, lines, offsets)
	if damaged(err) {
		if d, err = b.replace(ctx, d); err == nil {
			err = d.append(ctx, b.press, lines, offsets)
		}
	}
	if err != nil {
		return fmt.Errorf("append to log: %w", err)
	}
	touched := map[app.ID]bool{}
	for i := range lines {
		touched[lines[i].App] = true
	}
	b.bell.ring(touched)
	return nil
}

// today is the day that is written: lines are in the order in which they come,
// also where a clock is set back. b.mu is held.
func (b *Book) today() (int, error) {
	today := dayOf(b.clock())
	if b.newest >= today {
		return b.newest, nil
	}
	days, err := b.list()
	if err != nil {
		return 0, err
	}
	if len(days) > 0 {
		b.newest = days[len(days)-1]
	}
	b.newest = max(b.newest, today)
	return b.newest, nil
}

// Offset returns how far a spool was imported; zero when it is new.
func (b *Book) Offset(ctx context.Context, name string) (at spool.Offset, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return at, err
	}
	for _, number := range slices.Backward(days) {
		d, err := b.day(ctx, number, false)
		if err != nil {
			return at, err
		}
		var text string
		err = d.read.QueryRowContext(ctx, `SELECT offset FROM spools WHERE name = ?`, name).Scan(&text)
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
		if base, ok := strings.CutSuffix(e.Name(), suffix); ok {
			if day, err := strconv.Atoi(base); err == nil {
				days = append(days, day)
			}
		}
	}
	slices.Sort(days)
	return days, nil
}
