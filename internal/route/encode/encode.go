// Package encode writes texts, times and durations, for what is written once for
// each request: as encoding/json, strconv and time would, and quickly where a text
// is ordinary.
package encode

import (
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"
	"unsafe"
)

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// unusual marks bytes of eight that are no printable ASCII, or stand behind a
// backslash in quotes.
func unusual(x uint64) uint64 {
	return (x | (x + ones) | (x-0x20*ones)&^x | is(x^'"'*ones) | is(x^'\\'*ones)) & highs
}

// html marks bytes that encoding/json escapes besides, for who puts JSON into HTML.
func html(x uint64) uint64 {
	return (is((x|0x02*ones)^'>'*ones) | is(x^'&'*ones)) & highs
}

// is marks bytes that are nought. It may mark one behind such a byte, too.
func is(x uint64) uint64 { return (x - ones) &^ x }

// Ordinary reports whether a text is printable ASCII that no form of quotes escapes.
func Ordinary(s string) bool { return ordinary(s, true) }

// ordinary reports whether a text needs no escape.
func ordinary(s string, inHTML bool) bool {
	var marked uint64
	if len(s) < 8 {
		x := uint64('x' * ones) // behind the end there are ordinary ones
		for i := len(s) - 1; i >= 0; i-- {
			x = x<<8 | uint64(s[i])
		}
		if marked = unusual(x); inHTML {
			marked |= html(x)
		}
		return marked == 0
	}
	for i := 0; i < len(s); i += 8 {
		x := eight(s, min(i, len(s)-8)) // the last ones may be looked at twice
		if marked |= unusual(x); inHTML {
			marked |= html(x)
		}
	}
	return marked == 0
}

// eight are the bytes from a place on, of which there are as many.
func eight(s string, at int) uint64 {
	return binary.LittleEndian.Uint64(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), at)), 8))
}

// JSON appends a text as encoding/json writes it.
func JSON(b []byte, s string) []byte {
	if ordinary(s, true) {
		return append(append(append(b, '"'), s...), '"')
	}
	begin := len(b)
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c >= 0x7f:
			long, err := json.Marshal(s)
			if err != nil { // a string always can
				long = []byte(`""`)
			}
			return append(b[:begin], long...)
		case c == '"' || c == '\\':
			b = append(append(b, s[from:i]...), '\\', c)
		case c == '<' || c == '>' || c == '&':
			b = append(append(b, s[from:i]...), '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			continue
		}
		from = i + 1
	}
	return append(append(b, s[from:]...), '"')
}

const digits = "0123456789abcdef"

// Quoted appends a text as strconv.Quote writes it.
func Quoted(b []byte, s string) []byte {
	if ordinary(s, false) {
		return append(append(append(b, '"'), s...), '"')
	}
	return strconv.AppendQuote(b, s)
}

// Hex writes a number as sixteen hexadecimal digits, the last ones first.
func Hex(dst []byte, n uint64) {
	_ = dst[15]
	hex8(dst, uint32(n))
	hex8(dst[8:], uint32(n>>32))
}

// hex8 writes eight digits.
func hex8(dst []byte, n uint32) {
	x := uint64(n)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f // a digit in each byte
	letters := (x + 6*ones) >> 4 & ones // in which it is above 9
	x += '0'*ones + letters*('a'-'0'-10)
	_ = dst[7]
	for i := range 8 {
		dst[i] = byte(x >> (8 * i))
	}
}

// Seconds appends a duration in seconds, to the nanosecond and without zeros at
// the end.
func Seconds(b []byte, d time.Duration) []byte {
	if d < 0 {
		return strconv.AppendFloat(b, d.Seconds(), 'f', -1, 64)
	}
	b = strconv.AppendUint(b, uint64(d/time.Second), 10)
	return fraction(b, uint64(d%time.Second), 9, true)
}

// Micros appends a duration in seconds with six digits behind the point.
func Micros(b []byte, d time.Duration) []byte {
	if d < 0 {
		return strconv.AppendFloat(b, d.Seconds(), 'f', 6, 64)
	}
	n := uint64(d+time.Microsecond/2) / uint64(time.Microsecond)
	return fraction(strconv.AppendUint(b, n/1e6, 10), n%1e6, 6, false)
}

// fraction appends so many digits behind a point; with trim without zeros at the
// end, and nothing for nought.
func fraction(b []byte, n uint64, size int, trim bool) []byte {
	if trim {
		if n == 0 {
			return b
		}
		for n%10 == 0 {
			n /= 10
			size--
		}
	}
	b = append(b, ".000000000"[:size+1]...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// Clock writes times in UTC. It is quick where they lie near each other. The zero
// Clock is ready; it is not for use by several at once.
type Clock struct {
	second int64
	text   [len("2006-01-02T15:04:05")]byte
	known  bool
}

// Append appends a time as time.RFC3339Nano has it.
func (c *Clock) Append(b []byte, t time.Time) []byte {
	return append(fraction(c.whole(b, t), uint64(t.Nanosecond()), 9, true), 'Z')
}

// AppendNanos is Append with nine digits behind the point, whatever they are.
func (c *Clock) AppendNanos(b []byte, t time.Time) []byte {
	return append(fraction(c.whole(b, t), uint64(t.Nanosecond()), 9, false), 'Z')
}

func (c *Clock) whole(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || !c.known {
		at := t.UTC()
		text := at.AppendFormat(nil, "2006-01-02T15:04:05")
		if len(text) != len(c.text) { // of a year with more digits
			c.known = false
			return append(b, text...)
		}
		copy(c.text[:], text)
		c.second, c.known = s, true
	}
	return append(b, c.text[:]...)
}
