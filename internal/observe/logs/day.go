package logs

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
	"naru/internal/run/spool"
)

const schema = `
CREATE TABLE IF NOT EXISTS blocks (
	id     INTEGER PRIMARY KEY,
	app    TEXT NOT NULL,
	first  INTEGER NOT NULL, -- number of its first line among the app's, from 1
	lines  INTEGER NOT NULL,
	rank   INTEGER NOT NULL,
	bytes  INTEGER NOT NULL, -- of text
	oldest INTEGER NOT NULL,
	newest INTEGER NOT NULL,
	filter BLOB,             -- of the words in it
	data   BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS blocks_by_app ON blocks (app, first);
CREATE TABLE IF NOT EXISTS spools ( -- how far each spool was imported
	name   TEXT PRIMARY KEY,
	offset TEXT NOT NULL
) STRICT;`

// cutAt is how many bytes of lines one block has at most, if it is not one line.
const cutAt = 1 << 20

var kind = dayfile.Kind{
	Name: "logs", Items: "lines", Owner: []string{"app"}, Order: "first", Schema: schema,
	Seal: 512 << 10, Cut: cutAt,
	Synced: true,                                                            // the spool is freed behind it
	Stays:  "first = (SELECT max(first) FROM blocks c WHERE c.app = b.app)", // so that the numbers go on
	Copy:   copyBlock,
	Carry:  carrySpools,
}

// appendLines keeps lines and the offsets of the spools they are from, and numbers
// the lines.
func appendLines(ctx context.Context, f *dayfile.File, tx *sql.Tx, p *dayfile.Press, lines []Line, offsets map[string]spool.Offset) error {
	next, _ := f.Memory.(map[app.ID]int64)
	if next == nil {
		next = map[app.ID]int64{}
		f.Memory = next
	}
	for a, of := range byApp(lines) {
		if next[a] == 0 {
			var n int64
			if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(first + lines), 1) FROM blocks WHERE app = ?`, string(a)).Scan(&n); err != nil {
				return err
			}
			next[a] = n
		}
		for _, l := range of {
			l.Cursor = Cursor{f.Day, next[a]}
			next[a]++
		}
		if err := dayfile.Add(ctx, f, tx, packer{p, a}, of); err != nil {
			return err
		}
	}
	for name, at := range offsets {
		text, err := json.Marshal(at)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO spools (name, offset) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET offset = excluded.offset`, name, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// byApp sorts lines by their app, in their order.
func byApp(lines []Line) map[app.ID][]*Line {
	out := map[app.ID][]*Line{}
	for len(lines) > 0 {
		a, n := lines[0].App, 1
		for n < len(lines) && lines[n].App == a {
			n++
		}
		of := slices.Grow(out[a], n)
		for i := range n {
			of = append(of, &lines[i])
		}
		out[a], lines = of, lines[n:]
	}
	return out
}

// packer makes blocks of an app's lines.
type packer struct {
	*dayfile.Press
	app app.ID
}

func (p packer) Owner() []any { return []any{string(p.app)} }

func (p packer) Size(l *Line) int { return len(l.Text) + 1 }

func (p packer) Insert(ctx context.Context, tx *sql.Tx, lines []*Line, rank int, merged bool) error {
	b := dayfile.Block{
		Owner: []string{string(p.app)}, At: lines[0].Cursor.ID, Items: int64(len(lines)), Rank: int64(rank),
		Oldest: lines[0].Time.UnixMicro(), Newest: lines[0].Time.UnixMicro(),
	}
	for _, l := range lines {
		at := l.Time.UnixMicro()
		b.Oldest, b.Newest, b.Bytes = min(b.Oldest, at), max(b.Newest, at), b.Bytes+int64(p.Size(l))
	}
	r := rooms.Get().(*room)
	defer rooms.Put(r)
	b.Data, b.Filter = pack(p.Press, r, lines, merged && rank == dayfile.Sealed)
	return insert(ctx, tx, b)
}

func (p packer) Open(first int64, data []byte) ([]*Line, error) {
	b, err := openBlock(p.Press, data, nil)
	if err != nil {
		return nil, err
	}
	lines := make([]*Line, b.len())
	for i := range lines {
		l := b.line(p.app, Cursor{ID: first + int64(i)}, i)
		lines[i] = &l
	}
	return lines, nil
}

// insert writes one block. to is a transaction, or a file.
func insert(ctx context.Context, to interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}, b dayfile.Block) error {
	_, err := to.ExecContext(ctx, `INSERT INTO blocks (app, first, lines, rank, bytes, oldest, newest, filter, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		b.Owner[0], b.At, b.Items, b.Rank, b.Bytes, b.Oldest, b.Newest, b.Filter, b.Data)
	return err
}

// copyBlock keeps a block of a damaged file as it is: one that cannot be opened is
// told to who reads it.
func copyBlock(ctx context.Context, to *dayfile.File, b dayfile.Block) (lines int64, err error) {
	err = insert(ctx, to.Writer, b)
	if err != nil && strings.Contains(err.Error(), "constraint") { // a page that is not what it was may say anything
		return 0, nil
	}
	return b.Items, err
}

// carrySpools copies how far spools were imported, for those that are not
// mentioned in the next file: an instance may have been silent since. Spools that
// were read to their end matter only where they may not be freed yet.
func carrySpools(ctx context.Context, from *sql.DB, to *dayfile.File, damaged bool) error {
	rows, err := from.QueryContext(ctx, `SELECT name, offset FROM spools`)
	if damaged && err != nil {
		return nil //nolint:nilerr // nothing to be had; the spools are read from where they begin
	}
	if err != nil {
		return fmt.Errorf("read spools: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, offset string
		if err := rows.Scan(&name, &offset); err != nil {
			return fmt.Errorf("read spools: %w", err)
		}
		var at spool.Offset
		if json.Unmarshal([]byte(offset), &at) != nil || at.End && !damaged {
			continue
		}
		if _, err := to.Writer.ExecContext(ctx, `INSERT OR IGNORE INTO spools (name, offset) VALUES (?, ?)`, name, offset); err != nil {
			return fmt.Errorf("carry spools over: %w", err)
		}
	}
	if damaged {
		return nil // what could be read
	}
	return rows.Err()
}
