package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"naru/internal/route"
)

// attacker is an address from which a host is attacked. Its connections end with
// its context.
type attacker struct {
	context.Context
	addr   string
	rounds *atomic.Int64
}

// dial connects from an address of the attacker's own; nil where that fails, which
// is as it should be.
func (a attacker) dial() net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: patience}
	c, err := d.DialContext(a, "tcp", a.addr)
	if err != nil {
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	context.AfterFunc(a, func() { _ = c.Close() })
	return c
}

// again repeats an attack until it is over, each time with a connection.
func (a attacker) again(attack func(c net.Conn)) {
	for a.Err() == nil {
		if c := a.dial(); c != nil {
			attack(c)
			_ = c.Close()
		}
		a.rounds.Add(1)
	}
}

// hold keeps connections open, begins on each, and goes on with all of them in
// turn, if there is anything more to say.
func (a attacker) hold(n int, begin string, next string) {
	held := make([]net.Conn, n)
	for a.Err() == nil {
		for i, c := range held {
			text := next
			if c == nil {
				if c = a.dial(); c == nil {
					continue
				}
				text = begin
			}
			held[i] = c
			if _, err := io.WriteString(c, text); err != nil {
				_ = c.Close()
				held[i] = nil
			}
		}
		if a.rounds.Add(1); next == "" {
			<-a.Done()
		}
	}
}

// many opens connections as fast as it can, and closes them again.
func (a attacker) many(n int) {
	for a.Err() == nil {
		held := make([]net.Conn, 0, n)
		for range n {
			if c := a.dial(); c != nil {
				held = append(held, c)
			}
		}
		for _, c := range held {
			_ = c.Close()
		}
		a.rounds.Add(1)
	}
}

// until sends bytes and reads until the gateway ends the connection.
func until(c net.Conn, text []byte) {
	go func() { _, _ = c.Write(text) }()
	_, _ = io.Copy(io.Discard, c)
}

// frames are frames of HTTP/2 behind a preface.
func frames(n int, write func(f *http2.Framer, i int)) []byte {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	_ = f.WriteSettings()
	for i := range n {
		write(f, i)
	}
	return b.Bytes()
}

// asking is the head of a request of HTTP/2 without a dynamic table.
func asking(host string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, p := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", host}, {":path", "/"}} {
		_ = e.WriteField(hpack.HeaderField{Name: p[0], Value: p[1], Sensitive: true})
	}
	return b.Bytes()
}

func attacks() map[string]func(a attacker) {
	const n = 20_000
	head := asking("a.test")
	floods := map[string][]byte{
		"pings":    frames(n, func(f *http2.Framer, _ int) { _ = f.WritePing(false, [8]byte{}) }),
		"settings": frames(n, func(f *http2.Framer, _ int) { _ = f.WriteSettings() }),
		"windows":  frames(n, func(f *http2.Framer, _ int) { _ = f.WriteWindowUpdate(0, 1) }),
		"rapid resets": frames(n, func(f *http2.Framer, i int) {
			id := uint32(2*i + 1)
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head, EndHeaders: true, EndStream: true})
			_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
		}),
		"heads that go on": frames(n, func(f *http2.Framer, i int) {
			if i == 0 {
				_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
			}
			_ = f.WriteContinuation(1, false, nil)
		}),
	}
	all := map[string]func(a attacker){
		"heads byte by byte": func(a attacker) { a.hold(60, "GET / HTTP/1.1\r\nHost: a.test\r\nX: ", "x") },
		"heads without end":  func(a attacker) { a.again(func(c net.Conn) { until(c, bytes.Repeat([]byte("X: y\r\n"), 1<<16)) }) },
		"bodies byte by byte": func(a attacker) {
			a.hold(60, "POST /read HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n")
		},
		"answers that nobody reads": func(a attacker) { a.hold(30, "GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n", "") },
		"connections":               func(a attacker) { a.many(400) },
		"chunks full of extensions": func(a attacker) {
			text := "POST /read HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\nx\r\n", 1000)
			a.again(func(c net.Conn) { until(c, []byte(text)) })
		},
		"smuggled requests": func(a attacker) {
			text := "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"
			a.again(func(c net.Conn) { until(c, []byte(text)) })
		},
		"ordinary requests, copied to a group that does not answer": func(a attacker) {
			text := strings.Repeat("POST /read HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello", 100) + "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
			a.again(func(c net.Conn) { until(c, []byte(text)) })
		},
	}
	for name, text := range floods {
		all["HTTP/2: "+name] = func(a attacker) { a.again(func(c net.Conn) { until(c, text) }) }
	}
	return all
}

