package gateway

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"naru/internal/route"
	"naru/internal/route/password"
)

// arrived is a request as its gates meet it. A head is lines without their ends.
func arrived(t testing.TB, from string, cfg Config, head ...string) *exchange {
	t.Helper()
	x := &exchange{g: &Gateway{cfg: cfg.withDefaults(), logins: password.NewDesk(1)}}
	o := x.g.originAt(from, false)
	x.origin, x.proto, x.client = &o, "HTTP/1.1", &atAddress{}
	if why := x.request.Parse([]byte(strings.Join(head, "\r\n") + "\r\n\r\n")); why != nil {
		t.Fatal(why)
	}
	x.req = &x.request
	x.locate()
	x.identify()
	x.watch = &watch{}
	x.group = &group{id: "g", name: "shop-v001"}
	x.entry = &entry{spec: &route.Entry{App: route.App{Name: "shop"}}}
	return x
}

// atAddress is a client that was reached at an address.
type atAddress struct {
	client
	addr net.TCPAddr
}

func (a *atAddress) local() net.Addr { return &a.addr }

func TestPolicyMeetsGatesInTheirOrder(t *testing.T) {
	spec := &route.Policy{
		HTTPS: true, Maintenance: &route.Maintenance{}, Addresses: &route.Addresses{Deny: []string{"192.0.2.1"}},
		Auth: &route.Auth{Users: map[string]string{"ann": hashOfSecret}}, Redirect: &route.Redirect{To: "/"},
		Rates: []route.Rate{{Requests: 1}}, Faults: []route.Fault{{Share: 1, Abort: 500}}, Bulkhead: &route.Bulkhead{Requests: 1},
	}
	var got []string
	for _, g := range newPolicy(spec, nil).gates {
		switch g.(type) {
		case *httpsOnly:
			got = append(got, "https")
		case *maintenance:
			got = append(got, "maintenance")
		case *addresses:
			got = append(got, "addresses")
		case *auth:
			got = append(got, "auth")
		case *redirect:
			got = append(got, "redirect")
		case *rate:
			got = append(got, "rate")
		case *trouble:
			got = append(got, "fault")
		case *bulkhead:
			got = append(got, "bulkhead")
		}
	}
	const want = "https maintenance addresses auth redirect rate fault bulkhead"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestHTTPSGoesWhereTLSIsSpoken(t *testing.T) {
	proxy := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for name, tt := range map[string]struct {
		cfg        Config
		port, here int // of TLS, and where the client reached us
		head       []string
		want       string // "": it passes
	}{
		"the usual ports":                         {port: 443, here: 80, head: []string{"Host: shop.test"}, want: "https://shop.test/a?b"},
		"ports of our own":                        {port: 8443, here: 8080, head: []string{"Host: shop.test:8080"}, want: "https://shop.test:8443/a?b"},
		"a usual port and one of our own":         {port: 8443, here: 80, head: []string{"Host: shop.test"}, want: "https://shop.test:8443/a?b"},
		"our own port and the usual one":          {port: 443, here: 8080, head: []string{"Host: shop.test:8080"}, want: "https://shop.test/a?b"},
		"something between that changes ports":    {port: 8443, here: 8080, head: []string{"Host: shop.test"}, want: "https://shop.test/a?b"},
		"no TLS here":                             {here: 8080, head: []string{"Host: shop.test:8080"}, want: "https://shop.test/a?b"},
		"an address":                              {port: 8443, here: 8080, head: []string{"Host: [::1]:8080"}, want: "https://[::1]:8443/a?b"},
		"an address without a port":               {port: 8443, here: 80, head: []string{"Host: [::1]"}, want: "https://[::1]:8443/a?b"},
		"a client says https":                     {port: 443, here: 80, head: []string{"Host: shop.test", "X-Forwarded-Proto: https"}, want: "https://shop.test/a?b"},
		"a trusted proxy says https":              {cfg: Config{Trusted: proxy}, here: 80, head: []string{"Host: shop.test", "X-Forwarded-Proto: HTTPS"}},
		"a trusted proxy says https of the first": {cfg: Config{Trusted: proxy}, here: 80, head: []string{"Host: shop.test", "X-Forwarded-Proto: https , http"}},
		"a trusted proxy says http":               {cfg: Config{Trusted: proxy}, port: 8443, here: 8080, head: []string{"Host: shop.test:8080", "X-Forwarded-Proto: http"}, want: "https://shop.test/a?b"},
		"a trusted proxy says nothing":            {cfg: Config{Trusted: proxy}, port: 8443, here: 8080, head: []string{"Host: shop.test"}, want: "https://shop.test/a?b"},
	} {
		t.Run(name, func(t *testing.T) {
			x := arrived(t, "192.0.2.7:1", tt.cfg, append([]string{"GET /a?b HTTP/1.1"}, tt.head...)...)
			x.g.tlsPort = tt.port
			x.client = &atAddress{addr: net.TCPAddr{Port: tt.here}}
			page, err := (&httpsOnly{}).pass(x)
			got := ""
			if page != nil {
				got = page.fields[0].value
			}
			if got != tt.want || err != nil {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestChallengesOfAuthorities(t *testing.T) {
	for path, want := range map[string]bool{
		"/.well-known/acme-challenge/LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0": true,
		"/.well-known/acme-challenge/":                                            false,
		"/.well-known/acme-challenge":                                             false,
		"/.well-known/acme-challenge/a/b":                                         false,
		"/.well-known/acme-challenge/..":                                          false,
		"/x/.well-known/acme-challenge/abc":                                       false,
		"/.well-known/acme-challenge/a\x00b":                                      false,
	} {
		if got := challenge(path); got != want {
			t.Errorf("challenge(%q) = %v", path, got)
		}
	}
}

func TestAddressesBehindProxies(t *testing.T) {
	cfg := Config{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	gate := newAddresses(&route.Addresses{Allow: []string{"198.51.100.0/24"}, Deny: []string{"198.51.100.66"}}).ready()
	for name, tt := range map[string]struct {
		from string
		said []string
		in   bool
	}{
		"told by a proxy":                     {"10.0.0.1:1", []string{"198.51.100.1"}, true},
		"told by two proxies":                 {"10.0.0.1:1", []string{"198.51.100.1, 10.0.0.2"}, true},
		"in two fields":                       {"10.0.0.1:1", []string{"198.51.100.1", "10.0.0.2"}, true},
		"with a port":                         {"10.0.0.1:1", []string{"198.51.100.1:4711"}, true},
		"written by the client before":        {"10.0.0.1:1", []string{"198.51.100.1, 203.0.113.9"}, false},
		"written by the client in two fields": {"10.0.0.1:1", []string{"198.51.100.1", "203.0.113.9"}, false},
		"nonsense behind it":                  {"10.0.0.1:1", []string{"198.51.100.1, nonsense"}, false},
		"denied":                              {"10.0.0.1:1", []string{"198.51.100.66"}, false},
		"no proxy that is trusted":            {"192.0.2.1:1", []string{"198.51.100.1"}, false},
		"the proxy itself":                    {"10.0.0.1:1", nil, false},
		"without a proxy":                     {"198.51.100.9:1", nil, true},
		"mapped":                              {"[::ffff:198.51.100.9]:1", nil, true},
		"no address":                          {"@", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			head := []string{"GET / HTTP/1.1", "Host: shop.test"}
			for _, said := range tt.said {
				head = append(head, "X-Forwarded-For: "+said)
			}
			page, err := gate.pass(arrived(t, tt.from, cfg, head...))
			if (page == nil) != tt.in || err != nil {
				t.Errorf("let in: %v, %v", page == nil, err)
			}
		})
	}
}

// hashOfSecret is the password "secret".
const hashOfSecret = "$2a$04$i1RTxfyElxbHPBtSt2nxU..r2A/tcp9f1eSXLk/F6Er4isxRA72za"
