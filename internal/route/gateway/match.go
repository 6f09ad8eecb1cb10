package gateway

import (
	"naru/internal/route"
	"naru/internal/route/h1"
)

// matched returns the group that a request belongs to whatever the weights say;
// nil where it is none's.
func (e *entry) matched(req *h1.Request) *group {
	if len(e.matches) == 0 || req == nil {
		return nil
	}
	for _, g := range e.matches {
		if fits(req, g.match) {
			return g
		}
	}
	return nil
}

// fits reports whether a request has a match's header or cookie.
func fits(req *h1.Request, m *route.Match) bool {
	for i := range req.Fields {
		name, value := req.Name(&req.Fields[i]), req.Value(&req.Fields[i])
		switch {
		case m.Header != "" && equalFold(name, m.Header) && (m.Value == "" || string(value) == m.Value):
			return true
		case m.Cookie != "" && equalFold(name, "Cookie") && hasCookie(value, m.Cookie, m.Value):
			return true
		}
	}
	return false
}