// visitors ask a host over and over, by kept connections, new ones and HTTP/2. It
// returns how many requests failed, and how long they took, sorted.
func visitors(addr, host string, each int) (failed []string, took []time.Duration) {
	var h1, h2 http.Protocols
	h1.SetHTTP1(true)
	h2.SetUnencryptedHTTP2(true)
	var mu sync.Mutex
	var all sync.WaitGroup
	for name, transport := range map[string]*http.Transport{
		"kept": {Protocols: &h1}, "new": {Protocols: &h1, DisableKeepAlives: true}, "HTTP/2": {Protocols: &h2},
	} {
		all.Go(func() {
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 4 * patience}
			for range each {
				begun := time.Now()
				err := visit(client, addr, host)
				mu.Lock()
				took = append(took, time.Since(begun))
				if err != nil {
					failed = append(failed, fmt.Sprintf("%s: %v", name, err))
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	return failed, took
}

func visit(client *http.Client, addr, host string) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return err
	}
	req.Host = host
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || string(body) != "app" {
		return fmt.Errorf("%d %q %w", res.StatusCode, body, err)
	}
	return nil
}

// While one app is attacked in every way there is, all requests of another one are
// answered. How fast is told, not demanded.
func TestAttacksOnOneAppLeaveOthersAlone(t *testing.T) {
	app := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/read":
			_, _ = io.Copy(io.Discard, r.Body)
		case "/big":
			for piece := make([]byte, 64<<10); ; {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}
		_, _ = io.WriteString(w, "app")
	}
	silent := appAt(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	table := tableTo(map[string]string{"a.test": appAt(t, app), "b.test": appAt(t, app)})
	for i := range table.Routes {
		if e := &table.Routes[i]; e.Host == "a.test" {
			e.Groups = append(e.Groups, route.Group{ID: "copies", Name: "shop-v002", Instances: []route.Instance{{ID: "silent", Address: silent}}})
			e.Policy = &route.Policy{Mirror: &route.Mirror{Group: "copies"}}
		}
	}
	a := standAlone(t, table, "NARU_GATEWAY_ACCESS_LOG_FORMAT=off", "NARU_GATEWAY_CONNECTIONS=1000", "NARU_GATEWAY_CONNECTIONS_PER_ADDRESS=300")
	const each = 100
	failed, calm := visitors(a.addr, "b.test", each)
	if len(failed) > 0 {
		t.Fatalf("%d requests fail without an attack: %s", len(failed), failed[0])
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var attacking sync.WaitGroup
	rounds := map[string]*atomic.Int64{}
	for name, attack := range attacks() {
		n := new(atomic.Int64)
		rounds[name] = n
		attacking.Go(func() { attack(attacker{ctx, a.addr, n}) })
	}
	var took []time.Duration
	for begun := false; !begun; { // until each of them has been at it
		more, times := visitors(a.addr, "b.test", each)
		failed, took = append(failed, more...), append(took, times...)
		begun = true
		for _, n := range rounds {
			begun = begun && n.Load() > 0
		}
	}
	memory, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	stop()
	attacking.Wait()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), len(took), failed[0])
	}
	if failed, _ := visitors(a.addr, "a.test", 10); len(failed) > 0 {
		t.Errorf("afterwards %d requests of the app that was attacked fail: %s", len(failed), failed[0])
	}
	slices.Sort(took)
	for name, n := range rounds {
		t.Logf("%6d times: %s", n.Load(), name)
	}
	_, rss, _ := strings.Cut(string(memory), "VmRSS:")
	rss, _, _ = strings.Cut(rss, "\n")
	t.Logf("%d requests: p50 %s, p99 %s; without attacks p50 %s, p99 %s; the gateway has %s", len(took),
		took[len(took)/2], took[len(took)*99/100], calm[len(calm)/2], calm[len(calm)*99/100], strings.TrimSpace(rss))
}
