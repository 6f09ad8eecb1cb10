package logs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/observe/dayfile"
)

// A block is a run of lines of one app in the form in which they are kept:
// columns, so that what is alike lies side by side, compressed together.
//
//	version  1 byte
//	lines    their count
//	origins  their count, and of each: source, process, instance and stream, as length and bytes, and the index
//	origin   of each line, where there is more than one
//	times    microseconds since 1970, of each further line the difference
//	marks    their count, and of each: lines since the one before, 1 if the line is partial, how many lines were dropped
//	lengths  0, or 1 and of each line the length, which is only where a text holds a line feed
//	texts    with line feeds between them
//
// Numbers are varints as encoding/binary writes them: signed are the index and
// the times.
const blockVersion = 1

// origin is what lines have in common.
type origin struct {
	Source, Process, Instance, Stream string
	Index                             int
}

func originOf(l *Line) origin { return origin{l.Source, l.Process, l.Instance, l.Stream, l.Index} }

// sameOrigin is originOf(a) == originOf(b): it is asked of each line.
func sameOrigin(a, b *Line) bool {
	return a.Instance == b.Instance && a.Stream == b.Stream && a.Index == b.Index && a.Source == b.Source && a.Process == b.Process
}

// block is an open block.
type block struct {
	origins []origin
	who     []uint32 // origin of each line; nil where there is one
	times   []int64  // microseconds
	marks   map[int]mark
	text    []byte
	ends    []int // of each line in text
}

type mark struct {
	partial bool
	dropped int64
}

// pack writes lines down, and what tells of most words that they are not there. The
// data is in the room.
func pack(p *dayfile.Press, r *room, lines []*Line, thoroughly bool) (data []byte, f dayfile.Filter) {
	b := r.text[:0]
	b = append(b, blockVersion)
	b = binary.AppendUvarint(b, uint64(len(lines)))
	b = appendOrigins(b, lines)
	last := int64(0)
	for i := range lines {
		at := lines[i].Time.UnixMicro()
		b = binary.AppendVarint(b, at-last)
		last = at
	}
	b = appendMarks(b, lines)
	broken := false
	for i := range lines {
		broken = broken || strings.IndexByte(lines[i].Text, '\n') >= 0
	}
	if !broken {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		for i := range lines {
			b = binary.AppendUvarint(b, uint64(len(lines[i].Text)))
		}
	}
	texts := len(b)
	for i := range lines {
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(b, lines[i].Text...)
	}
	r.text = b
	r.data = p.Shut(b, r.data, thoroughly)
	return r.data, filterOf(b[texts:])
}

func appendOrigins(b []byte, lines []*Line) []byte {
	number := map[origin]uint64{}
	var all []origin
	who := make([]uint64, len(lines))
	for i := range lines {
		if i > 0 && sameOrigin(lines[i], lines[i-1]) {
			who[i] = who[i-1]
			continue
		}
		o := originOf(lines[i])
		n, ok := number[o]
		if !ok {
			n = uint64(len(all))
			number[o], all = n, append(all, o)
		}
		who[i] = n
	}
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, o := range all {
		for _, s := range []string{o.Source, o.Process, o.Instance, o.Stream} {
			b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
		}
		b = binary.AppendVarint(b, int64(o.Index))
	}
	if len(all) > 1 {
		for _, n := range who {
			b = binary.AppendUvarint(b, n)
		}
	}
	return b
}

func appendMarks(b []byte, lines []*Line) []byte {
	var marks []byte
	n, last := uint64(0), 0
	for i := range lines {
		if l := lines[i]; l.Partial || l.Dropped > 0 {
			marks = binary.AppendUvarint(marks, uint64(i-last))
			partial := byte(0)
			if l.Partial {
				partial = 1
			}
			marks = binary.AppendUvarint(append(marks, partial), uint64(max(0, l.Dropped)))
			n, last = n+1, i
		}
	}
	return append(binary.AppendUvarint(b, n), marks...)
}

// openBlock reads what pack wrote; memory is used for the texts when it is large
// enough.
func openBlock(p *dayfile.Press, data, memory []byte) (*block, error) {
	raw, err := p.Open(data, memory)
	if err != nil {
		return nil, err
	}
	c := &columns{dayfile.Columns[[]byte]{Rest: raw}}
	if c.Byte() != blockVersion {
		return nil, fmt.Errorf("%w: its version is unknown", dayfile.ErrDamaged)
	}
	b := &block{}
	n := c.Count(len(raw))
	c.origins(b, n)
	b.times = make([]int64, n)
	at := int64(0)
	for i := range b.times {
		at += c.Int()
		b.times[i] = at
	}
	c.marks(b, n)
	b.ends = make([]int, n)
	if lengths := c.Byte(); lengths == 0 {
		b.text = c.Rest
		from := 0
		for i := range b.ends {
			end := bytes.IndexByte(b.text[from:], '\n')
			if end < 0 {
				if i != n-1 {
					c.Bad = true
					break
				}
				end = len(b.text) - from
			}
			b.ends[i] = from + end
			from += end + 1
		}
		c.Bad = c.Bad || n > 0 && b.ends[n-1] != len(b.text)
	} else {
		end := -1
		for i := range b.ends {
			end += c.Count(len(raw)) + 1
			b.ends[i] = end
		}
		b.text = c.Rest
		c.Bad = c.Bad || n > 0 && b.ends[n-1] != len(b.text)
	}
	if c.Bad {
		return nil, dayfile.ErrDamaged
	}
	return b, nil
}

// columns are those of a block of lines.
type columns struct{ dayfile.Columns[[]byte] }

func (c *columns) string() string { return string(c.Text(c.Count(len(c.Rest)))) }

func (c *columns) origins(b *block, lines int) {
	b.origins = make([]origin, c.Count(lines))
	for i := range b.origins {
		o := &b.origins[i]
		o.Source, o.Process, o.Instance, o.Stream = c.string(), c.string(), c.string(), c.string()
		o.Index = int(c.Int())
	}
	if len(b.origins) == 0 && lines > 0 {
		c.Bad = true
		b.origins = make([]origin, 1)
	}
	if len(b.origins) > 1 {
		b.who = make([]uint32, lines)
		for i := range b.who {
			b.who[i] = uint32(c.Count(len(b.origins) - 1))
		}
	}
}

func (c *columns) marks(b *block, lines int) {
	n := c.Count(lines)
	if n > 0 {
		b.marks = make(map[int]mark, n)
	}
	for at := 0; n > 0; n-- {
		at += c.Count(lines)
		b.marks[at] = mark{c.Byte() == 1, int64(c.Uint())}
	}
}

func (b *block) len() int { return len(b.times) }

func (b *block) origin(i int) *origin {
	if b.who == nil {
		return &b.origins[0]
	}
	return &b.origins[b.who[i]]
}

// from is where the text of a line begins.
func (b *block) from(i int) int {
	if i == 0 {
		return 0
	}
	return b.ends[i-1] + 1
}

func (b *block) textOf(i int) []byte { return b.text[b.from(i):b.ends[i]] }

func (b *block) time(i int) time.Time { return time.UnixMicro(b.times[i]).UTC() }

// line is line i in full.
func (b *block) line(a app.ID, c Cursor, i int) Line {
	o, m := b.origin(i), b.marks[i]
	return Line{
		Cursor: c, Time: b.time(i), App: a, Source: o.Source, Process: o.Process, Index: o.Index, Instance: o.Instance, Stream: o.Stream,
		Text: string(b.textOf(i)), Partial: m.partial, Dropped: m.dropped,
	}
}
