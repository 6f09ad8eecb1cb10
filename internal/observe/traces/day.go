package traces

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	_ "modernc.org/sqlite" // the engine of the day files

	"naru/internal/app"
)

const schema = `
CREATE TABLE IF NOT EXISTS blocks (
	id      INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: ids may name a block that is gone
	space   TEXT NOT NULL,
	app     TEXT NOT NULL,    -- '': of the space
	spans   INTEGER NOT NULL,
	rank    INTEGER NOT NULL, -- how often it was merged; 9: it is not merged any more
	bytes   INTEGER NOT NULL, -- of its spans, unpacked
	oldest  INTEGER NOT NULL, -- start of a span, in microseconds since 1970
	newest  INTEGER NOT NULL,
	longest INTEGER NOT NULL, -- duration of a span, in nanoseconds
	errors  INTEGER NOT NULL, -- spans that failed
	filter  BLOB NOT NULL,    -- of what is in it
	data    BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS blocks_by_owner ON blocks (space, app, rank);
CREATE TABLE IF NOT EXISTS ids ( -- where a trace is, among the blocks of rank 9
	trace INTEGER NOT NULL,   -- the low half of its id
	block INTEGER NOT NULL,
	PRIMARY KEY (trace, block)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names ( -- what there is to choose from
	space   TEXT NOT NULL,
	app     TEXT NOT NULL,
	service TEXT NOT NULL,
	name    TEXT NOT NULL,
	remote  TEXT NOT NULL,
	PRIMARY KEY (space, app, service, name, remote)
) STRICT, WITHOUT ROWID;`

// Blocks grow by being merged: fanIn of a rank become one of the next, and what
// has sealAt bytes of spans is left as it is. So a quiet app's spans, which come
// one by one, are written three times at most.
const (
	fanIn  = 16
	ranks  = 4
	sealed = 9
	sealAt = 1 << 20
	cutAt  = 2 << 20 // no block is begun anew before a span that fits into this
)

// maxNames bounds what is chosen from, of one day.
const maxNames = 50_000

// day is the file of one day.
type day struct {
	number int
	write  *sql.DB
	read   *sql.DB
	stacks map[Owner]*stack // by space and app, as far as they were asked for; only while Store.mu is held
	names  map[name]bool    // that are written
}

// name is a row of names.
type name struct {
	space                 app.SpaceID
	app                   app.ID
	service, name, remote string
}

// stack is what an owner has that is not sealed yet.
type stack struct {
	blocks [ranks]int
	bytes  int64
}

func openDay(ctx context.Context, path string, number int) (*day, error) {
	d := &day{number: number, stacks: map[Owner]*stack{}, names: map[name]bool{}}
	file := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)"
	var err error
	// A machine that loses its power loses the last seconds' spans: they are not
	// worth a sync each.
	if d.write, err = sql.Open("sqlite", file+"&_pragma=auto_vacuum(incremental)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_txlock=immediate"); err != nil {
		return nil, fmt.Errorf("open traces of day %d: %w", number, err)
	}
	d.write.SetMaxOpenConns(1)
	if _, err := d.write.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("open traces of day %d: %w", number, err), d.write.Close())
	}
	if d.read, err = sql.Open("sqlite", file+"&_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("open traces of day %d: %w", number, err), d.write.Close())
	}
	d.read.SetMaxOpenConns(8)
	return d, nil
}

func (d *day) close() error { return errors.Join(d.write.Close(), d.read.Close()) }

// append keeps spans of one owner.
func (d *day) append(ctx context.Context, p *press, from Owner, spans []*Span) (err error) {
	from.Instance = ""
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	var named []name
	defer func() {
		if err != nil {
			clear(d.stacks) // they ran ahead of what is stored
			for _, n := range named {
				delete(d.names, n)
			}
			err = errors.Join(err, tx.Rollback())
		}
	}()
	s, err := d.stack(ctx, tx, from)
	if err != nil {
		return err
	}
	if named, err = d.name(ctx, tx, from, spans); err != nil {
		return err
	}
	if err := d.add(ctx, tx, p, from, s, spans); err != nil {
		return err
	}
	return tx.Commit()
}

func (d *day) stack(ctx context.Context, tx *sql.Tx, of Owner) (*stack, error) {
	if s, ok := d.stacks[of]; ok {
		return s, nil
	}
	s := &stack{}
	rows, err := tx.QueryContext(ctx, `SELECT rank, count(*), sum(bytes) FROM blocks WHERE space = ? AND app = ? AND rank < ? GROUP BY rank`, string(of.Space), string(of.App), ranks)
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
	d.stacks[of] = s
	return s, rows.Err()
}

