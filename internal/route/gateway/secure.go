package gateway

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"naru/internal/app"
	"naru/internal/route/h1"
)

// httpsOnly sends who came without TLS to https://.
type httpsOnly struct{}

// challenges is where authorities that make certificates ask, without TLS.
const challenges = "/.well-known/acme-challenge/"

func (*httpsOnly) pass(x *exchange) (*page, error) {
	if x.secure() || challenge(x.path) {
		return nil, nil
	}
	to := append([]byte("https://"), x.host...)
	if port := x.securePort(); port != 0 {
		to = strconv.AppendInt(append(to, ':'), int64(port), 10)
	}
	to = appendURL(to, x.pathSent())
	to = appendURL(to, x.req.Query)
	return moved(http.StatusPermanentRedirect, string(to)), nil
}

// challenge reports whether a path is that of an authority's question. What
// could lead elsewhere when an app reads it is none.
func challenge(path string) bool {
	token, ok := strings.CutPrefix(path, challenges)
	return ok && token != "" && !strings.ContainsFunc(token, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// secure reports whether the visitor speaks TLS, with us or with a proxy that is
// trusted. Of several it is the first that says so: the visitor's own.
func (x *exchange) secure() bool {
	if x.origin.secure || !x.origin.trusted || x.req == nil {
		return x.origin.secure
	}
	said, _, _ := strings.Cut(stringOf(x.req.Get(h1.ForwardedProto)), ",")
	return strings.EqualFold(strings.TrimSpace(said), "https")
}

// securePort is the port of https:// URLs for the visitor; 0 where they need
// none. One who named the port we were reached at finds TLS at our port, too. To
// another, something in between gives ports of its own: there, and where nobody
// here speaks TLS, it is the usual one.
func (x *exchange) securePort() int {
	port := x.g.tlsPort
	if port == 0 || port == 443 || x.origin.trusted || portSaid(x.req.Host()) != portOf(x.client.local()) {
		return 0
	}
	return port
}

// tlsPort is the port of the first listener that speaks TLS; 0: there is none.
func tlsPort(listeners []net.Listener) int {
	for _, ln := range listeners {
		if _, ok := ln.(*secured); ok {
			return portOf(ln.Addr())
		}
	}
	return 0
}

// portSaid is the port of a Host field.
func portSaid(host []byte) int {
	for i := len(host) - 1; i >= 0 && host[i] != ']'; i-- {
		if host[i] == ':' {
			n, _ := strconv.Atoi(string(host[i+1:]))
			return n
		}
	}
	return 80
}

func portOf(a net.Addr) int {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

// hstsName is the field that keeps browsers from asking without TLS.
const hstsName = "Strict-Transport-Security"

// newHSTS is what it says; "" for nothing.
func newHSTS(d app.Duration) string {
	if d <= 0 {
		return ""
	}
	return "max-age=" + strconv.FormatInt(int64(d.Std().Seconds()), 10)
}

// hsts is what an answer to the visitor says about TLS; "" for nothing.
func (x *exchange) hsts() string {
	if x.entry == nil || x.entry.policy == nil || x.entry.policy.hsts == "" || !x.secure() {
		return ""
	}
	return x.entry.policy.hsts
}
