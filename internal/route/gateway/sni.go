package gateway

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// peeked is a TLS client's connection whose first bytes are kept until it is
// known whether they are for us. They are read by the handshake that would follow
// them: nobody else has to understand a client's hello.
type peeked struct {
	net.Conn
	came    []byte
	known   bool     // nothing is kept any more
	name    string   // that the client asks for
	passage *passage // the connection is for its instances: nothing may be written
}

// Read keeps what it reads while it may be somebody else's.
func (p *peeked) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if !p.known {
		p.came = append(p.came, b[:n]...)
	}
	return n, err
}

// Write sends nothing of our handshake on somebody else's connection.
func (p *peeked) Write(b []byte) (int, error) {
	if p.passage != nil {
		return len(b), nil
	}
	return p.Conn.Write(b)
}

// errPassed ends a handshake that is not ours.
var errPassed = errors.New("the connection is passed through")

// secures returns a listener's configuration that lets connections of SNI routes
// pass.
func (g *Gateway) secures(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		p, ok := hello.Conn.(*peeked)
		if !ok {
			return nil, nil // there is no SNI route
		}
		p.known, p.name = true, strings.ToLower(hello.ServerName)
		if p.passage = g.tables.view().named(p.name); p.passage != nil {
			return nil, errPassed
		}
		p.came = nil
		return nil, nil
	}
	return config
}

// named returns the SNI route of a name; nil where there is none.
func (v *view) named(name string) *passage {
	if v.bySNI == nil {
		return nil
	}
	p, _ := v.bySNI.Find(name, "/")
	return p
}

// passed serves a connection of an SNI route.
func (g *Gateway) passed(s *socket, p *peeked) {
	came := p.came
	if b, ok := p.Conn.(*begun); ok { // what came with it and the handshake did not read
		came = append(came, b.came...)
	}
	g.pass(&session{
		g: g, client: s, came: came, proto: "TLS", host: p.name,
		find: func(v *view) *passage { return v.named(p.name) },
	})
}
