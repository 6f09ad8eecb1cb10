package traces

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
)

// A block is a run of spans of one owner in the form in which they are kept:
// columns, so that what is alike lies side by side, compressed together.
//
//	version  1 byte
//	spans    their count
//	words    all different texts: their count, of each the length, then all bytes
//	ids      16 bytes of the trace, 8 of the span, 8 of the parent, of each span
//	starts   nanoseconds since 1970, of each further span the difference
//	took     nanoseconds
//	texts    numbers of words: service, name, remote, instance, message; column by column
//	flags    a byte: kind, 8 for an error, 16 for a shared span
//	lengths  of what follows, of each span
//	rest     tags (count; key and value), events (count; nanoseconds behind the start, name, tags), links (count; 24 bytes)
//
// Numbers are varints as encoding/binary writes them: signed are starts and the
// times of events.
const blockVersion = 1

const (
	flagKind   = 7
	flagError  = 8
	flagShared = 16
)

// block is an open block.
type block struct {
	words   []string
	ids     string
	starts  []int64
	took    []int64
	service []uint32
	name    []uint32
	remote  []uint32
	who     []uint32 // instance
	message []uint32
	flags   string
	ends    []int // of each span in rest
	rest    string
}

// words numbers texts.
type words struct {
	number map[string]uint32
	all    []string
	bytes  int
}

func (w *words) of(s string) uint32 {
	n, ok := w.number[s]
	if !ok {
		n = uint32(len(w.all))
		w.number[s], w.all = n, append(w.all, s)
		w.bytes += len(s)
	}
	return n
}

// packed is a block as it is written, and what is known of it unopened.
type packed struct {
	data           []byte
	filter         dayfile.Filter
	oldest, newest int64 // microseconds: of starts
	longest        int64 // nanoseconds
	errors         int
	bytes          int
}

// pack writes spans down. The filter knows the traces too where they are in no
// index: of sealed blocks there is one.
func pack(press *dayfile.Press, spans []*Span, rank int) packed {
	p := packed{oldest: 1<<63 - 1, newest: -1 << 63}
	w := words{number: make(map[string]uint32, 4*len(spans))}
	n := len(spans)
	texts := make([]byte, 0, 8*n)
	var rest, lengths, one []byte
	tags := make(map[uint64]struct{}, 4*n)
	flags := make([]byte, n)
	for _, column := range []func(*Span) string{
		func(s *Span) string { return s.Service }, func(s *Span) string { return s.Name }, func(s *Span) string { return s.Remote },
		func(s *Span) string { return s.Owner.Instance }, func(s *Span) string { return s.Message },
	} {
		for _, s := range spans {
			texts = binary.AppendUvarint(texts, uint64(w.of(column(s))))
		}
	}
	things := make(map[uint64]struct{}, 4*n)
	for i, s := range spans {
		p.bytes += s.size()
		at := s.Start.UnixMicro()
		p.oldest, p.newest, p.longest = min(p.oldest, at), max(p.newest, at), max(p.longest, int64(s.Took))
		flags[i] = byte(s.Kind) & flagKind
		if s.Error {
			flags[i] |= flagError
			p.errors++
		}
		if s.Shared {
			flags[i] |= flagShared
		}
		if rank != dayfile.Sealed {
			things[thing(ofTrace, s.Trace.low())] = struct{}{}
		}
		one = appendTags(one[:0], &w, s.Tags, tags)
		one = binary.AppendUvarint(one, uint64(len(s.Events)))
		for j := range s.Events {
			e := &s.Events[j]
			one = binary.AppendVarint(one, int64(e.Time.Sub(s.Start)))
			one = binary.AppendUvarint(one, uint64(w.of(e.Name)))
			one = appendTags(one, &w, e.Tags, nil)
		}
		one = binary.AppendUvarint(one, uint64(len(s.Links)))
		for _, l := range s.Links {
			one = append(append(one, l.Trace[:]...), l.Span[:]...)
		}
		lengths = binary.AppendUvarint(lengths, uint64(len(one)))
		rest = append(rest, one...)
	}
	p.filter = filterOf(spans, &w, tags, things)

	b := make([]byte, 0, 64+w.bytes+4*len(w.all)+64*n+len(rest))
	b = append(b, blockVersion)
	b = binary.AppendUvarint(b, uint64(n))
	b = binary.AppendUvarint(b, uint64(len(w.all)))
	for _, s := range w.all {
		b = binary.AppendUvarint(b, uint64(len(s)))
	}
	for _, s := range w.all {
		b = append(b, s...)
	}
	for _, s := range spans {
		b = append(b, s.Trace[:]...)
	}
	for _, s := range spans {
		b = append(b, s.ID[:]...)
	}
	for _, s := range spans {
		b = append(b, s.Parent[:]...)
	}
	last := int64(0)
	for _, s := range spans {
		at := s.Start.UnixNano()
		b = binary.AppendVarint(b, at-last)
		last = at
	}
	for _, s := range spans {
		b = binary.AppendUvarint(b, uint64(max(0, s.Took)))
	}
	b = append(append(append(append(b, texts...), flags...), lengths...), rest...)
	p.data = press.Shut(b, nil, rank > 0)
	return p
}

func appendTags(b []byte, w *words, tags []Tag, seen map[uint64]struct{}) []byte {
	b = binary.AppendUvarint(b, uint64(len(tags)))
	for _, t := range tags {
		k, v := w.of(t.Key), w.of(t.Value)
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(k)), uint64(v))
		if seen != nil {
			seen[uint64(k)<<32|uint64(v)] = struct{}{}
		}
	}
	return b
}

