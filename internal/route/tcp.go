package route

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/route/proxyproto"
)

// Stream is one line of a table's TCP routes: connections to a port of the
// gateway, or those to its TLS address that ask for a name, which are passed
// through as they are.
type Stream struct {
	ID       string             `json:"id"`
	Port     int                `json:"port,omitempty"` // 0: by SNI
	SNI      string             `json:"sni,omitempty"`  // "db.example", or "*.example" for every name below it
	App      App                `json:"app"`
	Groups   []Group            `json:"groups"`          // without guards and matches: those are about requests
	Proxy    proxyproto.Version `json:"proxy,omitempty"` // whose header an instance is sent first; "": none
	Timeouts *StreamTimeouts    `json:"timeouts,omitempty"`
	Limits   *StreamLimits      `json:"limits,omitempty"`
}

// StreamTimeouts of a TCP route; zero fields take the gateway's own.
type StreamTimeouts struct {
	Connect app.Duration `json:"connect,omitempty"` // until an instance accepts
	Idle    app.Duration `json:"idle,omitempty"`    // silence in both directions
}

// StreamLimits of a TCP route; zero fields take the gateway's own.
type StreamLimits struct {
	Connections int `json:"connections,omitempty"` // at once, of each gateway; more are closed
}

// Entry is the line as one of requests, with what both have.
func (s *Stream) Entry() *Entry {
	e := &Entry{ID: s.ID, Host: s.SNI, App: s.App, Groups: s.Groups}
	if t := s.Timeouts; t != nil && t.Connect > 0 {
		e.Timeouts = &Timeouts{Connect: t.Connect}
	}
	return e
}

// streamProblem checks the TCP routes of a table.
func (t *Table) streamProblem() *problem {
	if len(t.TCP) > MaxRoutes {
		return &problem{"tcp", fmt.Sprintf("%d routes are more than the %d allowed", len(t.TCP), MaxRoutes)}
	}
	type place struct {
		port int
		sni  string
	}
	ids, seen := make(map[string]bool, len(t.Routes)), make(map[place]int, len(t.TCP))
	if len(t.TCP) > 0 {
		for i := range t.Routes {
			ids[t.Routes[i].ID] = true
		}
	}
	for i := range t.TCP {
		s := &t.TCP[i]
		p := s.problem()
		at := place{s.Port, s.SNI}
		if first, ok := seen[at]; ok && p == nil {
			p = &problem{"", fmt.Sprintf("%s is already tcp[%d]", s.Name(), first)}
		}
		if ids[s.ID] && p == nil {
			p = &problem{".id", fmt.Sprintf("%q is another route's", s.ID)}
		}
		if p != nil {
			return p.under("tcp", i)
		}
		seen[at], ids[s.ID] = i, true
	}
	return nil
}

// Name is how people write the route: "tcp:20000", "sni:db.example".
func (s *Stream) Name() string { return streamName(s.Port, s.SNI) }

func streamName(port int, host string) string {
	if port > 0 {
		return fmt.Sprintf("tcp:%d", port)
	}
	return "sni:" + host
}

func (s *Stream) problem() *problem {
	switch {
	case s.ID == "":
		return &problem{".id", "is missing"}
	case s.Port == 0 && s.SNI == "":
		return &problem{"", "needs a port, or an sni"}
	case s.Port != 0 && s.SNI != "":
		return &problem{".sni", "cannot stand beside a port: such a connection is not looked into"}
	case s.Port < 0 || s.Port > 65535:
		return &problem{".port", fmt.Sprintf("%d is not a port", s.Port)}
	case !s.Proxy.Known():
		return &problem{".proxy", fmt.Sprintf("%q is not v1 or v2", s.Proxy)}
	}
	if what := hostProblem(s.SNI); s.SNI != "" && what != "" {
		return &problem{".sni", fmt.Sprintf("%q is not a host name: %s", s.SNI, what)}
	}
	if t := s.Timeouts; t != nil && (t.Connect < 0 || t.Idle < 0) {
		return &problem{".timeouts", "must not be negative"}
	}
	if s.Limits != nil && s.Limits.Connections < 0 {
		return &problem{".limits.connections", "must not be negative"}
	}
	if p := groupsProblem(s.Groups); p != nil {
		return p
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		for _, about := range []struct {
			key string
			set bool
		}{{".guard", g.Guard != nil}, {".match", g.Match != nil}, {".protocol", g.Protocol != ""}, {".pair", g.Pair != ""}} {
			if about.set {
				return (&problem{about.key, "is about requests; a TCP route has connections"}).under(".groups", i)
			}
		}
	}
	return nil
}

