// Package traces keeps spans, one file a day, and finds traces by service,
// operation, duration, tag and error, and who calls whom.
package traces

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
)

// ID names a trace. Those of 64 bits have zeros in front.
type ID [16]byte

// SpanID names a span within its trace.
type SpanID [8]byte

// String is 32 lower-case hexadecimal digits.
func (i ID) String() string { return hex.EncodeToString(i[:]) }

// IsZero reports whether it names nothing.
func (i ID) IsZero() bool { return i == ID{} }

// low is what traces are looked up by: clients that know 64 bits of an id send
// these.
func (i ID) low() uint64 { return binary.BigEndian.Uint64(i[8:]) }

// String is 16 lower-case hexadecimal digits, "" of the zero id.
func (s SpanID) String() string {
	if s.IsZero() {
		return ""
	}
	return hex.EncodeToString(s[:])
}

// IsZero reports whether it names nothing.
func (s SpanID) IsZero() bool { return s == SpanID{} }

// ParseID reads an id of at most 32 hexadecimal digits; a traceparent is read
// too. Field is named in the error.
func ParseID(field, s string) (id ID, err error) {
	text := strings.TrimSpace(s)
	if parts := strings.Split(text, "-"); len(parts) == 4 && len(parts[1]) == 32 {
		text = parts[1]
	}
	if err := parse(id[:], text); err != nil || id.IsZero() {
		return ID{}, fault.New(fault.Invalid, field, "%q is not the id of a trace", clip(s, 100)).WithTry("16 or 32 hexadecimal digits, as naru traces shows them")
	}
	return id, nil
}

// ParseSpanID reads an id of at most 16 hexadecimal digits; "" is the zero id.
func ParseSpanID(s string) (id SpanID, ok bool) { return id, parse(id[:], s) == nil }

// parse reads digits into dst, from its end.
func parse(dst []byte, digits string) error {
	if len(digits) > 2*len(dst) {
		return hex.ErrLength
	}
	var full [32]byte
	room := full[:2*len(dst)]
	for i := range room {
		room[i] = '0'
	}
	copy(room[len(room)-len(digits):], digits)
	_, err := hex.Decode(dst, room)
	return err
}

// Kind is the part that a span's service has in a call.
type Kind byte

// Kinds of spans; Internal is no call.
const (
	Internal Kind = iota
	Server
	Client
	Producer
	Consumer
)

// kinds are their words.
var kinds = [...]string{"internal", "server", "client", "producer", "consumer"}

// String is the kind as a word.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return kinds[Internal]
}

// asks reports whether the span's service is the one that calls.
func (k Kind) asks() bool { return k == Client || k == Producer }

// Tag is something that is known about a span.
type Tag struct{ Key, Value string }

// Event is something that happened during a span.
type Event struct {
	Time time.Time
	Name string
	Tags []Tag
}

// Link names a span of another trace that has to do with this one.
type Link struct {
	Trace ID
	Span  SpanID
}

// Owner is whose spans they are.
type Owner struct {
	Space    app.SpaceID
	App      app.ID // "": of no app of the platform, sent for the space
	Instance string // "": not sent by an instance
}

// Span is one piece of work in a trace.
type Span struct {
	Trace   ID
	ID      SpanID
	Parent  SpanID // zero: none
	Owner   Owner
	Service string
	Name    string // of the operation
	Kind    Kind
	Remote  string // the other side's service, where the span says it
	Start   time.Time
	Took    time.Duration
	Error   bool
	Message string // what the error was
	Shared  bool   // Zipkin: the server's half of a span that the client began
	Tags    []Tag
	Events  []Event
	Links   []Link
}

// Tag returns a tag's value, "" where there is none.
func (s *Span) Tag(key string) string {
	for i := range s.Tags {
		if s.Tags[i].Key == key {
			return s.Tags[i].Value
		}
	}
	return ""
}

// size is about how many bytes a span takes.
func (s *Span) size() int {
	n := 64 + len(s.Service) + len(s.Name) + len(s.Remote) + len(s.Message) + 24*len(s.Links)
	n += sizeOf(s.Tags)
	for i := range s.Events {
		n += 16 + len(s.Events[i].Name) + sizeOf(s.Events[i].Tags)
	}
	return n
}

func sizeOf(tags []Tag) (n int) {
	for _, t := range tags {
		n += 4 + len(t.Key) + len(t.Value)
	}
	return n
}

// Reader says whose spans somebody may read.
type Reader struct {
	All    bool
	Spaces []app.SpaceID
}

// sees reports whether a space is among them.
func (r Reader) sees(s app.SpaceID) bool { return r.All || slices.Contains(r.Spaces, s) }

// Trace is what a reader sees of one trace.
type Trace struct {
	ID    ID
	Spans []Span // by their start
	Over  bool   // there are more than were read
}

// Summary says what a trace is about.
type Summary struct {
	ID       ID
	Root     *Span // the first span without a parent among those that are known, else the first
	Start    time.Time
	Took     time.Duration // from the first start to the last end
	Spans    int
	Errors   int
	Services []Part // by their number of spans
}

// Part is how much of a trace is of one service.
type Part struct {
	Service string
	Spans   int
	Errors  int
}

// Summary sums a trace up.
func (t *Trace) Summary() Summary {
	s := Summary{ID: t.ID, Spans: len(t.Spans)}
	known := make(map[SpanID]bool, len(t.Spans))
	for i := range t.Spans {
		known[t.Spans[i].ID] = true
	}
	parts := map[string]*Part{}
	var end time.Time
	for i := range t.Spans {
		sp := &t.Spans[i]
		if s.Start.IsZero() || sp.Start.Before(s.Start) {
			s.Start = sp.Start
		}
		if e := sp.Start.Add(sp.Took); e.After(end) {
			end = e
		}
		if s.Root == nil && !known[sp.Parent] {
			s.Root = sp
		}
		p := parts[sp.Service]
		if p == nil {
			p = &Part{Service: sp.Service}
			parts[sp.Service] = p
		}
		p.Spans++
		if sp.Error {
			p.Errors++
			s.Errors++
		}
	}
	if len(t.Spans) > 0 {
		s.Took = end.Sub(s.Start)
		if s.Root == nil { // they are each other's parents
			s.Root = &t.Spans[0]
		}
	}
	for _, p := range parts {
		s.Services = append(s.Services, *p)
	}
	slices.SortFunc(s.Services, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Spans, a.Spans), strings.Compare(a.Service, b.Service))
	})
	return s
}

// sortSpans puts the spans of a trace in the order of their starts, and each span
// behind its parent where they started together. One that came twice stays once.
func sortSpans(spans []Span) []Span {
	type key struct {
		id     SpanID
		server bool
	}
	at := make(map[key]int, len(spans))
	out := spans[:0]
	for _, s := range spans {
		k := key{s.ID, s.Kind == Server}
		if i, twice := at[k]; twice && out[i].Service == s.Service {
			if s.size() > out[i].size() { // in pieces: what knows more counts
				out[i] = s
			}
			continue
		}
		at[k] = len(out)
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b Span) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		switch {
		case a.ID == b.ID: // the server's half is inside the client's
			return cmp.Compare(half(a), half(b))
		case b.Parent == a.ID:
			return -1
		case a.Parent == b.ID:
			return 1
		}
		return cmp.Or(cmp.Compare(b.Took, a.Took), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return out
}

func half(s Span) int {
	if s.Kind.asks() {
		return 0
	}
	return 1
}

// clip shortens a text to at most n bytes, without half a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
