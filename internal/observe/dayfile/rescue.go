package dayfile

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

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

// aside is behind the name of a damaged file.
const aside = ".damaged"

// sides are the ends of the names under which one database lies.
var sides = []string{"", "-wal", "-shm"}

// replace rescues a file that is open. r.mu is held.
func (r *Row) replace(ctx context.Context, f *File) (*File, error) {
	if r.open[f.Day] != f {
		return r.file(ctx, f.Day, true) // somebody has done it
	}
	delete(r.open, f.Day)
	_ = f.close() // it is damaged
	f, err := r.rescue(ctx, f.Day)
	if err != nil {
		return nil, err
	}
	r.open[f.Day] = f
	return f, nil
}

// rescue begins the file of a day anew, with what can still be read of the old
// one, which is kept beside it under another name.
func (r *Row) rescue(ctx context.Context, day int) (*File, error) {
	away := r.Path(day) + aside
	for _, side := range sides {
		if err := os.Rename(r.Path(day)+side, away+side); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("put the damaged %s of day %d aside: %w", r.kind.Name, day, err)
		}
	}
	f, err := open(ctx, &r.kind, r.Path(day), day)
	if err != nil {
		return nil, err
	}
	kept, err := r.salvage(ctx, away, f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("rescue the %s of day %d: %w", r.kind.Name, day, err), f.close())
	}
	r.log.ErrorContext(ctx, "the "+r.kind.Name+" of a day were damaged on disk: what could be read was kept, the rest is lost",
		"day", day, "blocks_kept", kept.blocks, r.kind.Items+"_kept", kept.items, "newest_kept", time.UnixMicro(kept.newest).UTC(), "bytes_missing", missing(away), "damaged_file", away)
	if r.lost != nil {
		r.lost(ctx, day, away)
	}
	return f, nil
}

// missing is how many bytes a file lacks of what its head says that it has, as far
// as it has one.
func missing(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close() //nolint:errcheck // it was only read from
	head := make([]byte, 100)
	info, err := f.Stat()
	if err != nil || info.Size() < int64(len(head)) {
		return 0
	}
	if _, err := f.ReadAt(head, 0); err != nil || !bytes.HasPrefix(head, []byte("SQLite format 3\x00")) {
		return 0
	}
	page, pages := int64(binary.BigEndian.Uint16(head[16:])), int64(binary.BigEndian.Uint32(head[28:]))
	return max(0, page*pages-info.Size())
}

// saved is what could be read of a damaged file.
type saved struct{ blocks, items, newest int64 }

// salvage copies what can be read of a damaged file. Where it cannot, it goes on
// further and further behind.
func (r *Row) salvage(ctx context.Context, path string, to *File) (kept saved, err error) {
	from, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)&_pragma=writable_schema(1)") // which bears a file that was cut
	if err != nil {
		return kept, err
	}
	defer from.Close() //nolint:errcheck // it was only read from
	k := &r.kind
	next := `SELECT id, ` + strings.Join(k.Owner, ", ") + `, ` + k.Order + `, ` + k.Items + `, rank, bytes, oldest, newest, filter, data FROM blocks WHERE id > ? ORDER BY id LIMIT 1`
	last, step := int64(0), int64(0)
	for step < 1<<20 {
		var id int64
		b := Block{Owner: make([]string, len(k.Owner))}
		into := []any{&id}
		for i := range b.Owner {
			into = append(into, &b.Owner[i])
		}
		into = append(into, &b.At, &b.Items, &b.Rank, &b.Bytes, &b.Oldest, &b.Newest, &b.Filter, &b.Data)
		err := from.QueryRowContext(ctx, next, last+step).Scan(into...)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			if ctx.Err() != nil {
				return kept, err
			}
			step = max(1, 2*step)
			continue
		}
		last, step = max(id, last+1), 0
		n, err := k.Copy(ctx, to, b)
		if err != nil {
			return kept, err
		}
		if n > 0 {
			kept = saved{kept.blocks + 1, kept.items + n, max(kept.newest, b.Newest)}
		}
	}
	if k.Carry != nil {
		err = k.Carry(ctx, from, to, true)
	}
	return kept, err
}
