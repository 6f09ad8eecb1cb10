package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
	"naru/internal/route/gateway"
	"naru/internal/route/proxyproto"
)

// echoApp answers connections with its name and a blank, and then with what it
// is sent. Whatever header it is to be sent comes back as the first line.
func echoApp(t testing.TB, name string) net.Listener {
	t.Helper()
	ln := listen(t)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.WriteString(c, name+" ")
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln
}

// line is a TCP route of one group with an instance at each address.
func line(id string, addresses ...string) route.Stream {
	s := route.Stream{ID: id, App: route.App{ID: "a1", Name: "shop"}, Groups: []route.Group{{ID: "g1", Name: "shop-v001", Weight: 100}}}
	for i, a := range addresses {
		s.Groups[0].Instances = append(s.Groups[0].Instances, route.Instance{ID: "i-" + a, Address: a, Index: i})
	}
	return s
}

// streaming is a gateway with one port for TCP routes and one for TLS.
type streaming struct {
	*running
	port    int
	tcp     string
	secure  string
	version uint64
}

func startStreams(t testing.TB, cfg gateway.Config, lines func(s *streaming) []route.Stream) *streaming {
	t.Helper()
	plain, secure, tcp := listen(t), listen(t), listen(t)
	s := &streaming{tcp: tcp.Addr().String(), secure: secure.Addr().String(), port: tcp.Addr().(*net.TCPAddr).Port, version: 1}
	web := serveApp(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "web") })
	table := tableOf(web)
	table.TCP = lines(s)
	s.running = start(t, table, cfg, plain, gateway.Secure(secure, certificate(t)), gateway.Ports(tcp))
	return s
}

func (s *streaming) use(t testing.TB, lines ...route.Stream) {
	t.Helper()
	s.version++
	must(t, s.Apply(&route.Table{Version: s.version, TCP: lines}))
}

// on puts a line on the port of the gateway.
func (s *streaming) on(l route.Stream) []route.Stream {
	l.Port = s.port
	return []route.Stream{l}
}

func talk(t testing.TB, c net.Conn, say, want string) {
	t.Helper()
	must(t, c.SetDeadline(time.Now().Add(limit)))
	_, err := io.WriteString(c, say)
	must(t, err)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); string(got) != want {
		t.Fatalf("got %q, want %q, %v", got[:n], want, err)
	}
}

func TestPortRoute(t *testing.T) {
	echo := echoApp(t, "one").Addr().String()
	s := startStreams(t, gateway.Config{}, func(s *streaming) []route.Stream { return s.on(line("t1", echo)) })
	c := dial(t, s.tcp, false)
	talk(t, c, "hello\x00\r\n", "one hello\x00\r\n")
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB: more than any buffer on the way
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(big)
		sent <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	must(t, c.SetDeadline(time.Now().Add(limit)))
	got, err := io.ReadAll(c) // the app's end comes after ours, through both directions
	must(t, err)
	must(t, <-sent)
	if !bytes.Equal(got, big) {
		t.Fatalf("%d bytes came back, want %d", len(got), len(big))
	}
	a := s.last(t)
	want := route.Access{
		Time: a.Time, RequestID: a.RequestID, Client: c.LocalAddr().String(), Method: "CONNECT", Host: "-", URI: s.tcp, Proto: "TCP",
		Status: 200, Received: int64(len(big) + 8), Sent: int64(len(big) + 12), Took: a.Took, Header: a.Header, Route: "t1",
		App: route.App{ID: "a1", Name: "shop"}, Group: "g1", Instance: "i-" + echo, Upstream: echo, Attempts: 1, Upgrade: true,
		ForwardedFor: "127.0.0.1", ForwardedProto: "tcp",
	}
	if a != want || a.RequestID == "" || a.Header <= 0 || a.Took < a.Header {
		t.Errorf("recorded\n%+v, want\n%+v", a, want)
	}
}

// TestPortWithoutRoute: as if nobody listened there.
func TestPortWithoutRoute(t *testing.T) {
	s := startStreams(t, gateway.Config{}, func(*streaming) []route.Stream { return nil })
	reset(t, s.tcp)
	s.use(t, s.on(line("t1", echoApp(t, "one").Addr().String()))...)
	talk(t, dial(t, s.tcp, false), "", "one ")
	s.use(t)
	reset(t, s.tcp)
}

