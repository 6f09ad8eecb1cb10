package gateway

import (
	"net"
	"net/netip"
	"sync"
)

// shares bounds how many of the connections one address has, so that none can
// take all places from the others. Peers that speak for many are not counted.
type shares struct {
	most   int
	exempt [][]netip.Prefix

	mu  sync.Mutex // guards has
	has map[netip.Prefix]int
}

// network is what one visitor is taken to have of the addresses: whoever has one of
// IPv6 has the whole /64.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// of is what is counted as one address. It is zero for what is not counted.
func (s *shares) of(peer net.Addr) netip.Prefix {
	addr := addrPort(peer).Addr().Unmap().WithZone("")
	if !addr.IsValid() {
		return netip.Prefix{}
	}
	for _, list := range s.exempt {
		for _, p := range list {
			if p.Contains(addr) {
				return netip.Prefix{}
			}
		}
	}
	return network(addr)
}

// take counts a connection in; false where its address has its share.
func (s *shares) take(of netip.Prefix) bool {
	if !of.IsValid() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has[of] >= s.most {
		return false
	}
	s.has[of]++
	return true
}

// back counts a connection out that was counted in.
func (s *shares) back(of netip.Prefix) {
	if !of.IsValid() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has[of]--; s.has[of] <= 0 {
		delete(s.has, of)
	}
}
