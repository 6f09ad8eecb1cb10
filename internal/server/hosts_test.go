//go:build linux

package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/client"
	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/route"
	"naru/internal/route/authority"
	"naru/internal/route/certificate"
	"naru/internal/route/gateway"
	"naru/internal/route/hub"
	"naru/internal/secret"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

// front is a control plane's certificates and a gateway that serves them over
// real sockets.
type front struct {
	*hosts
	store       *store.Store
	cfg         config.Config
	gateways    *hub.Hub
	plain, safe net.Addr
}

func newFront(t *testing.T, plain, safe string) *front {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	f := &front{store: storetest.Open(t, store.Options{}), gateways: hub.New(hub.Config{Settle: time.Millisecond, Interval: time.Millisecond}, log)}
	f.cfg = config.Config{DataDir: dir, AppsDomain: "localhost", Listen: config.Listen{AppsTLS: safe}}
	ring, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	ok(t, err)
	f.hosts = newHosts(f.cfg, vault.New(f.store, func() *secret.Keyring { return ring }, nil), f.store, newCertified(f.cfg, f.gateways, log))
	control, err := hub.Listen(filepath.Join(dir, "control.sock"), 0)
	ok(t, err)
	shelf, err := certificate.Open(filepath.Join(dir, "certificates.json"))
	ok(t, err)
	g, err := gateway.New(gateway.Config{Control: filepath.Join(dir, "control.sock"), Certificates: shelf, Drain: time.Second, DrainUpgrade: time.Second}, log)
	ok(t, err)
	http, err := net.Listen("tcp", plain)
	ok(t, err)
	https, err := net.Listen("tcp", safe)
	ok(t, err)
	f.plain, f.safe = http.Addr(), https.Addr()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- f.gateways.Run(ctx, control) }()
	go func() { ended <- g.Run(ctx, []net.Listener{http, gateway.Secure(https, shelf.For)}) }()
	t.Cleanup(func() { stop(); ok(t, errors.Join(<-ended, <-ended)) })
	f.settle(t)
	return f
}

// settle waits until the gateway has what was sent.
func (f *front) settle(t *testing.T) {
	t.Helper()
	table, _ := f.gateways.Latest()
	ok(t, f.gateways.WaitAcked(t.Context(), f.served.Publish(table)))
}

// dial speaks TLS with the gateway and does not care who it is.
func (f *front) dial(t *testing.T, name string) (*tls.Conn, error) {
	t.Helper()
	d := &tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}
	c, err := d.DialContext(t.Context(), "tcp", f.safe.String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*tls.Conn), nil
}

