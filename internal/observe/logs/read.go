package logs

import (
	"context"
	"database/sql"
	"slices"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
)

const usualLimit = 1000

// Read returns lines after a cursor, oldest first.
func (b *Book) Read(ctx context.Context, q Query) (Page, error) {
	p := Page{Next: q.After}
	days, err := b.row.Days(q.After.Day)
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
	days, err := b.row.Days(0)
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
	days, err := b.row.Days(0)
	if err != nil || len(days) == 0 {
		return Cursor{}, err
	}
	c := Cursor{Day: days[len(days)-1]}
	err = b.row.Read(ctx, c.Day, func(f *dayfile.File) error {
		return f.Reader.QueryRowContext(ctx, `SELECT coalesce(max(first + lines) - 1, 0) FROM blocks WHERE app = ?`, string(a)).Scan(&c.ID)
	})
	return c, err
}

// seek takes a seeker through the blocks of one day, all as they are now.
func (b *Book) seek(ctx context.Context, day int, s *seeker, backward bool) error {
	before := *s
	return b.row.Read(ctx, day, func(f *dayfile.File) error {
		*s = before
		tx, err := f.Reader.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // it only read
		return s.day(ctx, tx, day, backward)
	})
}

// place is where a block is and what is known of it unopened.
type place struct {
	id             int64
	first, lines   int64
	bytes          int64
	oldest, newest int64
	filter         dayfile.Filter
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
