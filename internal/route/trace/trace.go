// Package trace says which trace a request belongs to, the one its client began,
// by traceparent (W3C) or else B3, or a new one, and what its next part is told.
package trace

import (
	"math/rand/v2"

	"naru/internal/route/encode"
	"naru/internal/route/h1"
)

// Decision is what was said of a trace before us: whether it is to be recorded.
type Decision uint8

// The decisions.
const (
	Undecided Decision = iota
	No
	Yes
)

// Trace of a request. Where we record nothing of it, a good traceparent is passed
// on as it is, so that no app sees a parent nobody reports. It is used again for
// the next request.
type Trace struct {
	continued bool     // the request's own traceparent is good
	begun     bool     // it begins here
	recorded  bool     // we have a span in it
	decision  Decision // of who was before us
	short     bool     // its id was written in 16 digits
	line      [55]byte // 00-TRACE-PARENT-FLAGS, unless the request's own goes on
	parent    [16]byte // the span before ours, where we have one
}

const hexDigits = "0123456789abcdef"

// Of finds the trace of a request, or begins one.
func (t *Trace) Of(r *h1.Request) {
	t.begun, t.recorded, t.short, t.decision = false, false, false, No
	if t.continued = r.Count(h1.Traceparent) == 1 && goodTraceparent(r.Get(h1.Traceparent)); t.continued {
		if nibble(r.Get(h1.Traceparent)[54])&1 != 0 {
			t.decision = Yes
		}
		return
	}
	copy(t.line[:], "00-00000000000000000000000000000000-0000000000000000-01")
	id, span, said, ok := b3(r)
	if t.decision = said; said == No {
		t.line[54] = '0'
	}
	if !ok {
		t.begun = true
		random(t.line[3:35])
		random(t.line[36:52])
		return
	}
	t.short = len(id) == 16
	copy(t.line[35-len(id):35], id)
	copy(t.line[36:52], span)
}

// Decision is what was said before us.
func (t *Trace) Decision() Decision { return t.decision }

// Skip has nothing recorded of a trace of which nobody had said so: not here, and
// not behind us.
func (t *Trace) Skip() {
	if !t.continued {
		t.line[54] = '0'
	}
}

// Record puts a span of ours between the request and what comes behind us.
func (t *Trace) Record(r *h1.Request) {
	t.recorded = true
	if t.continued {
		said := r.Get(h1.Traceparent)
		copy(t.line[:], "00-")
		copy(t.line[3:52], said[3:52])
		t.line[52], t.line[53], t.line[54] = '-', '0', hexDigits[nibble(said[54])&3|1] // its other flags are of versions to come
	}
	t.line[54] |= 1
	copy(t.parent[:], t.line[36:52])
	random(t.line[36:52])
}

// Recorded reports whether a span of ours is in it.
func (t *Trace) Recorded() bool { return t.recorded }

// Kept reports whether the request's own traceparent goes on as it is; else Line
// takes its place.
func (t *Trace) Kept() bool { return t.continued && !t.recorded }

// Continued reports whether the trace is that of a good traceparent, whose
// tracestate goes on.
func (t *Trace) Continued() bool { return t.continued }

// Line is the traceparent to send where the request's own is not kept. It is valid
// until the next Of.
func (t *Trace) Line() []byte { return t.line[:] }

// ID of the trace of the request that it was made of, in hexadecimal.
func (t *Trace) ID(r *h1.Request) []byte {
	if t.Kept() {
		return r.Get(h1.Traceparent)[3:35]
	}
	return t.line[3:35]
}

// Span is ours, in hexadecimal, where one was recorded.
func (t *Trace) Span() []byte { return t.line[36:52] }

// Parent is the span before ours, nil where the trace began here.
func (t *Trace) Parent() []byte {
	if t.begun {
		return nil
	}
	return t.parent[:]
}

