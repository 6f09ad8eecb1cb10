package gateway

import (
	"encoding/binary"
	"math/rand/v2"

	"naru/internal/route/h1"
)

// identify takes over the request id a client or a proxy before us chose, if it
// is harmless, so that one id runs through all logs; else it makes one.
func (x *exchange) identify() {
	if x.req != nil && x.req.Count(h1.RequestID) == 1 {
		if id := x.req.Get(h1.RequestID); harmless(id) {
			x.id = id
			return
		}
	}
	x.id = appendID(x.ids[:0], x.start.UnixMilli())
}

func harmless(b []byte) bool {
	if len(b) == 0 || len(b) > 128 {
		return false
	}
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=', c == '@':
		default:
			return false
		}
	}
	return true
}

const hexDigits = "0123456789abcdef"

// appendID appends a fresh request id: a UUID of version 7, like every other id
// of the platform. It guards nothing, so it need not be unguessable.
func appendID(dst []byte, ms int64) []byte {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(ms)<<16|0x7000|rand.Uint64()&0x0fff)
	binary.BigEndian.PutUint64(raw[8:], 1<<63|rand.Uint64()>>2)
	for i, c := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}
