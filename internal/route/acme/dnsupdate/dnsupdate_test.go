package dnsupdate_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"naru/internal/route/acme/dnsupdate"
	"naru/internal/route/domain/dnstest"
	"naru/internal/secret"
)

const key = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlYw=="

func config(server string) dnsupdate.Config {
	return dnsupdate.Config{Server: server, Zone: "acme.example", KeyName: "naru-key", Algorithm: "hmac-sha256", Secret: secret.New(key)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecordsComeAndGo(t *testing.T) {
	for _, algorithm := range dnsupdate.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			primary := dnstest.NewPrimary(t, "acme.example", "naru-key", key)
			cfg := config(primary.Addr)
			cfg.Algorithm = algorithm
			c, ctx := dnsupdate.New(cfg), t.Context()
			must(t, c.Add(ctx, "_acme-challenge.Shop.acme.example", "one"))
			must(t, c.Add(ctx, "_acme-challenge.shop.acme.example.", "two"))
			must(t, c.Await(ctx, "_acme-challenge.shop.acme.example", "two"))
			must(t, c.Remove(ctx, "_acme-challenge.shop.acme.example", "one"))
			must(t, c.Remove(ctx, "_acme-challenge.shop.acme.example", "never there"))
			if got := primary.TXT("_acme-challenge.shop.acme.example"); !slices.Equal(got, []string{"two"}) {
				t.Errorf("left are %q", got)
			}
		})
	}
}

// Whoever cannot sign is told so, and no word of the key.
func TestWhatAServerRefuses(t *testing.T) {
	primary := dnstest.NewPrimary(t, "acme.example", "naru-key", key)
	for name, change := range map[string]func(*dnsupdate.Config){
		"another secret":  func(c *dnsupdate.Config) { c.Secret = secret.New("b3RoZXIgb3RoZXIgb3RoZXI=") },
		"another key":     func(c *dnsupdate.Config) { c.KeyName = "other" },
		"another zone":    func(c *dnsupdate.Config) { c.Zone = "bank.example" },
		"nobody there":    func(c *dnsupdate.Config) { c.Server = "127.0.0.1:1" },
		"a broken secret": func(c *dnsupdate.Config) { c.Secret = secret.New("***") },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(primary.Addr)
			change(&cfg)
			err := dnsupdate.New(cfg).Add(t.Context(), "_acme-challenge.acme.example", "x")
			if err == nil || strings.Contains(err.Error(), cfg.Secret.Reveal()) || !strings.Contains(err.Error(), "_acme-challenge.acme.example") {
				t.Errorf("got %v", err)
			}
		})
	}
	if got := primary.Updates(); len(got) != 0 {
		t.Errorf("carried out: %v", got)
	}
}

// An answer that nobody signed is no word of the server's.
func TestAForgedAnswerIsNotBelieved(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	forger := &dns.Server{
		Listener: ln, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetReply(r)) }),
	}
	begun, ended := make(chan struct{}), make(chan error, 1)
	forger.NotifyStartedFunc = func() { close(begun) }
	go func() { ended <- forger.ActivateAndServe() }()
	<-begun
	defer func() { must(t, errors.Join(forger.Shutdown(), <-ended)) }()
	err = dnsupdate.New(config(ln.Addr().String())).Add(t.Context(), "_acme-challenge.acme.example", "x")
	if err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("believed: %v", err)
	}
}

func TestItWaitsForAllServers(t *testing.T) {
	primary, secondary := dnstest.NewPrimary(t, "acme.example", "naru-key", key), dnstest.New(t)
	cfg := config(primary.Addr)
	cfg.Shown = []string{primary.Addr, secondary.Addr}
	c := dnsupdate.New(cfg)
	must(t, c.Add(t.Context(), "x.acme.example", "v"))
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Await(short, "x.acme.example", "v"); err == nil || !strings.Contains(err.Error(), secondary.Addr) {
		t.Errorf("the secondary does not show it: %v", err)
	}
	secondary.Set(t, `x.acme.example. 60 IN TXT "v"`)
	must(t, c.Await(t.Context(), "x.acme.example", "v"))
}

func TestKeyFiles(t *testing.T) {
	for text, want := range map[string]string{
		key + "\n": key,
		"key \"naru-key\" {\n\talgorithm hmac-sha256;\n\tsecret \"" + key + "\";\n};\n": key,
		"":             "",
		"not base64 !": "",
	} {
		got, err := dnsupdate.ParseSecret(text)
		if got.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if c := dnsupdate.New(config("")); !c.In("_acme-challenge.shop.ACME.example") || c.In("xacme.example") || !c.In("acme.example.") || c.Zone() != "acme.example" {
		t.Error("what is in the zone")
	}
}
