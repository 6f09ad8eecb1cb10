package wire

import (
	"encoding/binary"
	"strconv"

	"naru/internal/route"
)

// Batch is a message with Access or with Spans that is put together one by one, in
// memory that is used again. The zero Batch is empty.
type Batch struct {
	frame []byte
	n     int
}

// largeBatch is memory that is not kept for the next batch.
const largeBatch = 2 << 20

// Access adds a record. A batch holds nothing else then.
func (b *Batch) Access(a *route.Access) {
	b.next(beginAccess)
	b.frame = a.AppendJSON(b.frame)
}

// Span adds a span. A batch holds nothing else then.
func (b *Batch) Span(s *route.Span) {
	b.next(beginSpans)
	b.frame = s.AppendJSON(b.frame)
}

// How the messages begin, behind their length.
const (
	beginAccess = `{"access":{"records":[`
	beginSpans  = `{"spans":{"spans":[`
)

func (b *Batch) next(begin string) {
	if b.n == 0 {
		b.begin(begin)
	} else {
		b.frame = append(b.frame, ',')
	}
	b.n++
}

func (b *Batch) begin(with string) { b.frame = append(append(b.frame[:0], 0, 0, 0, 0), with...) }

// Len is how many are in it.
func (b *Batch) Len() int { return b.n }

// AccessFrame is the message, whole with its length, until the next one begins:
// records, and how many were lost before.
func (b *Batch) AccessFrame(dropped uint64) []byte { return b.end(beginAccess, dropped) }

// SpansFrame is the same of spans.
func (b *Batch) SpansFrame(dropped uint64) []byte { return b.end(beginSpans, dropped) }

func (b *Batch) end(begin string, dropped uint64) []byte {
	if b.n == 0 {
		b.begin(begin)
	}
	b.frame = append(b.frame, ']')
	if dropped > 0 {
		b.frame = strconv.AppendUint(append(b.frame, `,"dropped":`...), dropped, 10)
	}
	b.frame = append(b.frame, "}}"...)
	binary.BigEndian.PutUint32(b.frame, uint32(len(b.frame)-4)) //nolint:gosec // far less
	out := b.frame
	if b.n = 0; cap(b.frame) > largeBatch {
		b.frame = nil
	}
	return out
}
