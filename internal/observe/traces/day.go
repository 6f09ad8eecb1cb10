package traces

import (
	"context"
	"database/sql"
	"strings"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
)

const schema = `
CREATE TABLE IF NOT EXISTS blocks (
	id      INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: ids may name a block that is gone
	space   TEXT NOT NULL,
	app     TEXT NOT NULL,    -- '': of the space
	spans   INTEGER NOT NULL,
	rank    INTEGER NOT NULL,
	bytes   INTEGER NOT NULL,
	oldest  INTEGER NOT NULL, -- start of a span
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

func (s *Store) kind() dayfile.Kind {
	return dayfile.Kind{
		Name: "traces", Items: "spans", Owner: []string{"space", "app"}, Order: "id", Schema: schema,
		Seal: 1 << 20, Cut: 2 << 20,
		// A machine that loses its power loses the last seconds' spans: they are not
		// worth a sync each.
		Synced: false,
		Swept:  `DELETE FROM ids WHERE block NOT IN (SELECT id FROM blocks)`,
		Copy:   s.copyBlock,
	}
}

// maxNames bounds what is chosen from, of one day.
const maxNames = 50_000

// name is a row of names.
type name struct {
	space                 app.SpaceID
	app                   app.ID
	service, name, remote string
}

// appendSpans keeps spans of one owner.
func appendSpans(ctx context.Context, f *dayfile.File, tx *sql.Tx, p *dayfile.Press, from Owner, spans []*Span) error {
	from.Instance = ""
	if err := nameSpans(ctx, f, tx, from, spans); err != nil {
		return err
	}
	return dayfile.Add(ctx, f, tx, packer{p, from}, spans)
}

// nameSpans writes down names that are new.
func nameSpans(ctx context.Context, f *dayfile.File, tx *sql.Tx, of Owner, spans []*Span) error {
	known, _ := f.Memory.(map[name]bool)
	if known == nil {
		known = map[name]bool{}
		f.Memory = known
	}
	for _, s := range spans {
		n := name{of.Space, of.App, s.Service, s.Name, s.Remote}
		if known[n] || len(known) >= maxNames {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO names (space, app, service, name, remote) VALUES (?, ?, ?, ?, ?)`,
			string(n.space), string(n.app), n.service, n.name, n.remote); err != nil {
			return err
		}
		known[n] = true
	}
	return nil
}

// packer makes blocks of an owner's spans.
type packer struct {
	*dayfile.Press
	of Owner
}

func (p packer) Owner() []any { return []any{string(p.of.Space), string(p.of.App)} }

func (p packer) Size(s *Span) int { return s.size() }

func (p packer) Insert(ctx context.Context, tx *sql.Tx, spans []*Span, rank int, _ bool) error {
	b := pack(p.Press, spans, rank)
	res, err := tx.ExecContext(ctx, `INSERT INTO blocks (space, app, spans, rank, bytes, oldest, newest, longest, errors, filter, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(p.of.Space), string(p.of.App), len(spans), rank, b.bytes, b.oldest, b.newest, b.longest, b.errors, []byte(b.filter), b.data)
	if err != nil || rank != dayfile.Sealed {
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

func (p packer) Open(_ int64, data []byte) ([]*Span, error) {
	b, err := openBlock(p.Press, data)
	if err != nil {
		return nil, err
	}
	spans := make([]*Span, b.len())
	for i := range spans {
		s := b.span(p.of.Space, p.of.App, i)
		spans[i] = &s
	}
	return spans, nil
}

// copyBlock keeps the spans of a block of a damaged file once more, which makes
// the index too. One that cannot be opened is left out.
func (s *Store) copyBlock(ctx context.Context, to *dayfile.File, b dayfile.Block) (int64, error) {
	p := packer{s.press, Owner{Space: app.SpaceID(b.Owner[0]), App: app.ID(b.Owner[1])}}
	spans, err := p.Open(b.At, b.Data)
	if err != nil || strings.ContainsRune(b.Owner[0], 0) {
		return 0, nil //nolint:nilerr // a page that is not what it was may say anything
	}
	err = to.Write(ctx, func(tx *sql.Tx) error { return appendSpans(ctx, to, tx, s.press, p.of, spans) })
	return int64(len(spans)), err
}
