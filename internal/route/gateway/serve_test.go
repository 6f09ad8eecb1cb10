package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/gateway"
	"naru/internal/route/hub"
	"naru/internal/route/routetest"
)

// serveApp answers with a handler on a loopback port.
func serveApp(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	ln := listen(t)
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Addr().String()
}

// named answers with its name.
func named(t testing.TB, name string) string {
	return serveApp(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

// get asks for shop.test's root.
func (r *running) get(t testing.TB) (int, string, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/", nil)
	must(t, err)
	req.Host = "shop.test"
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(body), res.Header
}

// deadAddress is one that refuses connections.
func deadAddress(t testing.TB) string {
	t.Helper()
	ln := listen(t)
	must(t, ln.Close())
	return ln.Addr().String()
}

func TestUnreachableInstanceIsPassedOver(t *testing.T) {
	dead := deadAddress(t)
	r := start(t, tableOf(dead, named(t, "alive")), gateway.Config{EjectFirst: time.Hour, EjectMax: time.Hour})
	tries := 0
	for range 20 {
		if status, body, _ := r.get(t); status != 200 || body != "alive" {
			t.Fatalf("%d %s", status, body)
		}
		a := r.last(t)
		tries += a.Attempts
		if a.Index != 1 || a.Status != 200 {
			t.Errorf("record %+v", a)
		}
	}
	if tries > 21 {
		t.Errorf("%d instances were tried for 20 requests: the dead one was not ejected", tries)
	}
}

func TestAllUnreachableIsBadGateway(t *testing.T) {
	r := start(t, tableOf(deadAddress(t), deadAddress(t)), gateway.Config{})
	status, body, _ := r.get(t)
	if status != 502 || !strings.Contains(body, "shop cannot be reached.") {
		t.Errorf("%d %s", status, body)
	}
	if a := r.last(t); a.Attempts != 2 || !strings.Contains(a.Problem, "connection refused") {
		t.Errorf("record %+v", a)
	}
}

func TestNoHealthyInstance(t *testing.T) {
	r := start(t, tableOf(), gateway.Config{RetryAfter: 7 * time.Second})
	status, body, header := r.get(t)
	if status != 503 || header.Get("Retry-After") != "7" || !strings.Contains(body, "No instance of shop is healthy") {
		t.Errorf("%d %v %s", status, header, body)
	}
	if a := r.last(t); a.App.ID != "a1" || a.Status != 503 || a.Problem != "no healthy instance" {
		t.Errorf("record %+v", a)
	}
}

func TestSlowAnswerIsTimeout(t *testing.T) {
	addr := serveApp(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	table := tableOf(addr)
	table.Routes[0].Timeouts = &route.Timeouts{Response: app.Duration(time.Millisecond)}
	r := start(t, table, gateway.Config{})
	if status, body, _ := r.get(t); status != 504 || !strings.Contains(body, "did not answer in time") {
		t.Errorf("%d %s", status, body)
	}
}

func TestBodyLimitOfARoute(t *testing.T) {
	addr := serveApp(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	table := tableOf(addr)
	table.Routes[0].Limits = &route.Limits{Body: 10}
	r := start(t, table, gateway.Config{})
	for name, tc := range map[string]struct {
		body io.Reader
		want int
	}{
		"at the limit":  {strings.NewReader("0123456789"), 200},
		"over, said so": {strings.NewReader("0123456789x"), 413},
		"over, chunked": {io.MultiReader(strings.NewReader("0123456789x")), 413},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPost, "http://"+r.addr+"/", tc.body)
			must(t, err)
			req.Host = "shop.test"
			res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
			must(t, err)
			_ = res.Body.Close()
			if res.StatusCode != tc.want {
				t.Errorf("status %d, want %d", res.StatusCode, tc.want)
			}
		})
	}
}

func TestTrustedPeersSpeakForOthers(t *testing.T) {
	addr := serveApp(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["X_forwarded_for"])
	})
	r := start(t, tableOf(addr), gateway.Config{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	req, err := http.NewRequest(http.MethodGet, "http://"+r.addr+"/", nil)
	must(t, err)
	req.Host = "shop.test"
	req.Header = http.Header{"X-Forwarded-For": {"1.2.3.4", "5.6.7.8"}, "X-Forwarded-Proto": {"https"}, "X_forwarded_for": {"6.6.6.6"}}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	if body, _ := io.ReadAll(res.Body); string(body) != "[1.2.3.4, 5.6.7.8, 127.0.0.1] [https] []" {
		t.Errorf("the app saw %s", body)
	}
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	r := start(t, tableOf(), gateway.Config{HeaderTimeout: time.Millisecond})
	c := dial(t, r.addr, false)
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Slow")
	must(t, err)
	must(t, c.SetReadDeadline(time.Now().Add(limit)))
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, io.EOF) {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("still open")
		}
	}
}

