package prefix

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"naru/internal/route"
)

func TestSet(t *testing.T) {
	for name, tt := range map[string]struct {
		set     []string
		in, out []string
	}{
		"none":              {nil, nil, []string{"192.0.2.1", "::1"}},
		"an address":        {[]string{"192.0.2.1"}, []string{"192.0.2.1"}, []string{"192.0.2.0", "192.0.2.2", "::1"}},
		"a prefix":          {[]string{"192.0.2.128/25"}, []string{"192.0.2.128", "192.0.2.255"}, []string{"192.0.2.127", "192.0.3.0"}},
		"not masked":        {[]string{"192.0.2.77/24"}, []string{"192.0.2.0", "192.0.2.255"}, []string{"192.0.1.255"}},
		"inside each other": {[]string{"10.0.0.0/8", "10.1.0.0/16", "10.255.0.0/16"}, []string{"10.0.0.0", "10.200.0.0", "10.255.255.255"}, []string{"11.0.0.0"}},
		"side by side":      {[]string{"10.0.0.0/9", "10.128.0.0/9"}, []string{"10.127.255.255", "10.128.0.0"}, []string{"9.255.255.255"}},
		"both families":     {[]string{"255.255.255.255", "::/127", "0.0.0.0/32"}, []string{"255.255.255.255", "::", "::1", "0.0.0.0"}, []string{"::2", "0.0.0.1"}},
		"everybody of IPv4": {[]string{"0.0.0.0/0"}, []string{"0.0.0.0", "255.255.255.255"}, []string{"::", "::1"}},
		"everybody of IPv6": {[]string{"::/0"}, []string{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, []string{"1.2.3.4"}},
		"mapped":            {[]string{"::ffff:192.0.2.0/120"}, []string{"192.0.2.9"}, []string{"192.0.3.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			set := SetOf(tt.set)
			for _, a := range tt.in {
				if !set.Has(netip.MustParseAddr(a)) {
					t.Errorf("%s is not in", a)
				}
			}
			for _, a := range tt.out {
				if set.Has(netip.MustParseAddr(a)) {
					t.Errorf("%s is in", a)
				}
			}
			if set.Has(netip.Addr{}) {
				t.Error("an address that is none is in")
			}
		})
	}
}

// manyPrefixes are as many as a policy may have, of both families.
func manyPrefixes(rnd *rand.Rand) []string {
	out := make([]string, route.MaxPrefixes)
	for i := range out {
		a := netip.AddrFrom4([4]byte{10, byte(rnd.IntN(256)), byte(rnd.IntN(256)), byte(rnd.IntN(256))})
		bits := 12 + rnd.IntN(21)
		if i%2 == 0 {
			a = netip.AddrFrom16([16]byte{0x20, 1, byte(rnd.IntN(256)), byte(rnd.IntN(256)), byte(rnd.IntN(256)), 15: byte(rnd.IntN(256))})
			bits = 24 + rnd.IntN(105)
		}
		out[i] = fmt.Sprintf("%s/%d", a, bits)
	}
	return out
}

func TestTenThousandPrefixesAreThoseOfEachByItself(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	texts := manyPrefixes(rnd)
	set := SetOf(texts)
	plain := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		plain[i] = netip.MustParsePrefix(text)
	}
	in := 0
	for range 3000 {
		a := plain[rnd.IntN(len(plain))].Masked().Addr()
		for range rnd.IntN(3) {
			a = a.Next()
		}
		if rnd.IntN(2) == 0 && a.Prev().IsValid() {
			a = a.Prev()
		}
		want := false
		for _, p := range plain {
			want = want || p.Contains(a)
		}
		if got := set.Has(a); got != want {
			t.Fatalf("%s: in %v, want %v", a, got, want)
		}
		if want {
			in++
		}
	}
	if in == 0 || in == 3000 {
		t.Fatalf("%d of 3000 were in: this shows nothing", in)
	}
}

func BenchmarkSet(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	texts := manyPrefixes(rnd)
	set := SetOf(texts)
	b.Run("look up in 10000", func(b *testing.B) {
		b.ReportAllocs()
		a := netip.MustParseAddr("10.77.3.9")
		for b.Loop() {
			set.Has(a)
		}
	})
	b.Run("make 10000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			SetOf(texts)
		}
	})
}
