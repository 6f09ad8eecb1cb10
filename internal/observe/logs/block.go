package logs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"naru/internal/app"
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

var errBlock = errors.New("the block is damaged")

// press compresses and opens blocks. What comes in large amounts is compressed
// quickly, and so is what is soon merged; what is merged, thoroughly.
type press struct {
	quick, thorough *zstd.Encoder
	unzip           *zstd.Decoder
}

// maxBlock bounds what a block may take when it is open: the largest is one line
// of the longest kind behind a nearly full block.
const maxBlock = 64 << 20

func newPress() (*press, error) {
	quick, err1 := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	thorough, err2 := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
	unzip, err3 := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlock))
	return &press{quick, thorough, unzip}, errors.Join(err1, err2, err3)
}

func (p *press) close() {
	p.unzip.Close() // the encoders have nothing to end: none is a stream
}

// pack writes lines down, and what tells of most words that they are not there.
func pack(enc *zstd.Encoder, lines []*Line) (data []byte, f filter) {
	r := rooms.Get().(*room)
	b := r.text[:0]
	defer func() {
		r.text = b
		rooms.Put(r)
	}()
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
	return enc.EncodeAll(b, make([]byte, 0, len(b)/2)), filterOf(b[texts:])
}

// size is how many bytes the texts of lines take.
func size(lines []*Line) (n int) {
	for i := range lines {
		n += len(lines[i].Text) + 1
	}
	return n
}

func appendOrigins(b []byte, lines []*Line) []byte {
	number := map[origin]uint64{}
	var all []origin
	who := make([]uint64, len(lines))
	for i := range lines {
		if i > 0 && originOf(lines[i]) == originOf(lines[i-1]) {
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

// open reads what pack wrote; memory is used for the texts when it is large
// enough.
func (p *press) open(data, memory []byte) (*block, error) {
	raw, err := p.unzip.DecodeAll(data, memory[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBlock, err)
	}
	c := &columns{rest: raw}
	if c.byte() != blockVersion {
		return nil, fmt.Errorf("%w: its version is unknown", errBlock)
	}
	b := &block{}
	n := c.count(len(raw))
	c.origins(b, n)
	b.times = make([]int64, n)
	at := int64(0)
	for i := range b.times {
		at += c.int()
		b.times[i] = at
	}
	c.marks(b, n)
	b.ends = make([]int, n)
	if lengths := c.byte(); lengths == 0 {
		b.text = c.rest
		from := 0
		for i := range b.ends {
			end := bytes.IndexByte(b.text[from:], '\n')
			if end < 0 {
				if i != n-1 {
					c.bad = true
					break
				}
				end = len(b.text) - from
			}
			b.ends[i] = from + end
			from += end + 1
		}
		c.bad = c.bad || n > 0 && b.ends[n-1] != len(b.text)
	} else {
		end := -1
		for i := range b.ends {
			end += c.count(len(raw)) + 1
			b.ends[i] = end
		}
		b.text = c.rest
		c.bad = c.bad || n > 0 && b.ends[n-1] != len(b.text)
	}
	if c.bad {
		return nil, errBlock
	}
	return b, nil
}

// columns reads numbers and texts; bad is set by what does not fit.
type columns struct {
	rest []byte
	bad  bool
}

func (c *columns) byte() byte {
	if len(c.rest) == 0 {
		c.bad = true
		return 0
	}
	v := c.rest[0]
	c.rest = c.rest[1:]
	return v
}

func (c *columns) uint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *columns) int() int64 {
	v, n := binary.Varint(c.rest)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// count reads a number that cannot be larger than most.
func (c *columns) count(most int) int {
	v := c.uint()
	if v > uint64(most) {
		c.bad = true
		return 0
	}
	return int(v)
}

func (c *columns) string() string {
	n := c.count(len(c.rest))
	s := string(c.rest[:n])
	c.rest = c.rest[n:]
	return s
}

func (c *columns) origins(b *block, lines int) {
	b.origins = make([]origin, c.count(lines))
	for i := range b.origins {
		o := &b.origins[i]
		o.Source, o.Process, o.Instance, o.Stream = c.string(), c.string(), c.string(), c.string()
		o.Index = int(c.int())
	}
	if len(b.origins) == 0 && lines > 0 {
		c.bad = true
		b.origins = make([]origin, 1)
	}
	if len(b.origins) > 1 {
		b.who = make([]uint32, lines)
		for i := range b.who {
			b.who[i] = uint32(c.count(len(b.origins) - 1))
		}
	}
}

func (c *columns) marks(b *block, lines int) {
	n := c.count(lines)
	if n > 0 {
		b.marks = make(map[int]mark, n)
	}
	for at := 0; n > 0; n-- {
		at += c.count(lines)
		b.marks[at] = mark{c.byte() == 1, int64(c.uint())}
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
