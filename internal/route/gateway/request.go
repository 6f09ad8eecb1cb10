package gateway

import (
	"naru/internal/route/h1"
)

// head makes the head an instance is sent: the client's fields where they are,
// without those that concern its connection only or that it has no business to
// send, and with what the gateway has to say.
func (x *exchange) head() []byte {
	r, b := x.req, x.out[:0]
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Path...)
	b = append(b, r.Query...)
	b = append(b, " HTTP/1.1\r\n"...)
	from := 0
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Kind != h1.Other && !x.passes(f.Kind) || r.Named(f) {
			if from < i {
				b = append(b, r.Lines(from, i)...)
			}
			from = i + 1
		}
	}
	if from < len(r.Fields) {
		b = append(b, r.Lines(from, len(r.Fields))...)
	}
	b = x.forwarded(b)
	if len(x.id) == len(x.ids) && &x.id[0] == &x.ids[0] {
		b = line(b, "X-Request-Id: ", x.id)
	}
	if !x.trace.Kept() {
		b = line(b, "Traceparent: ", x.trace.Line())
	}
	if x.trace.Recorded() {
		b = x.trace.AppendB3(b, r)
	}
	b = x.connection(b)
	if p := x.entry.policy; p != nil && p.request != nil {
		b = p.request.apply(b, x)
	}
	x.out = append(b, '\r', '\n')
	return x.out
}

// passes reports whether a field the gateway knows goes on as it is.
func (x *exchange) passes(k h1.Kind) bool {
	switch k {
	case h1.Expect:
		return x.req.Expect
	case h1.RequestID:
		return len(x.id) == 0 || &x.id[0] != &x.ids[0]
	case h1.Traceparent:
		return x.trace.Kept()
	case h1.Tracestate:
		return x.trace.Continued()
	case h1.B3, h1.B3Trace, h1.B3Span, h1.B3Parent, h1.B3Sampled, h1.B3Flags:
		return !x.trace.Recorded()
	case h1.ForwardedFor:
		return false // merged
	case h1.ForwardedHost, h1.ForwardedProto, h1.ForwardedOther:
		return x.origin.trusted
	}
	return !k.Hop() && !k.From()
}

// forwarded says on whose behalf the request is made.
func (x *exchange) forwarded(b []byte) []byte {
	r := x.req
	b = append(b, "X-Forwarded-For: "...)
	if x.origin.trusted && r.Count(h1.ForwardedFor) > 0 {
		for i := range r.Fields {
			if f := &r.Fields[i]; f.Kind == h1.ForwardedFor && len(r.Value(f)) > 0 {
				b = append(append(b, r.Value(f)...), ", "...)
			}
		}
	}
	b = append(append(b, x.origin.ip...), "\r\n"...)
	if !x.origin.trusted || r.Count(h1.ForwardedProto) == 0 {
		if x.origin.secure {
			b = append(b, "X-Forwarded-Proto: https\r\n"...)
		} else {
			b = append(b, "X-Forwarded-Proto: http\r\n"...)
		}
	}
	if !x.origin.trusted || r.Count(h1.ForwardedHost) == 0 {
		b = line(b, "X-Forwarded-Host: ", r.Host())
	}
	return b
}

// connection says what concerns our connection to the instance.
func (x *exchange) connection(b []byte) []byte {
	r := x.req
	if r.Trailers() {
		b = append(b, "TE: trailers\r\n"...)
	}
	if r.Body.Kind == h1.Chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if r.Count(h1.Trailer) > 0 {
			b = line(b, "Trailer: ", r.Get(h1.Trailer))
		}
	}
	if x.switches() {
		b = append(b, "Connection: Upgrade\r\n"...)
		b = line(b, "Upgrade: ", r.Get(h1.Upgrade))
	}
	return b
}

// switches reports whether another protocol may be asked for. h2c would open a
// way past every rule that is checked per request.
func (x *exchange) switches() bool {
	return x.req.Switch && !h1.ListHas(x.req.Get(h1.Upgrade), []byte("h2c"))
}

func line(b []byte, name string, value []byte) []byte {
	b = append(b, name...)
	b = append(b, value...)
	return append(b, '\r', '\n')
}
