package dayfile

import (
	"context"
	"database/sql"
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
)

// Row is the row of day files of one kind: of the days on which something came,
// whatever time it is of. Its methods may be called at the same time.
type Row struct {
	dir   string
	kind  Kind
	now   func() time.Time
	lost  func(ctx context.Context, day int, aside string)
	log   *slog.Logger
	clock steady
	began time.Time

	mu     sync.Mutex // guards what follows; Append holds it across its write, so what comes is in order
	open   map[int]*File
	newest int // the last day that is known to be there, or is written; 0: none
}

// Open opens a row in a folder, which is made when missing. lost is told of a day
// whose file was damaged, and where it was put; it may be nil.
func Open(dir string, k Kind, now func() time.Time, lost func(ctx context.Context, day int, aside string), log *slog.Logger) (*Row, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open %s: %w", k.Name, err)
	}
	return &Row{dir: dir, kind: k, now: now, lost: lost, log: log, began: time.Now(), open: map[int]*File{}}, nil
}

// Close closes all files.
func (r *Row) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, f := range r.open {
		errs = append(errs, f.close())
	}
	clear(r.open)
	return errors.Join(errs...)
}

// Path is where the file of a day is.
func (r *Row) Path(day int) string {
	return filepath.Join(r.dir, strconv.Itoa(day)+"."+r.kind.Name)
}

// Days returns the days there are from one on, rising.
func (r *Row) Days(from int) ([]int, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", r.kind.Name, err)
	}
	var days []int
	for _, e := range entries {
		if base, ok := strings.CutSuffix(e.Name(), "."+r.kind.Name); ok {
			if day, err := strconv.Atoi(base); err == nil && day >= from {
				days = append(days, day)
			}
		}
	}
	slices.Sort(days)
	return days, nil
}

// Append has something written to the file of today, as a whole or not at all.
func (r *Row) Append(ctx context.Context, write func(f *File, tx *sql.Tx) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	today, err := r.today()
	if err != nil {
		return err
	}
	f, err := r.file(ctx, today, true)
	if err != nil {
		return err
	}
	once := func() error { return f.Write(ctx, func(tx *sql.Tx) error { return write(f, tx) }) }
	if err = once(); damaged(err) {
		if f, err = r.replace(ctx, f); err == nil {
			err = once()
		}
	}
	return err
}

// today is the day that is written: what comes is in order, also where a clock is
// set back. r.mu is held.
func (r *Row) today() (int, error) {
	today := Of(r.now())
	if r.newest >= today {
		return r.newest, nil
	}
	days, err := r.Days(today)
	if err != nil {
		return 0, err
	}
	if r.newest = today; len(days) > 0 {
		r.newest = days[len(days)-1]
	}
	return r.newest, nil
}

// Read has the file of a day read; not where there is none. Where it turns out to
// be damaged it is read once more, as far as it could be rescued.
func (r *Row) Read(ctx context.Context, day int, read func(f *File) error) error {
	r.mu.Lock()
	f, err := r.file(ctx, day, false)
	r.mu.Unlock()
	if err != nil || f == nil {
		return err
	}
	if err = read(f); damaged(err) {
		r.mu.Lock()
		f, err = r.replace(ctx, f)
		r.mu.Unlock()
		if err == nil {
			err = read(f)
		}
	}
	if err != nil {
		return fmt.Errorf("read %s of day %d: %w", r.kind.Name, day, err)
	}
	return nil
}

// Change has all files changed, each as a whole or not at all.
func (r *Row) Change(ctx context.Context, change func(f *File, tx *sql.Tx) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	days, err := r.Days(0)
	if err != nil {
		return err
	}
	for _, day := range days {
		f, err := r.file(ctx, day, false)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		clear(f.stacks)
		if err := f.Write(ctx, func(tx *sql.Tx) error { return change(f, tx) }); err != nil {
			return fmt.Errorf("change %s of day %d: %w", r.kind.Name, day, err)
		}
	}
	return nil
}

// file returns the file of a day; nil when it does not exist and make is false.
// r.mu is held.
func (r *Row) file(ctx context.Context, day int, make bool) (*File, error) {
	if f, ok := r.open[day]; ok {
		return f, nil
	}
	if _, err := os.Stat(r.Path(day)); errors.Is(err, os.ErrNotExist) && !make {
		return nil, nil
	}
	f, err := open(ctx, &r.kind, r.Path(day), day)
	if damaged(err) {
		f, err = r.rescue(ctx, day)
	}
	if err != nil {
		return nil, err
	}
	r.open[day] = f
	return f, nil
}
