package gateway

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"naru/internal/route/h1"
)

// h2stream serves one request of HTTP/2, whose frames net/http reads and writes.
// From its head on it is like every other one: it is written down as HTTP/1 and
// goes the same way.
type h2stream struct {
	w  http.ResponseWriter
	r  *http.Request
	rc *http.ResponseController
	x  *exchange

	watch watch
}

var _ client = (*h2stream)(nil)

// ServeHTTP answers a request of HTTP/2.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.conns.active.RLock()
	defer g.conns.active.RUnlock()
	on, _ := r.Context().Value(calmKey{}).(*calm)
	if !on.comes(w) {
		return
	}
	x := g.exchange()
	defer g.exchanges.Put(x)
	s := &h2stream{w: w, r: r, rc: http.NewResponseController(w), x: x}
	s.watch.owner = s
	g.watcher.add(&s.watch)
	defer g.watcher.remove(&s.watch)
	on.earn(asks)
	x.client, x.watch, x.origin = s, &s.watch, &on.origin
	x.bare, x.proto = true, r.Proto
	head, refusal := s.request()
	if refusal == nil {
		refusal = x.request.Parse(head)
	}
	if refusal != nil {
		x.reset(time.Now(), nil)
		x.refuse(refusal)
		return
	}
	x.reset(time.Now(), &x.request)
	x.upload.start(&x.request, true, nil)
	if !x.serve() {
		panic(http.ErrAbortHandler)
	}
}

// badHead refuses what cannot be written down as HTTP/1.
var badHead = &h1.Refusal{Status: http.StatusBadRequest, Reason: "a header field cannot be passed on"}

var badAuthority = &h1.Refusal{Status: http.StatusBadRequest, Reason: ":authority and the host field name different hosts"}

var badLength = &h1.Refusal{Status: http.StatusBadRequest, Reason: "Content-Length is not the length of the body"}

// request writes the head down.
func (s *h2stream) request() ([]byte, *h1.Refusal) {
	r := s.r
	if r.Method == http.MethodConnect { // its target is a host
		return []byte("CONNECT / HTTP/1.1\r\n\r\n"), nil
	}
	for _, v := range r.Header["Host"] { // as where a URL in full and a Host field differ
		if !strings.EqualFold(v, r.Host) {
			return nil, badAuthority
		}
	}
	b := append(s.x.text[:0], r.Method...)
	b = append(b, ' ')
	b = append(append(b, r.RequestURI...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, r.Host...), "\r\n"...)
	for name, values := range r.Header {
		switch name { // as net/http writes them
		case "Content-Length", "Transfer-Encoding", "Connection", "Host", "Trailer", "Upgrade":
			continue // it has read them, or they are none of HTTP/2's
		}
		for _, v := range values {
			if strings.ContainsAny(v, "\r\n") {
				return nil, badHead
			}
			b = append(lowered(b, name), ": "...)
			b = append(append(b, v...), "\r\n"...)
		}
	}
	if said := r.Header["Content-Length"]; r.ContentLength >= 0 && len(said) > 0 {
		if len(said) > 1 || said[0] != strconv.FormatInt(r.ContentLength, 10) {
			return nil, badLength
		}
		b = append(strconv.AppendInt(append(b, "content-length: "...), r.ContentLength, 10), "\r\n"...)
	} else if r.ContentLength < 0 {
		b = append(b, "transfer-encoding: chunked\r\n"...)
		if len(r.Trailer) > 0 {
			names := make([]string, 0, len(r.Trailer))
			for name := range r.Trailer {
				names = append(names, name)
			}
			b = append(append(append(b, "trailer: "...), strings.Join(names, ", ")...), "\r\n"...)
		}
	}
	b = append(b, "\r\n"...)
	if s.x.text = b; len(b) > s.x.g.cfg.HeaderBytes {
		return nil, h1.TooLarge
	}
	return b, nil
}

