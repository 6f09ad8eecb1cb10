package traces

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
)

// Query says which traces are wanted: those that have a span for which all of
// this is true. Zero fields want all.
type Query struct {
	Reader  Reader
	App     app.ID
	Service string
	Name    string
	Remote  string
	Least   time.Duration
	Most    time.Duration
	Error   bool
	Tags    []Condition
	Since   time.Time
	Until   time.Time // before it
	Limit   int       // traces, at most; 0: 20
}

// Condition is on a tag, or on the name of an event.
type Condition struct {
	Key   string
	Value string
	Any   bool // whatever the value
}

// Found is what a search found.
type Found struct {
	Traces []Trace   // newest first
	More   bool      // there may be more: there are, or the search ended at its limit
	Back   time.Time // of a search that ended at its limit: how far back it looked
}

// usualLimit is for who names none.
const usualLimit = 20

// Search finds traces, the newest first.
func (s *Store) Search(ctx context.Context, q Query) (Found, error) {
	if q.Limit <= 0 {
		q.Limit = usualLimit
	}
	f := &finder{q: q, press: s.press, left: s.o.SearchBytes, starts: map[ID]int64{}}
	f.things = f.q.things()
	err := s.eachDay(ctx, func(d *dayfile.File) (bool, error) {
		if err := f.day(ctx, d); err != nil {
			return false, err
		}
		return !f.done(), nil
	})
	if err != nil {
		return Found{}, err
	}
	out := Found{More: f.more}
	if f.left <= 0 {
		out.More, out.Back = true, f.back
	}
	ids := make([]ID, 0, len(f.starts))
	for id := range f.starts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b ID) int {
		return cmp.Or(cmp.Compare(f.starts[b], f.starts[a]), bytes.Compare(a[:], b[:]))
	})
	if len(ids) > q.Limit {
		ids, out.More = ids[:q.Limit], true
	}
	out.Traces, err = s.Traces(ctx, q.Reader, ids...)
	return out, err
}

// things are what a block must have for a span that is wanted to be in it.
func (q *Query) things() (things []uint64) {
	for kind, text := range map[byte]string{ofService: q.Service, ofName: q.Name, ofRemote: q.Remote} {
		if text != "" {
			things = append(things, thing(kind, dayfile.Hash(text)))
		}
	}
	for _, c := range q.Tags {
		if !c.Any {
			things = append(things, pair(dayfile.Hash(c.Key), dayfile.Hash(c.Value)))
		}
	}
	return things
}

// finder looks for spans, block by block: first one, then two, four, ... at once,
// so that a short answer costs little and a long search uses all processors.
type finder struct {
	q      Query
	press  *dayfile.Press
	things []uint64
	starts map[ID]int64 // of a span that is wanted, the newest of each trace
	left   int64        // bytes that may still be looked through
	back   time.Time
	wave   int
	more   bool
}

const widest = 8

// done reports that enough was found. What came together is not in the order of
// its time, so some more than wanted is looked at.
func (f *finder) done() bool { return len(f.starts) >= 2*f.q.Limit || f.left <= 0 }

// place is where a block is and what is known of it unopened.
type place struct {
	id     int64
	space  app.SpaceID
	app    app.ID
	oldest int64
	filter dayfile.Filter
	bytes  int64
}

// listed is how many places are read at once.
const listed = 64

// day goes through the blocks of one day, newest first.
func (f *finder) day(ctx context.Context, d *dayfile.File) error {
	tx, err := d.Reader.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	if f.wave == 0 {
		f.wave = 1
	}
	for before := int64(1<<63 - 1); ; {
		all, err := f.places(ctx, tx, before)
		if err != nil || len(all) == 0 {
			return err
		}
		before = all[len(all)-1].id
		now := all[:0]
		for _, p := range all {
			if f.q.Reader.sees(p.space) && p.filter.May(f.things) {
				now = append(now, p)
			}
		}
		for len(now) > 0 {
			if f.done() {
				f.more = true
				return nil
			}
			n := min(f.wave, len(now))
			f.wave = min(2*f.wave, widest)
			if err := f.some(ctx, tx, now[:n]); err != nil {
				return err
			}
			now = now[n:]
		}
	}
}

