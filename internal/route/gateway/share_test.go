package gateway_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"naru/internal/route/gateway"
)

func TestNoAddressTakesAllPlaces(t *testing.T) {
	cfg := gateway.Config{Connections: 10, AddressConnections: 2}
	r := start(t, tableOf(named(t, "app")), cfg)
	first, _ := answeredFrom(t, r.addr, "127.0.0.1")
	second, ok := answeredFrom(t, r.addr, "127.0.0.1")
	if !ok {
		t.Fatal("the second connection is not answered")
	}
	if _, ok := answeredFrom(t, r.addr, "127.0.0.1"); ok {
		t.Error("a third connection of the address is answered")
	}
	if _, ok := answeredFrom(t, r.addr, "127.0.0.2"); !ok {
		t.Error("another address is not answered")
	}
	must(t, first.Close())
	must(t, second.Close())
	for deadline := time.Now().Add(limit); ; { // the gateway sees the end soon
		if _, ok := answeredFrom(t, r.addr, "127.0.0.1"); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("places that are free again are not given")
		}
	}
}

func TestProxiesHaveNoShare(t *testing.T) {
	cfg := gateway.Config{Connections: 10, AddressConnections: 1, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	r := start(t, tableOf(named(t, "app")), cfg)
	for range 3 {
		if _, ok := answeredFrom(t, r.addr, "127.0.0.1"); !ok {
			t.Fatal("a trusted proxy was counted")
		}
	}
}

// answeredFrom opens a connection and asks on it; ok tells that it was answered.
// It stays open.
func answeredFrom(t *testing.T, addr, from string) (c net.Conn, ok bool) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := dialer.DialContext(t.Context(), "tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	must(t, c.SetDeadline(time.Now().Add(limit)))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); err != nil {
		return c, false
	}
	buf := make([]byte, 12)
	_, err = io.ReadFull(c, buf)
	return c, err == nil && string(buf) == "HTTP/1.1 200"
}
