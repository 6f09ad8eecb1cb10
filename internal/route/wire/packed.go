package wire

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"naru/internal/route"
)

// What there is one of for each request, records and spans, is packed. JSON begins
// with '{'; a packed body begins with one of these, and what a reader has never
// heard of, it leaves alone:
//
//	kind     1 byte
//	dropped  8 bytes, how many were lost before
//	records  each behind its length of 4 bytes
//
// A record begins with its place: a number of one that stood in the message before,
// from 1, or 0 and a new one. Numbers are unsigned varints, texts a length and bytes,
// times 8 bytes of nanoseconds since 1970. New fields are only added at the end of a
// record: a reader skips what it does not know, and what is not there is empty.
const (
	packedAccess = 1
	packedSpans  = 2
)

// packedHead is the length of a message, and what stands before its records.
const packedHead = 4 + 1 + 8

// place is what many records have in common.
type place struct {
	route, app, name, group, instance, upstream string
	index                                       int
}

func (p *place) append(b []byte) []byte {
	b = appendText(appendText(appendText(b, p.route), p.app), p.name)
	b = appendText(appendText(appendText(b, p.group), p.instance), p.upstream)
	return appendNumber(b, int64(p.index))
}

func appendNumber(b []byte, n int64) []byte {
	if uint64(n) < 0x80 {
		return append(b, byte(n))
	}
	return binary.AppendUvarint(b, uint64(n))
}

func appendText(b []byte, s string) []byte {
	if len(s) < 0x80 {
		return append(append(b, byte(len(s))), s...)
	}
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixNano()))
}

// appendAccess appends what a record has beside its place.
func appendAccess(b []byte, a *route.Access) []byte {
	b = appendTime(b, a.Time)
	for _, n := range [...]int64{int64(a.Status), a.Received, a.Sent, int64(a.Took), int64(a.Header), int64(a.Attempts)} {
		b = appendNumber(b, n)
	}
	upgrade := byte(0)
	if a.Upgrade {
		upgrade = 1
	}
	b = append(b, upgrade)
	b = appendText(appendText(appendText(b, a.RequestID), a.Client), a.Method)
	b = appendText(appendText(appendText(b, a.Host), a.URI), a.Proto)
	b = appendText(appendText(b, a.Agent), a.Referer)
	return appendText(appendText(b, a.Problem), a.Trace)
}

// appendSpan appends what a span has beside its place.
func appendSpan(b []byte, s *route.Span) []byte {
	b = appendTime(b, s.Start)
	b = appendNumber(appendNumber(appendNumber(b, int64(s.Took)), int64(s.Status)), int64(s.Retries))
	b = appendText(appendText(appendText(b, s.Trace), s.Parent), s.ID)
	b = appendText(appendText(b, s.Method), s.Host)
	return appendText(appendText(b, s.Path), s.Error)
}

var errPacked = errors.New("a packed record is torn")

// unpack reads a packed body, of which the texts of the message are made: nobody
// may write to it any more.
func unpack(body []byte) (*Message, error) {
	if len(body) < packedHead-4 {
		return nil, errPacked
	}
	kind, dropped := body[0], binary.BigEndian.Uint64(body[1:])
	in := unpacking{rest: body[packedHead-4:]}
	m := &Message{}
	switch kind {
	case packedAccess:
		m.Access = &Access{Records: make([]route.Access, in.count()), Dropped: dropped}
		for i := 0; in.next(); i++ {
			in.access(&m.Access.Records[i])
		}
	case packedSpans:
		m.Spans = &Spans{Spans: make([]route.Span, in.count()), Dropped: dropped}
		for i := 0; in.next(); i++ {
			in.span(&m.Spans.Spans[i])
		}
	}
	if in.torn {
		return nil, errPacked
	}
	return m, nil
}

// unpacking reads records one by one.
type unpacking struct {
	rest   []byte // behind the present one
	one    []byte // the rest of that
	places []place
	torn   bool
}

// count is how many records there are.
func (u *unpacking) count() (n int) {
	for rest := u.rest; len(rest) >= 4; n++ {
		size := uint64(binary.BigEndian.Uint32(rest))
		if size > uint64(len(rest)-4) {
			break
		}
		rest = rest[4+size:]
	}
	return n
}

// next goes on to the next record.
func (u *unpacking) next() bool {
	if len(u.rest) == 0 || u.torn {
		return false
	}
	if len(u.rest) < 4 || uint64(binary.BigEndian.Uint32(u.rest)) > uint64(len(u.rest)-4) {
		u.torn = true
		return false
	}
	size := 4 + int(binary.BigEndian.Uint32(u.rest))
	u.one, u.rest = u.rest[4:size], u.rest[size:]
	return true
}

func (u *unpacking) number() int64 {
	if len(u.one) > 0 && u.one[0] < 0x80 {
		n := u.one[0]
		u.one = u.one[1:]
		return int64(n)
	}
	n, size := binary.Uvarint(u.one)
	if size <= 0 {
		u.torn = u.torn || len(u.one) > 0
		u.one = nil
		return 0
	}
	u.one = u.one[size:]
	return int64(n)
}

func (u *unpacking) text() string {
	n := u.number()
	if uint64(n) > uint64(len(u.one)) {
		u.torn = true
		return ""
	}
	s := unsafe.String(unsafe.SliceData(u.one), n)
	u.one = u.one[n:]
	return s
}

func (u *unpacking) time() time.Time {
	if len(u.one) < 8 {
		u.torn = true
		return time.Time{}
	}
	n := binary.BigEndian.Uint64(u.one)
	u.one = u.one[8:]
	return time.Unix(0, int64(n)).UTC()
}

func (u *unpacking) place() *place {
	n := uint64(u.number())
	if n == 0 {
		u.places = append(u.places, place{u.text(), u.text(), u.text(), u.text(), u.text(), u.text(), int(u.number())})
		n = uint64(len(u.places))
	}
	if n > uint64(len(u.places)) {
		u.torn = true
		return &place{}
	}
	return &u.places[n-1]
}

func (u *unpacking) access(a *route.Access) {
	p := u.place()
	a.Route, a.App.ID, a.App.Name, a.Group, a.Instance, a.Upstream, a.Index = p.route, p.app, p.name, p.group, p.instance, p.upstream, p.index
	a.Time, a.Status, a.Received, a.Sent = u.time(), int(u.number()), u.number(), u.number()
	a.Took, a.Header, a.Attempts = time.Duration(u.number()), time.Duration(u.number()), int(u.number())
	a.Upgrade = u.number() != 0
	a.RequestID, a.Client, a.Method = u.text(), u.text(), u.text()
	a.Host, a.URI, a.Proto = u.text(), u.text(), u.text()
	a.Agent, a.Referer = u.text(), u.text()
	a.Problem, a.Trace = u.text(), u.text()
}

func (u *unpacking) span(s *route.Span) {
	p := u.place()
	s.Route, s.App.ID, s.App.Name, s.Group, s.Instance, s.Index = p.route, p.app, p.name, p.group, p.instance, p.index
	s.Start, s.Took, s.Status, s.Retries = u.time(), time.Duration(u.number()), int(u.number()), int(u.number())
	s.Trace, s.Parent, s.ID = u.text(), u.text(), u.text()
	s.Method, s.Host = u.text(), u.text()
	s.Path, s.Error = u.text(), u.text()
}
