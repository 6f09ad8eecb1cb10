package route

import "naru/internal/app"

// Policy is what a route asks of the gateway beside sending requests on. Its
// fields stand in the order in which a request meets them; nil and zero fields
// ask for nothing. Its JSON form is documented in docs/routes.md.
type Policy struct {
	HTTPS       bool         `json:"https,omitempty"`       // plain requests are sent to https:// with 308
	HSTS        app.Duration `json:"hsts,omitempty"`        // answers over TLS say Strict-Transport-Security for so long
	Maintenance *Maintenance `json:"maintenance,omitempty"` // visitors see a page instead of the app
	Addresses   *Addresses   `json:"addresses,omitempty"`   // who may come
	Auth        *Auth        `json:"auth,omitempty"`        // who may come, by name and password
	Redirect    *Redirect    `json:"redirect,omitempty"`    // visitors are sent somewhere else
	Rates       []Rate       `json:"rates,omitempty"`       // how many requests in a time
	Faults      []Fault      `json:"faults,omitempty"`      // trouble on purpose
	Bulkhead    *Bulkhead    `json:"bulkhead,omitempty"`    // how many requests at once
	Sticky      *Sticky      `json:"sticky,omitempty"`      // visitors stay with their instance
	Breaker     *Breaker     `json:"breaker,omitempty"`     // a failing group is spared for a while
	Retries     *Retries     `json:"retries,omitempty"`     // how often a request is sent again
	Health      *Probe       `json:"health,omitempty"`      // the gateway itself asks instances how they are
	Request     *Rules       `json:"request,omitempty"`     // header fields on their way to the app
	Mirror      *Mirror      `json:"mirror,omitempty"`      // copies for a group whose answers nobody sees
	Response    *Rules       `json:"response,omitempty"`    // header fields on their way to the visitor
	Tracing     *Tracing     `json:"tracing,omitempty"`     // which requests have a span of the gateway
}

// When limits an entry to some of the requests for its host and path: all that
// is set must hold. An entry without one takes what no other entry of its place
// wants.
type When struct {
	Methods []string `json:"methods,omitempty"` // one of these, upper case
	Match   []Match  `json:"match,omitempty"`   // each of these
}

// Maintenance is a page in place of the app, with status 503.
type Maintenance struct {
	Message string       `json:"message,omitempty"` // one sentence for the gateway's own page
	Page    string       `json:"page,omitempty"`    // HTML in place of that page, at most MaxPage bytes
	Retry   app.Duration `json:"retry,omitempty"`   // Retry-After; 0: the gateway's own
	Except  []string     `json:"except,omitempty"`  // addresses and prefixes that reach the app nevertheless
}

// MaxPage bounds Maintenance.Page, in bytes.
const MaxPage = 64 << 10

