package gateway_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"naru/internal/route/gateway"
)

// instance is an instance of HTTP/2 whose frames are written by hand, which serves
// one request.
type instance struct {
	*http2.Framer
	net.Conn
	asked *http2.MetaHeadersFrame
}

// accepts waits for a connection of the gateway and a request on it.
func accepts(t *testing.T, ln net.Listener) *instance {
	t.Helper()
	must(t, ln.(*net.TCPListener).SetDeadline(time.Now().Add(limit)))
	c, err := ln.Accept()
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	must(t, c.SetDeadline(time.Now().Add(limit)))
	_, err = io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	must(t, err)
	i := &instance{Framer: http2.NewFramer(c, c), Conn: c}
	i.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	i.AllowIllegalWrites = true
	must(t, i.WriteSettings())
	for {
		f, err := i.ReadFrame()
		must(t, err)
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				must(t, i.WriteSettingsAck())
			}
		case *http2.MetaHeadersFrame:
			i.asked = f
			return i
		}
	}
}

// says sends a head, of "name=value" pairs.
func (i *instance) says(last bool, pairs ...string) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		_ = enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	b := block.Bytes()
	first := b[:min(len(b), 16<<10)]
	_ = i.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: last, EndHeaders: len(first) == len(b)})
	for b = b[len(first):]; len(b) > 0; {
		part := b[:min(len(b), 16<<10)]
		b = b[len(part):]
		if i.WriteContinuation(1, len(b) == 0, part) != nil {
			return
		}
	}
}

func (i *instance) data(last bool, text string) { _ = i.WriteData(1, last, []byte(text)) }

// TestWhatAnInstanceOfHTTP2Says is about instances that say what they must not.
func TestWhatAnInstanceOfHTTP2Says(t *testing.T) {
	const bad = "HTTP/1.1 502 "
	for _, tc := range []struct {
		name  string
		ask   string // fields of the request
		plays func(i *instance)
		want  string // the beginning of what the client gets
		has   string // ... in what the client gets
		never string // lower case; ... not in it
		cut   bool   // the answer breaks off
	}{
		{name: "an ordinary answer", plays: func(i *instance) { i.says(false, ":status=200", "x-app=1"); i.data(true, "hello") }, want: "HTTP/1.1 200 ", has: "hello"},
		{name: "a switch of protocols", ask: "Connection: Upgrade\r\nUpgrade: x\r\n", want: bad, never: "101",
			plays: func(i *instance) {
				i.says(false, ":status=101", "connection=upgrade", "upgrade=x")
				i.data(false, "up")
			}},
		{name: "line feeds in a value", plays: func(i *instance) { i.says(true, ":status=200", "x=a\r\nevil: 1\r\n\r\nHTTP/1.1 200 OK") }, want: bad, never: "evil"},
		{name: "NUL in a value", plays: func(i *instance) { i.says(true, ":status=200", "x=a\x00b") }, want: bad},
		{name: "line feeds in a name", plays: func(i *instance) { i.says(true, ":status=200", "x: 1\r\nevil=a") }, want: bad, never: "evil"},
		{name: "a name in upper case", plays: func(i *instance) { i.says(true, ":status=200", "Evil=a") }, want: bad, never: "evil"},
		{name: "fields of a connection", want: "HTTP/1.1 200 ", has: "hello", never: "x-inner",
			plays: func(i *instance) {
				i.says(false, ":status=200", "connection=x-other", "keep-alive=x-inner", "proxy-authenticate=x-inner", "transfer-encoding=x-inner", "upgrade=x-inner", "te=x-inner")
				i.data(true, "hello")
			}},
		{name: "two lengths", plays: func(i *instance) {
			i.says(false, ":status=200", "content-length=5", "content-length=6")
			i.data(true, "hello")
		}, want: bad},
		{name: "a length that is no number", plays: func(i *instance) { i.says(false, ":status=200", "content-length=+5"); i.data(true, "hello") }, want: bad},
		{name: "a path in an answer", plays: func(i *instance) { i.says(true, ":status=200", ":path=/evil") }, want: bad, never: "evil"},
		{name: "no status", plays: func(i *instance) { i.says(true, "x=1") }, want: bad},
		{name: "two status", plays: func(i *instance) { i.says(true, ":status=200", ":status=201") }, want: bad},
		{name: "a status that is a line", plays: func(i *instance) { i.says(true, ":status=200 OK\r\nevil: 1") }, want: bad, never: "evil"},
		{name: "a status nobody knows", plays: func(i *instance) { i.says(true, ":status=99") }, want: bad},
		{name: "a head that is too large", plays: func(i *instance) { i.says(true, ":status=200", "x="+strings.Repeat("x", 1<<20)) }, want: bad},
		{name: "many fields", plays: func(i *instance) {
			fields := []string{":status=200"}
			for range 1000 {
				fields = append(fields, "x=y")
			}
			i.says(true, fields...)
		}, want: bad},
		{name: "answers before the answer without end", plays: func(i *instance) {
			for range 100 {
				i.says(false, ":status=103", "link=</a>")
			}
			i.says(true, ":status=200")
		}, want: "HTTP/1.1 103 ", has: bad},
		{name: "line feeds in an answer before the answer", plays: func(i *instance) { i.says(false, ":status=103", "link=a\r\nevil: 1"); i.says(true, ":status=200") }, want: bad, never: "evil"},
		{name: "a reset before the answer", plays: func(i *instance) { _ = i.WriteRSTStream(1, http2.ErrCodeInternal) }, want: bad},
		{name: "a reset inside the answer", plays: func(i *instance) {
			i.says(false, ":status=200")
			i.data(false, "half")
			_ = i.WriteRSTStream(1, http2.ErrCodeInternal)
		}, want: "HTTP/1.1 200 ", cut: true},
		{name: "a good bye before the answer", plays: func(i *instance) { _ = i.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("evil")); _ = i.Close() }, want: bad, never: "evil"},
		{name: "a good bye inside the answer, which goes on", plays: func(i *instance) {
			i.says(false, ":status=200")
			i.data(false, "he")
			_ = i.WriteGoAway(1, http2.ErrCodeNo, nil)
			i.data(true, "llo")
		}, want: "HTTP/1.1 200 ", has: "llo"},
		{name: "a good bye inside the answer, which does not", plays: func(i *instance) {
			i.says(false, ":status=200")
			i.data(false, "half")
			_ = i.WriteGoAway(0, http2.ErrCodeInternal, nil)
			_ = i.Close()
		}, cut: true},
		{name: "more than its length", plays: func(i *instance) { i.says(false, ":status=200", "content-length=2"); i.data(true, "hello") }, never: "llo"},
		{name: "less than its length", plays: func(i *instance) { i.says(false, ":status=200", "content-length=10"); i.data(true, "hello") }, want: "HTTP/1.1 200 ", cut: true},
		{name: "a push", plays: func(i *instance) {
			_ = i.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}, want: bad},
		{name: "trailers that may not be", want: "HTTP/1.1 200 ", has: "X-Sum: 1\r\n", never: "evil",
			plays: func(i *instance) {
				i.says(false, ":status=200")
				i.data(false, "hello")
				i.says(true, "x-sum=1", "content-length=evil", "transfer-encoding=evil", "x-forwarded-for=evil", "host=evil", "authorization=evil", "connection=evil", "x-request-id=evil")
			}},
		{name: "trailers with a line feed", want: "HTTP/1.1 200 ", cut: true, never: "evil",
			plays: func(i *instance) {
				i.says(false, ":status=200")
				i.data(false, "hello")
				i.says(true, "x=a\r\nevil: 1")
			}},
		{name: "frames of a stream nobody opened", plays: func(i *instance) { _ = i.WriteData(77, true, []byte("evil")); i.says(true, ":status=200") }, never: "evil"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			app := listen(t)
			r := start(t, http2Table(app.Addr().String()), gateway.Config{Boot: "b"}, listen(t))
			c := dial(t, r.addr, false)
			must(t, c.SetDeadline(time.Now().Add(limit)))
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\n"+tc.ask+"TE: trailers\r\nConnection: close\r\n\r\n")
			must(t, err)
			tc.plays(accepts(t, app))
			got, err := io.ReadAll(c)
			must(t, err)
			text := string(got)
			if !strings.HasPrefix(text, tc.want) || !strings.Contains(text, tc.has) || tc.never != "" && strings.Contains(strings.ToLower(text), tc.never) {
				t.Errorf("the client got %q", text)
			}
			if whole := strings.HasSuffix(text, "\r\n0\r\n\r\n"); tc.cut && whole {
				t.Errorf("this looks whole: %q", text)
			}
			if a := r.last(t); a.Problem == "" && (tc.cut || tc.want == bad) {
				t.Errorf("the record knows nothing of it: %+v", a)
			}
		})
	}
}

