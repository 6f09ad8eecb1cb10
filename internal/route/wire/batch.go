package wire

import (
	"encoding/binary"

	"naru/internal/route"
)

// Batch is a message with records or with spans, packed, that is put together one
// by one in memory that is used again. It holds one kind; the zero Batch is empty.
type Batch struct {
	frame  []byte
	n      int
	places int // that were written
	known  [32]knownPlace
}

// knownPlace is one that a batch holds, by its hash: another one may take its room.
type knownPlace struct {
	place
	number int // 0: none
}

// largeBatch is memory that is not kept for the next batch.
const largeBatch = 256 << 10

// Access adds a record. Its texts are copied, but for those that say where it went,
// which must never change.
func (b *Batch) Access(a *route.Access) {
	from := b.begin(packedAccess)
	b.place(&place{a.Route, a.App.ID, a.App.Name, a.Group, a.Instance, a.Upstream, a.Index})
	b.frame = appendAccess(b.frame, a)
	b.end(from)
}

// Span adds a span, as Access does a record.
func (b *Batch) Span(s *route.Span) {
	from := b.begin(packedSpans)
	b.place(&place{s.Route, s.App.ID, s.App.Name, s.Group, s.Instance, "", s.Index})
	b.frame = appendSpan(b.frame, s)
	b.end(from)
}

// begin begins a record and returns where.
func (b *Batch) begin(kind byte) (from int) {
	if b.n == 0 {
		b.frame = append(append(b.frame[:0], make([]byte, packedHead)...), 0, 0, 0, 0)
		b.frame[4] = kind
		return packedHead
	}
	b.frame = append(b.frame, 0, 0, 0, 0)
	return len(b.frame) - 4
}

func (b *Batch) end(from int) {
	binary.BigEndian.PutUint32(b.frame[from:], uint32(len(b.frame)-from-4)) //nolint:gosec // far less
	b.n++
}

// place writes where a record belongs: most are of places that had one just before.
func (b *Batch) place(p *place) {
	known := &b.known[(ending(p.instance)*31+ending(p.route))%len(b.known)]
	if known.number == 0 || known.place != *p {
		b.places++
		known.place, known.number = *p, b.places
		b.frame = p.append(append(b.frame, 0))
		return
	}
	b.frame = appendNumber(b.frame, int64(known.number))
}

// ending tells ids apart, most of the time.
func ending(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	return int(s[len(s)-1]) + int(s[len(s)-2])<<3
}

// Len is how many are in it.
func (b *Batch) Len() int { return b.n }

// Size is how many bytes the message has so far.
func (b *Batch) Size() int { return len(b.frame) }

// AccessFrame is the message, whole with its length: records, and how many were
// lost before. It is good until Clear.
func (b *Batch) AccessFrame(dropped uint64) []byte { return b.whole(packedAccess, dropped) }

// SpansFrame is the same of spans.
func (b *Batch) SpansFrame(dropped uint64) []byte { return b.whole(packedSpans, dropped) }

func (b *Batch) whole(kind byte, dropped uint64) []byte {
	if b.n == 0 {
		b.frame = append(b.frame[:0], make([]byte, packedHead)...)
	}
	b.frame[4] = kind
	binary.BigEndian.PutUint32(b.frame, uint32(len(b.frame)-4)) //nolint:gosec // far less
	binary.BigEndian.PutUint64(b.frame[5:], dropped)
	return b.frame
}

// Clear empties it for other records.
func (b *Batch) Clear() {
	b.frame, b.n, b.places = b.frame[:0], 0, 0
	clear(b.known[:])
	if cap(b.frame) > largeBatch {
		b.frame = nil
	}
}
