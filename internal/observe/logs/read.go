package logs

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"naru/internal/app"
)

// Read returns lines after a cursor, oldest first.
func (b *Book) Read(ctx context.Context, q Query) ([]Line, error) {
	if q.Limit <= 0 {
		q.Limit = 1000
	}
	var out []Line
	days, err := b.daysFrom(q.After.Day)
	if err != nil {
		return nil, err
	}
	for _, day := range days {
		after := int64(0)
		if day == q.After.Day {
			after = q.After.ID
		}
		page, err := b.page(ctx, day, q, "id > ?", after, "id", q.Limit-len(out))
		if err != nil {
			return nil, err
		}
		if out = append(out, page...); len(out) >= q.Limit {
			break
		}
	}
	return out, nil
}

// Tail returns the last lines, oldest first.
func (b *Book) Tail(ctx context.Context, q Query) ([]Line, error) {
	if q.Limit <= 0 {
		q.Limit = 1000
	}
	days, err := b.daysFrom(0)
	if err != nil {
		return nil, err
	}
	var out []Line // newest first
	for _, day := range slices.Backward(days) {
		page, err := b.page(ctx, day, q, "id > ?", 0, "id DESC", q.Limit-len(out))
		if err != nil {
			return nil, err
		}
		if out = append(out, page...); len(out) >= q.Limit {
			break
		}
	}
	slices.Reverse(out)
	return out, nil
}

// End is the cursor after the newest line there is.
func (b *Book) End(ctx context.Context) (Cursor, error) {
	days, err := b.daysFrom(0)
	if err != nil || len(days) == 0 {
		return Cursor{}, err
	}
	c := Cursor{Day: days[len(days)-1]}
	b.mu.Lock()
	db, err := b.day(ctx, c.Day, false)
	b.mu.Unlock()
	if err != nil {
		return c, err
	}
	if err := db.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM lines`).Scan(&c.ID); err != nil {
		return c, fmt.Errorf("read end of log: %w", err)
	}
	return c, nil
}

func (b *Book) daysFrom(day int) ([]int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	days, err := b.list()
	if err != nil {
		return nil, err
	}
	i, _ := slices.BinarySearch(days, day)
	return days[i:], nil
}

// page reads lines of one day.
func (b *Book) page(ctx context.Context, day int, q Query, where string, arg any, order string, limit int) ([]Line, error) {
	b.mu.Lock()
	db, err := b.day(ctx, day, false)
	b.mu.Unlock()
	if err != nil || db == nil {
		return nil, err
	}
	query := `SELECT id, time, source, process, idx, instance, stream, partial, dropped, text FROM lines WHERE app = ? AND ` + where
	args := []any{string(q.App), arg}
	for _, f := range []struct {
		sql  string
		on   bool
		with any
	}{
		{" AND time >= ?", !q.Since.IsZero(), q.Since.UnixNano()},
		{" AND process = ?", q.Process != "", q.Process},
		{" AND source = ?", q.Source != "", q.Source},
		{" AND idx = ? AND source IN ('" + App + "', '" + Task + "')", q.Index != nil, q.Index},
	} {
		if f.on {
			query, args = query+f.sql, append(args, f.with)
		}
	}
	rows, err := db.QueryContext(ctx, query+" ORDER BY "+order+" LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("read log of day %d: %w", day, err)
	}
	defer rows.Close()
	var out []Line
	for rows.Next() {
		l := Line{App: q.App, Cursor: Cursor{Day: day}}
		var ns int64
		if err := rows.Scan(&l.Cursor.ID, &ns, &l.Source, &l.Process, &l.Index, &l.Instance, &l.Stream, &l.Partial, &l.Dropped, &l.Text); err != nil {
			return nil, fmt.Errorf("read log of day %d: %w", day, err)
		}
		l.Time = time.Unix(0, ns).UTC()
		out = append(out, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read log of day %d: %w", day, err)
	}
	return out, nil
}

// Changed returns a channel that gets a value after lines of the app were
// appended, and a function that ends that. Several appends may be one value, so
// read until nothing is left.
func (b *Book) Changed(a app.ID) (<-chan struct{}, func()) { return b.bell.listen(a) }

// bell tells followers that there is something to read.
type bell struct {
	mu    sync.Mutex
	rings map[app.ID]map[chan struct{}]bool
}

func (b *bell) listen(a app.ID) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rings[a] == nil {
		b.rings[a] = map[chan struct{}]bool{}
	}
	b.rings[a][c] = true
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.rings[a], c)
		if len(b.rings[a]) == 0 {
			delete(b.rings, a)
		}
	}
}

func (b *bell) ring(apps map[app.ID]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for a := range apps {
		for c := range b.rings[a] {
			select {
			case c <- struct{}{}:
			default: // it rings already
			}
		}
	}
}
