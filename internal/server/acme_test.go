//go:build linux

package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/config"
	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/route/authority"
	"naru/internal/route/domain"
	"naru/internal/route/domain/dnstest"
	"naru/internal/serve/servetest"
)

// pebble starts the test authority, which asks hosts at the ports given and the
// name server at dns, and returns its directory, the file of who signs that, and
// what ends it.
func pebble(t *testing.T, plain, safe int, dns string) (directory, bundle string, end func()) {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "pebble")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Dir = "../../tools/pebble"
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("pebble cannot be built here: %v: %s", err, out)
	}
	ca, _, err := authority.Load(filepath.Join(dir, "ca.pem"), "localhost", time.Now())
	ok(t, err)
	pair, err := ca.Issue([]string{"localhost"}, time.Now())
	ok(t, err)
	bundle = filepath.Join(dir, "bundle.pem")
	ok(t, os.WriteFile(bundle, ca.Certificate(), 0o600))
	ok(t, os.WriteFile(filepath.Join(dir, "cert.pem"), pair.Chain, 0o600))
	ok(t, os.WriteFile(filepath.Join(dir, "key.pem"), pair.Key, 0o600))
	at := servetest.Free(t)
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": at, "certificate": filepath.Join(dir, "cert.pem"), "privateKey": filepath.Join(dir, "key.pem"),
		"httpPort": plain, "tlsPort": safe, "retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "d", "validityPeriod": 7776000}},
	}})
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600))
	ctx, stop := context.WithCancel(context.Background())
	run := exec.CommandContext(ctx, bin, "-config", filepath.Join(dir, "config.json"), "-dnsserver", dns)
	run.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	ok(t, run.Start())
	end = sync.OnceFunc(func() { stop(); _ = run.Wait() })
	t.Cleanup(end)
	deadline := time.Now().Add(time.Minute)
	for {
		c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", at)
		if err == nil {
			ok(t, c.Close())
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("pebble does not answer")
		}
	}
	_, port, err := net.SplitHostPort(at)
	ok(t, err)
	return "https://localhost:" + port + "/dir", bundle, end
}

// asked is an authority that a front asks, and the DNS that it believes.
type asked struct {
	dns     *dnstest.Server
	desk    *domain.Desk
	trusted trust
	end     func() // of the authority
}

// authority has the front ask one, until the test ends. All names lead to this
// machine, which proves them; zone.example takes updates.
func (f *front) authority(t *testing.T, plain, safe int) *asked {
	t.Helper()
	const key = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlYw=="
	a := &asked{dns: dnstest.NewPrimary(t, "zone.example", "naru-key", key)}
	a.dns.Set(t, "*. 60 IN A 127.0.0.1")
	file := filepath.Join(t.TempDir(), "tsig")
	ok(t, os.WriteFile(file, []byte(key), 0o600))
	f.cfg.ACME.Agree = true
	f.cfg.ACME.DNS = config.ACMEDNS{Server: a.dns.Addr, Zone: "zone.example", KeyName: "naru-key", Algorithm: "hmac-sha256", SecretFile: file}
	f.cfg.Domains = config.Domains{Check: "required", Addresses: []string{"127.0.0.1"}, Resolver: a.dns.Addr, Timeout: time.Minute}
	f.cfg.ACME.Directory, f.cfg.ACME.CABundle, a.end = pebble(t, plain, safe, a.dns.Addr)
	login, err := auth.NewKey()
	ok(t, err)
	a.desk, err = newDomains(f.cfg, login, f.store)
	ok(t, err)
	a.trusted, err = newTrust(f.cfg)
	ok(t, err)
	ok(t, f.ask(f.cfg, f.store, a.desk, a.trusted, slog.New(slog.NewTextHandler(t.Output(), nil))))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() { stop(); ok(t, <-ended) })
	return a
}

// mapped stores a route and publishes a table with it.
func (f *front) mapped(t *testing.T, space app.SpaceID, host string) {
	t.Helper()
	_, err := f.store.SetRoute(t.Context(), route.Route{ID: route.ID(id.New()), Space: space, Host: host, Path: "/"})
	ok(t, err)
	f.served.Publish(route.Table{Routes: []route.Entry{
		{ID: "r1", Host: host, Path: "/", Groups: []route.Group{}}, {ID: "r2", Host: "x.localhost", Path: "/", Groups: []route.Group{}},
	}})
}

