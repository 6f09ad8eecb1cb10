package gateway

import (
	"net/http"
	"time"

	"naru/internal/route"
)

// Exchange is one request on its way through the gateway, and what there is to
// say about it afterwards.
type Exchange struct {
	entry  *entry
	group  *group // the last one tried; nil before the first
	body   *body  // nil where the request has none
	start  time.Time
	record route.Access
}

// Record gives a forwarder access to what will be recorded.
func (x *Exchange) Record() *route.Access { return &x.record }

// chose notes where the request goes.
func (x *Exchange) chose(g *group, b *backend) {
	x.group = g
	x.record.App, x.record.Group = g.app, g.id
	x.record.Instance, x.record.Index, x.record.Upstream = b.instance.ID, b.instance.Index, b.instance.Address
	x.record.Attempts++
}

// answer is the client's side of an exchange: it notes what was answered.
type answer struct {
	http.ResponseWriter
	x        *Exchange
	closing  func() bool // connections end with this answer
	answered bool
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader sends the header. An answer that overtakes its request's body, or
// one of a gateway that is about to leave, is the last on its connection.
func (a *answer) WriteHeader(status int) {
	if status >= 200 && !a.answered {
		a.answered = true
		a.x.record.Status, a.x.record.Header = status, time.Since(a.x.start)
		if a.closing() || a.x.body != nil && !a.x.body.done.Load() {
			a.Header().Set("Connection", "close")
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if !a.answered {
		a.WriteHeader(http.StatusOK)
	}
	n, err := a.ResponseWriter.Write(p)
	a.x.record.Sent += int64(n)
	return n, err
}
