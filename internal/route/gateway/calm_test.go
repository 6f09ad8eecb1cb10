package gateway_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"naru/internal/route/gateway"
)

// floods are ways for a client of HTTP/2 to keep a server busy for nothing. Each
// writes one frame or two; the stream of begin is 1.
var floods = []struct {
	name  string
	begin func(e *h2end) error // nil: nothing
	frame func(e *h2end) error
	fair  bool // some of it is nobody's mistake
}{
	{"settings", nil, func(e *h2end) error { return e.frames.WriteSettings() }, true},
	{"pings", nil, func(e *h2end) error { return e.frames.WritePing(false, [8]byte{1}) }, true},
	{"answers to pings", nil, func(e *h2end) error { return e.frames.WritePing(true, [8]byte{1}) }, true},
	{"room for a byte more", nil, func(e *h2end) error { return e.frames.WriteWindowUpdate(0, 1) }, true},
	{"room for a byte more of a request", (*h2end).post, func(e *h2end) error { return e.frames.WriteWindowUpdate(e.stream, 1) }, true},
	{"priorities", nil, func(e *h2end) error { return e.frames.WritePriority(1, http2.PriorityParam{StreamDep: 3}) }, true},
	{"frames nobody knows", nil, func(e *h2end) error { return e.frames.WriteRawFrame(0x10, 0, 0, []byte("u=1")) }, true},
	{"data without data", (*h2end).post, func(e *h2end) error { return e.frames.WriteData(e.stream, false, nil) }, true},
	{"nothing but padding", (*h2end).post, func(e *h2end) error { return e.frames.WriteDataPadded(e.stream, false, nil, make([]byte, 200)) }, true},
	{"heads that go on and bring nothing", (*h2end).half, func(e *h2end) error { return e.frames.WriteContinuation(e.stream, false, nil) }, false},
	{"heads byte by byte", (*h2end).half, func(e *h2end) error { return e.frames.WriteContinuation(e.stream, false, []byte{'x'}) }, false},
	{"resets of requests that have ended", (*h2end).post, func(e *h2end) error { return e.frames.WriteRSTStream(1, http2.ErrCodeCancel) }, true},
	{"requests that are none", nil, func(e *h2end) error {
		return e.open([]hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: "X", Value: "upper case"}}, true)
	}, true},
}

// post begins a request with a body.
func (e *h2end) post() error {
	return e.open([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "shop.test"}, {Name: ":path", Value: "/wait"},
	}, false)
}

// half begins a head, and in it a value of 16 KiB.
func (e *h2end) half() error {
	block := e.encode([]hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "shop.test"}, {Name: ":path", Value: "/"},
	})
	e.stream = 1
	block = append(block, 0x00, 1, 'x', 0x7f, 0x81, 0x7f) // a name, and the length of its value
	return e.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block})
}

// TestFloodsEndTheirConnection sends more frames that carry nothing than may be,
// and nearly as many.
func TestFloodsEndTheirConnection(t *testing.T) {
	const most = 200
	addr := serveApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		_, _ = io.WriteString(w, "app")
	})
	for _, over := range protocols[2:] {
		in := listen(t)
		front := in
		if over.secure {
			front = gateway.Secure(in, certificate(t))
		}
		r := start(t, tableOf(addr), gateway.Config{EmptyFrames: most}, front)
		for _, f := range floods {
			t.Run(over.name+"/"+f.name, func(t *testing.T) {
				bystander := dialH2(t, r.addr, over.secure)
				flood := func(n int) *h2end {
					e := dialH2(t, r.addr, over.secure)
					must(t, e.SetDeadline(time.Now().Add(limit)))
					if f.begin != nil {
						must(t, f.begin(e))
					}
					var all bytes.Buffer // in one piece: what the gateway does not take must not fail here
					e.frames = http2.NewFramer(&all, e.Conn)
					e.frames.AllowIllegalWrites = true
					for range n {
						must(t, f.frame(e))
					}
					_, err := e.Conn.Write(all.Bytes())
					must(t, err)
					e.frames = http2.NewFramer(e.Conn, e.Conn)
					return e
				}
				if f.fair {
					e := flood(most * 8 / 10)
					e.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
					e.asks(t)
				}
				if code, err := flood(20 * most).goesAway(); code != http2.ErrCodeEnhanceYourCalm || err != io.EOF {
					t.Errorf("the connection ended with %s, %v", code, err)
				}
				bystander.asks(t)
			})
		}
	}
}

// asks asks for the root and gets it.
func (e *h2end) asks(t *testing.T) {
	t.Helper()
	must(t, e.do(step{verb: "send", arg: "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"}))
	must(t, e.do(step{verb: "expect", arg: "app"}))
}

// goesAway reads to the end of the connection, and returns with what error the
// gateway ended it.
func (e *h2end) goesAway() (code http2.ErrCode, err error) {
	for {
		f, err := e.frames.ReadFrame()
		if err != nil {
			return code, err
		}
		if f, ok := f.(*http2.GoAwayFrame); ok {
			code = f.ErrCode
		}
	}
}

// TestFloodsAreForgiven has a client send frames that carry nothing as long as it
// gets answers for them.
func TestFloodsAreForgiven(t *testing.T) {
	const most = 50
	r := start(t, tableOf(serveApp(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "app") })), gateway.Config{EmptyFrames: most, Streams: 1})
	e := dialH2(t, r.addr, false)
	must(t, e.SetDeadline(time.Now().Add(limit)))
	for range 10 * most {
		for range 2 {
			must(t, e.frames.WriteWindowUpdate(0, 1))
		}
		e.asks(t)
	}
}

// TestAFloodWhoseAnswersNobodyReads must not have the gateway wait for its
// client.
func TestAFloodWhoseAnswersNobodyReads(t *testing.T) {
	r := start(t, tableOf(named(t, "app")), gateway.Config{})
	e := dialH2(t, r.addr, false)
	must(t, e.SetDeadline(time.Now().Add(limit)))
	for {
		if err := e.frames.WritePing(false, [8]byte{}); err != nil {
			if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
				t.Fatal("pings are taken without end")
			}
			break
		}
	}
	if status, body, _ := r.get(t); status != http.StatusOK || body != "app" {
		t.Errorf("somebody else gets %d %q", status, body)
	}
}

// TestHTTP2NeedsAStrongCipher has a client of TLS 1.2 that knows HTTP/2 and no
// cipher that may be used with it.
func TestHTTP2NeedsAStrongCipher(t *testing.T) {
	front := gateway.Secure(listen(t), certificate(t))
	r := start(t, tableOf(named(t, "app")), gateway.Config{}, front)
	for _, tc := range []struct {
		cipher uint16
		speaks bool
	}{{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true}, {tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false}} {
		c, err := net.Dial("tcp", r.addr)
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		secure := tls.Client(c, &tls.Config{
			InsecureSkipVerify: true, NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tc.cipher}, //nolint:gosec // made by the test
		})
		must(t, secure.SetDeadline(time.Now().Add(limit)))
		_, err = io.WriteString(secure, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		if err == nil {
			_, err = secure.Read(make([]byte, 1))
		}
		if speaks := err == nil; speaks != tc.speaks {
			t.Errorf("%s: %v", tls.CipherSuiteName(tc.cipher), err)
		}
	}
}