// reset wants a connection to be ended without ceremony.
func reset(t testing.TB, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if errors.Is(err, syscall.ECONNRESET) { // sooner than the dialer looked
		return
	}
	must(t, err)
	defer func() { _ = c.Close() }()
	must(t, c.SetDeadline(time.Now().Add(limit)))
	if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read %d bytes, %v; want a reset", n, err)
	}
}

// TestPortRouteGoesOn: instances that refuse are passed over, and without one
// the connection is refused and recorded.
func TestPortRouteGoesOn(t *testing.T) {
	gone := listen(t)
	must(t, gone.Close())
	dead := gone.Addr().String()
	s := startStreams(t, gateway.Config{}, func(s *streaming) []route.Stream {
		return s.on(line("t1", dead, echoApp(t, "one").Addr().String()))
	})
	tries := 0
	for range 20 {
		c := dial(t, s.tcp, false)
		talk(t, c, "x", "one x")
		_ = c.Close()
		a := s.last(t)
		if a.Status != 200 || a.Attempts > 2 {
			t.Fatalf("recorded %+v", a)
		}
		tries += a.Attempts
	}
	if tries != 21 {
		t.Errorf("%d tries for 20 connections: it was ejected %d times, not once", tries, tries-20)
	}
	s.use(t, s.on(line("t1", dead))...)
	reset(t, s.tcp)
	if a := s.last(t); a.Status != 502 || a.Attempts != 1 || !strings.Contains(a.Problem, "refused") {
		t.Errorf("recorded %+v", a)
	}
	s.use(t, s.on(line("t1"))...)
	reset(t, s.tcp)
	if a := s.last(t); a.Status != 503 || a.Problem != "no instance" {
		t.Errorf("recorded %+v", a)
	}
}

func TestPortRouteFollowsWeights(t *testing.T) {
	l := line("t1", echoApp(t, "one").Addr().String())
	l.Groups = append(l.Groups, line("", echoApp(t, "two").Addr().String()).Groups...)
	l.Groups[1].ID, l.Groups[1].Name, l.Groups[0].Weight, l.Groups[1].Weight = "g2", "shop-v002", 75, 25
	s := startStreams(t, gateway.Config{}, func(s *streaming) []route.Stream { return s.on(l) })
	two := 0
	for range 400 {
		c := dial(t, s.tcp, false)
		got := make([]byte, 4)
		must(t, c.SetDeadline(time.Now().Add(limit)))
		_, err := io.ReadFull(c, got)
		must(t, err)
		if string(got) == "two " {
			two++
		}
		_ = c.Close()
	}
	if two < 55 || two > 145 { // 100, by five standard deviations
		t.Errorf("%d of 400 connections went to the group of 25%%", two)
	}
}

func TestPortRouteIsBounded(t *testing.T) {
	echo := echoApp(t, "one").Addr().String()
	for _, tc := range []struct {
		name  string
		cfg   gateway.Config
		limit int
	}{
		{"by the route", gateway.Config{}, 2}, {"by the gateway", gateway.Config{TCPConnections: 2}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := line("t1", echo)
			if tc.limit > 0 {
				l.Limits = &route.StreamLimits{Connections: tc.limit}
			}
			s := startStreams(t, tc.cfg, func(s *streaming) []route.Stream { return s.on(l) })
			first, second := dial(t, s.tcp, false), dial(t, s.tcp, false)
			talk(t, first, "", "one ")
			talk(t, second, "", "one ")
			s.use(t, s.on(l)...) // what is open counts on over tables
			reset(t, s.tcp)
			if a := s.last(t); a.Status != 503 || a.Problem != "too many connections" {
				t.Errorf("recorded %+v", a)
			}
			must(t, first.Close())
			if a := s.last(t); a.Status != 200 {
				t.Errorf("recorded %+v", a)
			}
			talk(t, dial(t, s.tcp, false), "", "one ")
		})
	}
}

func TestSilentSessionEnds(t *testing.T) {
	l := line("t1", echoApp(t, "one").Addr().String())
	l.Timeouts = &route.StreamTimeouts{Idle: app.Duration(time.Millisecond)}
	s := startStreams(t, gateway.Config{}, func(s *streaming) []route.Stream { return s.on(l) })
	c := dial(t, s.tcp, false)
	must(t, c.SetDeadline(time.Now().Add(limit)))
	if got, err := io.ReadAll(c); string(got) != "one " {
		t.Fatalf("%q, %v", got, err)
	}
	if a := s.last(t); a.Problem != "both ends were silent" || a.Status != 200 {
		t.Errorf("recorded %+v", a)
	}
}

