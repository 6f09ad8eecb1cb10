package domain_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/domain"
	"naru/internal/route/domain/dnstest"
)

// holders is who has routes.
type holders []route.Holder

func (h holders) HostHolders(_ context.Context, host string) (out []route.Holder, err error) {
	for _, one := range h {
		if one.Host == host || slices.Contains(route.Wildcards(host), one.Host) {
			out = append(out, one)
		}
	}
	return out, nil
}

type bench struct {
	*domain.Desk
	dns *dnstest.Server
	cfg domain.Config
}

func newBench(t *testing.T, has ...route.Holder) *bench {
	b := &bench{dns: dnstest.New(t)}
	b.cfg = domain.Config{
		Required: true, Apps: "apps.example", Resolver: b.dns.Addr, Timeout: time.Minute, Secret: []byte("secret"),
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
	}
	b.Desk = domain.New(b.cfg, holders(has))
	return b
}

// token is that of a space.
func (b *bench) token(t *testing.T, space app.SpaceID) string {
	t.Helper()
	s, err := b.Look(t.Context(), space, "any.other.example")
	if err != nil || !strings.HasPrefix(s.Token, "naru=") {
		t.Fatalf("the token is %q, %v", s.Token, err)
	}
	return s.Token
}

func TestAHostIsProvedByDNS(t *testing.T) {
	b := newBench(t, route.Holder{Host: "*.taken.example", Space: "b"}, route.Holder{Host: "shared.example", Space: "b"})
	mine, theirs := b.token(t, "a"), b.token(t, "b")
	if mine == theirs {
		t.Fatal("two spaces have one token")
	}
	txt := func(name, text string) string { return fmt.Sprintf("%s. 60 IN TXT %q", name, text) }
	for name, c := range map[string]struct {
		host    string
		records []string
		refused string // a part of why; "": it is not
	}{
		"nothing":                         {"a1.example", nil, "nothing in DNS"},
		"a token":                         {"a2.example", []string{txt("_naru.a2.example", mine)}, ""},
		"a token beside other words":      {"a3.example", []string{txt("_naru.a3.example", "v=spf1"), txt("_naru.a3.example", theirs), txt("_naru.a3.example", mine)}, ""},
		"another space's token":           {"a4.example", []string{txt("_naru.a4.example", theirs)}, "_naru.a4.example has the token of another space"},
		"the token at the host itself":    {"a5.example", []string{txt("a5.example", mine)}, "nothing in DNS"},
		"the token in capitals":           {"a6.example", []string{txt("_naru.a6.example", strings.ToUpper(mine))}, "nothing in DNS"},
		"the domain's token":              {"www.a7.example", []string{txt("_naru.a7.example", mine)}, ""},
		"a wildcard":                      {"*.a8.example", []string{txt("_naru.a8.example", mine)}, ""},
		"a wildcard by a name below":      {"*.a9.example", []string{txt("_naru.www.a9.example", mine)}, "nothing in DNS"},
		"a token behind an alias":         {"b1.example", []string{"_naru.b1.example. 60 IN CNAME tokens.b1.example.", txt("tokens.b1.example", mine)}, ""},
		"an address":                      {"b2.example", []string{"b2.example. 60 IN A 192.0.2.1"}, ""},
		"both addresses":                  {"b3.example", []string{"b3.example. 60 IN A 192.0.2.1", "b3.example. 60 IN AAAA 2001:db8::1"}, ""},
		"an address behind an alias":      {"b4.example", []string{"b4.example. 60 IN CNAME front.b4.example.", "front.b4.example. 60 IN A 192.0.2.1"}, ""},
		"another address beside it":       {"b5.example", []string{"b5.example. 60 IN A 192.0.2.1", "b5.example. 60 IN A 198.51.100.7"}, "nothing in DNS"},
		"another IPv6 address beside it":  {"b6.example", []string{"b6.example. 60 IN A 192.0.2.1", "b6.example. 60 IN AAAA 2001:db8::2"}, "nothing in DNS"},
		"the address, but a token":        {"b7.example", []string{"b7.example. 60 IN A 192.0.2.1", txt("_naru.b7.example", theirs)}, "another space"},
		"the address, the domain's token": {"www.b8.example", []string{"www.b8.example. 60 IN A 192.0.2.1", txt("_naru.b8.example", theirs)}, "another space"},
		"a wildcard by addresses":         {"*.b9.example", []string{"b9.example. 60 IN A 192.0.2.1", "*.b9.example. 60 IN A 192.0.2.1"}, "nothing in DNS"},

		"below another's wildcard":              {"c1.taken.example", []string{"c1.taken.example. 60 IN A 192.0.2.1"}, "another space answers there"},
		"with a token there":                    {"c2.taken.example", []string{txt("_naru.c2.taken.example", mine)}, ""},
		"with a token where the other's may be": {"c3.taken.example", []string{txt("_naru.taken.example", mine)}, "another space answers there"},
		"another's host":                        {"shared.example", []string{"shared.example. 60 IN A 192.0.2.1"}, "another space answers there"},
		"an app":                                {"shop.apps.example", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b.dns.Set(t, c.records...)
			err := b.Allow(t.Context(), "a", c.host)
			if c.refused == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			f, kind := fault.Of(err), fault.Denied
			if strings.HasSuffix(c.host, "taken.example") || c.host == "shared.example" {
				kind = fault.Conflict
			}
			if f == nil || f.Kind != kind || f.Field != "host" || !strings.Contains(f.Message, c.refused) || !strings.Contains(f.Try, mine) || strings.Contains(f.Error()+f.Try, theirs) {
				t.Errorf("got %v, want %q", err, c.refused)
			}
		})
	}
}

