package logs

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"naru/internal/app"
)

const usualLimit = 1000

// Read returns lines after a cursor, oldest first.
func (b *Book) Read(ctx context.Context, q Query) (Page, error) {
	p := Page{Next: q.After}
	days, err := b.days(q.After.Day)
	if err != nil {
		return p, err
	}
	s := newSeeker(b.press, q)
	for _, number := range days {
		if err := b.seek(ctx, number, s, false); err != nil {
			return p, err
		}
		if s.done() {
			break
		}
	}
	p.Lines, p.More, p.Bytes = s.lines, s.done(), s.bytes
	if q.Since.IsZero() && q.Until.IsZero() { // else blocks are left out
		p.Gap = s.gap
	}
	if q.After.before(s.seen) {
		p.Next = s.seen
	}
	return p, nil
}

// Tail returns the last lines, oldest first.
func (b *Book) Tail(ctx context.Context, q Query) (Page, error) {
	end, err := b.End(ctx, q.App)
	if err != nil {
		return Page{}, err
	}
	p := Page{Next: end}
	days, err := b.days(0)
	if err != nil {
		return p, err
	}
	s := newSeeker(b.press, q)
	for _, number := range slices.Backward(days) {
		if err := b.seek(ctx, number, s, true); err != nil {
			return p, err
		}
		if s.done() {
			break
		}
	}
	slices.Reverse(s.lines)
	p.Lines, p.More, p.Bytes = s.lines, s.done(), s.bytes
	if s.spent() {
		p.Back = s.back
	}
	return p, nil
}

// End is the cursor after the newest line of an app.
func (b *Book) End(ctx context.Context, a app.ID) (Cursor, error) {
	days, err := b.days(0)
	if err != nil || len(days) == 0 {
		return Cursor{}, err
	}
	c := Cursor{Day: days[len(days)-1]}
	d, err := b.opened(ctx, c.Day)
	if err != nil || d == nil {
		return c, err
	}
	if err := d.read.QueryRowContext(ctx, `SELECT coalesce(max(first + lines) - 1, 0) FROM blocks WHERE app = ?`, string(a)).Scan(&c.ID); err != nil {
		return c, fmt.Errorf("read end of log: %w", err)
	}
	return c, nil
}

// days returns the days there are from one on, rising.
func (b *Book) days(from int) ([]int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return nil, err
	}
	i, _ := slices.BinarySearch(days, from)
	return days[i:], nil
}

func (b *Book) opened(ctx context.Context, number int) (*day, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.day(ctx, number, false)
}

// seek takes a seeker through the blocks of one day, all as they are now.
func (b *Book) seek(ctx context.Context, number int, s *seeker, backward bool) error {
	d, err := b.opened(ctx, number)
	if err != nil || d == nil {
		return err
	}
	before := *s
	if err = d.seek(ctx, s, backward); !damaged(err) {
		return err
	}
	b.mu.Lock()
	d, err = b.replace(ctx, d)
	b.mu.Unlock()
	if err != nil {
		return err
	}
	*s = before
	return d.seek(ctx, s, backward)
}

func (d *day) seek(ctx context.Context, s *seeker, backward bool) error {
	tx, err := d.read.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("read log of day %d: %w", d.number, err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	if err := s.day(ctx, tx, d.number, backward); err != nil {
		return fmt.Errorf("read log of day %d: %w", d.number, err)
	}
	return nil
}

// place is where a block is and what is known of it unopened.
type place struct {
	id             int64
	first, lines   int64
	bytes          int64
	oldest, newest int64
	filter         filter
	gap            int64 // lines before it that are not there
}

// listed is how many places are read at once.
const listed = 256

// places returns blocks of an app in the order of their lines, after or before
// a line, that can hold lines of the query's time.
func places(ctx context.Context, tx *sql.Tx, q *Query, from int64, backward bool) ([]place, error) {
	where, order := "first + lines > ?", "first"
	if backward {
		where, order = "first < ?", "first DESC"
	}
	filter := "NULL"
	if q.Search != nil {
		filter = "filter"
	}
	args := []any{string(q.App), from}
	if !q.Since.IsZero() {
		where, args = where+" AND newest >= ?", append(args, q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		where, args = where+" AND oldest < ?", append(args, q.Until.UnixMicro())
	}
	rows, err := tx.QueryContext(ctx, `SELECT id, first, lines, bytes, oldest, newest, `+filter+` FROM blocks WHERE app = ? AND `+where+` ORDER BY `+order+` LIMIT ?`, append(args, listed)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []place
	for rows.Next() {
		var p place
		if err := rows.Scan(&p.id, &p.first, &p.lines, &p.bytes, &p.oldest, &p.newest, (*[]byte)(&p.filter)); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
