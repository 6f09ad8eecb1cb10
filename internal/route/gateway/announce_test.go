package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"naru/internal/route/gateway"
	"naru/internal/route/proxyproto"
)

func everybody() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func header(v proxyproto.Version, from, to string) string {
	h := proxyproto.Header{}
	if from != "" {
		h = proxyproto.Header{From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort(to)}
	}
	return string(proxyproto.Append(nil, v, h))
}

// TestAnnouncedClients: behind a balancer that announces its connections, the
// client is whom it names, over every protocol.
func TestAnnouncedClients(t *testing.T) {
	long := header(proxyproto.V2, "192.0.2.7:4711", "198.51.100.1:443")
	long = long[:14] + "\x08\x0c" + long[16:] + strings.Repeat("\x04\x00\xfdTLV", 2048/6+1)[:2048] // noise that is skipped
	for _, tc := range []struct{ name, header, client, forwarded string }{
		{"version 1", header(proxyproto.V1, "192.0.2.7:4711", "198.51.100.1:80"), "192.0.2.7:4711", "192.0.2.7"},
		{"version 1 IPv6", header(proxyproto.V1, "[2001:db8::7]:4711", "[2001:db8::1]:80"), "[2001:db8::7]:4711", "2001:db8::7"},
		{"version 1 unknown", header(proxyproto.V1, "", ""), "", "127.0.0.1"},
		{"version 2", header(proxyproto.V2, "192.0.2.7:4711", "198.51.100.1:80"), "192.0.2.7:4711", "192.0.2.7"},
		{"version 2 IPv6", header(proxyproto.V2, "[2001:db8::7]:4711", "[2001:db8::1]:80"), "[2001:db8::7]:4711", "2001:db8::7"},
		{"version 2 with TLVs", long, "192.0.2.7:4711", "192.0.2.7"},
		{"version 2 local", header(proxyproto.V2, "", ""), "", "127.0.0.1"},
		{"version 2 unix", "\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + strings.Repeat("u", 216), "", "127.0.0.1"},
	} {
		for _, over := range protocols {
			t.Run(tc.name+" over "+over.name, func(t *testing.T) {
				t.Parallel()
				r := announcing(t, over, gateway.Config{Balancers: everybody()})
				for _, pieces := range []bool{false, true} {
					local, got := askAs(t, r, over, tc.header, pieces, nil)
					want := tc.client
					if want == "" {
						want = local
					}
					if got != tc.forwarded {
						t.Errorf("the app was told %q, want %q (in pieces: %v)", got, tc.forwarded, pieces)
					}
					if a := r.last(t); a.Client != want || a.Status != http.StatusOK {
						t.Errorf("the record has client %s, status %d, want %s", a.Client, a.Status, want)
					}
				}
			})
		}
	}
}

// TestAnnouncedClientIsTrusted: what counts for trust is the client, not the
// balancer.
func TestAnnouncedClientIsTrusted(t *testing.T) {
	cfg := gateway.Config{Balancers: everybody(), Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	over := protocols[0]
	r := announcing(t, over, cfg)
	told := http.Header{"X-Forwarded-For": {"203.0.113.9"}}
	if _, got := askAs(t, r, over, header(proxyproto.V1, "192.0.2.7:1", "192.0.2.1:80"), false, told); got != "203.0.113.9, 192.0.2.7" {
		t.Errorf("a trusted client's word became %q", got)
	}
	if _, got := askAs(t, r, over, header(proxyproto.V1, "198.51.100.7:1", "192.0.2.1:80"), false, told); got != "198.51.100.7" {
		t.Errorf("another client's word became %q", got)
	}
}

func announcing(t *testing.T, over protocol, cfg gateway.Config) *running {
	t.Helper()
	app := listen(t)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Join(r.Header.Values("X-Forwarded-For"), ", "))
	})}
	go func() { _ = srv.Serve(app) }()
	t.Cleanup(func() { _ = srv.Close() })
	front := listen(t)
	addr := front.Addr().String()
	if over.secure {
		front = gateway.Secure(front, certificate(t))
	}
	r := start(t, tableOf(app.Addr().String()), cfg, front)
	r.addr = addr
	return r
}

// askAs sends a request on a connection of its own that begins with a header, and
// returns where it came from and the answer.
func askAs(t *testing.T, r *running, over protocol, head string, pieces bool, fields http.Header) (local, answer string) {
	t.Helper()
	transport := over.transport()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, r.addr)
		if err != nil {
			return nil, err
		}
		local = c.LocalAddr().String()
		if !pieces {
			_, err = io.WriteString(c, head)
			return c, err
		}
		for _, b := range []byte(head) { // TCP_NODELAY makes each a packet
			if _, err = c.Write([]byte{b}); err != nil {
				return nil, err
			}
		}
		return c, nil
	}
	scheme := "http"
	if over.secure {
		scheme = "https"
	}
	req, err := http.NewRequest(http.MethodGet, scheme+"://shop.test/", nil)
	must(t, err)
	for name, values := range fields {
		req.Header[name] = values
	}
	res, err := (&http.Client{Transport: transport, Timeout: limit}).Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return local, string(body)
}

// TestBalancersMustAnnounce: a balancer's connection without a good header is
// closed without an answer.
func TestBalancersMustAnnounce(t *testing.T) {
	for _, tc := range []struct{ name, send string }{
		{"a request", "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
		{"a malformed header", "PROXY TCP4 192.0.2.300 192.0.2.1 1 80\r\nGET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
		{"a header without end", "PROXY TCP4 " + strings.Repeat("1", 4096)},
		{"a header too large", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"},
		{"nothing in time", ""},
		{"a part of one in time", "PROXY TCP4 192.0.2.3"},
	} {
		for _, over := range protocols {
			t.Run(tc.name+" over "+over.name, func(t *testing.T) {
				t.Parallel()
				r := announcing(t, over, gateway.Config{Balancers: everybody(), HeaderTimeout: 50 * time.Millisecond})
				c := dial(t, r.addr, false)
				must(t, c.SetDeadline(time.Now().Add(limit)))
				_, err := io.WriteString(c, tc.send)
				must(t, err)
				if got, err := io.ReadAll(c); len(got) > 0 {
					t.Fatalf("it was answered: %q, %v", got, err)
				}
			})
		}
	}
}

// TestOthersMayNotAnnounce: a header of anybody else is no request.
func TestOthersMayNotAnnounce(t *testing.T) {
	r := announcing(t, protocols[0], gateway.Config{Balancers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for _, v := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
		c := &end{Conn: dial(t, r.addr, false)}
		must(t, c.do(step{verb: "send", arg: header(v, "192.0.2.7:1", "192.0.2.1:80") + "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"}))
		must(t, c.do(step{verb: "expect", arg: "HTTP/1.1 400 "}))
	}
	if _, got := askAs(t, r, protocols[0], "", false, nil); got != "127.0.0.1" {
		t.Errorf("without a header the app was told %q", got)
	}
}
