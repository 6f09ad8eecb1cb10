// Package encode writes objects of JSON field by field, as encoding/json would, for
// what is written once for each request.
package encode

import (
	"encoding/json"
	"strconv"
	"time"
)

// Object is an object that is being written behind what B holds. Begin and End
// stand around its fields.
type Object struct {
	B     []byte
	first bool
}

// Begin opens an object, or one inside another one as the field of a name.
func (o *Object) Begin() { o.B, o.first = append(o.B, '{'), true }

// Inside opens an object as a field of this one.
func (o *Object) Inside(name string) {
	o.name(name)
	o.Begin()
}

// End closes the object that was opened last.
func (o *Object) End() { o.B, o.first = append(o.B, '}'), false }

func (o *Object) name(name string) {
	if !o.first {
		o.B = append(o.B, ',')
	}
	o.first = false
	o.B = append(append(append(o.B, '"'), name...), '"', ':')
}

// String writes a field.
func (o *Object) String(name, value string) {
	o.name(name)
	o.B = text(o.B, value)
}

// StringIf writes a field unless it is empty.
func (o *Object) StringIf(name, value string) {
	if value != "" {
		o.String(name, value)
	}
}

// Int writes a field.
func (o *Object) Int(name string, value int64) {
	o.name(name)
	o.B = strconv.AppendInt(o.B, value, 10)
}

// Float writes a field; the value must be a number.
func (o *Object) Float(name string, value float64) {
	o.name(name)
	if value != 0 && value < 1e-6 || value >= 1e21 { // with an exponent
		b, _ := json.Marshal(value)
		o.B = append(o.B, b...)
		return
	}
	o.B = strconv.AppendFloat(o.B, value, 'f', -1, 64)
}

// True writes a field that is true.
func (o *Object) True(name string) {
	o.name(name)
	o.B = append(o.B, "true"...)
}

// Time writes a field.
func (o *Object) Time(name string, value time.Time) {
	o.name(name)
	o.B = append(value.AppendFormat(append(o.B, '"'), time.RFC3339Nano), '"')
}

const hexDigits = "0123456789abcdef"

// kinds of bytes in a string.
const (
	asIs = iota
	escaped
	strange // control characters, and what is not ASCII
)

// kind of each byte.
var kind = func() (out [256]uint8) {
	for c := range out {
		if c < ' ' || c >= 0x7f {
			out[c] = strange
		}
	}
	for _, c := range []byte("\"\\<>&") {
		out[c] = escaped
	}
	return out
}()

// text appends a string as encoding/json writes it.
func text(b []byte, s string) []byte {
	begin := len(b)
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		switch c := s[i]; {
		case kind[c] == asIs:
			continue
		case kind[c] == strange:
			long, err := json.Marshal(s)
			if err != nil { // a string always can
				long = []byte(`""`)
			}
			return append(b[:begin], long...)
		case c == '"' || c == '\\':
			b = append(append(b, s[from:i]...), '\\', c)
		default:
			b = append(append(b, s[from:i]...), '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		from = i + 1
	}
	return append(append(b, s[from:]...), '"')
}
