package logs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite" // the engine of the day files

	"naru/internal/app"
	"naru/internal/run/spool"
)

const schema = `
CREATE TABLE IF NOT EXISTS blocks (
	id     INTEGER PRIMARY KEY,
	app    TEXT NOT NULL,
	first  INTEGER NOT NULL, -- number of its first line among the app's, from 1
	lines  INTEGER NOT NULL,
	rank   INTEGER NOT NULL, -- how often it was merged; 9: it is not merged any more
	bytes  INTEGER NOT NULL, -- of text
	oldest INTEGER NOT NULL, -- microseconds since 1970
	newest INTEGER NOT NULL,
	filter BLOB,             -- of the words in it
	data   BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS blocks_by_app ON blocks (app, first);
CREATE TABLE IF NOT EXISTS spools ( -- how far each spool was imported
	name   TEXT PRIMARY KEY,
	offset TEXT NOT NULL
) STRICT;`

// Blocks grow by being merged: fanIn of a rank become one of the next, and what
// has sealAt bytes of text is left as it is. So a quiet app's lines, which come
// one by one, are written three times at most.
const (
	fanIn  = 16
	ranks  = 4
	sealed = 9
	sealAt = 512 << 10
	cutAt  = 1 << 20 // no block is begun anew before a line that fits into this
)

// day is the file of one day.
type day struct {
	number int
	write  *sql.DB
	read   *sql.DB
	apps   map[app.ID]*stack // as far as they were asked for; only while Book.mu is held
}

// stack is what an app has that is not sealed yet.
type stack struct {
	next   int64 // number of the next line
	blocks [ranks]int
	bytes  int64
}

func openDay(ctx context.Context, path string, number int) (*day, error) {
	d := &day{number: number, apps: map[app.ID]*stack{}}
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)"
	var err error
	// Committed means synced: the spool is freed behind it.
	if d.write, err = sql.Open("sqlite", name+"&_pragma=auto_vacuum(2)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate"); err != nil {
		return nil, fmt.Errorf("open log of day %d: %w", number, err)
	}
	d.write.SetMaxOpenConns(1)
	if _, err := d.write.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("open log of day %d: %w", number, err), d.write.Close())
	}
	if d.read, err = sql.Open("sqlite", name+"&_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("open log of day %d: %w", number, err), d.write.Close())
	}
	d.read.SetMaxOpenConns(8)
	return d, nil
}

func (d *day) close() error { return errors.Join(d.write.Close(), d.read.Close()) }

// append keeps lines and the offsets of the spools they are from.
func (d *day) append(ctx context.Context, p *press, lines []Line, offsets map[string]spool.Offset) (err error) {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			clear(d.apps) // they ran ahead of what is stored
			err = errors.Join(err, tx.Rollback())
		}
	}()
	for a, of := range byApp(lines) {
		s, err := d.stack(ctx, tx, a)
		if err != nil {
			return err
		}
		for _, l := range of {
			s.next++
			l.Cursor = Cursor{d.number, s.next - 1}
		}
		if err := d.add(ctx, tx, p, a, s, of); err != nil {
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
	return tx.Commit()
}

// byApp sorts lines by their app, in their order.
func byApp(lines []Line) map[app.ID][]*Line {
	out := map[app.ID][]*Line{}
	for i := range lines {
		out[lines[i].App] = append(out[lines[i].App], &lines[i])
	}
	return out
}

func (d *day) stack(ctx context.Context, tx *sql.Tx, a app.ID) (*stack, error) {
	if s, ok := d.apps[a]; ok {
		return s, nil
	}
	s := &stack{}
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(first + lines), 1) FROM blocks WHERE app = ?`, string(a)).Scan(&s.next); err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT rank, count(*), sum(bytes) FROM blocks WHERE app = ? AND rank < ? GROUP BY rank`, string(a), ranks)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var rank, count int
		var bytes int64
		if err := rows.Scan(&rank, &count, &bytes); err != nil {
			return nil, err
		}
		s.blocks[rank] = count
		s.bytes += bytes
	}
	d.apps[a] = s
	return s, rows.Err()
}

// add writes an app's lines as blocks and merges what has become many.
func (d *day) add(ctx context.Context, tx *sql.Tx, p *press, a app.ID, s *stack, lines []*Line) error {
	empty := s.bytes == 0
	for part := range parts(lines) {
		bytes := size(part)
		rank := 0
		if empty && bytes >= sealAt {
			rank = sealed
		} else {
			empty = false
			s.blocks[0]++
			s.bytes += int64(bytes)
		}
		if err := insert(ctx, tx, p.quick, a, part, rank); err != nil {
			return err
		}
	}
	if s.bytes >= sealAt {
		s.blocks, s.bytes = [ranks]int{}, 0
		return merge(ctx, tx, p, a, ranks-1, sealed)
	}
	for rank := range ranks - 1 {
		if s.blocks[rank] < fanIn {
			break
		}
		s.blocks[rank] = 0
		s.blocks[rank+1]++
		if err := merge(ctx, tx, p, a, rank, rank+1); err != nil {
			return err
		}
	}
	return nil
}

// parts cuts lines into blocks.
func parts(lines []*Line) func(func([]*Line) bool) {
	return func(yield func([]*Line) bool) {
		from, bytes := 0, 0
		for i, l := range lines {
			if bytes += len(l.Text) + 1; bytes > cutAt && i > from {
				if !yield(lines[from:i]) {
					return
				}
				from, bytes = i, len(l.Text)+1
			}
		}
		if from < len(lines) {
			yield(lines[from:])
		}
	}
}

// insert writes one block.
func insert(ctx context.Context, tx *sql.Tx, enc *zstd.Encoder, a app.ID, lines []*Line, rank int) error {
	oldest, newest := lines[0].Time, lines[0].Time
	for _, l := range lines {
		if l.Time.Before(oldest) {
			oldest = l.Time
		}
		if l.Time.After(newest) {
			newest = l.Time
		}
	}
	data, filter := pack(enc, lines)
	_, err := tx.ExecContext(ctx, `INSERT INTO blocks (app, first, lines, rank, bytes, oldest, newest, filter, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(a), lines[0].Cursor.ID, len(lines), rank, size(lines), oldest.UnixMicro(), newest.UnixMicro(), []byte(filter), data)
	return err
}

// merge makes blocks of a higher rank out of all of an app up to a rank: they
// are its newest. One that cannot be read stays where it is.
func merge(ctx context.Context, tx *sql.Tx, p *press, a app.ID, from, to int) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, first, data FROM blocks WHERE app = ? AND rank <= ? ORDER BY first`, string(a), from)
	if err != nil {
		return err
	}
	defer rows.Close()
	var damaged []int64
	runs := [][]*Line{nil}
	for rows.Next() {
		var id, first int64
		var data []byte
		if err := rows.Scan(&id, &first, &data); err != nil {
			return err
		}
		b, err := p.open(data, nil)
		if err != nil {
			damaged, runs = append(damaged, id), append(runs, nil)
			continue
		}
		run := &runs[len(runs)-1]
		for i := range b.len() {
			l := b.line(a, Cursor{ID: first + int64(i)}, i)
			*run = append(*run, &l)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, id := range damaged {
		if _, err := tx.ExecContext(ctx, `UPDATE blocks SET rank = ? WHERE id = ?`, sealed, id); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM blocks WHERE app = ? AND rank <= ?`, string(a), from); err != nil {
		return err
	}
	for _, run := range runs {
		for part := range parts(run) {
			if err := insert(ctx, tx, p.thorough, a, part, to); err != nil {
				return err
			}
		}
	}
	return nil
}
