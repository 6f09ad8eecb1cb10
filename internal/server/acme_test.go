//go:build linux

package server

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/id"
	"naru/internal/route"
	"naru/internal/route/authority"
)

// pebble starts the test authority, which asks hosts at the ports given, and
// returns its directory and the file of who signs that.
func pebble(t *testing.T, plain, safe int) (directory, bundle string) {
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
	at := free(t)
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": at, "certificate": filepath.Join(dir, "cert.pem"), "privateKey": filepath.Join(dir, "key.pem"),
		"httpPort": plain, "tlsPort": safe, "retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "d", "validityPeriod": 7776000}},
	}})
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600))
	ctx, stop := context.WithCancel(context.Background())
	run := exec.CommandContext(ctx, bin, "-config", filepath.Join(dir, "config.json"), "-dnsserver", names(t))
	run.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	ok(t, run.Start())
	t.Cleanup(func() { stop(); _ = run.Wait() })
	deadline := time.Now().Add(20 * time.Second)
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
	return "https://localhost:" + port + "/dir", bundle
}

func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer func() { ok(t, ln.Close()) }()
	return ln.Addr().String()
}

// names is a name server, over TCP, for which every name is this machine.
func names(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go resolve(conn)
		}
	}()
	return ln.Addr().String()
}

func resolve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		buf := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, buf); err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf) != nil || len(m.Questions) == 0 {
			return
		}
		q := m.Questions[0]
		a := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions[:1]}
		if q.Type == dnsmessage.TypeA {
			a.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			}}
		}
		out, err := a.Pack()
		if err != nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return
		}
	}
}

func TestAnAuthorityGivesCertificates(t *testing.T) {
	for _, way := range []string{"HTTP-01", "TLS-ALPN-01"} {
		t.Run(way, func(t *testing.T) {
			f := newFront(t, "127.0.0.1:0", "127.0.0.1:0")
			plain, safe := f.plain.(*net.TCPAddr).Port, f.safe.(*net.TCPAddr).Port
			nowhere, err := net.ResolveTCPAddr("tcp", free(t))
			ok(t, err)
			if way == "HTTP-01" { // the other way leads nowhere
				safe = nowhere.Port
			} else {
				plain = nowhere.Port
			}
			_, space, err := f.store.Bootstrap(t.Context())
			ok(t, err)
			f.cfg.ACME.Agree = true
			f.cfg.ACME.Email = "ops@example.com"
			f.cfg.ACME.Directory, f.cfg.ACME.CABundle = pebble(t, plain, safe)
			trusted, err := newTrust(f.cfg)
			ok(t, err)
			ok(t, f.ask(f.cfg, f.store, trusted, slog.New(slog.NewTextHandler(t.Output(), nil))))
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- f.Run(ctx) }()
			defer func() { stop(); ok(t, <-ended) }()

			open, err := f.dial(t, "localhost")
			ok(t, err)
			host := "shop.example.com"
			_, err = f.store.SetRoute(t.Context(), route.Route{ID: route.ID(id.New()), Space: space.ID, Host: host, Path: "/"})
			ok(t, err)
			f.served.Publish(route.Table{Routes: []route.Entry{{ID: "r1", Host: host, Path: "/", Groups: []route.Group{}}, {ID: "r2", Host: "x.localhost", Path: "/", Groups: []route.Group{}}}})
			got := f.until(t, space.ID, client.CertificateActive)
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
			again := newHosts(f.cfg, f.vault, f.served)
			f.cfg.ACME.Directory = "https://localhost:1/dir"
			ok(t, again.ask(f.cfg, f.store, trusted, slog.New(slog.NewTextHandler(t.Output(), nil))))
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
	f.cfg.ACME.Agree = true
	dead, err := net.ResolveTCPAddr("tcp", free(t))
	ok(t, err)
	f.cfg.ACME.Directory, f.cfg.ACME.CABundle = pebble(t, dead.Port, dead.Port)
	trusted, err := newTrust(f.cfg)
	ok(t, err)
	ok(t, f.ask(f.cfg, f.store, trusted, slog.New(slog.NewTextHandler(t.Output(), nil))))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	defer func() { stop(); ok(t, <-ended) }()
	_, err = f.store.SetRoute(t.Context(), route.Route{ID: route.ID(id.New()), Space: space.ID, Host: "gone.example.com", Path: "/"})
	ok(t, err)
	f.served.Publish(route.Table{Routes: []route.Entry{{ID: "r1", Host: "gone.example.com", Path: "/", Groups: []route.Group{}}}})
	got := f.until(t, space.ID, client.CertificateFailed)
	if got.Detail == "" || time.Until(got.Next) <= 0 || time.Until(got.Next) > 15*time.Minute {
		t.Errorf("listed as %+v", got)
	}
}

// until waits until the space's first certificate is in a state.
func (f *front) until(t *testing.T, space app.SpaceID, state string) client.Certificate {
	t.Helper()
	deadline, tick := time.After(25*time.Second), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		all, err := f.HostCertificates(t.Context(), space)
		ok(t, err)
		if len(all) > 0 && all[0].State == state {
			return all[0]
		}
		last = fmt.Sprintf("%+v", all)
		select {
		case <-deadline:
			t.Fatalf("still %s", last)
		case <-tick.C:
		}
	}
}
