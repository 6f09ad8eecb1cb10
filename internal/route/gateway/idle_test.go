//go:build linux

package gateway_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"naru/internal/route/gateway"
)

const askRoot = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"

// idleEnd is a client that was answered and whose connection was parked.
func idleEnd(t *testing.T, r *running, secure bool) *end {
	t.Helper()
	c := &end{Conn: dial(t, r.addr, secure)}
	must(t, c.do(step{verb: "send", arg: askRoot}))
	must(t, c.do(step{verb: "expect", arg: "app"}))
	parked(t, r, 1)
	return c
}

// parked waits until so many connections are parked; looking on other ones takes
// a moment.
func parked(t *testing.T, r *running, want int) {
	t.Helper()
	for deadline := time.Now().Add(limit); r.Parked() != want; {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are parked, want %d", r.Parked(), want)
		}
		_, err := net.Dial("tcp", "127.0.0.1:1") // refused
		if err == nil {
			t.Fatal("somebody listens on port 1")
		}
	}
}

func TestIdleConnectionsGoOn(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := listen(t)
			front := in
			if secure {
				front = gateway.Secure(in, certificate(t))
			}
			r := start(t, tableOf(named(t, "app")), gateway.Config{}, front)
			c := idleEnd(t, r, secure)
			for range 3 {
				must(t, c.do(step{verb: "send", arg: "GET / HTTP/1.1\r\n"}))
				parked(t, r, 0)
				must(t, c.do(step{verb: "send", arg: "Host: shop.test\r\n\r\n"}))
				must(t, c.do(step{verb: "expect", arg: "app"}))
				parked(t, r, 1)
			}
			must(t, c.Close())
			parked(t, r, 0)
		})
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	// Long enough that a slow machine parks the connection before it ends.
	r := start(t, tableOf(named(t, "app")), gateway.Config{IdleTimeout: 12 * time.Second})
	c := idleEnd(t, r, false)
	must(t, c.SetReadDeadline(time.Now().Add(limit)))
	if n, err := io.Copy(io.Discard, c); err != nil || n != 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	parked(t, r, 0)
}

func TestParkedConnectionsDoNotOutliveTheGateway(t *testing.T) {
	r := start(t, tableOf(named(t, "app")), gateway.Config{Drain: time.Millisecond})
	c := idleEnd(t, r, false)
	must(t, r.stop())
	must(t, c.SetReadDeadline(time.Now().Add(limit)))
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("still open")
	}
}
