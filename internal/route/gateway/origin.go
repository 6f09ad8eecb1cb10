package gateway

import (
	"net"
	"net/netip"
)

// originOf reads where a connection comes from, once for all its requests.
func (g *Gateway) originOf(c net.Conn, secure bool) origin {
	return g.originAt(c.RemoteAddr().String(), secure)
}

func (g *Gateway) originAt(addr string, secure bool) origin {
	ip, _, err := net.SplitHostPort(addr)
	if err != nil {
		ip = addr
	}
	return origin{addr: addr, ip: ip, trusted: g.trusts(ip), secure: secure}
}

func (g *Gateway) trusts(ip string) bool {
	if len(g.cfg.Trusted) == 0 {
		return false
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	return g.trustsAddr(addr.Unmap().WithZone(""))
}

func (g *Gateway) trustsAddr(addr netip.Addr) bool {
	for _, p := range g.cfg.Trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
