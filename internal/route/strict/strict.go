// Package strict reads HTTP/1.1 requests off a connection before anything else
// does, and refuses those that two readers could understand differently: it is
// what keeps a request from being smuggled inside another one.
package strict

import (
	"bytes"
	"net/http"
	"strings"
)

// Refusal says why a request was not let in.
type Refusal struct {
	Status int    // 400, 405, 431, 501 or 505
	Reason string // one clause, for people
}

// Framing says how a request's body ends.
type Framing struct {
	Length  int64 // bytes, where not chunked
	Chunked bool
	Upgrade bool // it asks for another protocol and has no body
}

func bad(reason string) *Refusal { return &Refusal{http.StatusBadRequest, reason} }

// Check reads a request's header block, from the request line to the empty line
// at its end.
func Check(block []byte) (Framing, *Refusal) {
	line, rest, ok := cutLine(block)
	if !ok {
		return Framing{}, bad("a line does not end with CR LF")
	}
	target, minor, refusal := requestLine(line)
	if refusal != nil {
		return Framing{}, refusal
	}
	var f fields
	for {
		line, rest, ok = cutLine(rest)
		if !ok {
			return Framing{}, bad("a line does not end with CR LF")
		}
		if len(line) == 0 {
			break
		}
		if refusal := f.add(line); refusal != nil {
			return Framing{}, refusal
		}
	}
	return f.framing(target, minor)
}

// cutLine splits off a line; a carriage return or a line feed anywhere but at
// its end is refused.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' || bytes.IndexByte(b[:i-1], '\r') >= 0 {
		return nil, nil, false
	}
	return b[:i-1], b[i+1:], true
}

// requestLine reads "METHOD TARGET HTTP/1.x" with single spaces.
func requestLine(line []byte) (target string, minor byte, refusal *Refusal) {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok || !token(method) {
		return "", 0, bad("the request line does not start with a method")
	}
	uri, version, ok := bytes.Cut(rest, []byte{' '})
	if !ok || len(uri) == 0 {
		return "", 0, bad("the request line is not METHOD TARGET VERSION")
	}
	for _, c := range uri {
		if c <= ' ' || c == 0x7f {
			return "", 0, bad("the request target holds a control character")
		}
	}
	if string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0" {
		if bytes.HasPrefix(version, []byte("HTTP/")) && !bytes.ContainsAny(version, " \t") {
			return "", 0, &Refusal{http.StatusHTTPVersionNotSupported, "only HTTP/1.0, HTTP/1.1 and (over TLS) HTTP/2 are spoken here"}
		}
		return "", 0, bad("the request line is not METHOD TARGET VERSION")
	}
	target = string(uri)
	switch {
	case string(method) == http.MethodConnect:
		return "", 0, &Refusal{http.StatusMethodNotAllowed, "CONNECT is not for a gateway to apps"}
	case target[0] == '/', strings.HasPrefix(target, "http://"), strings.HasPrefix(target, "https://"):
	case target == "*" && string(method) == http.MethodOptions:
	default:
		return "", 0, bad("the request target is neither a path nor a URL")
	}
	return target, version[7], nil
}

// fields are the header fields that decide where a request goes and ends.
type fields struct {
	host, length, encoding []byte
	hosts, lengths, codes  int
	upgrade, connUpgrade   bool
}

func (f *fields) add(line []byte) *Refusal {
	if line[0] == ' ' || line[0] == '\t' {
		return bad("a header field continues on the next line")
	}
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || !token(name) {
		return bad("a header field has no valid name")
	}
	value = bytes.Trim(value, " \t")
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return bad("a header field holds a control character")
		}
	}
	switch {
	case is(name, "host"):
		f.host, f.hosts = value, f.hosts+1
	case is(name, "content-length"):
		f.length, f.lengths = value, f.lengths+1
	case is(name, "transfer-encoding"):
		f.encoding, f.codes = value, f.codes+1
	case is(name, "upgrade"):
		f.upgrade = len(value) > 0
	case is(name, "connection"):
		for part := range bytes.SplitSeq(value, []byte{','}) {
			f.connUpgrade = f.connUpgrade || is(bytes.Trim(part, " \t"), "upgrade")
		}
	case is(name, "content_length"), is(name, "transfer_encoding"):
		return bad("a header field imitates one that says where the body ends")
	}
	return nil
}

// framing decides where the body ends, or that nobody can tell.
func (f *fields) framing(target string, minor byte) (Framing, *Refusal) {
	switch {
	case f.hosts > 1:
		return Framing{}, bad("there is more than one Host field")
	case f.hosts == 0 && minor == '1':
		return Framing{}, bad("there is no Host field")
	case f.hosts == 1 && !hostOK(f.host):
		return Framing{}, bad("the Host field is not a host")
	case f.lengths > 1:
		return Framing{}, bad("there is more than one Content-Length field")
	case f.codes > 1:
		return Framing{}, bad("there is more than one Transfer-Encoding field")
	case f.codes == 1 && f.lengths == 1:
		return Framing{}, bad("there are both Content-Length and Transfer-Encoding")
	case f.codes == 1 && minor == '0':
		return Framing{}, bad("HTTP/1.0 has no Transfer-Encoding")
	case f.codes == 1 && !is(f.encoding, "chunked"):
		return Framing{}, &Refusal{http.StatusNotImplemented, "the only Transfer-Encoding is chunked"}
	}
	if authority, ok := authority(target); ok && f.hosts == 1 && !strings.EqualFold(authority, string(f.host)) {
		return Framing{}, bad("the URL and the Host field name different hosts")
	}
	out := Framing{Chunked: f.codes == 1}
	if f.lengths == 1 {
		n, ok := decimal(f.length)
		if !ok {
			return Framing{}, bad("Content-Length is not a number")
		}
		out.Length = n
	}
	out.Upgrade = f.upgrade && f.connUpgrade && minor == '1' && !out.Chunked && out.Length == 0
	return out, nil
}

// authority returns the host of an absolute target.
func authority(target string) (string, bool) {
	rest, ok := strings.CutPrefix(target, "http://")
	if !ok {
		if rest, ok = strings.CutPrefix(target, "https://"); !ok {
			return "", false
		}
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest, true
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
		if i < 0 {
			return false
		}
		for _, c := range host[1:i] {
			if !hex(c) && c != ':' && c != '.' {
				return false
			}
		}
		if name, port = nil, host[i+1:]; len(port) > 0 && port[0] != ':' {
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

func decimal(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 { // 18 digits fit 63 bits
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func token(b []byte) bool {
	for _, c := range b {
		if !alnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

func alnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// is compares a name with one in lower case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