// TestWhatAnInstanceOfHTTP2IsSent is about requests that are more than they seem.
func TestWhatAnInstanceOfHTTP2IsSent(t *testing.T) {
	for _, tc := range []struct{ name, ask, path string }{
		{"fields of a connection", "GET /a HTTP/1.1\r\nHost: shop.test\r\nConnection: close, X-Evil\r\nX-Evil: 1\r\nKeep-Alive: evil\r\nProxy-Authorization: evil\r\nTE: trailers, evil\r\nUpgrade: evil\r\nHTTP2-Settings: evil\r\n\r\n", "/a"},
		{"a path like a host", "GET //evil.test/a HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "//evil.test/a"},
		{"a URL in full", "GET http://shop.test/a?b HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "/a?b"},
		{"line feeds that are encoded", "GET /a%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "/a%0d%0aX-Evil:%201"},
		{"dots", "GET /a/../b/%2e%2e/c HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "/a/../b/%2e%2e/c"},
		{"who came before us", "GET /a HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: evil\r\nX_Forwarded_Host: evil\r\nForwarded: for=evil\r\nConnection: close\r\n\r\n", "/a"},
		{"the whole server", "OPTIONS * HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "*"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			app := listen(t)
			r := start(t, http2Table(app.Addr().String()), gateway.Config{Boot: "b"}, listen(t))
			c := dial(t, r.addr, false)
			must(t, c.SetDeadline(time.Now().Add(limit)))
			_, err := io.WriteString(c, tc.ask)
			must(t, err)
			i := accepts(t, app)
			asked := i.asked
			if asked.PseudoValue("path") != tc.path || asked.PseudoValue("authority") != "shop.test" || asked.PseudoValue("scheme") != "http" {
				t.Errorf("the instance was asked for %v", asked.Fields)
			}
			for _, f := range asked.RegularFields() {
				switch strings.ToLower(f.Name) {
				case "connection", "keep-alive", "proxy-authorization", "upgrade", "http2-settings", "transfer-encoding", "host", "expect", "x-evil":
					t.Errorf("the instance was sent %s", f)
				case "te":
					if f.Value != "trailers" {
						t.Errorf("the instance was sent %s", f)
					}
				default:
					if strings.Contains(f.Value, "evil") {
						t.Errorf("the instance was sent %s", f)
					}
				}
			}
			i.says(true, ":status=204")
			if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 204 ") {
				t.Errorf("the client got %q, %v", got, err)
			}
		})
	}
}
