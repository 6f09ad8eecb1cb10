package client

import "encoding/json"

// When limits a route to some of the requests for its host and path: all that is
// set must hold.
type When struct {
	Methods []string `json:"methods,omitempty" maxItems:"16" doc:"one of these, in upper case"`
	Match   []Match  `json:"match,omitempty" maxItems:"16" doc:"each of these"`
}

// Match is a header or a cookie that requests carry: exactly one of the two.
type Match struct {
	Header string `json:"header,omitempty" doc:"name of a header"`
	Cookie string `json:"cookie,omitempty" doc:"name of a cookie"`
	Value  string `json:"value,omitempty" doc:"exactly this; absent: any"`
}

// Terms are all that a route asks of the gateway.
type Terms struct {
	Policy   *Policy      `json:"policy,omitempty"`
	Timeouts *Timeouts    `json:"timeouts,omitempty"`
	Limits   *RouteLimits `json:"limits,omitempty"`
}

// TermsChange is a JSON merge patch (RFC 7396) of Terms: null removes, what is
// absent stays.
type TermsChange struct {
	Policy   json.RawMessage `json:"policy,omitempty" doc:"merge patch of a Policy: null removes, what is absent stays"`
	Timeouts json.RawMessage `json:"timeouts,omitempty" doc:"merge patch of Timeouts"`
	Limits   json.RawMessage `json:"limits,omitempty" doc:"merge patch of RouteLimits"`
}

// Timeouts bound how long the gateway waits; what is absent is the gateway's own.
type Timeouts struct {
	Connect  Duration `json:"connect,omitempty" doc:"until an instance accepts a connection"`
	Response Duration `json:"response,omitempty" doc:"until the answer's header"`
	Idle     Duration `json:"idle,omitempty" doc:"silence inside an answer, and of both ends of a WebSocket"`
	Total    Duration `json:"total,omitempty" doc:"from the request's header to the answer's end; not for WebSockets"`
}

// RouteLimits bound requests; what is absent is the gateway's own.
type RouteLimits struct {
	Body int64 `json:"body,omitempty" doc:"bytes of a request's body"`
}

// Policy is what a route asks of the gateway beside sending requests on, in the
// order in which a request meets it.
type Policy struct {
	HTTPS       bool         `json:"https,omitempty" doc:"plain requests are sent to https:// with 308"`
	HSTS        Duration     `json:"hsts,omitempty" doc:"answers over TLS say Strict-Transport-Security for so long"`
	Maintenance *Maintenance `json:"maintenance,omitempty" doc:"visitors see a page instead of the app"`
	Addresses   *Addresses   `json:"addresses,omitempty" doc:"who may come, by address"`
	Auth        *Auth        `json:"auth,omitempty" doc:"who may come, by name and password"`
	Redirect    *Redirect    `json:"redirect,omitempty" doc:"visitors are sent somewhere else"`
	Rates       []Rate       `json:"rates,omitempty" doc:"how many requests in a time; over it 429"`
	Faults      []Trouble    `json:"faults,omitempty" doc:"trouble on purpose"`
	Bulkhead    *Bulkhead    `json:"bulkhead,omitempty" doc:"how many requests at once"`
	Sticky      *Sticky      `json:"sticky,omitempty" doc:"visitors stay with their instance"`
	Breaker     *Breaker     `json:"breaker,omitempty" doc:"a failing group is spared for a while"`
	Retries     *Retries     `json:"retries,omitempty" doc:"how often a request is sent again"`
	Health      *Probe       `json:"health,omitempty" doc:"the gateway itself asks instances how they are"`
	Request     *FieldRules  `json:"request,omitempty" doc:"header fields on their way to the app"`
	Mirror      *Mirror      `json:"mirror,omitempty" doc:"copies for a group whose answers nobody sees"`
	Response    *FieldRules  `json:"response,omitempty" doc:"header fields on their way to the visitor"`
	Tracing     *Tracing     `json:"tracing,omitempty" doc:"which requests have a span of the gateway"`
}

// Maintenance is a page in place of the app, with status 503.
type Maintenance struct {
	Message string   `json:"message,omitempty" doc:"one sentence for the gateway's own page"`
	Page    string   `json:"page,omitempty" doc:"HTML in place of that page, at most 64 KiB"`
	Retry   Duration `json:"retry,omitempty" doc:"Retry-After; absent: the gateway's own"`
	Except  []string `json:"except,omitempty" doc:"addresses and prefixes that reach the app nevertheless"`
}

// Addresses lets clients in by where they come from. Deny wins; with Allow,
// everybody else is refused.
type Addresses struct {
	Allow []string `json:"allow,omitempty" doc:"192.0.2.1, 2001:db8::/32"`
	Deny  []string `json:"deny,omitempty"`
}

