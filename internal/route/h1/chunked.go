package h1

import (
	"errors"

	"golang.org/x/net/http/httpguts"
)

// ErrMalformed ends a connection whose chunked body does not keep to its grammar.
var ErrMalformed = errors.New("the chunked body is malformed")

// maxLine bounds a chunk's size line with its extensions, maxTrailers all
// trailer fields together, and maxExcess what a body may bring that is neither
// data nor what framing that takes: each chunk is granted 16 bytes and twice its
// data. They are at most net/http's: else it would refuse what we let in.
const (
	maxLine     = 1024
	maxTrailers = 16 << 10
	maxExcess   = 16 << 10
)

type state uint8

const (
	inSize    state = iota // hexadecimal digits
	inExt                  // after the digits, up to CR
	sizeLF                 // the LF of the size line
	inData                 // left bytes of data
	dataCR                 //
	dataLF                 //
	lineStart              // first byte of a trailer line, or the CR that ends all
	inLine                 //
	lineLF                 // the LF of a trailer line
	lastLF                 // the very last LF
)

// Chunks follows a chunked body to where it ends. The zero value is ready for
// the first byte.
type Chunks struct {
	// Bare leaves only the data; else what comes out is chunked still, but without
	// extensions, and without the last chunk, which End writes.
	Bare bool

	state    state
	digits   uint8
	zero     bool // the size so far is zero
	line     uint16
	left     int64 // of the chunk's data; while reading the size, the size so far
	excess   int64 // bytes of framing so far, without those that are granted
	Data     int64 // bytes of data so far
	trailers []byte
}

// Next takes bytes as they came, up to the end of the body. What is to be passed
// on is out, made in b's own memory; used says how much of b belonged to the
// body. After done nothing may follow.
func (c *Chunks) Next(b []byte) (out []byte, used int, done bool, err error) {
	w := 0 // bytes of out
	for used < len(b) {
		if c.state == inData {
			take := int(min(c.left, int64(len(b)-used)))
			if w != used {
				copy(b[w:], b[used:used+take])
			}
			w, used = w+take, used+take
			c.Data += int64(take)
			if c.left -= int64(take); c.left == 0 {
				c.state = dataCR
			}
			continue
		}
		ch, was := b[used], c.state
		if !c.step(ch) {
			return b[:w], used, false, ErrMalformed
		}
		used++
		if was == lastLF {
			return b[:w], used, true, nil
		}
		switch {
		case c.Bare || was == inExt && ch != '\r' || was == inSize && ch == ';' || was >= lineStart:
		case was == inSize && c.zero && ch != '\r', c.state == sizeLF && c.zero, was == sizeLF && c.state == lineStart:
			// A zero, or the zeros before a size: End writes the last chunk anew.
		default:
			b[w] = ch
			w++
		}
	}
	return b[:w], used, false, nil
}

// step takes one byte that is not data; false means it must not stand here.
func (c *Chunks) step(ch byte) bool {
	switch c.state {
	case inSize, inExt:
		return c.sizeLine(ch)
	case sizeLF:
		if c.state = inData; c.left == 0 {
			c.state = lineStart
		}
		return ch == '\n'
	case dataCR:
		c.state = dataLF
		return ch == '\r'
	case dataLF:
		c.state, c.left, c.digits, c.line = inSize, 0, 0, 0
		return ch == '\n'
	case lineStart, inLine:
		return c.trailer(ch)
	case lineLF:
		c.state = lineStart
		c.trailers = append(c.trailers, ch)
		return ch == '\n'
	case lastLF:
		return ch == '\n'
	}
	return false
}

func (c *Chunks) sizeLine(ch byte) bool {
	if c.line++; c.line > maxLine {
		return false
	}
	switch {
	case ch == '\r':
		c.state, c.zero = sizeLF, c.left == 0
		const ends = 3 // the LF, and CR LF after the data
		c.excess = max(0, c.excess+int64(c.line)+ends-16-2*min(c.left, maxExcess))
		return c.digits > 0 && c.excess <= maxExcess
	case c.state == inSize && hex(ch):
		c.digits++
		c.left = c.left<<4 | int64(value(ch))
		c.zero = c.left == 0
		return c.digits <= 15 // more could overflow
	case c.state == inSize:
		c.state = inExt
		return c.digits > 0 && ch == ';'
	}
	return ch == '\t' || ch >= ' ' && ch != 0x7f
}

func (c *Chunks) trailer(ch byte) bool {
	if ch == '\r' && c.state == lineStart {
		c.state = lastLF
		return true
	}
	if c.trailers = append(c.trailers, ch); len(c.trailers) > maxTrailers {
		return false
	}
	switch {
	case ch == '\r':
		c.state = lineLF
		return true
	case c.state == lineStart:
		c.state = inLine
		return isToken[ch]
	}
	return ch == '\t' || ch >= ' ' && ch != 0x7f
}

// Trailers parses the fields after the body; the block of h becomes its memory.
func (c *Chunks) Trailers(h *Fields) *Refusal {
	if len(c.trailers) == 0 {
		h.Fields = h.Fields[:0]
		return nil
	}
	h.Block = append(c.trailers, '\r', '\n')
	return h.fields(0)
}

// Fields are header fields without a first line, as they follow a chunked body.
type Fields struct{ head }

// Passable returns the fields that may be passed on behind a body, as lines.
func (f *Fields) Passable() []byte {
	var lines []byte
	for i := range f.Fields {
		if MayTrail(f.Name(&f.Fields[i])) {
			lines = append(lines, f.Lines(i, i+1)...)
		}
	}
	return lines
}

// MayTrail reports whether a field may be passed on behind a body (RFC 9110,
// 6.5.1): those that say where a message goes, where it ends, who sent it or
// what it is must come before it.
func MayTrail(name []byte) bool {
	k := kindOf(name)
	return !k.framing() && !k.Hop() && !k.From() && k != imitation && k != RequestID && k != Traceparent && !k.Zipkin() &&
		httpguts.ValidTrailerHeader(string(name))
}
