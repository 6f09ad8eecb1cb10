//go:build linux

package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/client"
	"naru/internal/route"
)

// clock stands still at a moment, or goes with the world's.
type clock struct{ at atomic.Pointer[time.Time] }

func (c *clock) now() time.Time {
	if at := c.at.Load(); at != nil {
		return *at
	}
	return time.Now()
}

func (c *clock) stop(at time.Time) { c.at.Store(&at) }

// leaf is what a host is served with.
func (f *front) leaf(t *testing.T, host string) *x509.Certificate {
	t.Helper()
	c, err := f.dial(t, host)
	ok(t, err)
	return c.ConnectionState().PeerCertificates[0]
}

// visit makes a connection of its own, asks once and leaves.
func (f *front) visit(host string) error {
	c, err := tls.Dial("tcp", f.safe.String(), &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 503") {
		err = fmt.Errorf("answered %q", answer)
	}
	return err
}

// renewal is when a certificate is asked for again.
func renewal(c *x509.Certificate) time.Time { return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3) }

// again has the front look at its hosts now.
func (f *front) again(host string) {
	f.keeper.Want([]string{host})
}

func TestACertificateIsRenewedWhileItIsServed(t *testing.T) {
	f, c := newFront(t, "127.0.0.1:0", "127.0.0.1:0"), &clock{}
	f.clock = c.now
	_, space, err := f.store.Bootstrap(t.Context())
	ok(t, err)
	a := f.authority(t, f.plain.(*net.TCPAddr).Port, f.safe.(*net.TCPAddr).Port)
	const host = "shop.example.com"
	f.mapped(t, space.ID, host)
	f.until(t, space.ID, active)
	f.settle(t)
	first := f.leaf(t, host)
	open, err := f.dial(t, host)
	ok(t, err)
	if status := asks(t, open, host); status != http.StatusServiceUnavailable && status != http.StatusNotFound {
		t.Fatalf("status %d", status)
	}

	// A third of its life is left: visitors come and go while it is replaced.
	halt, came := make(chan struct{}), make(chan error)
	var visitors sync.WaitGroup
	visitors.Go(func() {
		for {
			err := f.visit(host)
			select {
			case <-halt:
				return
			case came <- err:
			}
		}
	})
	ok(t, <-came)
	trouble := make(chan error, 1)
	visitors.Go(func() {
		var all error
		for {
			select {
			case err := <-came:
				all = errors.Join(all, err)
			case <-halt:
				trouble <- all
				return
			}
		}
	})
	c.stop(renewal(first))
	f.again(host)
	second := f.until(t, space.ID, func(k client.Certificate) bool { return k.Until.After(first.NotAfter) })
	f.settle(t)
	close(halt)
	visitors.Wait()
	if err := <-trouble; err != nil {
		t.Errorf("visitors were turned away: %v", err)
	}
	served := f.leaf(t, host)
	if served.SerialNumber.Cmp(first.SerialNumber) == 0 || second.State != client.CertificateActive || second.Detail != "" {
		t.Errorf("served until %s, listed as %+v", served.NotAfter, second)
	}
	asks(t, open, host) // the connection from before goes on

	// The authority is gone: the certificate stays, and the tries get fewer.
	a.end()
	at := renewal(served)
	for i, pause := range []time.Duration{15 * time.Minute, time.Hour, 3 * time.Hour, 12 * time.Hour, 12 * time.Hour} {
		c.stop(at)
		f.again(host)
		next := at.Add(pause)
		got := f.until(t, space.ID, func(k client.Certificate) bool { return k.Next.Equal(next) })
		if got.State != client.CertificateActive || got.Detail == "" || !got.Until.Equal(served.NotAfter) {
			t.Errorf("failure %d: %+v", i+1, got)
		}
		at = next
	}
	if now := f.leaf(t, host); now.SerialNumber.Cmp(served.SerialNumber) != 0 {
		t.Error("another certificate is served")
	}
	asks(t, open, host)
}

func TestWildcardsByDNS(t *testing.T) {
	for name, c := range map[string]struct{ host, alias, added string }{
		"in the zone":     {"*.shop.zone.example", "", "_acme-challenge.shop.zone.example."},
		"led to the zone": {"*.shop.example.org", "_acme-challenge.shop.example.org. 60 IN CNAME _acme-challenge.org.zone.example.", "_acme-challenge.org.zone.example."},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, "127.0.0.1:0", "127.0.0.1:0")
			now := &clock{}
			f.clock = now.now
			_, space, err := f.store.Bootstrap(t.Context())
			ok(t, err)
			a := f.authority(t, f.plain.(*net.TCPAddr).Port, f.safe.(*net.TCPAddr).Port)
			f.mapped(t, space.ID, c.host)

			// The authority is not asked before the host is proved.
			got := f.until(t, space.ID, failed)
			standing, err := a.desk.Look(t.Context(), "another space", c.host)
			ok(t, err)
			if !strings.Contains(got.Detail, standing.Records[0]+" to naru=") {
				t.Fatalf("unproved: %+v", got)
			}
			if len(a.dns.Updates()) != 0 {
				t.Errorf("for an unproved host: %v", a.dns.Updates())
			}
			token := "naru=" + strings.Fields(strings.SplitN(got.Detail, "naru=", 2)[1])[0]
			a.dns.Set(t, fmt.Sprintf("%s. 60 IN TXT %q", standing.Records[0], strings.TrimSuffix(token, ";")))
			if c.alias != "" {
				now.stop(got.Next)
				f.again(c.host)
				lost := f.until(t, space.ID, func(k client.Certificate) bool { return k.Next.After(got.Next) })
				if !strings.Contains(lost.Detail, "_acme-challenge.shop.example.org is not in the zone zone.example; let it be a CNAME of _acme-challenge.shop.example.org.zone.example") {
					t.Errorf("without an alias: %+v", lost)
				}
				got = lost
				a.dns.Set(t, c.alias)
			}
			now.stop(got.Next)
			f.again(c.host)
			f.until(t, space.ID, active)
			f.settle(t)
			if leaf := f.leaf(t, strings.Replace(c.host, "*", "www", 1)); leaf.VerifyHostname(strings.Replace(c.host, "*", "www", 1)) != nil {
				t.Errorf("served is one for %v", leaf.DNSNames)
			}
			updates := a.dns.Updates()
			if len(updates) != 2 || !strings.HasPrefix(updates[0], "+"+c.added) || updates[1][1:] != updates[0][1:] || len(a.dns.TXT(c.added)) != 0 {
				t.Errorf("updates: %v", updates)
			}
			if _, err := os.Stat(filepath.Join(f.cfg.ACMEDir(), "zone.json")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("what is to be undone: %v", err)
			}
		})
	}
}

func TestOutsideAreHostsThatAnAuthorityGives(t *testing.T) {
	f := newFront(t, "127.0.0.1:0", "127.0.0.1:0")
	table := route.Table{}
	for _, host := range []string{"shop.example", "*.shop.example", "Shop.localhost", "*.localhost", "plain", "api.naru.localhost"} {
		table.Routes = append(table.Routes, route.Entry{Host: host})
	}
	if got := fmt.Sprint(f.outside(table)); got != "[shop.example]" {
		t.Errorf("without a zone: %s", got)
	}
	f.wildcards = true
	if got := fmt.Sprint(f.outside(table)); got != "[*.shop.example shop.example]" {
		t.Errorf("with a zone: %s", got)
	}
}
