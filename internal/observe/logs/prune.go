package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"naru/internal/app"
	"naru/internal/run/spool"
)

// Prune removes days that are too old, and then the oldest lines while there is
// too much. It returns how many lines it removed for the second reason.
func (b *Book) Prune(ctx context.Context) (lost int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return 0, err
	}
	oldest := dayOf(b.clock().AddDate(0, 0, 1-b.limits.Days))
	for len(days) > 0 && days[0] < oldest {
		if err := b.remove(ctx, days[0]); err != nil {
			return lost, err
		}
		days = days[1:]
	}
	for b.limits.Bytes > 0 && len(days) > 0 {
		used, err := b.used(days)
		if err != nil || used <= b.limits.Bytes {
			return lost, err
		}
		d, err := b.day(ctx, days[0], false)
		if err != nil {
			return lost, err
		}
		if len(days) == 1 {
			n, err := d.shrink(ctx, used-b.limits.Bytes)
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
	after := dayOf(b.clock())
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