// TestInstanceIsToldTheClient: over both versions, of clients that came by
// themselves and of those a balancer announced.
func TestInstanceIsToldTheClient(t *testing.T) {
	const announced = "192.0.2.7:4711"
	for _, version := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
		for _, balanced := range []bool{false, true} {
			t.Run(fmt.Sprint(version, " balanced ", balanced), func(t *testing.T) {
				ln := listen(t)
				cfg := gateway.Config{}
				if balanced {
					cfg.Balancers = everybody()
				}
				l := line("t1", ln.Addr().String())
				l.Proxy = version
				s := startStreams(t, cfg, func(s *streaming) []route.Stream { return s.on(l) })
				c := dial(t, s.tcp, false)
				want := proxyproto.Header{From: netip.MustParseAddrPort(c.LocalAddr().String()), To: netip.MustParseAddrPort(s.tcp)}
				if balanced {
					want = proxyproto.Header{From: netip.MustParseAddrPort(announced), To: netip.MustParseAddrPort("198.51.100.1:5432")}
					_, err := io.WriteString(c, header(proxyproto.V1, announced, "198.51.100.1:5432")+"hello")
					must(t, err)
				} else {
					_, err := io.WriteString(c, "hello")
					must(t, err)
				}
				must(t, ln.(*net.TCPListener).SetDeadline(time.Now().Add(limit)))
				in, err := ln.Accept()
				must(t, err)
				defer func() { _ = in.Close() }()
				must(t, in.SetDeadline(time.Now().Add(limit)))
				text := string(proxyproto.Append(nil, version, want)) + "hello"
				got := make([]byte, len(text))
				if n, err := io.ReadFull(in, got); string(got) != text {
					t.Fatalf("the instance read %q, want %q, %v", got[:n], text, err)
				}
				must(t, errors.Join(c.Close(), in.Close()))
				if a := s.last(t); a.Client != want.From.String() || a.URI != want.To.String() {
					t.Errorf("recorded %+v", a)
				}
			})
		}
	}
}

// TestSNIRoute: connections that ask for the route's name reach the app with its
// own certificate, all others the gateway, whoever was there first.
func TestSNIRoute(t *testing.T) {
	const name = "db.passed.test"
	own := listen(t)
	cert, err := certificateFor(t, name)(nil)
	must(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "passed "+r.Proto)
	})}
	go func() {
		_ = srv.Serve(tls.NewListener(own, &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{"http/1.1"}}))
	}()
	t.Cleanup(func() { _ = srv.Close() })
	for _, balanced := range []bool{false, true} {
		t.Run(fmt.Sprint("balanced ", balanced), func(t *testing.T) {
			l := line("t1", own.Addr().String())
			l.SNI = "*.passed.test"
			cfg := gateway.Config{}
			if balanced {
				cfg.Balancers = everybody()
			}
			s := startStreams(t, cfg, func(*streaming) []route.Stream { return []route.Stream{l} })
			get := func(host string) (certificate, answer string) {
				transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // made by the test
				transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
					c, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.secure)
					if err == nil && balanced {
						_, err = io.WriteString(c, header(proxyproto.V2, "192.0.2.7:1", "192.0.2.1:443"))
					}
					return c, err
				}
				res, err := (&http.Client{Transport: transport, Timeout: limit}).Get("https://" + host + "/")
				must(t, err)
				defer func() { _ = res.Body.Close() }()
				body, err := io.ReadAll(res.Body)
				must(t, err)
				return res.TLS.PeerCertificates[0].Subject.CommonName, string(body)
			}
			if leaf, body := get("DB.passed.test"); leaf != name || body != "passed HTTP/1.1" {
				t.Errorf("passed through: the certificate of %s says %q", leaf, body)
			}
			if a := s.last(t); a.Host != name || a.Proto != "TLS" || a.Status != 200 || a.Route != "t1" || a.Sent == 0 || a.Received == 0 {
				t.Errorf("recorded %+v", a)
			}
			if leaf, body := get("shop.test"); leaf != "shop.test" || body != "web" {
				t.Errorf("ours: the certificate of %s says %q", leaf, body)
			}
			if a := s.last(t); a.Host != "shop.test" || a.Route != "r1" {
				t.Errorf("recorded %+v", a)
			}
		})
	}
}

