package traces

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
)

// Traces returns what a reader sees of traces, in the order they are asked for;
// those of which there is nothing are left out. An id whose first half is zero
// also finds traces that only end like it: that is how clients of 64 bits ask.
func (s *Store) Traces(ctx context.Context, r Reader, ids ...ID) ([]Trace, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	at := make(map[ID]*Trace, len(ids))
	lows := make(map[uint64]ID, len(ids))
	for _, id := range ids {
		at[id] = &Trace{ID: id}
		lows[id.low()] = id
	}
	err := s.eachDay(ctx, func(d *dayfile.File) (bool, error) {
		part := map[ID][]Span{}
		if err := tracesOf(ctx, d, s.press, r, lows, part); err != nil {
			return false, err
		}
		for id, spans := range part {
			t := at[id]
			if t == nil { // it was asked for by its end
				short := lows[id.low()]
				if [8]byte(short[:8]) != [8]byte{} {
					continue
				}
				t = at[short]
				t.ID = id
				at[id] = t
			}
			if room := s.o.SpansPerTrace - len(t.Spans); len(spans) > room {
				spans, t.Over = spans[:max(0, room)], true
			}
			t.Spans = append(t.Spans, spans...)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	var out []Trace
	for _, id := range ids {
		if t := at[id]; len(t.Spans) > 0 {
			t.Spans = sortSpans(t.Spans)
			out = append(out, *t)
		}
	}
	return out, nil
}

// tracesOf collects the spans of traces, by the low halves of their ids.
func tracesOf(ctx context.Context, d *dayfile.File, p *dayfile.Press, r Reader, lows map[uint64]ID, into map[ID][]Span) error {
	tx, err := d.Reader.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	blocks, err := blocksWith(ctx, tx, r, lows)
	if err != nil {
		return err
	}
	for _, id := range blocks {
		var space, a string
		var data []byte
		err := tx.QueryRowContext(ctx, `SELECT space, app, data FROM blocks WHERE id = ?`, id).Scan(&space, &a, &data)
		if err != nil {
			return err
		}
		b, err := openBlock(p, data)
		if err != nil {
			continue // it was told when it was looked for; the others are whole
		}
		for i := range b.len() {
			t := b.trace(i)
			if _, ok := lows[t.low()]; ok {
				into[t] = append(into[t], b.span(app.SpaceID(space), app.ID(a), i))
			}
		}
	}
	return nil
}

// blocksWith are the blocks that can have spans of traces: by the index, and by
// the filters of those that are not in it.
func blocksWith(ctx context.Context, tx *sql.Tx, r Reader, lows map[uint64]ID) ([]int64, error) {
	var out []int64
	var args []any
	things := make([][]uint64, 0, len(lows))
	for low := range lows {
		args = append(args, int64(low))
		things = append(things, []uint64{thing(ofTrace, low)})
	}
	rows, err := tx.QueryContext(ctx, `SELECT DISTINCT b.id, b.space FROM ids i JOIN blocks b ON b.id = i.block WHERE i.trace IN (`+strings.TrimSuffix(strings.Repeat("?,", len(args)), ",")+`)`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var space string
		if err := rows.Scan(&id, &space); err != nil {
			return nil, err
		}
		if r.sees(app.SpaceID(space)) {
			out = append(out, id)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	where, args := blocksOf(r, "", time.Time{}, time.Time{})
	young, err := tx.QueryContext(ctx, `SELECT id, filter FROM blocks WHERE rank < ? AND `+where, append([]any{dayfile.Sealed}, args...)...)
	if err != nil {
		return nil, err
	}
	defer young.Close()
	for young.Next() {
		var id int64
		var f dayfile.Filter
		if err := young.Scan(&id, (*[]byte)(&f)); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(things, f.May) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), young.Err()
}

// Names are what there is to choose from.
type Names struct {
	Services []string
	Names    []string // of operations, of the service that was asked for
	Remotes  []string // likewise
}

// Names returns the services that a reader sees, and of one of them the
// operations and the services it speaks with.
func (s *Store) Names(ctx context.Context, r Reader, service string) (Names, error) {
	services, names, remotes := map[string]bool{}, map[string]bool{}, map[string]bool{}
	err := s.eachDay(ctx, func(d *dayfile.File) (bool, error) {
		where, args := blocksOf(r, "", time.Time{}, time.Time{})
		rows, err := d.Reader.QueryContext(ctx, `SELECT DISTINCT service, '', '' FROM names WHERE `+where+` AND ? = '' UNION ALL
			SELECT service, name, remote FROM names WHERE `+where+` AND service = ?`, append(append(append(args, service), args...), service)...)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		for rows.Next() {
			var of, name, remote string
			if err := rows.Scan(&of, &name, &remote); err != nil {
				return false, err
			}
			services[of] = true
			if service != "" {
				names[name], remotes[remote] = true, true
			}
		}
		return true, rows.Err()
	})
	if err != nil {
		return Names{}, fmt.Errorf("read names of spans: %w", err)
	}
	return Names{sorted(services), sorted(names), sorted(remotes)}, nil
}

func sorted(set map[string]bool) []string {
	out := []string{}
	for s := range set {
		if s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

// Bounds of Tags.
const (
	fewBlocks = 32  // newest, that are looked through
	fewValues = 100 // of a key; one with more is no key to choose by
)

// Tags returns keys that spans of late have with few different values, and those.
func (s *Store) Tags(ctx context.Context, r Reader) (map[string][]string, error) {
	values := map[string]map[string]bool{}
	left := fewBlocks
	err := s.eachDay(ctx, func(d *dayfile.File) (bool, error) {
		where, args := blocksOf(r, "", time.Time{}, time.Time{})
		rows, err := d.Reader.QueryContext(ctx, `SELECT data FROM blocks WHERE `+where+` ORDER BY id DESC LIMIT ?`, append(args, left)...)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		for rows.Next() {
			var data []byte
			if err := rows.Scan(&data); err != nil {
				return false, err
			}
			left--
			b, err := openBlock(s.press, data)
			if err != nil {
				continue
			}
			b.tags(values)
		}
		return left > 0, rows.Err()
	})
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for key, set := range values {
		if len(set) <= fewValues {
			out[key] = sorted(set)
		}
	}
	return out, nil
}

// tags adds the tags of a block's spans.
func (b *block) tags(into map[string]map[string]bool) {
	seen := map[uint64]bool{}
	for i := range b.len() {
		c := columnsOf(b.restOf(i))
		for n := c.Count(len(c.Rest)); n > 0 && !c.Bad; n-- {
			k, v := c.Count(len(b.words)-1), c.Count(len(b.words)-1)
			if at := uint64(k)<<32 | uint64(v); c.Bad || seen[at] {
				continue
			} else {
				seen[at] = true
			}
			key := b.words[k]
			set := into[key]
			if set == nil {
				set = map[string]bool{}
				into[strings.Clone(key)] = set
			}
			if len(set) <= fewValues {
				set[strings.Clone(b.words[v])] = true
			}
		}
	}
}
