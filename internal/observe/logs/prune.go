package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/run/spool"
)

// Prune removes lines that are too old, and then the oldest while there is too
// much. It returns how many lines it removed for the second reason.
func (b *Book) Prune(ctx context.Context) (lost int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return 0, err
	}
	now := b.clock()
	before := now.AddDate(0, 0, 1-b.limits.Days)
	for len(days) > 0 && days[0] < dayOf(before) {
		if err := b.remove(ctx, days[0]); err != nil {
			return lost, err
		}
		days = days[1:]
	}
	if last := len(days) - 1; last >= 0 && days[last] > dayOf(now) {
		// The clock was ahead when that file was begun: it is more than a day's.
		if err := b.age(ctx, days[last], before); err != nil {
			return lost, err
		}
	}
	return b.shed(ctx, days)
}

// Shed removes the oldest lines while there is too much, whatever their age.
func (b *Book) Shed(ctx context.Context) (lost int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return 0, err
	}
	return b.shed(ctx, days)
}

// shed holds days against the limits. b.mu is held.
func (b *Book) shed(ctx context.Context, days []int) (lost int64, err error) {
	for len(days) > 0 {
		used, err := b.used(days)
		if err != nil {
			return lost, err
		}
		over := int64(0)
		if b.limits.Bytes > 0 {
			over = used - b.limits.Bytes
		}
		full := b.limits.Full != nil && b.limits.Full()
		if over <= 0 && !full {
			return lost, nil
		}
		d, err := b.day(ctx, days[0], false)
		if err != nil {
			return lost, err
		}
		if len(days) == 1 {
			if full {
				over = max(over, used/4)
			}
			n, err := d.shrink(ctx, over)
			if err == nil && full {
				err = d.giveBack(ctx)
			}
			return lost + n, err
		}
		n, err := d.lines(ctx)
		if err != nil {
			return lost, err
		}
		if err := b.remove(ctx, days[0]); err != nil {
			return lost, err
		}
		lost, days = lost+n, days[1:]
	}
	return lost, nil
}

// age removes the blocks of a day whose lines were written before a time.
func (b *Book) age(ctx context.Context, number int, before time.Time) error {
	d, err := b.day(ctx, number, false)
	if err != nil || d == nil {
		return err
	}
	clear(d.apps)
	_, err = d.write.ExecContext(ctx, `DELETE FROM blocks WHERE newest < ? AND first < (SELECT max(first) FROM blocks b WHERE b.app = blocks.app)`, before.UnixMicro())
	if err != nil {
		return fmt.Errorf("remove old lines of day %d: %w", number, err)
	}
	return nil
}

// giveBack returns what is free in the file to the disk.
func (d *day) giveBack(ctx context.Context) error {
	for _, sql := range []string{`PRAGMA incremental_vacuum`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		rows, err := d.write.QueryContext(ctx, sql)
		if err != nil {
			return fmt.Errorf("give room back: %w", err)
		}
		for rows.Next() { // it works while it is read
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("give room back: %w", err)
		}
	}
	return nil
}

// remove drops the file of a day. How far spools were imported is carried over
// to the next: an instance may have been silent since.
func (b *Book) remove(ctx context.Context, number int) error {
	if err := b.carry(ctx, number); err != nil {
		return err
	}
	if d, ok := b.open[number]; ok {
		delete(b.open, number)
		if err := d.close(); err != nil {
			return fmt.Errorf("close log of day %d: %w", number, err)
		}
	}
	b.newest = 0
	for _, side := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(b.path(number) + side); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove log of day %d: %w", number, err)
		}
	}
	return nil
}

// carry copies how far spools were imported from a day to the one after it, for
// those that go on and are not mentioned there.
func (b *Book) carry(ctx context.Context, number int) error {
	from, err := b.day(ctx, number, false)
	if err != nil || from == nil {
		return err
	}
	days, err := b.list()
	if err != nil {
		return err
	}
	after, err := b.today()
	if err != nil {
		return err
	}
	if i, _ := slices.BinarySearch(days, number+1); i < len(days) {
		after = days[i]
	}
	to, err := b.day(ctx, after, true)
	if err != nil {
		return err
	}
	rows, err := from.read.QueryContext(ctx, `SELECT name, offset FROM spools`)
	if err != nil {
		return fmt.Errorf("read spools of day %d: %w", number, err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, offset string
		if err := rows.Scan(&name, &offset); err != nil {
			return fmt.Errorf("read spools of day %d: %w", number, err)
		}
		var at spool.Offset
		if json.Unmarshal([]byte(offset), &at) != nil || at.End {
			continue
		}
		if _, err := to.write.ExecContext(ctx, `INSERT OR IGNORE INTO spools (name, offset) VALUES (?, ?)`, name, offset); err != nil {
			return fmt.Errorf("carry spools over from day %d: %w", number, err)
		}
	}
	return rows.Err()
}

// used is how much the files of days hold, in bytes; what a file has free inside
// does not count.
func (b *Book) used(days []int) (sum int64, err error) {
	for _, number := range days {
		d, err := b.day(context.Background(), number, false)
		if err != nil {
			return 0, err
		}
		if d == nil {
			continue
		}
		var n int64
		if err := d.read.QueryRow(`SELECT (p.page_count - f.freelist_count) * s.page_size
			FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s`).Scan(&n); err != nil {
			return 0, fmt.Errorf("measure log of day %d: %w", number, err)
		}
		sum += n
	}
	return sum, nil
}

func (d *day) lines(ctx context.Context) (n int64, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT coalesce(sum(lines), 0) FROM blocks`).Scan(&n)
	return n, err
}

// shrink drops the oldest blocks until so many bytes are free; the room is used
// by what comes. The newest of each app stays.
func (d *day) shrink(ctx context.Context, bytes int64) (lines int64, err error) {
	clear(d.apps)
	rows, err := d.write.QueryContext(ctx, `
		DELETE FROM blocks WHERE id IN (
			SELECT id FROM (
				SELECT id, coalesce(sum(length(data) + coalesce(length(filter), 0)) OVER (ORDER BY newest, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS older
				FROM blocks b WHERE first < (SELECT max(first) FROM blocks WHERE app = b.app)
			) WHERE older < ?
		) RETURNING lines`, bytes)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return lines, err
		}
		lines += n
	}
	return lines, rows.Err()
}

// Forget removes all lines of an app.
func (b *Book) Forget(ctx context.Context, a app.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return err
	}
	for _, number := range days {
		d, err := b.day(ctx, number, false)
		if err != nil {
			return err
		}
		delete(d.apps, a)
		if _, err := d.write.ExecContext(ctx, `DELETE FROM blocks WHERE app = ?`, string(a)); err != nil {
			return fmt.Errorf("forget log: %w", err)
		}
	}
	return nil
}
