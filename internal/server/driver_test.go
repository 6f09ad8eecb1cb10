//go:build linux

package server

import (
	"net/netip"
	"testing"
)

func TestFreePrefix(t *testing.T) {
	p := netip.MustParsePrefix
	from := p("10.0.0.0/22") // four of /24
	for name, c := range map[string]struct {
		begin uint32
		used  []netip.Prefix
		want  netip.Prefix
	}{
		"where it begins":        {2, nil, p("10.0.2.0/24")},
		"the next one":           {2, []netip.Prefix{p("10.0.2.128/25")}, p("10.0.3.0/24")},
		"around the end":         {3, []netip.Prefix{p("10.0.3.0/24")}, p("10.0.0.0/24")},
		"a place past the range": {4_000_000_001, nil, p("10.0.1.0/24")},
		"none is free":           {0, []netip.Prefix{p("10.0.0.0/8")}, netip.Prefix{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := freePrefix(from, 24, c.begin, c.used)
			if got != c.want || ok != c.want.IsValid() {
				t.Errorf("freePrefix() = %s, %t; want %s", got, ok, c.want)
			}
		})
	}
}
