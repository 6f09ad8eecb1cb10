package gateway_test

import (
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

// TestResetsEndTheirConnection has a client of HTTP/2 take back what it asks for,
// by a reset of its own or by a frame that makes the gateway reset: requests it no
// longer counts must not pile up behind its limit.
func TestResetsEndTheirConnection(t *testing.T) {
	addr := serveApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, "app")
	})
	for name, takeBack := range map[string]func(e *h2end) error{
		"rapid reset": func(e *h2end) error { return e.frames.WriteRSTStream(e.stream, http2.ErrCodeCancel) },
		"MadeYouReset": func(e *h2end) error {
			return e.frames.WriteRawFrame(http2.FrameWindowUpdate, 0, e.stream, make([]byte, 4))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, tableOf(addr), gateway.Config{Streams: 10})
			e := dialH2(t, r.addr, false)
			must(t, e.SetDeadline(time.Now().Add(limit)))
			ended := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, e.Conn)
				close(ended)
			}()
			for err := error(nil); err == nil; { // until the gateway has closed the connection
				if err = e.open([]hpack.HeaderField{
					{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "shop.test"}, {Name: ":path", Value: "/wait"},
				}, true); err == nil {
					err = takeBack(e)
				}
				if interrupted := new(net.OpError); errors.As(err, &interrupted) && interrupted.Timeout() {
					t.Fatal("requests are begun and taken back without end")
				}
			}
			<-ended
			if status, body, _ := r.get(t); status != http.StatusOK || body != "app" {
				t.Errorf("somebody else gets %d %q", status, body)
			}
		})
	}
}

// TestAShutWindowEndsItsRequest has a client of HTTP/2 ask and let nothing be
// sent.
func TestAShutWindowEndsItsRequest(t *testing.T) {
	addr := serveApp(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1048576")
		_, _ = w.Write(make([]byte, 1<<20))
	})
	r := start(t, tableOf(addr), gateway.Config{WriteIdle: 50 * time.Millisecond})
	e := dialH2(t, r.addr, false)
	must(t, e.frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	must(t, e.do(step{verb: "send", arg: "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"}))
	must(t, e.do(step{verb: "expect", arg: "HTTP/1.1 200 OK\r\n"}))
	must(t, e.do(step{verb: "expect", arg: "\r\n\r\n"}))
	must(t, e.do(step{verb: "ends"}))
}
