package strict

import "errors"

// ErrMalformed ends a connection whose chunked body does not keep to its grammar.
var ErrMalformed = errors.New("the chunked body is malformed")

// maxLine bounds a chunk's size line with its extensions, and maxTrailers all
// trailer fields together.
const (
	maxLine     = 1024
	maxTrailers = 16 << 10
)

type chunkState int

const (
	chunkSize    chunkState = iota // hexadecimal digits
	chunkExt                       // after the digits, up to CR
	chunkSizeLF                    // the LF of the size line
	chunkData                      // left bytes of data
	chunkDataCR                    //
	chunkDataLF                    //
	trailerStart                   // first byte of a trailer line, or the CR that ends all
	trailerLine                    //
	trailerLF                      // the LF of a trailer line
	chunkEndLF                     // the very last LF
)

// chunks follows a chunked body byte by byte to find where it ends.
type chunks struct {
	state    chunkState
	left     int64 // of the chunk's data; while reading the size, the size so far
	digits   int
	line     int // bytes of the size line
	trailers int
}

// scan consumes b up to the end of the body and returns how much of b belongs to
// it.
func (c *chunks) scan(b []byte) (n int, done bool, err error) {
	for n < len(b) {
		if c.state == chunkData {
			take := min(c.left, int64(len(b)-n))
			n += int(take)
			if c.left -= take; c.left == 0 {
				c.state = chunkDataCR
			}
			continue
		}
		if !c.step(b[n]) {
			return n, false, ErrMalformed
		}
		n++
		if c.state == chunkEndLF && b[n-1] == '\n' {
			return n, true, nil
		}
	}
	return n, false, nil
}

// step takes one byte that is not data; false means it must not stand here.
func (c *chunks) step(ch byte) bool {
	switch c.state {
	case chunkSize, chunkExt:
		return c.sizeLine(ch)
	case chunkSizeLF:
		if c.state = chunkData; c.left == 0 {
			c.state = trailerStart
		}
		return ch == '\n'
	case chunkDataCR:
		c.state = chunkDataLF
		return ch == '\r'
	case chunkDataLF:
		c.state, c.left, c.digits, c.line = chunkSize, 0, 0, 0
		return ch == '\n'
	case trailerStart, trailerLine:
		return c.trailer(ch)
	case trailerLF:
		c.state = trailerStart
		return ch == '\n'
	case chunkEndLF:
		return ch == '\n'
	}
	return false
}

func (c *chunks) sizeLine(ch byte) bool {
	if c.line++; c.line > maxLine {
		return false
	}
	switch {
	case ch == '\r':
		c.state = chunkSizeLF
		return c.digits > 0
	case c.state == chunkSize && hex(ch):
		c.digits++
		c.left = c.left<<4 | int64(value(ch))
		return c.digits <= 15 // more could overflow
	case c.state == chunkSize:
		c.state = chunkExt
		return c.digits > 0 && ch == ';'
	}
	return ch == '\t' || ch >= ' ' && ch != 0x7f
}

func (c *chunks) trailer(ch byte) bool {
	if c.trailers++; c.trailers > maxTrailers {
		return false
	}
	switch {
	case ch == '\r' && c.state == trailerStart:
		c.state = chunkEndLF
		return true
	case ch == '\r':
		c.state = trailerLF
		return true
	case c.state == trailerStart:
		c.state = trailerLine
		return token([]byte{ch})
	}
	return ch == '\t' || ch >= ' ' && ch != 0x7f
}

func value(ch byte) byte {
	switch {
	case ch <= '9':
		return ch - '0'
	case ch >= 'a':
		return ch - 'a' + 10
	}
	return ch - 'A' + 10
}
