package traces

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

	"naru/internal/app"
)

// aside is behind the name of a damaged file.
const aside = ".damaged"

// damaged reports that a file is no whole database any more.
func damaged(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// replace rescues a file that is open. s.mu is held.
func (s *Store) replace(ctx context.Context, d *day) (*day, error) {
	if s.open[d.number] != d {
		return s.day(ctx, d.number, true) // somebody has done it
	}
	delete(s.open, d.number)
	_ = d.close() // it is damaged
	d, err := s.rescue(ctx, d.number)
	if err != nil {
		return nil, err
	}
	s.open[d.number] = d
	return d, nil
}

// rescue begins the file of a day anew, with what can still be read of the old
// one, which is kept beside it under another name.
func (s *Store) rescue(ctx context.Context, number int) (*day, error) {
	away := s.path(number) + aside
	for _, side := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(s.path(number)+side, away+side); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("put the damaged traces of day %d aside: %w", number, err)
		}
	}
	d, err := openDay(ctx, s.path(number), number)
	if err != nil {
		return nil, err
	}
	old, err := sql.Open("sqlite", "file:"+(&url.URL{Path: away}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)&_pragma=writable_schema(1)") // which bears a file that was cut
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the damaged traces of day %d: %w", number, err), d.close())
	}
	defer old.Close() //nolint:errcheck // it was only read from
	blocks, spans, err := s.copyBlocks(ctx, old, d)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("rescue the traces of day %d: %w", number, err), d.close())
	}
	s.log.ErrorContext(ctx, "the traces of a day were damaged on disk: what could be read was kept, the rest is lost",
		"day", number, "blocks_kept", blocks, "spans_kept", spans, "damaged_file", away)
	if s.o.Lost != nil {
		s.o.Lost(ctx, number, away)
	}
	return d, nil
}

// copyBlocks writes what can be read once more, which makes the index too. Where
// it cannot, it goes on further and further behind.
func (s *Store) copyBlocks(ctx context.Context, from *sql.DB, to *day) (blocks, spans int64, err error) {
	last, step := int64(0), int64(0)
	for step < 1<<20 {
		var id int64
		var space, a string
		var data []byte
		err := from.QueryRowContext(ctx, `SELECT id, space, app, data FROM blocks WHERE id > ? ORDER BY id LIMIT 1`, last+step).Scan(&id, &space, &a, &data)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			if ctx.Err() != nil {
				return blocks, spans, err
			}
			step = max(1, 2*step)
			continue
		}
		last, step = max(id, last+1), 0
		b, err := s.press.open(data)
		if err != nil || strings.ContainsRune(space, 0) {
			continue // a page that is not what it was may say anything
		}
		all := make([]*Span, b.len())
		for i := range all {
			one := b.span(app.SpaceID(space), app.ID(a), i)
			all[i] = &one
		}
		if err := to.append(ctx, s.press, Owner{Space: app.SpaceID(space), App: app.ID(a)}, all); err != nil {
			return blocks, spans, err
		}
		blocks, spans = blocks+1, spans+int64(len(all))
	}
	return blocks, spans, nil
}