// Addresses lets clients in by where they come from: an address or a prefix
// ("192.0.2.1", "2001:db8::/32"). Behind trusted proxies it is the address they
// tell. Deny wins; with Allow, everybody else is refused.
type Addresses struct {
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// Auth asks for a name and a password (HTTP Basic, RFC 7617).
type Auth struct {
	Realm string            `json:"realm,omitempty"` // "": the app's name
	Users map[string]string `json:"users"`           // name: bcrypt hash of the password
}

// Redirect sends visitors somewhere else.
type Redirect struct {
	To     string `json:"to"`               // a URL or a path; {host}, {path} and {query} stand for those of the request
	Status int    `json:"status,omitempty"` // 301, 302, 303, 307 or 308; 0: 308
}

// Rate is a token bucket of requests; over it visitors read 429 with
// Retry-After. One gateway process counts for itself.
type Rate struct {
	Requests float64      `json:"requests"`        // in each Per
	Per      app.Duration `json:"per,omitempty"`   // 0: a second
	Burst    int          `json:"burst,omitempty"` // at once after a pause; 0: Requests, at least 1
	By       string       `json:"by,omitempty"`    // "" or "route": all together; "client": each address; "header:NAME", "cookie:NAME": each value
}

// Fault is trouble on purpose, to see what callers do.
type Fault struct {
	Match *Match       `json:"match,omitempty"` // requests that are meant; nil: all
	Share float64      `json:"share,omitempty"` // of them, 0 to 1; 0: all where Match is set
	Delay app.Duration `json:"delay,omitempty"` // before anything else happens
	Abort int          `json:"abort,omitempty"` // status of the answer; 0: none
}

// Bulkhead bounds the requests of a route that are with its instances at once.
type Bulkhead struct {
	Requests int          `json:"requests"`        // at once
	Queue    int          `json:"queue,omitempty"` // more that wait for their turn; over it 503 with Retry-After
	Wait     app.Duration `json:"wait,omitempty"`  // that long; 0: 10 s
}

// Sticky keeps a visitor with an instance, and with its group, as long as that
// is there.
type Sticky struct {
	Cookie string       `json:"cookie,omitempty"`  // set by the gateway; "": naru_sticky, unless Header is set
	MaxAge app.Duration `json:"max_age,omitempty"` // of the cookie; 0: until the browser ends
	Header string       `json:"header,omitempty"`  // requests with an equal value go to the same instance, without a cookie
}

// Breaker spares a group that fails: closed, it counts; open, nothing is sent
// to the group; half-open, a few requests try. Visitors go to the route's other
// groups, or read 503 with Retry-After.
type Breaker struct {
	Requests int          `json:"requests,omitempty"` // least requests in the window: 20
	Failed   float64      `json:"failed,omitempty"`   // share of them that opens it: 0.5
	Window   app.Duration `json:"window,omitempty"`   // 10 s
	Open     app.Duration `json:"open,omitempty"`     // until it is tried again: 15 s
	Probes   int          `json:"probes,omitempty"`   // tries that must all be well to close it: 3
}

// Retries bounds how often requests are sent again. Only requests that may be
// are: see docs/gateway-table.md.
type Retries struct {
	Attempts int     `json:"attempts,omitempty"` // instances tried; 0: the gateway's own; 1: never again
	Budget   float64 `json:"budget,omitempty"`   // retries as a share of the group's answers: 0.2
}

// Probe is the gateway's own question to each instance of the route.
type Probe struct {
	Path    string       `json:"path"`              // asked with GET; 2xx and 3xx are well
	Every   app.Duration `json:"every,omitempty"`   // 10 s
	Timeout app.Duration `json:"timeout,omitempty"` // 2 s
	Fails   int          `json:"fails,omitempty"`   // in a row until it gets no requests: 3
	Passes  int          `json:"passes,omitempty"`  // in a row until it gets them again: 2
}

// Rules change header fields. Remove happens first, then Set, then Add. Values
// may hold {client}, {host}, {method}, {path}, {request_id} and {group}.
type Rules struct {
	Remove []string            `json:"remove,omitempty"`
	Set    map[string]string   `json:"set,omitempty"`
	Add    map[string][]string `json:"add,omitempty"`
}

// Tracing says which requests the gateway has spans of. What clients said of their
// traces counts more.
type Tracing struct {
	Sample float64 `json:"sample"` // share of the requests of which clients say nothing, 0 to 1
}

// Tracing is what an entry's route says of traces; nil: nothing.
func (e *Entry) Tracing() *Tracing {
	if e.Policy == nil {
		return nil
	}
	return e.Policy.Tracing
}

// Mirror sends copies of requests to a group whose answers are dropped. A copy
// never delays its request; what is too large or too much is not copied.
type Mirror struct {
	Group string  `json:"group"`           // id or name of a group of the route; its weight may be 0
	Share float64 `json:"share,omitempty"` // of the requests, 0 to 1; 0: all
	Body  int64   `json:"body,omitempty"`  // most bytes of a body that is copied; 0: 64 KiB
}