// AppendB3 appends header fields that say what Line does in the forms of B3 the
// request came with, where a span was recorded; in one field where it came with
// none, for who reads nothing else.
func (t *Trace) AppendB3(b []byte, r *h1.Request) []byte {
	id := t.line[3:35]
	if t.short {
		id = t.line[19:35]
	}
	several := r.Count(h1.B3Trace)+r.Count(h1.B3Span)+r.Count(h1.B3Sampled)+r.Count(h1.B3Flags) > 0
	if one := r.Get(h1.B3); r.Count(h1.B3) > 0 || !several {
		b = append(append(append(append(b, "b3: "...), id...), '-'), t.Span()...)
		if len(one) > 0 && one[0] == 'd' || b3Sampled(one) == 'd' {
			b = append(b, "-d"...)
		} else {
			b = append(b, "-1"...)
		}
		if !t.begun {
			b = append(append(b, '-'), t.parent[:]...)
		}
		b = append(b, "\r\n"...)
	}
	if !several {
		return b
	}
	b = append(append(append(b, "X-B3-TraceId: "...), id...), "\r\nX-B3-SpanId: "...)
	b = append(append(b, t.Span()...), "\r\n"...)
	if !t.begun {
		b = append(append(append(b, "X-B3-ParentSpanId: "...), t.parent[:]...), "\r\n"...)
	}
	if string(r.Get(h1.B3Flags)) == "1" { // which says that it is sampled, too
		return append(b, "X-B3-Flags: 1\r\n"...)
	}
	return append(b, "X-B3-Sampled: 1\r\n"...)
}

// goodTraceparent accepts every version that starts like 00.
func goodTraceparent(b []byte) bool {
	if len(b) < 55 || b[2] != '-' || b[35] != '-' || b[52] != '-' || len(b) > 55 && (b[0] == '0' && b[1] == '0' || b[55] != '-') {
		return false
	}
	return lowerHex(b[:2]) && string(b[:2]) != "ff" && lowerHex(b[3:35]) && !zeros(b[3:35]) &&
		lowerHex(b[36:52]) && !zeros(b[36:52]) && lowerHex(b[53:55])
}

// b3 reads B3 headers, in one field or in several. What is said of the sampling
// counts without a trace, too.
func b3(r *h1.Request) (id, span []byte, said Decision, ok bool) {
	if one := r.Get(h1.B3); r.Count(h1.B3) == 1 {
		cut := 32
		if len(one) > 16 && one[16] == '-' {
			cut = 16
		}
		if len(one) < cut+17 || one[cut] != '-' {
			if len(one) == 1 {
				said = decided(one[0])
			}
			return nil, nil, said, false
		}
		id, span, said = one[:cut], one[cut+1:cut+17], decided(b3Sampled(one))
	} else {
		id, span = r.Get(h1.B3Trace), r.Get(h1.B3Span)
		switch sampled := r.Get(h1.B3Sampled); {
		case string(r.Get(h1.B3Flags)) == "1", string(sampled) == "true":
			said = Yes
		case string(sampled) == "false":
			said = No
		case len(sampled) == 1:
			said = decided(sampled[0])
		}
	}
	ok = (len(id) == 16 || len(id) == 32) && len(span) == 16 && lowerHex(id) && !zeros(id) && lowerHex(span) && !zeros(span)
	return id, span, said, ok
}

// b3Sampled is what a b3 field says of the sampling; 0: nothing.
func b3Sampled(one []byte) byte {
	for _, cut := range [...]int{16, 32} {
		if len(one) > cut+18 && one[cut] == '-' && one[cut+17] == '-' && (len(one) == cut+19 || one[cut+19] == '-') {
			return one[cut+18]
		}
	}
	return 0
}

func decided(b byte) Decision {
	switch b {
	case '0':
		return No
	case '1', 'd':
		return Yes
	}
	return Undecided
}

// nibble is the value of a lower-case hexadecimal digit.
func nibble(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
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

// random fills dst with hexadecimal digits, a multiple of sixteen, not all of them zero.
func random(dst []byte) {
	for ; len(dst) >= 16; dst = dst[16:] {
		encode.Hex(dst, rand.Uint64()|1)
	}
}
