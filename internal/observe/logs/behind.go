package logs

import (
	"context"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
)

// Behind counts the lines of an app that are kept behind a cursor.
func (b *Book) Behind(ctx context.Context, a app.ID, c Cursor) (n int64, err error) {
	days, err := b.row.Days(c.Day)
	if err != nil {
		return 0, err
	}
	for _, day := range days {
		after := int64(0)
		if day == c.Day {
			after = c.ID
		}
		var of int64
		err := b.row.Read(ctx, day, func(f *dayfile.File) error {
			return f.Reader.QueryRowContext(ctx, `SELECT coalesce(sum(min(lines, first + lines - 1 - ?2)), 0) FROM blocks WHERE app = ?1 AND first + lines - 1 > ?2`, string(a), after).Scan(&of)
		})
		if err != nil {
			return n, err
		}
		n += of
	}
	return n, nil
}
