package h1

// Kind is a field name the gateway knows; 0 is every other one.
type Kind uint8

// The names that mean something on the way through.
const (
	Other Kind = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	KeepAlive
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	TE
	Trailer
	Upgrade
	HTTP2Settings
	Expect
	ForwardedFor   // X-Forwarded-For
	ForwardedHost  // X-Forwarded-Host
	ForwardedProto // X-Forwarded-Proto
	ForwardedOther // Forwarded, X-Forwarded-Port, X-Forwarded-Prefix, X-Real-IP
	ForwardedFake  // any of them written with _
	RequestID      // X-Request-Id
	Traceparent
	Tracestate
	B3        // b3
	B3Trace   // X-B3-TraceId
	B3Span    // X-B3-SpanId
	B3Parent  // X-B3-ParentSpanId
	B3Sampled // X-B3-Sampled
	B3Flags   // X-B3-Flags
	UserAgent
	Referer
	Accept
	ContentType
	Date
	imitation // content_length, transfer_encoding
	kinds
)

// framing fields are never a matter of what Connection says.
func (k Kind) framing() bool { return k == Host || k == ContentLength || k == TransferEncoding }

// Hop reports whether a field concerns one connection and is never passed on.
func (k Kind) Hop() bool { return k >= TransferEncoding && k <= HTTP2Settings }

// Zipkin reports whether a field is one of B3's.
func (k Kind) Zipkin() bool { return k >= B3 && k <= B3Flags }

// From reports whether a field says who came before us.
func (k Kind) From() bool { return k >= ForwardedFor && k <= ForwardedFake }

// known are the names by their length; a name is looked up among few.
var known = func() (out [20][]entry) {
	for name, k := range map[string]Kind{
		"host": Host, "content-length": ContentLength, "transfer-encoding": TransferEncoding, "connection": Connection,
		"keep-alive": KeepAlive, "proxy-connection": ProxyConnection, "proxy-authenticate": ProxyAuthenticate,
		"proxy-authorization": ProxyAuthorization, "te": TE, "trailer": Trailer, "upgrade": Upgrade,
		"http2-settings": HTTP2Settings, "expect": Expect,
		"x-forwarded-for": ForwardedFor, "x-forwarded-host": ForwardedHost, "x-forwarded-proto": ForwardedProto,
		"forwarded": ForwardedOther, "x-forwarded-port": ForwardedOther, "x-forwarded-prefix": ForwardedOther, "x-real-ip": ForwardedOther,
		"x-request-id": RequestID, "traceparent": Traceparent, "tracestate": Tracestate, "b3": B3,
		"x-b3-traceid": B3Trace, "x-b3-spanid": B3Span, "x-b3-parentspanid": B3Parent, "x-b3-sampled": B3Sampled, "x-b3-flags": B3Flags,
		"user-agent": UserAgent, "referer": Referer, "accept": Accept, "content-type": ContentType, "date": Date,
	} {
		out[len(name)] = append(out[len(name)], entry{name, k})
	}
	return out
}()

type entry struct {
	name string
	kind Kind
}

// kindOf looks a name up. Frameworks that hand fields on as variables read _
// and - alike, so names that differ in that alone are fakes.
func kindOf(name []byte) Kind {
	if len(name) >= len(known) {
		return Other
	}
	for _, e := range known[len(name)] {
		if lower[name[0]] == e.name[0] && is(name, e.name) {
			return e.kind
		}
	}
	for _, c := range name {
		if c == '_' {
			return fake(name)
		}
	}
	return Other
}

func fake(name []byte) Kind {
	var plain [20]byte
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		plain[i] = c
	}
	for _, e := range known[len(name)] {
		if !is(plain[:len(name)], e.name) {
			continue
		}
		switch {
		case e.kind.From():
			return ForwardedFake
		case e.kind == ContentLength, e.kind == TransferEncoding:
			return imitation
		}
	}
	return Other
}