func TestSilentBodyIsCutOff(t *testing.T) {
	addr := serveApp(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	r := start(t, tableOf(addr), gateway.Config{BodyIdle: time.Millisecond})
	c := &end{Conn: dial(t, r.addr, false)}
	must(t, c.do(step{verb: "send", arg: "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\n\r\nhello"}))
	must(t, c.do(step{verb: "expect", arg: "HTTP/1.1 408 Request Timeout\r\n"}))
}

// TestSlowReaderTakesNoMemory lets an app write until the gateway no longer
// takes anything, which has to be soon, while the client reads nothing.
func TestSlowReaderTakesNoMemory(t *testing.T) {
	app := listen(t)
	r := start(t, tableOf(app.Addr().String()), gateway.Config{WriteIdle: time.Hour})
	c := dial(t, r.addr, false)
	must(t, c.(*net.TCPConn).SetReadBuffer(4096))
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
	must(t, err)
	back, err := app.Accept()
	must(t, err)
	defer func() { _ = back.Close() }()
	const size = 256 << 20
	_, err = fmt.Fprintf(back, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
	must(t, err)
	sent, chunk := 0, make([]byte, 64<<10)
	for sent < size {
		// A write that cannot go on for so long means that everything is full.
		must(t, back.SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
		n, err := back.Write(chunk)
		sent += n
		if err != nil {
			break
		}
	}
	if sent > 64<<20 {
		t.Errorf("%d MiB were taken for a client that reads nothing", sent>>20)
	}
	must(t, c.Close())
	must(t, back.SetReadDeadline(time.Now().Add(limit)))
	if _, err := io.Copy(io.Discard, back); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the app is not told that the client left")
	}
}

func TestHTTP2(t *testing.T) {
	addr := serveApp(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Seen", r.Header.Get("X-Forwarded-Proto")+" "+r.Host)
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				break
			}
			_, _ = io.WriteString(w, "echo "+line)
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("X-Sum", r.Trailer.Get("X-Client"))
	})
	ln := listen(t)
	r := start(t, tableOf(addr), gateway.Config{}, gateway.Secure(ln, certificate(t)))
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // made by the test
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, r.addr)
		},
	}
	defer transport.CloseIdleConnections()
	body, in := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, "https://shop.test/", body)
	must(t, err)
	req.Trailer = http.Header{"X-Client": {"from the client"}}
	res, err := transport.RoundTrip(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	if res.ProtoMajor != 2 || res.Header.Get("X-Seen") != "https shop.test" {
		t.Errorf("%s, the app saw %s", res.Proto, res.Header.Get("X-Seen"))
	}
	out := bufio.NewReader(res.Body)
	for _, line := range []string{"one\n", "two\n"} {
		_, err := io.WriteString(in, line)
		must(t, err)
		if got, err := out.ReadString('\n'); got != "echo "+line {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	must(t, in.Close())
	_, err = io.Copy(io.Discard, out)
	must(t, err)
	if got := res.Trailer.Get("X-Sum"); got != "from the client" {
		t.Errorf("trailer %q", got)
	}
}

func TestDrainFinishesAndCuts(t *testing.T) {
	release := make(chan struct{})
	began := make(chan struct{}, 10)
	addr := serveApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nup")
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}
			return
		}
		began <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "finished")
	})
	r := start(t, tableOf(addr), gateway.Config{Drain: time.Hour, DrainUpgrade: 50 * time.Millisecond})
	ws := &end{Conn: dial(t, r.addr, false)}
	must(t, ws.do(step{verb: "send", arg: "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"}))
	must(t, ws.do(step{verb: "expect", arg: "\r\n\r\nup"}))
	slow := &end{Conn: dial(t, r.addr, false)}
	must(t, slow.do(step{verb: "send", arg: "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"}))
	<-began
	var stopped sync.WaitGroup
	stopped.Go(func() { must(t, r.stop()) })
	refused(t, r.addr)
	close(release)
	must(t, slow.do(step{verb: "expect", arg: "finished"}))
	must(t, slow.do(step{verb: "had", arg: "Connection: close\r\n"}))
	must(t, slow.do(step{verb: "ends"}))
	must(t, ws.do(step{verb: "ends"})) // at its own deadline
	stopped.Wait()
}

