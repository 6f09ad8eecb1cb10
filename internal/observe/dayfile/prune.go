package dayfile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// Limits say how much is kept.
type Limits struct {
	Days  int   // today included, at least 1
	Bytes int64 // of files; 0: any. The oldest goes first.
	// Full reports that the disk needs what the files take; nil: never. The oldest
	// goes then, too: days until it is not full any more, or one where Slowly says
	// so, and of the last day a quarter.
	Full   func() bool
	Slowly bool
}

// Tend holds the row to its limits, and tells what went. It is to be called every
// now and then. Nothing goes for its age while the clock cannot be believed.
func (r *Row) Tend(ctx context.Context, l Limits, setting string) {
	now, prune := r.now(), r.Prune
	if !r.clock.look(now.Round(0), time.Since(r.began)) {
		r.log.WarnContext(ctx, "the clock was set ahead: no "+r.kind.Name+" go for their age before an hour has passed", "now", now)
		prune = r.Shed
	}
	lost, err := prune(ctx, l)
	if err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "remove old "+r.kind.Name, "error", err)
	}
	if lost > 0 {
		r.log.WarnContext(ctx, r.kind.Name+" are at their limit: the oldest "+r.kind.Items+" were removed", r.kind.Items, lost, "setting", setting)
	}
}

// Prune removes what is too old, and then the oldest while there is too much. It
// returns how many items it removed for the second reason.
func (r *Row) Prune(ctx context.Context, l Limits) (lost int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	days, err := r.Days(0)
	if err != nil {
		return 0, err
	}
	now := r.now()
	before := now.AddDate(0, 0, 1-max(1, l.Days))
	for len(days) > 0 && days[0] < Of(before) {
		if err := r.remove(ctx, days[0]); err != nil {
			return lost, err
		}
		days = days[1:]
	}
	if last := len(days) - 1; last >= 0 && days[last] > Of(now) {
		// The clock was ahead when that file was begun: it is more than a day's.
		if err := r.age(ctx, days[last], before); err != nil {
			return lost, err
		}
	}
	return r.shed(ctx, l, days)
}

// Shed removes the oldest while there is too much, whatever its age.
func (r *Row) Shed(ctx context.Context, l Limits) (lost int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	days, err := r.Days(0)
	if err != nil {
		return 0, err
	}
	return r.shed(ctx, l, days)
}

// shed holds days against the limits. r.mu is held.
func (r *Row) shed(ctx context.Context, l Limits, days []int) (lost int64, err error) {
	for len(days) > 0 {
		used, err := r.used(ctx, days)
		if err != nil {
			return lost, err
		}
		over := int64(0)
		if l.Bytes > 0 {
			over = used - l.Bytes
		}
		full := l.Full != nil && l.Full()
		if over <= 0 && !full {
			return lost, nil
		}
		f, err := r.file(ctx, days[0], false)
		if err != nil {
			return lost, err
		}
		if len(days) == 1 {
			if full {
				over = max(over, used/4)
			}
			n, err := f.shrink(ctx, over)
			if err == nil && full {
				err = f.giveBack(ctx)
			}
			return lost + n, err
		}
		n, err := f.items(ctx)
		if err != nil {
			return lost, err
		}
		if err := r.remove(ctx, days[0]); err != nil {
			return lost, err
		}
		lost, days = lost+n, days[1:]
		if l.Slowly && over <= 0 {
			return lost, nil
		}
	}
	return lost, nil
}

// remove drops the file of a day, and what was put aside of it. r.mu is held.
func (r *Row) remove(ctx context.Context, day int) error {
	if r.kind.Carry != nil {
		if err := r.carry(ctx, day); err != nil {
			return fmt.Errorf("carry over from the %s of day %d: %w", r.kind.Name, day, err)
		}
	}
	if f, ok := r.open[day]; ok {
		delete(r.open, day)
		if err := f.close(); err != nil {
			return fmt.Errorf("close %s of day %d: %w", r.kind.Name, day, err)
		}
	}
	r.newest = 0
	for _, name := range []string{r.Path(day), r.Path(day) + aside} {
		for _, side := range sides {
			if err := os.Remove(name + side); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove %s of day %d: %w", r.kind.Name, day, err)
			}
		}
	}
	return nil
}