// TestPeekedHandshakes: with an SNI route there, whatever is no hello of it goes
// the way it went before, byte for byte.
func TestPeekedHandshakes(t *testing.T) {
	l := line("t1", echoApp(t, "one").Addr().String())
	l.SNI = "db.passed.test"
	s := startStreams(t, gateway.Config{Handshake: time.Second}, func(*streaming) []route.Stream { return []route.Stream{l} })
	for name, send := range map[string]string{
		"plain HTTP":   "GET / HTTP/1.1\r\nHost: db.passed.test\r\n\r\n",
		"noise":        strings.Repeat("\x16\x03\x01\xff\xff\x01", 20_000),
		"an empty one": "\x16\x03\x01\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s.secure, false)
			must(t, c.SetDeadline(time.Now().Add(limit)))
			_, _ = io.WriteString(c, send)
			_ = c.(*net.TCPConn).CloseWrite()
			if got, _ := io.ReadAll(c); strings.Contains(string(got), "one") {
				t.Errorf("it was passed through: %q", got)
			}
		})
	}
	// A hello in many pieces is one, and what comes right behind it is passed on.
	hello := helloOf(t, "db.passed.test")
	c := dial(t, s.secure, false)
	for _, b := range hello[:len(hello)-1] {
		_, err := c.Write([]byte{b})
		must(t, err)
	}
	_, err := c.Write(append(hello[len(hello)-1:], "early data"...))
	must(t, err)
	talk(t, c, "", "one "+string(hello)+"early data")
}

// helloOf is what a client of TLS says first.
func helloOf(t testing.TB, name string) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer func() { _ = ours.Close() }()
	go func() {
		defer func() { _ = theirs.Close() }()
		_ = tls.Client(theirs, &tls.Config{ServerName: name}).Handshake()
	}()
	must(t, ours.SetDeadline(time.Now().Add(limit)))
	in := bufio.NewReader(ours)
	head, err := in.Peek(5)
	must(t, err)
	hello := make([]byte, 5+int(head[3])<<8+int(head[4]))
	_, err = io.ReadFull(in, hello)
	must(t, err)
	return hello
}

// TestSessionsOutliveTheirTable: an open connection stays where it is when its
// instance leaves the table, and when the gateway ends it has the time that
// WebSockets have.
func TestSessionsOutliveTheirTable(t *testing.T) {
	s := startStreams(t, gateway.Config{Drain: time.Millisecond, DrainUpgrade: limit}, func(s *streaming) []route.Stream {
		return s.on(line("t1", echoApp(t, "one").Addr().String()))
	})
	old := dial(t, s.tcp, false)
	talk(t, old, "", "one ")
	s.use(t, s.on(line("t1", echoApp(t, "two").Addr().String()))...)
	fresh := dial(t, s.tcp, false)
	talk(t, fresh, "", "two ")
	must(t, fresh.Close())
	talk(t, old, "still here", "still here")
	s.use(t) // not even a route
	talk(t, old, "and here", "and here")
	stopped := make(chan struct{})
	go func() { _ = s.stop(); close(stopped) }()
	waitRefused(t, s.tcp)
	talk(t, old, "to the end", "to the end")
	must(t, old.Close())
	<-stopped
}

// TestSessionsEndWithTheGateway: the time of a connection that never ends is
// bounded.
func TestSessionsEndWithTheGateway(t *testing.T) {
	s := startStreams(t, gateway.Config{Drain: time.Millisecond, DrainUpgrade: 10 * time.Millisecond}, func(s *streaming) []route.Stream {
		return s.on(line("t1", echoApp(t, "one").Addr().String()))
	})
	c := dial(t, s.tcp, false)
	talk(t, c, "", "one ")
	must(t, s.stop())
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// waitRefused waits until nobody listens any more.
func waitRefused(t testing.TB, addr string) {
	t.Helper()
	for end := time.Now().Add(limit); ; {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = c.Close()
		if time.Now().After(end) {
			t.Fatalf("%s still listens", addr)
		}
	}
}