// refused waits until nobody listens any more.
func refused(t *testing.T, addr string) {
	t.Helper()
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = c.Close()
	}
}

func TestTableFileIsReadAgain(t *testing.T) {
	reload := make(chan struct{})
	r := start(t, tableOf(named(t, "one")), gateway.Config{Reload: reload, Poll: time.Hour})
	if _, body, _ := r.get(t); body != "one" {
		t.Fatalf("answered %q", body)
	}
	next := tableOf(named(t, "two"))
	next.Version = 2
	writeTable(t, r.file, next)
	reload <- struct{}{}
	reload <- struct{}{} // taken only after the first was carried out
	if _, body, _ := r.get(t); body != "two" || r.Version() != 2 {
		t.Errorf("after SIGHUP %q", body)
	}
	must(t, os.WriteFile(r.file, []byte(`{"routes": [`), 0o600))
	reload <- struct{}{}
	reload <- struct{}{}
	if _, body, _ := r.get(t); body != "two" {
		t.Errorf("with a broken file %q", body)
	}
}

func TestTableFileIsWatched(t *testing.T) {
	r := start(t, tableOf(named(t, "one")), gateway.Config{Poll: time.Millisecond})
	if _, body, _ := r.get(t); body != "one" { // also: the first file has been read
		t.Fatalf("answered %q", body)
	}
	next := tableOf(named(t, "number two"))
	next.Version = 2
	writeTable(t, r.file, next)
	deadline := time.Now().Add(limit)
	for r.Version() != 2 {
		if time.Now().After(deadline) {
			t.Fatal("the change was not seen")
		}
		r.get(t) // takes a moment
	}
}

func TestBadTableAloneIsAnError(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"syntax":  {"{\n \"routes\": [,]\n}", "table.json:2: not JSON"},
		"key":     {"{\n \"routes\": [\n  {\"id\": \"r\", \"hots\": \"a\"}\n ]\n}", "table.json:3: routes[0].hots: is not a key"},
		"value":   {"{\n \"routes\": [\n  {\"id\": \"r\", \"host\": \"a b\"}\n ]\n}", "table.json:3: routes[0].host:"},
		"nothing": {"", "the table file is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "table.json")
			must(t, os.WriteFile(file, []byte(tc.text), 0o600))
			g, err := gateway.New(gateway.Config{TableFile: file}, testLog(t))
			must(t, err)
			err = g.Run(t.Context(), []net.Listener{listen(t)})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Run = %v, want %s", err, tc.want)
			}
		})
	}
	g, err := gateway.New(gateway.Config{TableFile: filepath.Join(t.TempDir(), "none")}, testLog(t))
	must(t, err)
	if err := g.Run(t.Context(), []net.Listener{listen(t)}); !fault.Is(err, fault.Invalid) {
		t.Errorf("without a file Run = %v", err)
	}
	if _, err := gateway.New(gateway.Config{Attempts: -1, Drain: -time.Second}, testLog(t)); err == nil ||
		!strings.Contains(err.Error(), "attempts") || !strings.Contains(err.Error(), "drain") || !strings.Contains(err.Error(), "table") {
		t.Errorf("New = %v, want every complaint", err)
	}
}

