package gateway

import (
	"net"
	"time"

	"naru/internal/route"
	"naru/internal/route/h1"
	"naru/internal/route/trace"
	"naru/internal/route/turnstile"
)

// client is who asked, over whichever protocol. All of it is called by the
// goroutine of the exchange, but for receive and interrupt.
type client interface {
	watched

	// interim passes an answer before the answer on; a client of HTTP/1.0 gets none.
	interim(x *exchange) error
	// proceed asks for the body of a request that waits for it.
	proceed(x *exchange) error
	// respond sends the head of x.answer and the first bytes of its body, buf[from:to];
	// what stands before them in buf may be overwritten. last: there are no more.
	respond(x *exchange, buf []byte, from, to int, last bool) error
	// more sends further bytes of the body.
	more(x *exchange, body []byte, last bool) error
	// trailers follow the body of a client that is not sent chunks.
	trailers(x *exchange, f *h1.Fields)
	// page answers for the gateway itself.
	page(x *exchange, p *page) error

	// local is the address the client reached; nil where nobody knows.
	local() net.Addr

	// receive reads more of the request's body as it comes; io.EOF ends one that
	// is not framed.
	receive(p []byte) (int, error)
	// tail returns the trailers of a request that is not framed, as lines.
	tail() []byte
	// streams counts the exchanges of the client's connection that are streams, by
	// one more or one less.
	streams(n int32)
	// join connects the client with an instance that switched protocols, until both
	// have ended; early came behind the answer.
	join(x *exchange, u *upstream, early []byte) error
}

// exchange is one request on its way through the gateway, and what there is to
// say about it afterwards. Exchanges are used again and again.
type exchange struct {
	g       *Gateway
	client  client
	watch   *watch
	request h1.Request
	req     *h1.Request // the request; nil where none could be read
	answer  h1.Response
	origin  *origin
	proto   string
	bare    bool // the client is sent bodies without chunks
	start   time.Time
	now     int64 // start, as now tells it
	host    string
	path    string // decoded; both alive as long as req
	upload  upload
	out     []byte       // the head for the instance
	low     []byte       // scratch for host and path
	text    []byte       // the head of a request of HTTP/2, written down
	said    route.Access // about it, once it has ended
	chain   []byte       // scratch for on whose behalf it came
	id      []byte
	ids     [36]byte
	trace   trace.Trace
	tried   tried
	waiter  waiter               // for a connection to an instance
	begun   bool                 // the answer's head was sent
	place   *turnstile.Turnstile // of its route, while it has a place
	replica *replica             // copy of it that is being made; nil: none
	twins   *twins               // of it, for a comparison; nil: none
	seated  *backend             // where its cookie says it belongs
	term    int64                // of the group's breaker, when it was let in
	key     [8]byte              // scratch for what a rate counts by

	entry  *entry
	group  *group   // the last one tried; nil before the first
	back   *backend // counted in
	stream bool     // counted in as a stream
	busy   *counter // counted in

	status   int
	sent     int64
	header   time.Duration
	attempts int
	switched bool
	problem  string
}

// origin is the client's address and what it says for others.
type origin struct {
	addr    string // IP:PORT
	ip      string
	trusted bool // its X-Forwarded-* are kept
	secure  bool
}

// exchange lends one.
func (g *Gateway) exchange() *exchange {
	x, _ := g.exchanges.Get().(*exchange)
	x.g = g
	return x
}

// reset makes an exchange ready for a request that was just read, or, with nil,
// for one that could not be.
func (x *exchange) reset(start time.Time, req *h1.Request) {
	x.start, x.now, x.req = start, at(start), req
	x.entry, x.group, x.back, x.busy = nil, nil, nil, nil
	x.status, x.sent, x.header, x.attempts, x.switched, x.stream, x.problem = 0, 0, 0, 0, false, false, ""
	x.tried, x.begun, x.seated, x.replica, x.twins = x.tried[:0], false, nil, nil, nil
	x.upload.none()
	x.identify()
	if req != nil {
		x.locate()
		x.trace.Of(req)
	}
}

// chose notes where the request goes.
func (x *exchange) chose(g *group, b *backend) {
	x.group, x.back = g, b
	if g.breaker != nil {
		x.term = g.breaker.Term()
	}
	x.attempts++
	if x.busy != g.count {
		x.idle()
		x.busy = g.count
		x.busy.active.Add(1)
	}
}

func (x *exchange) idle() {
	if x.busy != nil {
		x.busy.active.Add(-1)
		x.busy = nil
	}
}

// answered notes the status the client is sent.
func (x *exchange) answered(status int) {
	x.begun = true
	x.status, x.header = status, time.Since(x.start)
}

// ended counts and records the exchange, however it went. Every finished request
// passes here once.
func (x *exchange) ended() {
	took := time.Since(x.start)
	x.idle()
	x.relaxed()
	if x.place != nil {
		x.place.Leave()
		x.place = nil
	}
	c := x.g.reports.stray
	switch {
	case x.group != nil:
		c = x.group.count
	case x.entry != nil:
		c = x.entry.own
	}
	c.ended(x.status, took, x.sent, x.upload.received.Load())
	if tours := c.tours.Load(); tours != nil {
		x.toured(*tours, took)
	}
	x.judged(took)
	if x.twins != nil {
		x.paired(took)
	}
	if x.entry != nil && x.trace.Recorded() {
		x.g.reports.span(x, took)
	}
	if x.g.reports.wanted() {
		x.g.reports.record(x, took)
	}
}

// describe fills a record. Its strings live as long as the request.
func (x *exchange) describe(a *route.Access, took time.Duration) {
	*a = route.Access{
		Time: x.start, Client: x.origin.addr, Proto: x.proto, RequestID: clip(x.id),
		Status: x.status, Received: x.upload.received.Load(), Sent: x.sent, Took: took, Header: x.header,
		Attempts: x.attempts, Upgrade: x.switched, Problem: x.problem, Method: "-", Host: "-", URI: "-",
	}
	if x.req != nil {
		a.Method, a.Host, a.URI = clip(x.req.Method), clip(x.req.Host()), clip(x.req.Target)
		a.Agent, a.Referer = clip(x.req.Get(h1.UserAgent)), clip(x.req.Get(h1.Referer))
		a.Trace = stringOf(x.trace.ID(x.req))
	}
	if x.entry != nil {
		a.Route, a.App = x.entry.spec.ID, x.entry.spec.App
	}
	if x.group != nil {
		in := &x.back.instance
		a.App, a.Group = x.group.app, x.group.id
		a.Instance, a.Index, a.Upstream = in.ID, in.Index, in.Address
	}
}

// app is the name error pages call the app by.
func (x *exchange) app() string {
	switch {
	case x.group != nil:
		return x.group.app.Name
	case x.entry != nil:
		return x.entry.spec.App.Name
	}
	return ""
}
