// Package prefix holds sets of addresses that are quick to ask.
package prefix

import (
	"net/netip"
	"slices"

	"naru/internal/route"
)

// Set is a set of addresses; nil has none. It holds them as ranges that do not
// touch, in order, so that a look-up is a binary search: n prefixes cost at most
// log2(n) comparisons and 48 bytes each.
type Set []span

type span struct{ from, to netip.Addr }

// SetOf makes a set of addresses and prefixes that were checked; others are left
// out.
func SetOf(texts []string) Set {
	all := make(Set, 0, len(texts))
	for _, text := range texts {
		if p, err := route.ParsePrefix(text); err == nil {
			all = append(all, span{p.Addr(), lastOf(p)})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && out[n-1].to.BitLen() == s.from.BitLen() && (s.from.Compare(out[n-1].to) <= 0 || out[n-1].to.Next() == s.from) {
			if out[n-1].to.Compare(s.to) < 0 {
				out[n-1].to = s.to
			}
			continue
		}
		out = append(out, s)
	}
	return slices.Clip(out)
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	a := p.Addr()
	b := a.As16()
	for i := 128 - a.BitLen() + p.Bits(); i < 128; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last := netip.AddrFrom16(b)
	if a.Is4() {
		last = last.Unmap()
	}
	return last
}

// Has reports whether an address is in the set; one that is not valid is in none.
func (s Set) Has(a netip.Addr) bool {
	low, high := 0, len(s)
	for low < high { // the first span that begins behind a
		if mid := (low + high) / 2; s[mid].from.Compare(a) <= 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low > 0 && a.IsValid() && s[low-1].to.Compare(a) >= 0
}