// TestKeptTable starts a gateway under a control plane that is not there.
func TestKeptTable(t *testing.T) {
	for name, tc := range map[string]struct {
		boot   string
		write  func(t *testing.T, file string, table route.Table)
		status int
		aside  int // files moved away
	}{
		"of this boot":    {"b1", nil, 200, 0},
		"of another boot": {"b2", nil, 503, 0},
		"none":            {"b1", func(*testing.T, string, route.Table) {}, 503, 0},
		"corrupted": {"b1", func(t *testing.T, file string, _ route.Table) {
			must(t, os.WriteFile(file, []byte(`{"version": 1, "rou`), 0o600))
		}, 503, 1},
		"of a newer version": {"b1", func(t *testing.T, file string, table route.Table) {
			data, err := json.Marshal(table)
			must(t, err)
			must(t, os.WriteFile(file, append([]byte(`{"new_key": 1,`), data[1:]...), 0o600))
		}, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "table.json")
			table := tableOf(named(t, "app"))
			table.Boot = "b1"
			if tc.write == nil {
				tc.write = func(t *testing.T, file string, table route.Table) { writeTable(t, file, table) }
			}
			tc.write(t, file, table)
			r := start(t, table, gateway.Config{Control: filepath.Join(dir, "nobody"), TableFile: file, Boot: tc.boot})
			status, body, header := r.get(t)
			if status != tc.status || status == 503 && header.Get("Retry-After") == "" {
				t.Errorf("%d %s", status, body)
			}
			aside, err := filepath.Glob(file + ".corrupt-*")
			must(t, err)
			if len(aside) != tc.aside {
				t.Errorf("moved aside: %v", aside)
			}
			table.Boot = tc.boot
			must(t, r.Apply(&table))
			if status, body, _ := r.get(t); status != 200 {
				t.Errorf("with a table of this boot %d %s", status, body)
			}
		})
	}
}

// TestDrainingGatewayStillCounts has a gateway drain with a request in flight:
// it takes tables and is waited for until that request has ended.
func TestDrainingGatewayStillCounts(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := hub.Listen(socket, 0)
	must(t, err)
	h := hub.New(hub.Config{Settle: time.Nanosecond}, testLog(t))
	hctx, stopHub := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { must(t, h.Run(hctx, ln)) })
	successor := routetest.NewGateway(socket)
	running.Go(func() { must(t, successor.Run(hctx)) })
	defer running.Wait()
	defer stopHub()

	r := start(t, route.Table{}, gateway.Config{Control: socket, Boot: "b"})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	table := tableOf(slowApp(t, "one"))
	for len(h.Gateways()) < 2 {
		must(t, h.WaitAcked(ctx, h.Publish(table)))
	}
	must(t, h.WaitAcked(ctx, h.Publish(table)))
	s := &subject{addr: r.addr}
	_, end, err := s.Begin("shop.test", "/")
	must(t, err)
	var stopped sync.WaitGroup
	stopped.Go(func() { must(t, r.stop()) })
	refused(t, r.addr)
	must(t, h.WaitAcked(ctx, h.Publish(tableOf())))
	instance := table.Routes[0].Groups[0].Instances[0].ID
	if err := h.WaitIdle(ended(), instance); err == nil || !strings.Contains(err.Error(), "still has requests") {
		t.Errorf("WaitIdle = %v with a request in flight at a draining gateway", err)
	}
	end()
	must(t, h.WaitIdle(ctx, instance))
	stopped.Wait()
	for len(h.Gateways()) != 1 { // its farewell is on the way
		must(t, h.WaitAcked(ctx, h.Publish(tableOf())))
	}
}

// ended is a context that lets nothing be waited for.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestConnectionsAreBounded(t *testing.T) {
	r := start(t, tableOf(named(t, "app")), gateway.Config{Connections: 1})
	const ask = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
	first := &end{Conn: dial(t, r.addr, false)}
	must(t, first.do(step{verb: "send", arg: ask}))
	must(t, first.do(step{verb: "expect", arg: "app"}))
	second := &end{Conn: dial(t, r.addr, false)} // waits in the kernel's queue
	must(t, second.do(step{verb: "send", arg: ask}))
	must(t, first.do(step{verb: "send", arg: ask}))
	must(t, first.do(step{verb: "expect", arg: "app"}))
	if second.peek() != "" {
		t.Error("a second connection was served")
	}
	must(t, first.Close())
	must(t, second.do(step{verb: "expect", arg: "app"}))
}