// filterOf knows services, names, remotes, keys and tags of spans.
func filterOf(spans []*Span, w *words, tags, things map[uint64]struct{}) dayfile.Filter {
	hashes := make([]uint64, len(w.all))
	for i, s := range w.all {
		hashes[i] = dayfile.Hash(s)
	}
	of := func(kind byte, s string) { things[thing(kind, hashes[w.number[s]])] = struct{}{} }
	var last *Span
	for _, s := range spans {
		if last == nil || s.Service != last.Service {
			of(ofService, s.Service)
		}
		if last == nil || s.Name != last.Name {
			of(ofName, s.Name)
		}
		if s.Remote != "" && (last == nil || s.Remote != last.Remote) {
			of(ofRemote, s.Remote)
		}
		last = s
	}
	for t := range tags {
		k, v := t>>32, t&(1<<32-1)
		things[thing(ofKey, hashes[k])] = struct{}{}
		things[pair(hashes[k], hashes[v])] = struct{}{}
	}
	f := dayfile.NewFilter(len(things))
	for h := range things {
		f.Add(h)
	}
	return f
}

// openBlock reads what pack wrote.
func openBlock(p *dayfile.Press, data []byte) (*block, error) {
	raw, err := p.Open(data, nil)
	if err != nil {
		return nil, err
	}
	c := columnsOf(string(raw))
	if c.Byte() != blockVersion {
		return nil, fmt.Errorf("%w: its version is unknown", dayfile.ErrDamaged)
	}
	b := &block{}
	n := c.Count(len(raw) / 32)
	b.words = make([]string, c.Count(len(raw)))
	lengths := make([]int, len(b.words))
	for i := range lengths {
		lengths[i] = c.Count(len(raw))
	}
	for i, l := range lengths {
		b.words[i] = c.Text(l)
	}
	b.ids = c.Text(32 * n)
	b.starts, b.took = make([]int64, n), make([]int64, n)
	at := int64(0)
	for i := range b.starts {
		at += c.Int()
		b.starts[i] = at
	}
	for i := range b.took {
		b.took[i] = int64(c.Uint() & (1<<63 - 1))
	}
	for _, column := range []*[]uint32{&b.service, &b.name, &b.remote, &b.who, &b.message} {
		*column = make([]uint32, n)
		for i := range *column {
			(*column)[i] = uint32(c.Count(len(b.words) - 1))
		}
	}
	b.flags = c.Text(n)
	b.ends = make([]int, n)
	end := 0
	for i := range b.ends {
		end += c.Count(len(raw))
		b.ends[i] = end
	}
	b.rest = c.Rest
	if c.Bad || end != len(b.rest) || n > 0 && len(b.words) == 0 {
		return nil, dayfile.ErrDamaged
	}
	return b, nil
}

// columns are those of a block of spans, or of the rest of one.
type columns struct{ dayfile.Columns[string] }

func columnsOf(text string) *columns { return &columns{dayfile.Columns[string]{Rest: text}} }

func (b *block) len() int { return len(b.starts) }

func (b *block) trace(i int) (id ID) {
	copy(id[:], b.ids[16*i:])
	return id
}

func (b *block) id(i int) (id SpanID) {
	copy(id[:], b.ids[16*b.len()+8*i:])
	return id
}

func (b *block) parent(i int) (id SpanID) {
	copy(id[:], b.ids[24*b.len()+8*i:])
	return id
}

func (b *block) kind(i int) Kind   { return Kind(b.flags[i] & flagKind) }
func (b *block) failed(i int) bool { return b.flags[i]&flagError != 0 }

// restOf is where a span's tags, events and links are.
func (b *block) restOf(i int) string {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	return b.rest[from:b.ends[i]]
}

// span is span i in full. Its texts are its own, so that the block can go.
func (b *block) span(space app.SpaceID, a app.ID, i int) Span {
	word := func(n uint32) string { return strings.Clone(b.words[n]) }
	start := time.Unix(0, b.starts[i]).UTC()
	s := Span{
		Trace: b.trace(i), ID: b.id(i), Parent: b.parent(i), Owner: Owner{space, a, word(b.who[i])},
		Service: word(b.service[i]), Name: word(b.name[i]), Kind: b.kind(i), Remote: word(b.remote[i]),
		Start: start, Took: time.Duration(b.took[i]), Error: b.failed(i), Message: word(b.message[i]), Shared: b.flags[i]&flagShared != 0,
	}
	c := columnsOf(b.restOf(i))
	s.Tags = c.tags(b)
	if n := c.Count(len(c.Rest)); n > 0 {
		s.Events = make([]Event, n)
		for j := range s.Events {
			s.Events[j].Time = start.Add(time.Duration(c.Int()))
			s.Events[j].Name = c.word(b)
			s.Events[j].Tags = c.tags(b)
		}
	}
	if n := c.Count(len(c.Rest) / 24); n > 0 {
		s.Links = make([]Link, n)
		for j := range s.Links {
			copy(s.Links[j].Trace[:], c.Text(16))
			copy(s.Links[j].Span[:], c.Text(8))
		}
	}
	return s
}

func (c *columns) word(b *block) string {
	n := c.Count(len(b.words) - 1)
	if c.Bad {
		return ""
	}
	return strings.Clone(b.words[n])
}

func (c *columns) tags(b *block) []Tag {
	n := c.Count(len(c.Rest) / 2)
	if n == 0 {
		return nil
	}
	tags := make([]Tag, n)
	for i := range tags {
		tags[i] = Tag{c.word(b), c.word(b)}
	}
	return tags
}