func TestManyRecordsAreReadWhole(t *testing.T) {
	b := newBench(t)
	var lines []string
	for i := range 40 {
		lines = append(lines, fmt.Sprintf("_naru.big.example. 60 IN TXT %q", fmt.Sprint(i, strings.Repeat(" words", 20))))
	}
	b.dns.Set(t, append(lines, fmt.Sprintf("_naru.big.example. 60 IN TXT %q", b.token(t, "a")))...)
	if err := b.Allow(t.Context(), "a", "big.example"); err != nil {
		t.Errorf("more than a packet takes: %v", err)
	}
}

// What is not known proves nothing, and is told.
func TestDNSThatFails(t *testing.T) {
	b := newBench(t)
	b.dns.Set(t, "x.example. 60 IN A 192.0.2.1")
	if err := b.Allow(t.Context(), "a", "x.example"); err != nil {
		t.Fatal(err)
	}
	b.dns.Break("_naru.x.example")
	f := fault.Of(b.Allow(t.Context(), "a", "x.example"))
	if f == nil || f.Kind != fault.Denied || !strings.Contains(f.Message, "SERVFAIL for TXT of _naru.x.example") {
		t.Errorf("tokens are not known: %v", f)
	}
	b.cfg.Resolver = "127.0.0.1:1"
	f = fault.Of(domain.New(b.cfg, holders{}).Allow(t.Context(), "a", "x.example"))
	if f == nil || !strings.Contains(f.Message, "127.0.0.1:1 does not answer") || strings.Contains(f.Message, "refused") {
		t.Errorf("no name server: %v", f)
	}
}

func TestProvedForItsSpace(t *testing.T) {
	b := newBench(t, route.Holder{Host: "x.example", Space: "b"}, route.Holder{Host: "x.example", Space: "a"}, route.Holder{Host: "*.y.example", Space: "a"})
	if err := b.Proved(t.Context(), "x.example"); !fault.Is(err, fault.Denied) {
		t.Errorf("without a record: %v", err)
	}
	b.dns.Set(t, fmt.Sprintf("_naru.x.example. 60 IN TXT %q", b.token(t, "a")))
	if err := b.Proved(t.Context(), "x.example"); err != nil {
		t.Errorf("one of its spaces proved it: %v", err)
	}
	if err := b.Proved(t.Context(), "www.y.example"); err == nil {
		t.Error("a host that nobody has is proved")
	}
	asked := b.dns.Asked()
	b.cfg.Required = false
	lax := domain.New(b.cfg, holders{})
	if err := lax.Proved(t.Context(), "z.example"); err != nil {
		t.Errorf("where nothing has to be proved: %v", err)
	}
	if err := lax.Allow(t.Context(), "a", "z.example"); err != nil || b.dns.Asked() != asked {
		t.Errorf("asked %d times for what needs no proof, %v", b.dns.Asked()-asked, err)
	}
}
