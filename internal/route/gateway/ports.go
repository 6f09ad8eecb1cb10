package gateway

import (
	"net"
	"sync/atomic"

	"naru/internal/route"
)

// Ports makes Run serve TCP routes on a listener: each connection goes where the
// table says for the listener's port.
func Ports(ln net.Listener) net.Listener { return &ported{ln, portOf(ln.Addr())} }

type ported struct {
	net.Listener
	port int
}

// passage is a TCP route of a view.
type passage struct {
	*entry
	line *route.Stream
	open *atomic.Int64 // connections now; the same in every table that has the route
}

// passages makes the TCP routes of a table ready.
func (t *tables) passages(table *route.Table, old, next *view) {
	if len(table.TCP) == 0 {
		return
	}
	next.byPort, next.passages = map[int]*passage{}, map[string]*passage{}
	for i := range table.TCP {
		line := &table.TCP[i]
		p := &passage{entry: t.entry(line.Entry(), old, next), line: line, open: new(atomic.Int64)}
		if was := old.passages[line.ID]; was != nil {
			p.open = was.open
		}
		next.passages[line.ID] = p
		if line.Port > 0 {
			next.byPort[line.Port] = p
			continue
		}
		if next.bySNI == nil {
			next.bySNI = route.NewIndex[*passage]()
		}
		next.bySNI.Add(line.SNI, "/", p)
	}
}

// most is how many connections a route may have at once.
func (p *passage) most(cfg *Config) int64 {
	if l := p.line.Limits; l != nil && l.Connections > 0 {
		return int64(l.Connections)
	}
	return int64(cfg.TCPConnections)
}

// port serves a connection to a port of TCP routes.
func (g *Gateway) port(s *socket, came []byte, port int) {
	g.pass(&session{
		g: g, client: s, came: came, proto: "TCP", host: "-",
		find: func(v *view) *passage { return v.byPort[port] },
	})
}
