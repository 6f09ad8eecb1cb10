package traces

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Prune removes days that are too old, and then the oldest spans while there is
// too much. It returns how many spans it removed for the second reason.
func (s *Store) Prune(ctx context.Context) (lost int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	days, err := s.list()
	if err != nil {
		return 0, err
	}
	oldest := dayOf(s.o.Now().AddDate(0, 0, 1-s.o.Days))
	for len(days) > 0 && days[0] < oldest {
		if err := s.remove(days[0]); err != nil {
			return lost, err
		}
		days = days[1:]
	}
	return s.shed(ctx, days)
}

// Shed removes the oldest spans while there is too much, whatever their age.
func (s *Store) Shed(ctx context.Context) (lost int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	days, err := s.list()
	if err != nil {
		return 0, err
	}
	return s.shed(ctx, days)
}

// shed holds days against the limits. s.mu is held.
func (s *Store) shed(ctx context.Context, days []int) (lost int64, err error) {
	for len(days) > 0 {
		used, err := s.used(ctx, days)
		if err != nil {
			return lost, err
		}
		over, full := used-s.o.Bytes, s.o.Full != nil && s.o.Full()
		if over <= 0 && !full {
			return lost, nil
		}
		d, err := s.day(ctx, days[0], false)
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
		n, err := d.spans(ctx)
		if err != nil {
			return lost, err
		}
		if err := s.remove(days[0]); err != nil {
			return lost, err
		}
		lost, days = lost+n, days[1:]
		if full && over <= 0 {
			return lost, nil
		}
	}
	return lost, nil
}

// remove drops the file of a day, and what was put aside of it.
func (s *Store) remove(number int) error {
	if d, ok := s.open[number]; ok {
		delete(s.open, number)
		if err := d.close(); err != nil {
			return fmt.Errorf("close traces of day %d: %w", number, err)
		}
	}
	for _, name := range []string{s.path(number), s.path(number) + aside} {
		for _, side := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(name + side); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove traces of day %d: %w", number, err)
			}
		}
	}
	return nil
}

// used is how much the files of days hold, in bytes; what a file has free inside
// does not count.
func (s *Store) used(ctx context.Context, days []int) (sum int64, err error) {
	for _, number := range days {
		d, err := s.day(ctx, number, false)
		if err != nil {
			return 0, err
		}
		if d == nil {
			continue
		}
		var n int64
		if err := d.read.QueryRowContext(ctx, `SELECT (p.page_count - f.freelist_count) * s.page_size
			FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s`).Scan(&n); err != nil {
			return 0, fmt.Errorf("measure traces of day %d: %w", number, err)
		}
		sum += n
	}
	return sum, nil
}

// Size is how much all traces take, in bytes.
func (s *Store) Size(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	days, err := s.list()
	if err != nil {
		return 0, err
	}
	return s.used(ctx, days)
}

// giveBack returns what is free in the file to the disk.
func (d *day) giveBack(ctx context.Context) error {
	for _, sql := range []string{`PRAGMA incremental_vacuum`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		if _, err := d.write.ExecContext(ctx, sql); err != nil {
			return fmt.Errorf("give room of day %d back: %w", d.number, err)
		}
	}
	return nil
}

func (d *day) spans(ctx context.Context) (n int64, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT coalesce(sum(spans), 0) FROM blocks`).Scan(&n)
	return n, err
}

// shrink drops the oldest blocks until so many bytes are free; the room is used
// by what comes.
func (d *day) shrink(ctx context.Context, bytes int64) (spans int64, err error) {
	clear(d.stacks)
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	var last int64
	err = tx.QueryRowContext(ctx, `
		SELECT coalesce(max(id), 0), coalesce(sum(spans), 0) FROM (
			SELECT id, spans, coalesce(sum(length(data) + length(filter)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS older FROM blocks
		) WHERE older < ?`, bytes).Scan(&last, &spans)
	if err != nil {
		return 0, err
	}
	for _, q := range []string{`DELETE FROM blocks WHERE id <= ?`, `DELETE FROM ids WHERE block <= ?`} {
		if _, err := tx.ExecContext(ctx, q, last); err != nil {
			return 0, err
		}
	}
	return spans, tx.Commit()
}
