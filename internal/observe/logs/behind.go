package logs

import (
	"context"
	"fmt"

	"naru/internal/app"
)

// Behind counts the lines of an app that are kept behind a cursor.
func (b *Book) Behind(ctx context.Context, a app.ID, c Cursor) (n int64, err error) {
	days, err := b.days(c.Day)
	if err != nil {
		return 0, err
	}
	for _, number := range days {
		d, err := b.opened(ctx, number)
		if err != nil {
			return n, err
		}
		if d == nil {
			continue
		}
		after := int64(0)
		if number == c.Day {
			after = c.ID
		}
		var of int64
		err = d.read.QueryRowContext(ctx, `SELECT coalesce(sum(min(lines, first + lines - 1 - ?2)), 0) FROM blocks WHERE app = ?1 AND first + lines - 1 > ?2`, string(a), after).Scan(&of)
		if err != nil {
			return n, fmt.Errorf("count lines of log: %w", err)
		}
		n += of
	}
	return n, nil
}