// carry has what goes on copied from a day to the one after it.
func (r *Row) carry(ctx context.Context, day int) error {
	from, err := r.file(ctx, day, false)
	if err != nil || from == nil {
		return err
	}
	after, err := r.today()
	if err != nil {
		return err
	}
	days, err := r.Days(day + 1)
	if err != nil {
		return err
	}
	if len(days) > 0 {
		after = days[0]
	}
	to, err := r.file(ctx, after, true)
	if err != nil {
		return err
	}
	return r.kind.Carry(ctx, from.Reader, to, false)
}

// Size is how much all files hold, in bytes; what they have free inside does not
// count.
func (r *Row) Size(ctx context.Context) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	days, err := r.Days(0)
	if err != nil {
		return 0, err
	}
	return r.used(ctx, days)
}

func (r *Row) used(ctx context.Context, days []int) (sum int64, err error) {
	for _, day := range days {
		f, err := r.file(ctx, day, false)
		if err != nil {
			return 0, err
		}
		if f == nil {
			continue
		}
		var n int64
		if err := f.Reader.QueryRowContext(ctx, `SELECT (p.page_count - f.freelist_count) * s.page_size
			FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s`).Scan(&n); err != nil {
			return 0, fmt.Errorf("measure %s of day %d: %w", r.kind.Name, day, err)
		}
		sum += n
	}
	return sum, nil
}

// goes is a condition on blocks b that may go alone.
func (k *Kind) goes() string {
	if k.Stays == "" {
		return "1"
	}
	return "NOT (" + k.Stays + ")"
}

// age removes the blocks of a day whose items are from before a time.
func (r *Row) age(ctx context.Context, day int, before time.Time) error {
	f, err := r.file(ctx, day, false)
	if err != nil || f == nil {
		return err
	}
	clear(f.stacks)
	err = f.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM blocks AS b WHERE newest < ? AND `+r.kind.goes(), before.UnixMicro()); err != nil {
			return err
		}
		return f.sweep(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("remove old %s of day %d: %w", r.kind.Items, day, err)
	}
	return nil
}

func (f *File) items(ctx context.Context) (n int64, err error) {
	err = f.Reader.QueryRowContext(ctx, `SELECT coalesce(sum(`+f.kind.Items+`), 0) FROM blocks`).Scan(&n)
	return n, err
}

// shrink drops the oldest blocks until so many bytes are free; the room is used
// by what comes.
func (f *File) shrink(ctx context.Context, bytes int64) (items int64, err error) {
	clear(f.stacks)
	err = f.Write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `
			DELETE FROM blocks WHERE id IN (
				SELECT id FROM (
					SELECT id, coalesce(sum(length(data) + coalesce(length(filter), 0)) OVER (ORDER BY newest, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS older
					FROM blocks b WHERE `+f.kind.goes()+`
				) WHERE older < ?
			) RETURNING `+f.kind.Items, bytes)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			items += n
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		return f.sweep(ctx, tx)
	})
	return items, err
}

// sweep is done where blocks went.
func (f *File) sweep(ctx context.Context, tx *sql.Tx) error {
	if f.kind.Swept == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, f.kind.Swept)
	return err
}

// giveBack returns what is free in the file to the disk.
func (f *File) giveBack(ctx context.Context) error {
	for _, sql := range []string{`PRAGMA incremental_vacuum`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		rows, err := f.Writer.QueryContext(ctx, sql)
		if err != nil {
			return fmt.Errorf("give room of day %d back: %w", f.Day, err)
		}
		for rows.Next() { // it works while it is read
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("give room of day %d back: %w", f.Day, err)
		}
	}
	return nil
}