// name writes down names that are new.
func (d *day) name(ctx context.Context, tx *sql.Tx, of Owner, spans []*Span) (added []name, err error) {
	for _, s := range spans {
		n := name{of.Space, of.App, s.Service, s.Name, s.Remote}
		if d.names[n] || len(d.names) >= maxNames {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO names (space, app, service, name, remote) VALUES (?, ?, ?, ?, ?)`,
			string(n.space), string(n.app), n.service, n.name, n.remote); err != nil {
			return added, err
		}
		d.names[n] = true
		added = append(added, n)
	}
	return added, nil
}

// add writes an owner's spans as blocks and merges what has become many.
func (d *day) add(ctx context.Context, tx *sql.Tx, p *press, of Owner, s *stack, spans []*Span) error {
	empty := s.bytes == 0
	for part := range parts(spans) {
		bytes := sizes(part)
		rank := 0
		if empty && bytes >= sealAt {
			rank = sealed
		} else {
			empty = false
			s.blocks[0]++
			s.bytes += int64(bytes)
		}
		if err := insert(ctx, tx, p, of, part, rank); err != nil {
			return err
		}
	}
	if s.bytes >= sealAt {
		s.blocks, s.bytes = [ranks]int{}, 0
		return merge(ctx, tx, p, of, ranks-1, sealed)
	}
	for rank := range ranks - 1 {
		if s.blocks[rank] < fanIn {
			break
		}
		s.blocks[rank] = 0
		s.blocks[rank+1]++
		if err := merge(ctx, tx, p, of, rank, rank+1); err != nil {
			return err
		}
	}
	return nil
}

func sizes(spans []*Span) (n int) {
	for _, s := range spans {
		n += s.size()
	}
	return n
}

// parts cuts spans into blocks.
func parts(spans []*Span) func(func([]*Span) bool) {
	return func(yield func([]*Span) bool) {
		from, bytes := 0, 0
		for i, s := range spans {
			if bytes += s.size(); bytes > cutAt && i > from {
				if !yield(spans[from:i]) {
					return
				}
				from, bytes = i, s.size()
			}
		}
		if from < len(spans) {
			yield(spans[from:])
		}
	}
}

// insert writes one block.
func insert(ctx context.Context, tx *sql.Tx, p *press, of Owner, spans []*Span, rank int) error {
	enc := p.quick
	if rank > 0 {
		enc = p.thorough
	}
	b := pack(enc, spans, rank == sealed)
	res, err := tx.ExecContext(ctx, `INSERT INTO blocks (space, app, spans, rank, bytes, oldest, newest, longest, errors, filter, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(of.Space), string(of.App), len(spans), rank, b.bytes, b.oldest, b.newest, b.longest, b.errors, []byte(b.filter), b.data)
	if err != nil || rank != sealed {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	seen := make(map[uint64]struct{}, len(spans)/4)
	var all []any
	for _, s := range spans {
		if _, twice := seen[s.Trace.low()]; !twice {
			seen[s.Trace.low()] = struct{}{}
			all = append(all, int64(s.Trace.low()), id)
		}
	}
	return index(ctx, tx, all)
}

// index writes pairs of a trace and a block.
func index(ctx context.Context, tx *sql.Tx, pairs []any) error {
	const most = 200 // pairs in a statement
	for len(pairs) > 0 {
		n := min(len(pairs)/2, most)
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO ids (trace, block) VALUES `+strings.Repeat("(?,?),", n-1)+"(?,?)", pairs[:2*n]...); err != nil {
			return err
		}
		pairs = pairs[2*n:]
	}
	return nil
}

// merge makes blocks of a higher rank out of all of an owner up to a rank. One
// that cannot be read stays where it is.
func merge(ctx context.Context, tx *sql.Tx, p *press, of Owner, from, to int) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, data FROM blocks WHERE space = ? AND app = ? AND rank <= ? ORDER BY id`, string(of.Space), string(of.App), from)
	if err != nil {
		return err
	}
	defer rows.Close()
	var damaged []int64
	var all []*Span
	for rows.Next() {
		var id int64
		var data []byte
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		b, err := p.open(data)
		if err != nil {
			damaged = append(damaged, id)
			continue
		}
		for i := range b.len() {
			s := b.span(of.Space, of.App, i)
			all = append(all, &s)
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
	if _, err := tx.ExecContext(ctx, `DELETE FROM blocks WHERE space = ? AND app = ? AND rank <= ?`, string(of.Space), string(of.App), from); err != nil {
		return err
	}
	for part := range parts(all) {
		if err := insert(ctx, tx, p, of, part, to); err != nil {
			return err
		}
	}
	return nil
}
