package gateway

import (
	"net/http"
	"time"

	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/route/strict"
)

// ServeHTTP answers one request: refuse, find, forward, record.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.conns.active.RLock()
	defer g.conns.active.RUnlock()
	x := &Exchange{start: time.Now()}
	x.record = route.Access{
		Time: x.start, Client: r.RemoteAddr, Method: r.Method, Host: r.Host, URI: r.RequestURI, Proto: r.Proto,
		Agent: r.UserAgent(), Referer: r.Referer(), RequestID: requestID(r),
	}
	out := &answer{ResponseWriter: w, x: x, closing: func() bool { return r.ProtoMajor == 1 && g.draining.Load() }}
	defer g.ended(x)
	if c := strict.Of(r.Context()); c != nil {
		defer c.Resume()
	}

	if why := strict.Refused(r); why != nil {
		x.record.Method, x.record.Host, x.record.URI = "-", "-", "-"
		refuse(out, r, x, why)
		return
	}
	if r.Host == "" { // HTTP/1.0 may leave it out
		refuse(out, r, x, &strict.Refusal{Status: http.StatusBadRequest, Reason: "there is no Host field"})
		return
	}
	v := g.tables.view()
	if v.waiting {
		g.unavailable(out, r, x, starting)
		return
	}
	e, ok := v.index.Find(route.CutPort(r.Host), r.URL.Path)
	if !ok {
		unknownHost(out, r, x)
		return
	}
	x.entry = e
	x.record.Route, x.record.App = e.spec.ID, e.spec.App
	g.forward.Forward(out, r, x)
}

// ended counts and records an exchange, however it went.
func (g *Gateway) ended(x *Exchange) {
	x.record.Took = time.Since(x.start)
	if x.body != nil {
		x.record.Received = x.body.read.Load()
	}
	c := g.reports.stray
	switch {
	case x.group != nil:
		c = x.group.count
	case x.entry != nil:
		c = x.entry.own
	}
	g.reports.ended(c, x.record)
}

// requestID keeps what a client or a proxy before us chose, if it is harmless,
// so that one id runs through all logs.
func requestID(r *http.Request) string {
	if values := r.Header["X-Request-Id"]; len(values) == 1 && harmless(values[0]) {
		return values[0]
	}
	return id.New()
}

func harmless(s string) bool {
	if len(s) == 0 || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=', c == '@':
		default:
			return false
		}
	}
	return true
}
