package gateway

import (
	"net/http"
	"strings"

	"naru/internal/route"
)

// redirect sends visitors somewhere else.
type redirect struct {
	status int
	to     template
	local  bool // to a path of the same host
}

func newRedirect(spec *route.Redirect) *redirect {
	r := &redirect{status: spec.Status, to: newTemplate(spec.To)}
	or(&r.status, http.StatusPermanentRedirect)
	r.local = strings.HasPrefix(spec.To, "/") || strings.HasPrefix(spec.To, "{path}")
	return r
}

func (r *redirect) pass(x *exchange) (*page, error) {
	return moved(r.status, string(r.location(nil, x))), nil
}

// location appends where a request is sent.
func (r *redirect) location(b []byte, x *exchange) []byte {
	from := len(b)
	for i := range r.to {
		p := &r.to[i]
		b = appendURL(b, p.text)
		switch p.stands {
		case pathSent:
			b = appendURL(b, x.pathSent())
		case querySent:
			b = x.appendQuery(b)
		default:
			b = appendURL(b, p.stands.appendTo(nil, x))
		}
	}
	if r.local {
		b = oneSlash(b, from)
	}
	return b
}

// appendQuery appends the request's query with the question mark that it needs:
// the template may have written one, or a query of its own.
func (x *exchange) appendQuery(b []byte) []byte {
	query := x.req.Query
	last := byte(0)
	if len(b) > 0 {
		last = b[len(b)-1]
	}
	asked := last == '?' || last == '&'
	switch {
	case len(query) <= 1 && asked: // a bare one has nothing to separate
		return b[:len(b)-1]
	case len(query) > 0 && asked:
		query = query[1:]
	}
	return appendURL(b, query)
}

// pathSent is the path as it was sent; OPTIONS * has none.
func (x *exchange) pathSent() []byte {
	if len(x.req.Path) > 0 && x.req.Path[0] == '*' {
		return []byte{'/'}
	}
	return x.req.Path
}

// appendURL appends a part of a URL. What must not stand in one is written as
// %xx, so that no part ends the field or the URL.
func appendURL[S ~string | ~[]byte](b []byte, part S) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(part) {
		c := part[i]
		if c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' || c == '`' || c == '{' || c == '|' || c == '}' {
			b = append(b, '%', hex[c>>4], hex[c&15])
			continue
		}
		b = append(b, c)
	}
	return b
}

// oneSlash leaves one slash of those at the beginning of a path, b from from on:
// what follows two is a host.
func oneSlash(b []byte, from int) []byte {
	to := from
	for to+1 < len(b) && b[to] == '/' && b[to+1] == '/' {
		to++
	}
	return append(b[:from], b[to:]...)
}

// moved is the page of a redirect.
func moved(status int, to string) *page {
	return &page{
		status: status, kind: "moved", title: "Moved", message: "This is at " + to + ".", fields: []field{{"Location", to}},
	}
}