// places are the next blocks that can have what is wanted by what their rows say.
func (f *finder) places(ctx context.Context, tx *sql.Tx, before int64) ([]place, error) {
	where, args := blocksOf(f.q.Reader, f.q.App, f.q.Since, f.q.Until)
	where, args = where+" AND id < ?", append(args, before)
	if f.q.Least > 0 {
		where, args = where+" AND longest >= ?", append(args, int64(f.q.Least))
	}
	if f.q.Error {
		where += " AND errors > 0"
	}
	rows, err := tx.QueryContext(ctx, `SELECT id, space, app, oldest, filter, length(data) FROM blocks WHERE `+where+` ORDER BY id DESC LIMIT ?`, append(args, listed)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []place
	for rows.Next() {
		var p place
		if err := rows.Scan(&p.id, &p.space, &p.app, &p.oldest, (*[]byte)(&p.filter), &p.bytes); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// blocksOf is a condition on blocks: whose they are, and of which time.
func blocksOf(r Reader, a app.ID, since, until time.Time) (where string, args []any) {
	where = "1"
	if a != "" {
		where, args = "app = ?", append(args, string(a))
	}
	if !r.All {
		where += " AND space IN (" + strings.TrimSuffix(strings.Repeat("?,", len(r.Spaces)), ",") + ")"
		for _, s := range r.Spaces {
			args = append(args, string(s))
		}
	}
	if !since.IsZero() {
		where, args = where+" AND newest >= ?", append(args, since.UnixMicro())
	}
	if !until.IsZero() {
		where, args = where+" AND oldest < ?", append(args, until.UnixMicro())
	}
	return where, args
}

// some looks through blocks.
func (f *finder) some(ctx context.Context, tx *sql.Tx, all []place) error {
	type hit struct {
		id    ID
		start int64
	}
	found, data := make([][]hit, len(all)), make([][]byte, len(all))
	for i, p := range all {
		if err := tx.QueryRowContext(ctx, `SELECT data FROM blocks WHERE id = ?`, p.id).Scan(&data[i]); err != nil {
			return err
		}
		f.left -= p.bytes
		f.back = time.UnixMicro(p.oldest).UTC()
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range all {
		g.Go(func() error {
			b, err := openBlock(f.press, data[i])
			if err != nil {
				return ctx.Err() // what is damaged is not found
			}
			f.q.match(b, func(at int) { found[i] = append(found[i], hit{b.trace(at), b.starts[at]}) })
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, hits := range found {
		for _, h := range hits {
			if at, ok := f.starts[h.id]; !ok || h.start > at {
				f.starts[h.id] = h.start
			}
		}
	}
	return nil
}

// match calls found with each span of a block that is wanted.
func (q *Query) match(b *block, found func(i int)) {
	number := func(text string) (uint32, bool) {
		if text == "" {
			return 0, true
		}
		i := slices.Index(b.words, text)
		return uint32(max(0, i)), i >= 0
	}
	service, ok1 := number(q.Service)
	name, ok2 := number(q.Name)
	remote, ok3 := number(q.Remote)
	if !ok1 || !ok2 || !ok3 {
		return
	}
	want := make([]wanted, len(q.Tags))
	for i, c := range q.Tags {
		want[i].any = c.Any
		k, v := slices.Index(b.words, c.Key), slices.Index(b.words, c.Value)
		if k < 0 || v < 0 && !c.Any {
			return
		}
		want[i].key, want[i].value = uint32(k), uint32(max(0, v))
	}
	since, until := int64(-1<<63), int64(1<<63-1)
	if !q.Since.IsZero() {
		since = q.Since.UnixNano()
	}
	if !q.Until.IsZero() {
		until = q.Until.UnixNano()
	}
	for i := range b.len() {
		switch {
		case b.starts[i] < since || b.starts[i] >= until,
			b.took[i] < int64(q.Least), q.Most > 0 && b.took[i] > int64(q.Most),
			q.Error && !b.failed(i),
			q.Service != "" && b.service[i] != service, q.Name != "" && b.name[i] != name, q.Remote != "" && b.remote[i] != remote,
			len(want) > 0 && !b.has(i, want):
			continue
		}
		found(i)
	}
}

// wanted is a condition in the numbers of a block.
type wanted struct {
	key, value uint32
	any        bool
}

// has reports whether a span meets all conditions.
func (b *block) has(i int, all []wanted) bool {
	c := columnsOf(b.restOf(i))
	var met uint64
	tags := func() {
		for n := c.Count(len(c.Rest)); n > 0 && !c.Bad; n-- {
			k, v := uint32(c.Uint()), uint32(c.Uint())
			for j, w := range all {
				if w.key == k && (w.any || w.value == v) {
					met |= 1 << j
				}
			}
		}
	}
	tags()
	for n := c.Count(len(c.Rest)); n > 0 && !c.Bad; n-- {
		c.Int()
		event := uint32(c.Uint())
		for j, w := range all {
			if w.any && w.key == event {
				met |= 1 << j
			}
		}
		tags()
	}
	return met == 1<<len(all)-1
}
