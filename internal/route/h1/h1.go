// Package h1 reads the heads and bodies of HTTP/1 messages strictly and without
// allocating, and refuses those that two readers could understand differently:
// it is what keeps a request from being smuggled inside another one.
package h1

import (
	"bytes"
	"net/http"
)

// Refusal says why a message was not taken.
type Refusal struct {
	Status int    // 400, 405, 417, 431, 501 or 505 where the message was a request
	Reason string // one clause, for people
}

// Error makes a refusal an error, for answers of instances.
func (r *Refusal) Error() string { return r.Reason }

func bad(reason string) *Refusal { return &Refusal{http.StatusBadRequest, reason} }

// Refusals are values of the package, so that refusing allocates nothing either.
var (
	badLine        = bad("a line does not end with CR LF")
	badFold        = bad("a header field continues on the next line")
	badName        = bad("a header field has no valid name")
	badValue       = bad("a header field holds a control character")
	badMethod      = bad("the request line does not start with a method")
	badRequestLine = bad("the request line is not METHOD TARGET VERSION")
	badTarget      = bad("the request target holds a character that must be encoded")
	badPercent     = bad("the request target holds a % without two hexadecimal digits")
	badForm        = bad("the request target is neither a path nor a URL")
	badImitation   = bad("a header field imitates one that says where the body ends")
	badHosts       = bad("there is more than one Host field")
	badNoHost      = bad("there is no Host field")
	badHost        = bad("the Host field is not a host")
	badAuthority   = bad("the URL and the Host field name different hosts")
	badLengths     = bad("there is more than one Content-Length field")
	badCodings     = bad("there is more than one Transfer-Encoding field")
	badBoth        = bad("there are both Content-Length and Transfer-Encoding")
	badOldCoding   = bad("HTTP/1.0 has no Transfer-Encoding")
	badLength      = bad("Content-Length is not a number")
	badStatusLine  = bad("the status line is not HTTP/1.x and three digits")
	tooManyFields  = &Refusal{http.StatusRequestHeaderFieldsTooLarge, "there are too many header fields"}
	unknownCoding  = &Refusal{http.StatusNotImplemented, "the only Transfer-Encoding is chunked"}
	unknownVersion = &Refusal{http.StatusHTTPVersionNotSupported, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here"}
	noConnect      = &Refusal{http.StatusMethodNotAllowed, "CONNECT is not for a gateway to apps"}
	noExpectation  = &Refusal{http.StatusExpectationFailed, "the only expectation is 100-continue"}
)

// TooLarge refuses a head that is over the limit.
var TooLarge = &Refusal{http.StatusRequestHeaderFieldsTooLarge, "the request's header is too large"}

// MaxFields bounds the header fields of one message.
const MaxFields = 256

// Framing says how a body ends.
type Framing struct {
	Kind   Body
	Length int64 // bytes, of a Sized body
}

// Body is a way for a body to end.
type Body uint8

// The ways a body ends.
const (
	None       Body = iota // there is none
	Sized                  // after Length bytes, more than zero
	Chunked                // with its last chunk
	UntilClose             // with the connection; only of answers
)

// Field is one line of a head.
type Field struct {
	Kind                    Kind
	start, colon, from, end int32 // line, name up to colon, value
	next                    int32 // start of the next line
}

// head is what requests and answers have in common.
type head struct {
	Block  []byte  // the whole head, from its first line to the empty one
	Fields []Field // in their order
	first  [kinds]uint16
	count  [kinds]uint8

	close, keep, upgrade bool // what Connection says
	named                bool // Connection names other fields
}

// Name of a field, as it was sent.
func (h *head) Name(f *Field) []byte { return h.Block[f.start:f.colon] }

// Value of a field, without the blanks around it.
func (h *head) Value(f *Field) []byte { return h.Block[f.from:f.end] }

// Get returns the value of the first field of a kind, nil where there is none.
func (h *head) Get(k Kind) []byte {
	if h.count[k] == 0 {
		return nil
	}
	return h.Value(&h.Fields[h.first[k]])
}

// Count is how many fields of a kind there are, at most 255.
func (h *head) Count(k Kind) int { return int(h.count[k]) }

// Lines are the bytes of the fields i to j-1, line ends included.
func (h *head) Lines(i, j int) []byte { return h.Block[h.Fields[i].start:h.Fields[j-1].next] }

// Named reports whether Connection names a field as one that is not passed on.
func (h *head) Named(f *Field) bool {
	if !h.named || f.Kind.framing() {
		return false
	}
	name := h.Name(f)
	for i := range h.Fields {
		c := &h.Fields[i]
		if c.Kind == Connection && ListHas(h.Value(c), name) {
			return true
		}
	}
	return false
}

// ListHas reports whether a comma-separated list has an element, whatever its
// case.
func ListHas(list, element []byte) bool {
	for len(list) > 0 {
		part := list
		if i := bytes.IndexByte(list, ','); i >= 0 {
			part, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		if EqualFold(trim(part), element) {
			return true
		}
	}
	return false
}

// fields reads the lines after the first one, which ends at position at of the
// block.
func (h *head) fields(at int) *Refusal {
	h.Fields = h.Fields[:0]
	h.first, h.count = [kinds]uint16{}, [kinds]uint8{}
	h.close, h.keep, h.upgrade, h.named = false, false, false, false
	b := h.Block
	for {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 1 || b[at+i-1] != '\r' {
			return badLine
		}
		if i == 1 {
			return nil
		}
		if len(h.Fields) == MaxFields {
			return tooManyFields
		}
		f := Field{start: int32(at), end: int32(at + i - 1), next: int32(at + i + 1)}
		if why := h.field(&f, b[at:at+i-1]); why != nil {
			return why
		}
		if h.count[f.Kind] == 0 {
			h.first[f.Kind] = uint16(len(h.Fields))
		}
		if h.count[f.Kind] < 255 {
			h.count[f.Kind]++
		}
		h.Fields = append(h.Fields, f)
		if f.Kind == Connection {
			h.connection(h.Value(&f))
		}
		at = int(f.next)
	}
}

// field splits a line, given without its end.
func (h *head) field(f *Field, line []byte) *Refusal {
	if line[0] == ' ' || line[0] == '\t' {
		return badFold
	}
	colon := 0
	for colon < len(line) && isToken[line[colon]] {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return badName
	}
	from, end := colon+1, len(line)
	for from < end && (line[from] == ' ' || line[from] == '\t') {
		from++
	}
	for end > from && (line[end-1] == ' ' || line[end-1] == '\t') {
		end--
	}
	if !clean(line[from:end]) {
		return badValue
	}
	f.colon, f.from, f.end = f.start+int32(colon), f.start+int32(from), f.start+int32(end)
	f.Kind = kindOf(line[:colon])
	if f.Kind == imitation {
		return badImitation
	}
	return nil
}

// connection reads the elements of a Connection field.
func (h *head) connection(list []byte) {
	for len(list) > 0 {
		part := list
		if i := bytes.IndexByte(list, ','); i >= 0 {
			part, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		switch part = trim(part); {
		case len(part) == 0:
		case is(part, "keep-alive"):
			h.keep = true
		case is(part, "close"):
			h.close = true
		case is(part, "upgrade"):
			h.upgrade = true
		default:
			h.named = true
		}
	}
}

// End returns the size of the head at the beginning of b, 0 where its end has
// not come yet. From the bytes before seen, End was asked already.
func End(b []byte, seen int) (int, *Refusal) {
	if i := bytes.Index(b[max(0, seen-3):], crlfcrlf); i >= 0 {
		return max(0, seen-3) + i + 4, nil
	}
	// A client that writes bare line feeds would never end its head. One that sends
	// it byte by byte must not have all of it looked at with each.
	for at := seen; ; at++ {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0, nil
		}
		if at += i; at == 0 || b[at-1] != '\r' {
			return 0, badLine
		}
	}
}

var crlfcrlf = []byte("\r\n\r\n")
