package logs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/disk"
	"naru/internal/observe/dayfile"
	"naru/internal/run/spool"
)

// Book is the row of day files. A day is dropped by removing its file.
type Book struct {
	dir    string
	limits dayfile.Limits
	clock  func() time.Time
	press  *dayfile.Press
	row    *dayfile.Row
	bell   bell
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
	row, err := dayfile.Open(dir, kind, clock, nil, log)
	if err != nil {
		return nil, err
	}
	p, err := dayfile.NewPress()
	if err != nil {
		return nil, fmt.Errorf("open logs: %w", err)
	}
	return &Book{
		dir: dir, limits: dayfile.Limits{Days: l.Days, Bytes: l.Bytes, Full: l.Full}, clock: clock, press: p, row: row,
		bell: bell{rings: map[app.ID]map[chan struct{}]bool{}},
	}, nil
}

// Close closes all day files.
func (b *Book) Close() error {
	defer b.press.Close()
	return b.row.Close()
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
	err := b.row.Append(ctx, func(f *dayfile.File, tx *sql.Tx) error {
		return appendLines(ctx, f, tx, b.press, lines, offsets)
	})
	if err != nil {
		return fmt.Errorf("append to log: %w", err)
	}
	touched := map[app.ID]bool{}
	for i := range lines {
		if i == 0 || lines[i].App != lines[i-1].App {
			touched[lines[i].App] = true
		}
	}
	b.bell.ring(touched)
	return nil
}

// Offset returns how far a spool was imported; zero when it is new.
func (b *Book) Offset(ctx context.Context, name string) (at spool.Offset, err error) {
	days, err := b.row.Days(0)
	if err != nil {
		return at, err
	}
	for _, day := range slices.Backward(days) {
		text := ""
		err := b.row.Read(ctx, day, func(f *dayfile.File) error {
			err := f.Reader.QueryRowContext(ctx, `SELECT offset FROM spools WHERE name = ?`, name).Scan(&text)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			return err
		})
		if err == nil && text != "" {
			err = json.Unmarshal([]byte(text), &at)
		}
		if err != nil {
			return at, fmt.Errorf("read offset of spool %s: %w", name, err)
		}
		if text != "" {
			break
		}
	}
	return at, nil
}

// Prune removes lines that are too old, and then the oldest while there is too
// much. It returns how many lines it removed for the second reason.
func (b *Book) Prune(ctx context.Context) (lost int64, err error) { return b.row.Prune(ctx, b.limits) }

// Shed removes the oldest lines while there is too much, whatever their age.
func (b *Book) Shed(ctx context.Context) (lost int64, err error) { return b.row.Shed(ctx, b.limits) }

// Forget removes all lines of an app.
func (b *Book) Forget(ctx context.Context, a app.ID) error {
	err := b.row.Change(ctx, func(f *dayfile.File, tx *sql.Tx) error {
		f.Memory = nil // its numbers begin again
		_, err := tx.ExecContext(ctx, `DELETE FROM blocks WHERE app = ?`, string(a))
		return err
	})
	if err != nil {
		return fmt.Errorf("forget log: %w", err)
	}
	return nil
}
