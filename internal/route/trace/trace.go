// Package trace says which trace a request belongs to: the one its client began,
// by traceparent (W3C) or else B3, or a new one.
package trace

import (
	"math/rand/v2"

	"naru/internal/route/h1"
)

// Trace of a request. A good traceparent is passed on as it is, so that no app
// sees a parent nobody reports. It is used again for the next request.
type Trace struct {
	keep bool     // the request's own traceparent is good
	line [55]byte // otherwise: 00-TRACE-PARENT-FLAGS
}

const hexDigits = "0123456789abcdef"

// Of finds the trace of a request, or begins one.
func (t *Trace) Of(r *h1.Request) {
	if r.Count(h1.Traceparent) == 1 && goodTraceparent(r.Get(h1.Traceparent)) {
		t.keep = true
		return
	}
	t.keep = false
	copy(t.line[:], "00-00000000000000000000000000000000-0000000000000000-01")
	id, span, flag, ok := b3(r)
	if !ok {
		random(t.line[3:35])
		random(t.line[36:52])
		return
	}
	copy(t.line[35-len(id):35], id)
	copy(t.line[36:52], span)
	t.line[54] = flag
}

// Kept reports whether the request's own traceparent, and its tracestate, go on as
// they are; else Line takes its place.
func (t *Trace) Kept() bool { return t.keep }

// Line is the traceparent to send where the request's own is not kept. It is valid
// until the next Of.
func (t *Trace) Line() []byte { return t.line[:] }

// ID of the trace of the request that it was made of, in hexadecimal.
func (t *Trace) ID(r *h1.Request) []byte {
	if t.keep {
		return r.Get(h1.Traceparent)[3:35]
	}
	return t.line[3:35]
}

// goodTraceparent accepts every version that starts like 00.
func goodTraceparent(b []byte) bool {
	if len(b) < 55 || b[2] != '-' || b[35] != '-' || b[52] != '-' || len(b) > 55 && (b[0] == '0' && b[1] == '0' || b[55] != '-') {
		return false
	}
	return lowerHex(b[:2]) && string(b[:2]) != "ff" && lowerHex(b[3:35]) && !zeros(b[3:35]) &&
		lowerHex(b[36:52]) && !zeros(b[36:52]) && lowerHex(b[53:55])
}

// b3 reads B3 headers, in one field or in several.
func b3(r *h1.Request) (id, span []byte, flag byte, ok bool) {
	flag = '1'
	sampled := r.Get(h1.B3Sampled)
	id, span = r.Get(h1.B3Trace), r.Get(h1.B3Span)
	if one := r.Get(h1.B3); r.Count(h1.B3) == 1 {
		cut := 32
		if len(one) > 16 && one[16] == '-' {
			cut = 16
		}
		if len(one) < cut+17 || one[cut] != '-' {
			return nil, nil, 0, false
		}
		id, span, sampled = one[:cut], one[cut+1:cut+17], nil
		if len(one) > cut+18 && one[cut+17] == '-' {
			sampled = one[cut+18 : cut+19]
		}
	}
	if len(sampled) == 1 && sampled[0] == '0' {
		flag = '0'
	}
	ok = (len(id) == 16 || len(id) == 32) && len(span) == 16 && lowerHex(id) && !zeros(id) && lowerHex(span) && !zeros(span)
	return id, span, flag, ok
}

func lowerHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != '0' {
			return false
		}
	}
	return true
}

// random fills dst with hexadecimal digits, not all of them zero.
func random(dst []byte) {
	for len(dst) > 0 {
		n := rand.Uint64() | 1
		for i := 0; i < 16 && len(dst) > 0; i++ {
			dst[0], dst = hexDigits[n&15], dst[1:]
			n >>= 4
		}
	}
}