func TestAnAuthorityGivesCertificates(t *testing.T) {
	for _, way := range []string{"HTTP-01", "TLS-ALPN-01"} {
		t.Run(way, func(t *testing.T) {
			f := newFront(t, "127.0.0.1:0", "127.0.0.1:0")
			plain, safe := f.plain.(*net.TCPAddr).Port, f.safe.(*net.TCPAddr).Port
			nowhere, err := net.ResolveTCPAddr("tcp", servetest.Free(t))
			ok(t, err)
			if way == "HTTP-01" { // the other way leads nowhere
				safe = nowhere.Port
			} else {
				plain = nowhere.Port
			}
			_, space, err := f.store.Bootstrap(t.Context())
			ok(t, err)
			f.cfg.ACME.Email = "ops@example.com"
			a := f.authority(t, plain, safe)

			open, err := f.dial(t, "localhost")
			ok(t, err)
			host := "shop.example.com"
			f.mapped(t, space.ID, host)
			got := f.until(t, space.ID, active)
			if got.Host != host || got.Source != "acme" || got.Detail != "" || got.Until.Before(time.Now()) {
				t.Errorf("listed as %+v", got)
			}
			f.settle(t)
			c, err := f.dial(t, host)
			ok(t, err)
			if leaf := c.ConnectionState().PeerCertificates[0]; leaf.VerifyHostname(host) != nil || leaf.Issuer.CommonName != got.Issuer {
				t.Errorf("served is one of %s for %v", leaf.Issuer, leaf.DNSNames)
			}
			if status := asks(t, open, "localhost"); status != http.StatusNotFound {
				t.Errorf("the old connection: %d", status)
			}
			info, err := os.Stat(filepath.Join(f.cfg.ACMEDir(), "hosts", host+".pem"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("kept as %v, %v", info, err)
			}
			// Nobody else gets to speak the authority's protocol.
			d := &tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: []string{"acme-tls/1"}}}
			if _, err := d.DialContext(t.Context(), "tcp", f.safe.String()); err == nil {
				t.Error("a proof that nobody asked for is given")
			}
			// A new keeper finds what was kept, and asks nobody.
			again := newHosts(f.cfg, f.vault, f.store, f.served)
			f.cfg.ACME.Directory = "https://localhost:1/dir"
			ok(t, again.ask(f.cfg, f.store, a.desk, a.trusted, slog.New(slog.NewTextHandler(t.Output(), nil))))
			again.keeper.Want([]string{host})
			if s := again.keeper.States(); len(s) != 1 || s[0].Chain == nil || s[0].Asking {
				t.Errorf("after a start: %+v", s)
			}
		})
	}
}

func TestARefusalIsSaid(t *testing.T) {
	f := newFront(t, "127.0.0.1:0", "127.0.0.1:0")
	_, space, err := f.store.Bootstrap(t.Context())
	ok(t, err)
	dead, err := net.ResolveTCPAddr("tcp", servetest.Free(t))
	ok(t, err)
	f.authority(t, dead.Port, dead.Port)
	f.mapped(t, space.ID, "gone.example.com")
	got := f.until(t, space.ID, failed)
	if got.Detail == "" || time.Until(got.Next) <= 0 || time.Until(got.Next) > 15*time.Minute {
		t.Errorf("listed as %+v", got)
	}
}

func active(c client.Certificate) bool { return c.State == client.CertificateActive }
func failed(c client.Certificate) bool { return c.State == client.CertificateFailed }

// until waits until the space's first certificate is like that.
func (f *front) until(t *testing.T, space app.SpaceID, like func(client.Certificate) bool) client.Certificate {
	t.Helper()
	deadline, tick := time.After(2*time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		all, err := f.HostCertificates(t.Context(), space)
		ok(t, err)
		if len(all) > 0 && like(all[0]) {
			return all[0]
		}
		select {
		case <-deadline:
			t.Fatalf("still %+v", all)
		case <-tick.C:
		}
	}
}
