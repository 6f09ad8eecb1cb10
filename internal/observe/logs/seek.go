package logs

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"naru/internal/observe/dayfile"
	"naru/internal/observe/logs/search"
)

// seeker looks for lines, block by block: first one, then two, four, ... at
// once, so that a short answer costs little and a long search uses all
// processors.
type seeker struct {
	q     Query
	press *dayfile.Press
	needs [][]uint64 // hashes of words: a block must have all of one of these
	limit int
	lines []Line
	seen  Cursor    // forward: behind all that was looked at
	back  time.Time // backward: the oldest that was looked at
	bytes int64     // looked through
	gap   int64     // forward: lines that should be there and are not
	wave  int       // blocks at once
}

const widest = 16

func newSeeker(p *dayfile.Press, q Query) *seeker {
	s := &seeker{q: q, press: p, limit: q.Limit, wave: 1, back: time.Time{}}
	if s.limit <= 0 {
		s.limit = usualLimit
	}
	if q.Search != nil {
		s.needs = [][]uint64{hashesOf(q.Search.Needs(search.Text)), hashesOf(q.Search.Needs(search.Router))}
	}
	return s
}

// may reports whether a block with a filter can hold what is searched.
func (s *seeker) may(f dayfile.Filter) bool {
	return s.needs == nil || slices.ContainsFunc(s.needs, f.May)
}

func (s *seeker) done() bool { return len(s.lines) >= s.limit || s.spent() }

func (s *seeker) spent() bool { return s.q.Bytes > 0 && s.bytes >= s.q.Bytes }

// day goes through the blocks of one day.
func (s *seeker) day(ctx context.Context, tx *sql.Tx, number int, backward bool) error {
	from := int64(1<<63 - 1)
	if !backward {
		from = 1
		if number == s.q.After.Day {
			from = s.q.After.ID + 1
		}
		if c := (Cursor{number, from - 1}); s.seen.before(c) {
			s.seen = c
		}
	}
	for {
		all, err := places(ctx, tx, &s.q, from, backward)
		if err != nil || len(all) == 0 {
			return err
		}
		for i := range all {
			if backward {
				from = all[i].first
				continue
			}
			all[i].gap = max(0, all[i].first-from)
			from = all[i].first + all[i].lines
		}
		for len(all) > 0 && !s.done() {
			if all, err = s.some(ctx, tx, number, all, backward); err != nil {
				return err
			}
		}
		if s.done() {
			return nil
		}
	}
}

// some looks through the next blocks and returns those that are left.
func (s *seeker) some(ctx context.Context, tx *sql.Tx, number int, all []place, backward bool) ([]place, error) {
	var now []place
	for len(all) > 0 && len(now) < s.wave {
		if s.may(all[0].filter) {
			now = append(now, all[0])
		} else {
			s.pass(number, all[0])
			s.gap += all[0].gap
		}
		all = all[1:]
	}
	s.wave = min(2*s.wave, widest)
	found := make([][]Line, len(now))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range now {
		var data []byte
		if err := tx.QueryRowContext(ctx, `SELECT data FROM blocks WHERE id = ?`, p.id).Scan(&data); err != nil {
			return nil, err
		}
		g.Go(func() error {
			found[i] = s.block(number, p, data, backward)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, p := range now {
		room := s.limit - len(s.lines)
		if room <= 0 || s.spent() {
			return nil, nil
		}
		s.bytes += p.bytes
		s.gap += p.gap
		if len(found[i]) >= room {
			s.lines = append(s.lines, found[i][:room]...)
			s.seen = s.lines[len(s.lines)-1].Cursor
			return nil, nil
		}
		s.lines = append(s.lines, found[i]...)
		s.pass(number, p)
	}
	return all, nil
}

// pass notes that a block was looked at.
func (s *seeker) pass(number int, p place) {
	s.seen = Cursor{number, p.first + p.lines - 1}
	s.back = time.UnixMicro(p.oldest).UTC()
}

// room is memory for a block: for its texts as they are and folded, and for what it
// is on disk.
type room struct{ text, folded, data []byte }

var rooms = sync.Pool{New: func() any {
	return &room{text: make([]byte, 0, cutAt+cutAt/4), folded: make([]byte, 0, cutAt+cutAt/4)}
}}

// block returns the lines of a block that are meant, in the order they are
// looked for. A block that cannot be read is one line that says so.
func (s *seeker) block(number int, p place, data []byte, backward bool) []Line {
	r := rooms.Get().(*room)
	defer rooms.Put(r)
	b, err := openBlock(s.press, data, r.text)
	if err != nil || int64(b.len()) != p.lines {
		return []Line{{
			Cursor: Cursor{number, p.first + p.lines - 1}, Time: time.UnixMicro(p.newest).UTC(), App: s.q.App, Source: Platform, Stream: "stderr",
			Text: fmt.Sprintf("%d lines dropped (damaged on disk)", p.lines), Dropped: p.lines,
		}}
	}
	var out []Line
	s.match(b, p, number, r, func(i int) {
		out = append(out, b.line(s.q.App, Cursor{number, p.first + int64(i)}, i))
	})
	if backward {
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// match calls found with each line of a block that is meant.
func (s *seeker) match(b *block, p place, number int, r *room, found func(i int)) {
	first := 0
	if number == s.q.After.Day {
		first = int(max(0, s.q.After.ID+1-p.first))
	}
	meant := make([]bool, len(b.origins))
	var forms []search.Form
	for i := range b.origins {
		if meant[i] = s.from(&b.origins[i]); meant[i] && !slices.Contains(forms, b.origins[i].form()) {
			forms = append(forms, b.origins[i].form())
		}
	}
	if len(forms) == 0 {
		return
	}
	inTime := func(i int) bool {
		t := b.times[i]
		return (s.q.Since.IsZero() || t >= s.q.Since.UnixMicro()) && (s.q.Until.IsZero() || t < s.q.Until.UnixMicro())
	}
	its := func(i int) bool { return (b.who == nil || meant[b.who[i]]) && inTime(i) }
	if s.q.Search == nil {
		for i := first; i < b.len(); i++ {
			if its(i) {
				found(i)
			}
		}
		return
	}
	r.folded = search.Fold(r.folded[:0], b.text)
	at := 0
	l := &search.Line{Meta: func(f string) string { return b.origin(at).field(f) }}
	rarest := s.q.Search.Rarest(forms...)
	for at = first; at < b.len(); at++ {
		if len(rarest) > 0 {
			next := bytes.Index(r.folded[b.from(at):], rarest)
			if next < 0 {
				return
			}
			for next += b.from(at); b.ends[at] <= next; at++ {
			}
		}
		if !its(at) {
			continue
		}
		l.Text, l.Folded, l.Form = b.textOf(at), r.folded[b.from(at):b.ends[at]], b.origin(at).form()
		if s.q.Search.Match(l) {
			found(at)
		}
	}
}

// from reports whether lines of an origin are meant.
func (s *seeker) from(o *origin) bool {
	return (s.q.Process == "" || o.Process == s.q.Process) && (s.q.Source == "" || o.Source == s.q.Source) &&
		(s.q.Index == nil || o.Index == *s.q.Index && (o.Source == App || o.Source == Task))
}

// form is how its lines are written.
func (o *origin) form() search.Form {
	if o.Source == Router {
		return search.Router
	}
	return search.Text
}

// field is one of search.Own.
func (o *origin) field(name string) string {
	switch name {
	case "source":
		return o.Source
	case "process":
		return o.Process
	case "instance":
		return o.Instance
	case "index":
		return strconv.Itoa(o.Index)
	case "stream":
		return o.Stream
	}
	return ""
}