// Auth asks for a name and a password.
type Auth struct {
	Realm string            `json:"realm,omitempty" doc:"absent: the app's name"`
	Users map[string]string `json:"users,omitempty" doc:"name: password of 8 to 72 bytes; shown as ***, which also leaves it as it is"`
}

// Redirect sends visitors somewhere else.
type Redirect struct {
	To     string `json:"to,omitempty" doc:"a URL or a path; {host}, {path} and {query} stand for those of the request"`
	Status int    `json:"status,omitempty" doc:"301, 302, 303, 307 or 308; absent: 308"`
}

// Rate is a token bucket of requests.
type Rate struct {
	Requests float64  `json:"requests,omitempty" doc:"in each per"`
	Per      Duration `json:"per,omitempty" doc:"absent: a second"`
	Burst    int      `json:"burst,omitempty" doc:"at once after a pause; absent: as many as requests"`
	By       string   `json:"by,omitempty" doc:"absent or route: all together; client: each address; header:NAME, cookie:NAME: each value"`
}

// Trouble is a fault on purpose.
type Trouble struct {
	Match *Match   `json:"match,omitempty" doc:"requests that are meant; absent: all"`
	Share float64  `json:"share,omitempty" doc:"of them, 0 to 1; absent: all where match is set"`
	Delay Duration `json:"delay,omitempty" doc:"before anything else happens"`
	Abort int      `json:"abort,omitempty" doc:"status of the answer, 400 to 599; absent: none"`
}

// Bulkhead bounds the requests of a route that are with its instances at once.
type Bulkhead struct {
	Requests int      `json:"requests,omitempty" doc:"at once"`
	Queue    int      `json:"queue,omitempty" doc:"more that wait for their turn; over it 503"`
	Wait     Duration `json:"wait,omitempty" doc:"that long; absent: 10 s"`
}

// Sticky keeps a visitor with an instance as long as that is there.
type Sticky struct {
	Cookie string   `json:"cookie,omitempty" doc:"set by the gateway; absent: naru_sticky, unless header is set"`
	MaxAge Duration `json:"max_age,omitempty" doc:"of the cookie; absent: until the browser ends"`
	Header string   `json:"header,omitempty" doc:"requests with an equal value go to the same instance, without a cookie"`
}

// Breaker spares a group that fails.
type Breaker struct {
	Requests int      `json:"requests,omitempty" doc:"least requests in the window; absent: 20"`
	Failed   float64  `json:"failed,omitempty" doc:"share of them that opens it; absent: 0.5"`
	Window   Duration `json:"window,omitempty" doc:"absent: 10 s"`
	Open     Duration `json:"open,omitempty" doc:"until it is tried again; absent: 15 s"`
	Probes   int      `json:"probes,omitempty" doc:"tries that must all be well to close it; absent: 3"`
}

// Retries bounds how often requests are sent again.
type Retries struct {
	Attempts int     `json:"attempts,omitempty" doc:"instances tried; absent: the gateway's own; 1: never again"`
	Budget   float64 `json:"budget,omitempty" doc:"retries as a share of the group's answers; absent: 0.2"`
}

// Probe is the gateway's own question to each instance of the route.
type Probe struct {
	Path    string   `json:"path,omitempty" doc:"asked with GET; 2xx and 3xx are well"`
	Every   Duration `json:"every,omitempty" doc:"absent: 10 s"`
	Timeout Duration `json:"timeout,omitempty" doc:"absent: 2 s"`
	Fails   int      `json:"fails,omitempty" doc:"in a row until it gets no requests; absent: 3"`
	Passes  int      `json:"passes,omitempty" doc:"in a row until it gets them again; absent: 2"`
}

// FieldRules change header fields: first remove, then set, then add. Values may
// hold {client}, {host}, {method}, {path}, {request_id} and {group}.
type FieldRules struct {
	Remove []string            `json:"remove,omitempty"`
	Set    map[string]string   `json:"set,omitempty"`
	Add    map[string][]string `json:"add,omitempty"`
}

// Tracing says which requests the gateway has spans of, where clients say nothing.
type Tracing struct {
	Sample float64 `json:"sample" doc:"share of the requests, 0 to 1"`
}

// Mirror sends copies of requests to a group whose answers are dropped.
type Mirror struct {
	Group string  `json:"group,omitempty" doc:"name or id of a group of the route; while there is none nothing is copied"`
	Share float64 `json:"share,omitempty" doc:"of the requests, 0 to 1; absent: all"`
	Body  int64   `json:"body,omitempty" doc:"most bytes of a body that is copied; absent: 64 KiB"`
}
