package logs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// damaged reports that a file is no whole database any more.
func damaged(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// replace rescues a file that is open.
func (b *Book) replace(ctx context.Context, d *day) (*day, error) {
	if b.open[d.number] != d {
		return b.day(ctx, d.number, true) // somebody has done it
	}
	delete(b.open, d.number)
	_ = d.close() // it is damaged
	d, err := b.rescue(ctx, d.number)
	if err != nil {
		return nil, err
	}
	b.open[d.number] = d
	return d, nil
}

// rescue begins the file of a day anew, with what can still be read of the old
// one, which is kept beside it under another name.
func (b *Book) rescue(ctx context.Context, number int) (*day, error) {
	aside := b.path(number) + ".damaged"
	for _, side := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(b.path(number)+side, aside+side); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("put the damaged log of day %d aside: %w", number, err)
		}
	}
	d, err := openDay(ctx, b.path(number), number)
	if err != nil {
		return nil, err
	}
	old, err := sql.Open("sqlite", "file:"+(&url.URL{Path: aside}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)&_pragma=writable_schema(1)") // which bears a file that was cut
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the damaged log of day %d: %w", number, err), d.close())
	}
	defer old.Close() //nolint:errcheck // it was only read from
	blocks, lines, err := copyBlocks(ctx, old, d)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("rescue the log of day %d: %w", number, err), d.close())
	}
	offsets, err := copySpools(ctx, old, d)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("rescue the log of day %d: %w", number, err), d.close())
	}
	b.log.ErrorContext(ctx, "the log of a day was damaged on disk: what could be read was kept, the rest is lost",
		"day", number, "blocks_kept", blocks, "lines_kept", lines, "spools_kept", offsets, "damaged_file", aside)
	return d, nil
}

// copyBlocks copies what can be read. Where it cannot, it goes on further and
// further behind.
func copyBlocks(ctx context.Context, from *sql.DB, to *day) (blocks, lines int64, err error) {
	last, step := int64(0), int64(0)
	for step < 1<<20 {
		var id, first, n, rank, bytes, oldest, newest int64
		var app string
		var filter, data []byte
		err := from.QueryRowContext(ctx, `SELECT id, app, first, lines, rank, bytes, oldest, newest, filter, data FROM blocks WHERE id > ? ORDER BY id LIMIT 1`, last+step).
			Scan(&id, &app, &first, &n, &rank, &bytes, &oldest, &newest, &filter, &data)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			if ctx.Err() != nil {
				return blocks, lines, err
			}
			step = max(1, 2*step)
			continue
		}
		last, step = id, 0
		_, err = to.write.ExecContext(ctx, `INSERT INTO blocks (app, first, lines, rank, bytes, oldest, newest, filter, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			app, first, n, rank, bytes, oldest, newest, filter, data)
		switch {
		case err == nil:
			blocks, lines = blocks+1, lines+n
		case !strings.Contains(err.Error(), "constraint"): // a page that is not what it was may say anything
			return blocks, lines, err
		}
	}
	return blocks, lines, nil
}

func copySpools(ctx context.Context, from *sql.DB, to *day) (n int, err error) {
	rows, err := from.QueryContext(ctx, `SELECT name, offset FROM spools`)
	if err != nil {
		return 0, nil //nolint:nilerr // nothing to be had; the spools are read from where they begin
	}
	defer rows.Close()
	for rows.Next() {
		var name, offset string
		if rows.Scan(&name, &offset) != nil {
			break
		}
		if _, err := to.write.ExecContext(ctx, `INSERT OR IGNORE INTO spools (name, offset) VALUES (?, ?)`, name, offset); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