// serial is that of the certificate a host is served with; "" for none.
func (f *front) serial(t *testing.T, name string) string {
	t.Helper()
	c, err := f.dial(t, name)
	if err != nil {
		return ""
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// asks sends a request on an open connection.
func asks(t *testing.T, c net.Conn, host string) int {
	t.Helper()
	_, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"))
	ok(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	ok(t, err)
	ok(t, res.Body.Close())
	return res.StatusCode
}

func TestOwnCertificatesAreServedAtOnce(t *testing.T) {
	f := newFront(t, "127.0.0.1:0", "127.0.0.1:0")
	ctx, by := t.Context(), operation.Ask{Actor: "ada"}
	_, space, err := f.store.Bootstrap(ctx)
	ok(t, err)
	ca, _, err := authority.Load(filepath.Join(t.TempDir(), "ca.pem"), "example", time.Now())
	ok(t, err)
	add := func(host string) client.Certificate {
		t.Helper()
		p, err := ca.Issue([]string{host}, time.Now())
		ok(t, err)
		c, err := f.SetCertificate(ctx, by, space.ID, host, client.NewCertificate{Chain: string(p.Chain), Key: string(p.Key)})
		ok(t, err)
		f.settle(t)
		return c
	}
	if f.serial(t, "shop.example") != "" {
		t.Fatal("a host without a certificate is served")
	}
	if c := add("*.example"); c.State != client.CertificateActive || c.Source != "own" || c.Until.Before(time.Now()) {
		t.Errorf("listed as %+v", c)
	}
	wide := f.serial(t, "shop.example")
	add("shop.example")
	exact := f.serial(t, "shop.example")
	if wide == "" || exact == wide || f.serial(t, "bank.example") != wide {
		t.Errorf("wildcard %q, exact %q, another host %q", wide, exact, f.serial(t, "bank.example"))
	}

	// Another one for the same host: new connections have it, open ones go on.
	open, err := f.dial(t, "shop.example")
	ok(t, err)
	if got := asks(t, open, "shop.example"); got != http.StatusNotFound {
		t.Errorf("status %d", got)
	}
	add("shop.example")
	if again := f.serial(t, "shop.example"); again == exact || again == "" {
		t.Errorf("after a rotation %q is served, as before", again)
	}
	if got := asks(t, open, "shop.example"); got != http.StatusNotFound {
		t.Errorf("status %d on the old connection", got)
	}

	all, err := f.HostCertificates(ctx, space.ID)
	ok(t, err)
	if len(all) != 2 || all[1].Host != "shop.example" {
		t.Errorf("listed: %+v", all)
	}
	ok(t, f.DeleteCertificate(ctx, by, space.ID, "shop.example"))
	f.settle(t)
	if f.serial(t, "shop.example") != wide || f.serial(t, "localhost") == "" || f.serial(t, "") != f.serial(t, "localhost") {
		t.Error("the wildcard, or the platform's own certificate, is not served")
	}
}

func TestNoHTTPSNoCertificates(t *testing.T) {
	h := newHosts(config.Config{AppsDomain: "apps.example"}, nil, nil, newCertified(config.Config{}, nil, nil))
	_, err := h.SetCertificate(t.Context(), operation.Ask{}, "", "x.example", client.NewCertificate{})
	if !fault.Is(err, fault.Unsupported) || fault.Of(err).Try == "" {
		t.Errorf("got %v", err)
	}
}

func TestNamesOfThePlatform(t *testing.T) {
	h := newHosts(config.Config{AppsDomain: "apps.example"}, nil, nil, newCertified(config.Config{}, nil, nil))
	for host, want := range map[string]bool{
		"apps.example": true, "*.apps.example": true, "naru.apps.example": true, "api.naru.apps.example": true, "*.naru.apps.example": true,
		"*.example": true, "shop.apps.example": false, "shop.example": false, "*.shop.example": false, "*.shop.apps.example": false,
	} {
		if got := h.OfPlatform(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}

// A certificate is for visitors of its space: not for those whom another space's
// routes answer, whatever its names say.
func TestCertificatesStayWithTheirVisitors(t *testing.T) {
	f := newFront(t, "127.0.0.1:0", "127.0.0.1:0")
	ctx, by := t.Context(), operation.Ask{Actor: "ada"}
	org, mine, err := f.store.Bootstrap(ctx)
	ok(t, err)
	other, err := f.store.CreateSpace(ctx, org.ID, "other")
	ok(t, err)
	ca, _, err := authority.Load(filepath.Join(t.TempDir(), "ca.pem"), "example", time.Now())
	ok(t, err)
	add := func(space app.SpaceID, host string) error {
		p, err := ca.Issue([]string{host}, time.Now())
		ok(t, err)
		_, err = f.SetCertificate(ctx, by, space, host, client.NewCertificate{Chain: string(p.Chain), Key: string(p.Key)})
		return err
	}
	maps := func(space app.SpaceID, host string) {
		_, err := f.store.SetRoute(ctx, route.Route{ID: route.ID(id.New()), Space: space, Host: host, Path: "/"})
		ok(t, err)
		f.served.refresh(ctx)
		f.settle(t)
	}
	ok(t, add(mine.ID, "login.shop.example"))
	maps(other.ID, "*.shop.example")
	if f.serial(t, "login.shop.example") != "" {
		t.Error("another space's visitors are shown a certificate of this one")
	}
	if err := add(mine.ID, "www.shop.example"); !fault.Is(err, fault.Conflict) || fault.Of(err).Try == "" {
		t.Errorf("below another space's wildcard: %v", err)
	}
	ok(t, add(other.ID, "*.shop.example"))
	f.settle(t)
	wide := f.serial(t, "login.shop.example")
	maps(mine.ID, "login.shop.example")
	if got := f.serial(t, "login.shop.example"); got == "" || got == wide || wide == "" || f.serial(t, "www.shop.example") != wide {
		t.Errorf("a host with routes of its own is served with %q, others with %q", got, wide)
	}
	table := route.Table{Routes: []route.Entry{{Host: "*.shop.example"}, {Host: "www.shop.example"}, {Host: "login.shop.example"}, {Host: "pay.shop.example"}}}
	maps(mine.ID, "pay.shop.example")
	if got := f.outside(table); !slices.Equal(got, []string{"pay.shop.example"}) {
		t.Errorf("asked for is %v, want what no certificate of its own space covers", got)
	}
}
