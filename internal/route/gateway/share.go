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

// of is what is counted as one address: whoever has one of IPv6 has the whole
// /64. It is zero for what is not counted.
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
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr, bits).Masked()
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
