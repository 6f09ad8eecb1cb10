package gateway_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"naru/internal/route/gateway"
)

// hasty is a gateway that finds every client too slow that waits at all.
var hasty = gateway.Config{BodyRate: 1 << 30, BodyWindow: time.Millisecond}

// counting is an app that tells of each byte of a body, and closes over when there
// will be no more. With begins it begins its answer first.
func counting(t *testing.T, begins bool) (handler http.HandlerFunc, got chan struct{}, over chan struct{}) {
	got, over = make(chan struct{}), make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		rc := http.NewResponseController(w)
		if begins {
			_ = rc.EnableFullDuplex()
			_ = rc.Flush()
		}
		for one := make([]byte, 1); ; {
			if _, err := io.ReadFull(r.Body, one); err != nil {
				return
			}
			select {
			case got <- struct{}{}:
			case <-t.Context().Done():
				return
			}
		}
	}, got, over
}

// TestBodiesThatDripAreCutOff sends a body byte by byte, the next one when the app
// has the one before.
func TestBodiesThatDripAreCutOff(t *testing.T) {
	for _, over := range protocols {
		for name, field := range map[string]string{"of known length": "Content-Length: 1000000", "of unknown length": "Transfer-Encoding: chunked"} {
			t.Run(over.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				handler, got, ended := counting(t, false)
				r := start(t, tableOf(serveApp(t, handler)), hasty, over.listener(t))
				c := over.dial(t, r.addr)
				must(t, c.do(step{verb: "send", arg: "POST / HTTP/1.1\r\nHost: shop.test\r\n" + field + "\r\n\r\n"}))
				drop := "x"
				if field[0] == 'T' {
					drop = "1\r\nx\r\n"
				}
				if n := drip(t, func() error { return c.do(step{verb: "send", arg: drop}) }, got, ended, drops); n == drops {
					t.Fatal("bytes are taken without end")
				}
				must(t, c.do(step{verb: "expect", arg: "HTTP/1.1 408 "}))
				if a := r.last(t); a.Problem != "the client sends too slowly" {
					t.Errorf("problem %q", a.Problem)
				}
			})
		}
	}
}

// drops are more bytes than can be sent one after the other in the time that
// hasty gives.
const drops = 20_000

// drip sends bytes until the app says that there will be no more, and returns how
// many it got.
func drip(t *testing.T, send func() error, got, over <-chan struct{}, most int) (n int) {
	t.Helper()
	for ; n < most; n++ {
		if send() != nil { // the answer says why
			return n
		}
		select {
		case <-got:
		case <-over:
			return n
		case <-time.After(limit):
			t.Fatal("nothing happens")
		}
	}
	return n
}

// TestConversationsMayDrip has an app begin its answer before the body has come,
// and one be called by gRPC.
func TestConversationsMayDrip(t *testing.T) {
	for _, over := range protocols {
		t.Run(over.name, func(t *testing.T) {
			handler, got, ended := counting(t, true)
			r := start(t, tableOf(serveApp(t, handler)), hasty, over.listener(t))
			c := over.dial(t, r.addr)
			must(t, c.do(step{verb: "send", arg: "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n"}))
			must(t, c.do(step{verb: "expect", arg: "HTTP/1.1 200 "}))
			if n := drip(t, func() error { return c.do(step{verb: "send", arg: "1\r\nx\r\n"}) }, got, ended, 2000); n != 2000 {
				t.Errorf("cut off after %d bytes", n)
			}
		})
	}
}

// TestCallsMayBeSilent has a gRPC call wait longer than any body may, which
// another body shows.
func TestCallsMayBeSilent(t *testing.T) {
	app := listen(t)
	handler, got, ended := counting(t, false)
	http2App(t, app, handler)
	ordinary := serveApp(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	table := http2Table(app.Addr().String())
	table.Routes = append(table.Routes, tableOf(ordinary).Routes...)
	table.Routes[1].ID, table.Routes[1].Host = "ordinary", "ordinary.test"
	cfg := hasty
	cfg.BodyIdle = time.Millisecond
	r := start(t, table, cfg)

	call := dialH2(t, r.addr, false)
	must(t, call.SetDeadline(time.Now().Add(limit)))
	must(t, call.open([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "shop.test"},
		{Name: ":path", Value: "/s/m"}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}, false))
	send := func() error { return call.frames.WriteData(call.stream, false, []byte("x")) }
	must(t, send())
	<-got
	late := &end{Conn: dial(t, r.addr, false)}
	must(t, late.do(step{verb: "send", arg: "POST / HTTP/1.1\r\nHost: ordinary.test\r\nContent-Length: 10\r\n\r\nhello"}))
	must(t, late.do(step{verb: "expect", arg: "HTTP/1.1 408 "}))
	for range 10 {
		must(t, send())
		select {
		case <-got:
		case <-ended:
			t.Fatal("the call was cut off")
		}
	}
}

// TestTheNameOfACallIsNoLicence says of an ordinary body that it is a gRPC call.
func TestTheNameOfACallIsNoLicence(t *testing.T) {
	handler, got, ended := counting(t, false)
	r := start(t, tableOf(serveApp(t, handler)), hasty)
	c := dialH2(t, r.addr, false)
	must(t, c.do(step{verb: "send", arg: "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"}))
	if n := drip(t, func() error { return c.do(step{verb: "send", arg: "1\r\nx\r\n"}) }, got, ended, drops); n == drops {
		t.Error("bytes are taken without end")
	}
}

// TestAnswersThatDripAreCutOff takes an answer without end a little at a time. How
// little is certain in HTTP/2 alone: the kernel has large buffers.
func TestAnswersThatDripAreCutOff(t *testing.T) {
	addr := serveApp(t, func(w http.ResponseWriter, _ *http.Request) {
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	const most = 512 << 20
	for _, over := range protocols[2:] {
		t.Run(over.name, func(t *testing.T) {
			r := start(t, tableOf(addr), hasty, over.listener(t))
			e := dialH2(t, r.addr, over.secure)
			must(t, e.SetDeadline(time.Now().Add(limit)))
			must(t, e.frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 4096}))
			must(t, e.do(step{verb: "send", arg: "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"}))
			for n := 0; e.over == nil && n < most; n += len(e.unread) {
				e.unread = e.unread[:0]
				_ = e.more()
			}
			if e.over != errStreamOver {
				t.Errorf("the answer ended with %v", e.over)
			}
			if a := r.last(t); a.Problem != "the client reads too slowly" {
				t.Errorf("problem %q", a.Problem)
			}
		})
	}
}

// listener is where a gateway is spoken to over the protocol.
func (p protocol) listener(t *testing.T) net.Listener {
	ln := listen(t)
	if p.secure {
		return gateway.Secure(ln, certificate(t))
	}
	return ln
}
