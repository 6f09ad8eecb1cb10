package gateway

import (
	"bytes"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"naru/internal/route"
)

// edits are rules for header fields made ready: first some are left out, then
// others are put in. They are applied to a head when it is whole, so that they
// reach what the gateway says itself, too.
type edits struct {
	out  [][]string // names of fields that are left out, by their length; lower case, with - for _
	puts []put
}

// edit makes the rules of a policy ready. A password that the gateway asked for
// is no business of the app.
func (p *policy) edit(spec *route.Policy) {
	p.request = newEdits(spec.Request)
	if spec.Auth != nil {
		p.request = p.request.and(func(e *edits) { e.drop("Authorization") })
	}
	p.answer = newEdits(spec.Response)
	p.secured = p.answer
	if p.hsts != "" && !p.answer.touches(hstsName) {
		p.secured = p.answer.and(func(e *edits) { e.set(hstsName, p.hsts) })
	}
}

// edits of the answer to the visitor; nil for none.
func (x *exchange) edits() *edits {
	p := x.entry.policy
	switch {
	case p == nil:
		return nil
	case p.secured != p.answer && x.secure():
		return p.secured
	}
	return p.answer
}

// put is a field that is put in.
type put struct {
	name      string
	canonical string
	value     template
}

// newEdits reads rules; nil where there are none.
func newEdits(r *route.Rules) *edits {
	e := &edits{}
	if r != nil {
		for _, name := range r.Remove {
			e.drop(name)
		}
		for _, name := range slices.Sorted(maps.Keys(r.Set)) {
			e.set(name, r.Set[name])
		}
		for _, name := range slices.Sorted(maps.Keys(r.Add)) {
			for _, value := range r.Add[name] {
				e.add(name, value)
			}
		}
	}
	return e.some()
}

// some is nil for edits that change nothing.
func (e *edits) some() *edits {
	if e == nil || len(e.out)+len(e.puts) == 0 {
		return nil
	}
	return e
}

// and returns edits with the ones made by more behind them.
func (e *edits) and(more func(*edits)) *edits {
	both := &edits{}
	if e != nil {
		both.puts = slices.Clone(e.puts)
		for _, names := range e.out {
			both.out = append(both.out, slices.Clone(names))
		}
	}
	more(both)
	return both
}

func (e *edits) drop(name string) {
	for len(e.out) <= len(name) {
		e.out = append(e.out, nil)
	}
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if !slices.Contains(e.out[len(name)], name) {
		e.out[len(name)] = append(e.out[len(name)], name)
	}
}

func (e *edits) set(name, value string) {
	e.drop(name)
	e.add(name, value)
}

func (e *edits) add(name, value string) {
	e.puts = append(e.puts, put{name, textproto.CanonicalMIMEHeaderKey(name), newTemplate(value)})
}

// touches reports whether a field is left out or put in.
func (e *edits) touches(name string) bool {
	return e != nil && (e.drops([]byte(name)) || slices.ContainsFunc(e.puts, func(p put) bool { return strings.EqualFold(p.name, name) }))
}

// drops reports whether a field is left out. Frameworks that hand fields on as
// variables read _ and - alike, so a name that differs from a rule's in that
// alone is meant, too. It takes nil.
func (e *edits) drops(name []byte) bool {
	if e == nil || len(name) >= len(e.out) {
		return false
	}
	for _, out := range e.out[len(name)] {
		if sameName(name, out) {
			return true
		}
	}
	return false
}

func sameName(name []byte, out string) bool {
	for i, c := range name {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c == '_':
			c = '-'
		}
		if c != out[i] {
			return false
		}
	}
	return true
}

// apply changes a head of HTTP/1, from its first line on and without the empty
// line at its end, in its memory.
func (e *edits) apply(b []byte, x *exchange) []byte {
	b = e.strip(b)
	for i := range e.puts {
		p := &e.puts[i]
		b = append(append(b, p.name...), ": "...)
		b = append(p.value.appendTo(b, x), "\r\n"...)
	}
	return b
}

// strip leaves fields out of a head. It takes nil.
func (e *edits) strip(b []byte) []byte {
	if e == nil || len(e.out) == 0 {
		return b
	}
	to := bytes.IndexByte(b, '\n') + 1
	for at := to; at < len(b); {
		line := b[at : at+bytes.IndexByte(b[at:], '\n')+1]
		if len(line) == 0 { // no line of a head
			break
		}
		at += len(line)
		if !e.drops(line[:max(0, bytes.IndexByte(line, ':'))]) {
			to += copy(b[to:], line)
		}
	}
	return b[:to]
}

// header changes the fields of an answer for net/http, which are without those
// that are left out, but for what it says itself.
func (e *edits) header(h http.Header, x *exchange) {
	if e == nil {
		return
	}
	for _, names := range e.out {
		for _, name := range names {
			h[textproto.CanonicalMIMEHeaderKey(name)] = nil
		}
	}
	for i := range e.puts {
		p := &e.puts[i]
		h[p.canonical] = append(h[p.canonical], string(p.value.appendTo(nil, x)))
	}
}
