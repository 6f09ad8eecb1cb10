package h1

import "bytes"

// Request is the head of a request. Its slices are part of the block it was
// parsed from and live as long as that.
type Request struct {
	head
	Method  []byte
	Target  []byte // as it was sent
	Path    []byte // of the target, with its %xx; "/" at least, or "*"
	Query   []byte // of the target, from its ? on; may be empty
	Minor   byte   // of HTTP/1.x
	Body    Framing
	Expect  bool // wants 100 Continue before its body
	Switch  bool // asks for another protocol, and has no body
	percent bool // Path holds %xx
}

// Parse reads a head that ends with its empty line. A refused one leaves the
// request unusable.
func (r *Request) Parse(block []byte) *Refusal {
	r.Block = block
	end := bytes.IndexByte(block, '\n')
	if end < 1 || block[end-1] != '\r' {
		return badLine
	}
	authority, why := r.line(block[:end-1])
	if why != nil {
		return why
	}
	if why := r.fields(end + 1); why != nil {
		return why
	}
	return r.check(authority)
}

// Close reports whether the client wants the connection to end.
func (r *Request) Close() bool { return r.close || r.Minor == 0 && !r.keep }

// Host is where the request goes: the Host field.
func (r *Request) Host() []byte { return r.Get(Host) }

// Trailers reports whether the client takes trailers.
func (r *Request) Trailers() bool { return r.count[TE] > 0 && ListHas(r.Get(TE), []byte("trailers")) }

// line reads "METHOD TARGET HTTP/1.x" with single spaces. It returns the host of
// an absolute target, nil for others.
func (r *Request) line(line []byte) (authority []byte, why *Refusal) {
	sp := 0
	for sp < len(line) && isToken[line[sp]] {
		sp++
	}
	if sp == 0 || sp == len(line) || line[sp] != ' ' {
		return nil, badMethod
	}
	r.Method, line = line[:sp], line[sp+1:]
	sp = bytes.IndexByte(line, ' ')
	if sp < 1 {
		return nil, badRequestLine
	}
	target, version := line[:sp], line[sp+1:]
	switch string(version) {
	case "HTTP/1.1", "HTTP/1.0":
	default:
		if bytes.HasPrefix(version, []byte("HTTP/")) && bytes.IndexByte(version, ' ') < 0 && clean(version) {
			return nil, unknownVersion
		}
		return nil, badRequestLine
	}
	r.Minor = version[7] - '0'
	if string(r.Method) == "CONNECT" {
		return nil, noConnect
	}
	return r.target(target)
}

func (r *Request) target(target []byte) (authority []byte, why *Refusal) {
	r.Target, r.Query, r.percent = target, nil, false
	for _, c := range target {
		if c < '!' || c == 0x7f || c == '#' {
			return nil, badTarget
		}
	}
	path := target
	switch {
	case target[0] == '/':
	case len(target) == 1 && target[0] == '*' && string(r.Method) == "OPTIONS":
	default:
		rest, ok := bytes.CutPrefix(target, []byte("http://"))
		if !ok {
			if rest, ok = bytes.CutPrefix(target, []byte("https://")); !ok {
				return nil, badForm
			}
		}
		i := bytes.IndexAny(rest, "/?")
		if i < 0 {
			i = len(rest)
		}
		authority, path = rest[:i], rest[i:]
		if !hostOK(authority) {
			return nil, badForm
		}
	}
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path, r.Query = path[:i], path[i:]
	}
	if len(path) == 0 {
		path = slash
	}
	r.Path = path
	for i := bytes.IndexByte(path, '%'); i >= 0 && i < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		if r.percent = true; i+2 >= len(path) || !hex(path[i+1]) || !hex(path[i+2]) {
			return nil, badPercent
		}
	}
	return authority, nil
}

var slash = []byte("/")

// Decoded returns the path without %xx; it is put into buf where that changes it.
func (r *Request) Decoded(buf []byte) []byte {
	if !r.percent {
		return r.Path
	}
	buf = buf[:0]
	for i := 0; i < len(r.Path); i++ {
		c := r.Path[i]
		if c == '%' {
			c = value(r.Path[i+1])<<4 | value(r.Path[i+2])
			i += 2
		}
		buf = append(buf, c)
	}
	return buf
}

// check decides where the body ends, or that nobody can tell.
func (r *Request) check(authority []byte) *Refusal {
	hosts, lengths, codings := r.count[Host], r.count[ContentLength], r.count[TransferEncoding]
	switch {
	case hosts > 1:
		return badHosts
	case hosts == 0: // HTTP/1.0 may leave it out, but then there is no app to find
		return badNoHost
	case !hostOK(r.Get(Host)):
		return badHost
	case authority != nil && !EqualFold(authority, r.Get(Host)):
		return badAuthority
	}
	var why *Refusal
	if r.Body, why = r.framing(r.Minor == 0); why != nil {
		return why
	}
	if lengths+codings == 0 {
		r.Body = Framing{}
	}
	r.Expect = false
	if r.count[Expect] > 0 && r.Minor == 1 {
		if r.count[Expect] > 1 || !is(r.Get(Expect), "100-continue") {
			return noExpectation
		}
		r.Expect = r.Body.Kind != None
	}
	r.Switch = r.upgrade && r.count[Upgrade] == 1 && len(r.Get(Upgrade)) > 0 && r.Minor == 1 && r.Body.Kind == None
	return nil
}

// framing reads the two fields that say where a body ends; None where neither is
// there or the length is zero.
func (h *head) framing(old bool) (Framing, *Refusal) {
	lengths, codings := h.count[ContentLength], h.count[TransferEncoding]
	switch {
	case lengths > 1:
		return Framing{}, badLengths
	case codings > 1:
		return Framing{}, badCodings
	case codings == 1 && lengths == 1:
		return Framing{}, badBoth
	case codings == 1 && old:
		return Framing{}, badOldCoding
	case codings == 1 && !is(h.Get(TransferEncoding), "chunked"):
		return Framing{}, unknownCoding
	case codings == 1:
		return Framing{Kind: Chunked}, nil
	case lengths == 1:
		n, ok := decimal(h.Get(ContentLength))
		if !ok {
			return Framing{}, badLength
		}
		if n > 0 {
			return Framing{Kind: Sized, Length: n}, nil
		}
	}
	return Framing{}, nil
}

// hostOK accepts names, IPv4 and bracketed IPv6 addresses, each with a port or
// without.
func hostOK(host []byte) bool {
	if len(host) == 0 || len(host) > 261 { // 253 + ":65535", rounded up
		return false
	}
	name, port := host, []byte(nil)
	if host[0] == '[' {
		i := bytes.IndexByte(host, ']')
		if i < 3 {
			return false
		}
		for _, c := range host[1:i] {
			if !hex(c) && c != ':' && c != '.' {
				return false
			}
		}
		name, port = nil, host[i+1:]
		if len(port) > 0 && port[0] != ':' {
			return false
		}
		port = bytes.TrimPrefix(port, []byte{':'})
	} else if i := bytes.IndexByte(host, ':'); i >= 0 {
		if name, port = host[:i], host[i+1:]; len(name) == 0 {
			return false
		}
	}
	for _, c := range name {
		if !alnum(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(port) <= 5
}