// TCP makes a route one of connections.
type TCP struct {
	Port        int                `json:"port,omitempty"` // of the gateway; 0: those that ask for the route's host by SNI
	Proxy       proxyproto.Version `json:"proxy,omitempty"`
	Timeouts    StreamTimeouts     `json:"timeouts,omitzero"`
	Connections int                `json:"connections,omitempty"` // at once, of each gateway; 0: the gateway's own limit
}

// The place of a TCP route among all routes: what it and no other has.
const (
	portPlace = "tcp"  // host of those with a port; the path is ":20000"
	sniPlace  = ":sni" // path of those of a name
)

// Place is the host and the path that the route alone has, with its condition.
// Paths of TCP routes begin with a colon.
func (r Route) Place() (host, path string) {
	switch {
	case r.TCP == nil:
		return r.Host, r.Path
	case r.TCP.Port > 0:
		return portPlace, PortPath(r.TCP.Port)
	}
	return r.Host, sniPlace
}

// PortPath is the path of a port's place; its host is that of every port's.
func PortPath(port int) string { return ":" + strconv.Itoa(port) }

// ParseTCPName reads the name of a TCP route, "tcp:20000" or "sni:db.example", as
// the place that it has; ok tells whether it is one.
func ParseTCPName(text string) (host, path string, ok bool, err error) {
	if port, found := strings.CutPrefix(text, portPlace+":"); found {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", "", true, fault.New(fault.Invalid, "route", "%q is not a port", port).WithTry("write it as tcp:20000; naru routes lists them")
		}
		return portPlace, PortPath(int(n)), true, nil
	}
	if name, found := strings.CutPrefix(text, "sni:"); found {
		host, err := ParseHost(name)
		return host, sniPlace, true, err
	}
	return "", "", false, nil
}

// NewTCP makes a route of connections: to a port of the gateway, or, with port
// 0, those to its TLS address that ask for a host.
func NewTCP(space app.SpaceID, host string, t TCP, now time.Time) (Route, error) {
	r := Route{ID: ID(id.New()), Space: space, TCP: &t, Created: now, Updated: now}
	if t.Port == 0 {
		h, err := ParseHost(host)
		if err != nil {
			return Route{}, err
		}
		if strings.HasPrefix(h, "*") { // it would take the visitors of hosts that others map later
			return Route{}, fault.New(fault.Invalid, "host", "a TCP route is for one name, not for %s", h).WithTry("name each: --sni HOST")
		}
		r.Host = h
	}
	return r, t.Check()
}

// MaxConnections bounds TCP.Connections.
const MaxConnections = 1_000_000

// Check refuses what cannot work.
func (t *TCP) Check() error {
	switch {
	case t.Port < 0 || t.Port > 65535:
		return fault.New(fault.Invalid, "tcp.port", "%d is not a port", t.Port).WithTry("use 1 to 65535")
	case !t.Proxy.Known():
		return fault.New(fault.Invalid, "tcp.proxy", "%q is no version of the PROXY protocol", t.Proxy).WithTry("v1, v2, or nothing")
	case t.Timeouts.Connect < 0 || t.Timeouts.Idle < 0:
		return fault.New(fault.Invalid, "tcp.timeouts", "a time must not be negative").WithTry("30s, 1h, or 0 for the gateway's own")
	case t.Connections < 0 || t.Connections > MaxConnections:
		return fault.New(fault.Invalid, "tcp.connections", "%d is not between 0 and %d", t.Connections, MaxConnections).WithTry("0 is the gateway's own limit")
	}
	return nil
}

// PortTaken is the error for a port of the gateway that another route has.
func PortTaken(port int) error {
	return fault.New(fault.Conflict, "port", "port %d is another route's", port).
		WithTry("leave --port out to be given one that is free, or name another")
}

// stream turns a route into its line of the table.
func stream(r Route, groups map[processKey][]GroupState, names map[app.ID]string) Stream {
	e := entry(r, groups, names)
	for i := range e.Groups {
		g := &e.Groups[i]
		g.Guard, g.Match, g.Protocol, g.Pair = nil, nil, "", ""
	}
	s := Stream{ID: e.ID, App: e.App, Groups: e.Groups, Port: r.TCP.Port, Proxy: r.TCP.Proxy}
	if s.Port == 0 {
		s.SNI = r.Host
	}
	if r.TCP.Timeouts != (StreamTimeouts{}) {
		t := r.TCP.Timeouts
		s.Timeouts = &t
	}
	if r.TCP.Connections > 0 {
		s.Limits = &StreamLimits{Connections: r.TCP.Connections}
	}
	return s
}

// compareStreams sorts by port, then by name.
func compareStreams(a, b Stream) int {
	if a.Port != b.Port {
		return a.Port - b.Port
	}
	return strings.Compare(a.SNI+" "+a.ID, b.SNI+" "+b.ID)
}
