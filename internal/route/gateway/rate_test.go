package gateway

import (
	"net/netip"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// asking is an exchange with a request of the given fields.
func asking(t testing.TB, ip string, trusted []netip.Prefix, fields string) *exchange {
	t.Helper()
	cfg := Config{Trusted: trusted}.withDefaults()
	x := &exchange{g: &Gateway{cfg: cfg}}
	o := x.g.originAt(ip+":1", false)
	if netip.MustParseAddr(ip).Is6() {
		o = x.g.originAt("["+ip+"]:1", false)
	}
	x.origin = &o
	if why := x.request.Parse([]byte("GET / HTTP/1.1\r\nHost: shop.test\r\n" + fields + "\r\n")); why != nil {
		t.Fatal(why)
	}
	x.reset(time.Now(), &x.request)
	return x
}

func TestRateCountsVisitors(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, tc := range map[string]struct {
		one, other       string
		first, then      string // fields
		behind, together bool
	}{
		"another address":                 {one: "192.0.2.1", other: "192.0.2.2"},
		"the same address":                {one: "192.0.2.1", other: "192.0.2.1", together: true},
		"a /64":                           {one: "2001:db8::1", other: "2001:db8::ffff:1", together: true},
		"another /64":                     {one: "2001:db8::1", other: "2001:db8:0:1::1"},
		"IPv4 in IPv6":                    {one: "192.0.2.1", other: "::ffff:192.0.2.1", together: true},
		"what a visitor writes":           {one: "192.0.2.1", other: "192.0.2.1", first: "X-Forwarded-For: 1.1.1.1\r\n", then: "X-Forwarded-For: 2.2.2.2\r\n", together: true},
		"behind a proxy":                  {one: "10.0.0.1", other: "10.0.0.2", first: "X-Forwarded-For: 192.0.2.1\r\n", then: "X-Forwarded-For: 192.0.2.2\r\n", behind: true},
		"behind two":                      {one: "10.0.0.1", other: "10.0.0.1", first: "X-Forwarded-For: 192.0.2.1, 10.0.0.9\r\n", then: "X-Forwarded-For: 192.0.2.1\r\n", behind: true, together: true},
		"with a port":                     {one: "10.0.0.1", other: "10.0.0.1", first: "X-Forwarded-For: 192.0.2.1:5555\r\n", then: "X-Forwarded-For: 192.0.2.1\r\n", behind: true, together: true},
		"invented before the proxy":       {one: "10.0.0.1", other: "10.0.0.1", first: "X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\n", then: "X-Forwarded-For: 2.2.2.2,192.0.2.1\r\n", behind: true, together: true},
		"invented in a field of its own":  {one: "10.0.0.1", other: "10.0.0.1", first: "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.1\r\n", then: "X-Forwarded-For: 192.0.2.1\r\n", behind: true, together: true},
		"nonsense before the proxy":       {one: "10.0.0.1", other: "10.0.0.1", first: "X-Forwarded-For: a, b, c\r\n", then: "X-Forwarded-For: c, d\r\n", behind: true, together: true},
		"a proxy that tells nobody":       {one: "10.0.0.1", other: "10.0.0.2", behind: true},
		"visitors that are proxies' kind": {one: "10.0.0.1", other: "10.0.0.1", first: "X-Forwarded-For: 10.0.0.7\r\n", then: "X-Forwarded-For: 10.0.0.8\r\n", behind: true},
	} {
		t.Run(name, func(t *testing.T) {
			var trusted []netip.Prefix
			if tc.behind {
				trusted = proxies
			}
			r := newRate(route.Rate{Requests: 1, Per: app.Duration(time.Hour), By: "client"}).ready()
			now := int64(time.Hour)
			if r.take(asking(t, tc.one, trusted, tc.first), now) != 0 {
				t.Fatal("the first request waits")
			}
			if got := r.take(asking(t, tc.other, trusted, tc.then), now) != 0; got != tc.together {
				t.Errorf("counted together: %v", got)
			}
		})
	}
}

func TestRateCountsValues(t *testing.T) {
	for name, tc := range map[string]struct {
		by, first, then string
		together        bool
	}{
		"the same header":  {"header:X-Key", "X-Key: a", "x-key: a", true},
		"another header":   {"header:X-Key", "X-Key: a", "X-Key: b", false},
		"without a header": {"header:X-Key", "X-Other: a", "X-Other: b", true},
		"one of them":      {"header:X-Key", "X-Key: a", "X-Other: a", false},
		"the same cookie":  {"cookie:key", "Cookie: key=a; b=1", "Cookie: b=2; key=a", true},
		"another cookie":   {"cookie:key", "Cookie: key=a", "Cookie: key=b", false},
		"without a cookie": {"cookie:key", "Cookie: other=a", "Accept: */*", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRate(route.Rate{Requests: 1, By: tc.by}).ready()
			now := int64(time.Hour)
			if r.take(asking(t, "192.0.2.1", nil, tc.first+"\r\n"), now) != 0 {
				t.Fatal("the first request waits")
			}
			if got := r.take(asking(t, "192.0.2.1", nil, tc.then+"\r\n"), now) != 0; got != tc.together {
				t.Errorf("counted together: %v", got)
			}
		})
	}
}

func TestWhatARateCountedOutlivesTheTable(t *testing.T) {
	spec := &route.Policy{Rates: []route.Rate{{Requests: 1}, {Requests: 2, By: "client"}}, Bulkhead: &route.Bulkhead{Requests: 3}}
	before := newPolicy(spec, nil)
	same := *spec
	same.Rates = []route.Rate{{Requests: 2, By: "client"}, {Requests: 7}}
	after := newPolicy(&same, before)
	if after.gates[0] != before.gates[1] || after.gates[2] != before.gates[2] {
		t.Error("gates with the same rule were replaced")
	}
	if after.gates[1] == before.gates[0] {
		t.Error("a gate with another rule was kept")
	}
	twice := newPolicy(&route.Policy{Rates: []route.Rate{{Requests: 1}, {Requests: 1}}}, before)
	if len(twice.gates) != 1 {
		t.Error("one bucket is asked twice")
	}
}

func BenchmarkRate(b *testing.B) {
	for _, by := range []string{"", "client", "header:X-Key"} {
		b.Run("by "+by, func(b *testing.B) {
			r := newRate(route.Rate{Requests: 1_000_000, By: by}).ready()
			b.RunParallel(func(pb *testing.PB) {
				x := asking(b, "192.0.2.1", nil, "X-Key: a\r\n")
				for pb.Next() {
					r.take(x, time.Since(began).Nanoseconds())
				}
			})
		})
	}
}
