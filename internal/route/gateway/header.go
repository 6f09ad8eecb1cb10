package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// hopByHop fields concern one connection and are never passed on.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Http2-Settings": true,
}

// forwardedBy fields say who came before us; only trusted peers may.
var forwardedBy = map[string]bool{
	"Forwarded": true, "X-Forwarded-For": true, "X-Forwarded-Host": true, "X-Forwarded-Proto": true,
	"X-Forwarded-Port": true, "X-Forwarded-Prefix": true, "X-Real-Ip": true,
}

// passOn copies the fields that are meant for the other end.
func passOn(dst, src http.Header) {
	listed := src["Connection"]
	for name, values := range src {
		if hopByHop[name] || len(listed) > 0 && httpguts.HeaderValuesContainsToken(listed, name) {
			continue
		}
		dst[name] = values
	}
}

// outgoing makes the request for an instance. Its header shares values with the
// client's; neither is changed afterwards.
func (f *forwarder) outgoing(r *http.Request, x *Exchange) *http.Request {
	h := make(http.Header, len(r.Header)+6)
	passOn(h, r.Header)
	f.forwarded(h, r)
	h["X-Request-Id"] = []string{x.record.RequestID}
	if httpguts.HeaderValuesContainsToken(r.Header["Te"], "trailers") {
		h["Te"] = []string{"trailers"}
	}
	if protocol := upgradeOf(r.Header); protocol != "" && r.ProtoMajor == 1 && x.body == nil && !strings.EqualFold(protocol, "h2c") {
		// h2c would open a way past every rule that is checked per request.
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // else the transport adds its own
	}
	out := &http.Request{
		Method: r.Method, URL: target(r), Host: r.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Trailer: r.Trailer, // the same map: its values arrive after the body
	}
	if x.body != nil {
		out.Body, out.ContentLength = x.body, r.ContentLength
		// Where the app answers without asking for the body, the transport would send
		// it all the same to keep the connection.
		out.Close = len(r.Header["Expect"]) > 0
	}
	return out
}

// target keeps the request's target byte for byte where net/url allows it.
func target(r *http.Request) *url.URL {
	u := &url.URL{Scheme: "http", Host: "instance", RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	if strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//") {
		u.Opaque = raw
	} else {
		u.Path, u.RawPath = r.URL.Path, r.URL.RawPath
	}
	return u
}

// forwarded says on whose behalf the request is made.
func (f *forwarder) forwarded(h http.Header, r *http.Request) {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		peer = r.RemoteAddr
	}
	trusted := f.trusts(peer)
	for name := range h {
		plain := name
		if strings.IndexByte(name, '_') >= 0 { // many frameworks read _ and - alike
			plain = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
		}
		if forwardedBy[plain] && (!trusted || plain != name) {
			delete(h, name)
		}
	}
	before := strings.Join(h["X-Forwarded-For"], ", ")
	if before != "" {
		before += ", "
	}
	h["X-Forwarded-For"] = []string{before + peer}
	if len(h["X-Forwarded-Proto"]) == 0 {
		h["X-Forwarded-Proto"] = []string{scheme(r)}
	}
	if len(h["X-Forwarded-Host"]) == 0 {
		h["X-Forwarded-Host"] = []string{r.Host}
	}
}

func (f *forwarder) trusts(peer string) bool {
	if len(f.cfg.Trusted) == 0 {
		return false
	}
	addr, err := netip.ParseAddr(peer)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	for _, p := range f.cfg.Trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// upgradeOf returns the protocol a header asks to switch to, "" if none.
func upgradeOf(h http.Header) string {
	if len(h["Upgrade"]) == 0 || !httpguts.HeaderValuesContainsToken(h["Connection"], "Upgrade") {
		return ""
	}
	return h["Upgrade"][0]
}