// lowered appends a name in lower case.
func lowered(b []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// header sets the fields that are meant for the client.
func (s *h2stream) header(a *h1.Response, noLength bool, e *edits) http.Header {
	h := s.w.Header()
	for i := range a.Fields {
		f := &a.Fields[i]
		if f.Kind.Hop() || noLength && f.Kind == h1.ContentLength || a.Named(f) || e.drops(a.Name(f)) {
			continue
		}
		name := textproto.CanonicalMIMEHeaderKey(string(a.Name(f)))
		h[name] = append(h[name], string(a.Value(f)))
	}
	return h
}

func (s *h2stream) interim(x *exchange) error {
	h := s.header(&x.answer, true, x.edits())
	s.w.WriteHeader(x.answer.Status)
	clear(h)
	return nil
}

func (s *h2stream) proceed(*exchange) error { return nil } // net/http asks when the body is read

func (s *h2stream) respond(x *exchange, buf []byte, from, to int, last bool) error {
	a := &x.answer
	e := x.edits()
	h := s.header(a, a.Status == 204, e)
	if a.Count(h1.RequestID) == 0 {
		h["X-Request-Id"] = []string{string(x.id)}
	}
	if a.Count(h1.ContentType) == 0 {
		h["Content-Type"] = nil // else net/http guesses one
	}
	if a.Body.Kind == h1.Chunked && a.Count(h1.Trailer) > 0 {
		h["Trailer"] = []string{string(a.Get(h1.Trailer))}
	}
	e.header(h, x)
	x.stayHeader(h)
	s.w.WriteHeader(a.Status)
	return s.send(buf[from:to], last)
}

func (s *h2stream) more(_ *exchange, b []byte, last bool) error { return s.send(b, last) }

// send writes a part of the body, at once unless it is the last one: the end of
// the stream goes with that.
func (s *h2stream) send(b []byte, last bool) error {
	if len(b) > 0 {
		if _, err := s.w.Write(b); err != nil {
			return err
		}
	}
	if last {
		return nil
	}
	return s.rc.Flush()
}

func (s *h2stream) trailers(_ *exchange, f *h1.Fields) {
	for i := range f.Fields {
		if h1.MayTrail(f.Name(&f.Fields[i])) {
			name := http.TrailerPrefix + textproto.CanonicalMIMEHeaderKey(string(f.Name(&f.Fields[i])))
			s.w.Header()[name] = append(s.w.Header()[name], string(f.Value(&f.Fields[i])))
		}
	}
}

func (s *h2stream) page(x *exchange, p *page) error {
	kind, body := p.body(x)
	h := s.w.Header()
	clear(h)
	h["Content-Type"] = []string{kind}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["X-Request-Id"] = []string{string(x.id)}
	if p.retry > 0 {
		h["Retry-After"] = []string{strconv.Itoa(p.retry)}
	}
	for _, f := range p.fields {
		h[textproto.CanonicalMIMEHeaderKey(f.name)] = append(h[textproto.CanonicalMIMEHeaderKey(f.name)], f.value)
	}
	if says := x.hsts(); says != "" {
		h[hstsName] = []string{says}
	}
	s.w.WriteHeader(p.status)
	if s.r.Method == http.MethodHead {
		return nil
	}
	x.sent = int64(len(body))
	_, err := io.WriteString(s.w, body)
	return err
}

// local is where the client reached us.
func (s *h2stream) local() net.Addr {
	addr, _ := s.r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return addr
}

func (s *h2stream) receive(p []byte) (int, error) { return s.r.Body.Read(p) }

// tail writes the trailers down that may be passed on.
func (s *h2stream) tail() []byte {
	var b bytes.Buffer
	for name, values := range s.r.Trailer {
		for _, v := range values {
			if h1.MayTrail([]byte(name)) && httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(v) {
				b.WriteString(name + ": " + v + "\r\n")
			}
		}
	}
	return b.Bytes()
}

// join never happens: HTTP/2 has no Upgrade.
func (s *h2stream) join(*exchange, *upstream, []byte) error { return errLeft }

func (s *h2stream) interrupt(at stage) {
	_ = s.rc.SetReadDeadline(past)
	if at != onClient {
		_ = s.rc.SetWriteDeadline(past)
	}
}

func (s *h2stream) left() (half, gone bool) { return false, s.r.Context().Err() != nil }

func (s *h2stream) silent() bool { return true } // net/http waits for its requests
