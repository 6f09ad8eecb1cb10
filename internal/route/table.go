package route

import (
	"time"

	"naru/internal/app"
)

// Table is all the gateway needs to serve: whole, versioned, never changed
// after it was published. Its JSON form is documented in docs/gateway-table.md.
type Table struct {
	Version uint64    `json:"version"`        // rises with every publication; given by the hub
	Boot    string    `json:"boot,omitempty"` // boot id of the machine the addresses belong to; "": any
	Written time.Time `json:"written"`
	Routes  []Entry   `json:"routes"`        // sorted by host, then path
	TCP     []Stream  `json:"tcp,omitempty"` // sorted by port, then name

	Journeys []Journeys `json:"journeys,omitempty"` // sorted by app
}

// Entry is one host and path of a table.
type Entry struct {
	ID       string    `json:"id"`
	Host     string    `json:"host"`           // "shop.example", or "*.example" for every name below it
	Path     string    `json:"path"`           // "/" or "/api"; matched by whole segments, the longest wins
	When     *When     `json:"when,omitempty"` // nil: all requests that no other entry of this host and path wants
	App      App       `json:"app"`
	Groups   []Group   `json:"groups"`
	Timeouts *Timeouts `json:"timeouts,omitempty"` // nil: the gateway's own
	Limits   *Limits   `json:"limits,omitempty"`   // nil: the gateway's own
	Policy   *Policy   `json:"policy,omitempty"`   // nil: nothing but sending requests on
}

// App names an application in error pages and access records.
type App struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// MaxShare is the largest Group.Weight: a destination's 100 times a group's 100.
const MaxShare = 10_000

// Group is a server group of an entry. Weight is its share of new requests
// relative to the entry's other groups that have an instance; 0 takes none.
type Group struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`               // shop-v042
	App       *App       `json:"app,omitempty"`      // nil: the entry's app
	Weight    int        `json:"weight"`             // 0 to MaxShare
	Protocol  string     `json:"protocol,omitempty"` // what the instances speak: "" for HTTP/1.1, HTTP2
	Guard     *Guard     `json:"guard,omitempty"`    // nil: nothing takes the weight away
	Match     *Match     `json:"match,omitempty"`    // requests that come here whatever the weights say
	Pair      string     `json:"pair,omitempty"`     // id of the group of the entry that is compared with it by copies of requests to both; "": none are made
	Instances []Instance `json:"instances"`          // healthy ones, sorted by index
}

// HTTP2 is the protocol of instances that speak HTTP/2 without TLS from the
// first byte, as servers of gRPC do.
const HTTP2 = "http2"

// Instance is one address that answers. The id is fresh per start, so that an
// address that was given to somebody else is never taken for the old owner.
type Instance struct {
	ID      string `json:"id"`
	Address string `json:"address"` // IP:PORT
	Index   int    `json:"index"`
}

// Timeouts of an entry; zero fields take the gateway's own.
type Timeouts struct {
	Connect  app.Duration `json:"connect,omitempty"`  // until an instance accepts a connection
	Response app.Duration `json:"response,omitempty"` // until the answer's header, counted from the end of connecting
	Idle     app.Duration `json:"idle,omitempty"`     // silence of the instance inside its answer, and of both ends of a WebSocket; 0: for ever
	Total    app.Duration `json:"total,omitempty"`    // from the request's header to the answer's end; not for WebSockets; 0: for ever
}

// Limits of an entry; zero fields take the gateway's own.
type Limits struct {
	Body int64 `json:"body,omitempty"` // bytes of one request's body; more is refused with 413
}

// Instances calls yield for every instance of the table, more than once for one
// that serves several entries.
func (t *Table) Instances(yield func(Instance) bool) {
	each := func(groups []Group) bool {
		for i := range groups {
			for _, in := range groups[i].Instances {
				if !yield(in) {
					return false
				}
			}
		}
		return true
	}
	for i := range t.Routes {
		if !each(t.Routes[i].Groups) {
			return
		}
	}
	for i := range t.TCP {
		if !each(t.TCP[i].Groups) {
			return
		}
	}
}
