package gateway_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	application "naru/internal/app"
	"naru/internal/route"
	"naru/internal/route/gateway"
)

// ends are both ends of a tunnel through a gateway.
type ends struct {
	*running
	client, app half
}

// half is a connection of which each direction ends by itself.
type half interface {
	net.Conn
	CloseWrite() error
}

// tunnelled makes a tunnel: a WebSocket, in the clear or over TLS.
func tunnelled(t *testing.T, secure bool, cfg gateway.Config) ends {
	t.Helper()
	return tunnelledIdle(t, secure, cfg, 0)
}

// tunnelledIdle makes one whose route bears no longer silence.
func tunnelledIdle(t *testing.T, secure bool, cfg gateway.Config, idle time.Duration) ends {
	t.Helper()
	apps, front := listen(t), listen(t)
	table := tableOf(apps.Addr().String())
	if idle > 0 {
		table.Routes[0].Timeouts = &route.Timeouts{Idle: application.Duration(idle)}
	}
	r := start(t, table, cfg, secured(t, front, secure))
	client := dial(t, r.addr, secure)
	_, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	must(t, err)
	app, err := apps.Accept()
	must(t, err)
	t.Cleanup(func() { _ = app.Close() })
	must(t, app.SetDeadline(time.Now().Add(limit)))
	must(t, client.SetDeadline(time.Now().Add(limit)))
	head(t, app)
	_, err = io.WriteString(app, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	must(t, err)
	head(t, client)
	return ends{r, client.(half), app.(half)}
}

func secured(t *testing.T, ln net.Listener, secure bool) net.Listener {
	t.Helper()
	if secure {
		return gateway.Secure(ln, certificate(t))
	}
	return ln
}

// head reads a head and not a byte more.
func head(t *testing.T, c net.Conn) {
	t.Helper()
	var got []byte
	for one := make([]byte, 1); !bytes.HasSuffix(got, []byte("\r\n\r\n")); got = append(got, one...) {
		if _, err := io.ReadFull(c, one); err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
	}
}

// ways are the directions of a tunnel, with and without TLS.
func ways(t *testing.T, f func(t *testing.T, e ends, from, to half)) {
	for _, kind := range []string{"plain", "TLS"} {
		t.Run(kind+" up", func(t *testing.T) {
			e := tunnelled(t, kind == "TLS", gateway.Config{DrainUpgrade: 10 * time.Millisecond})
			f(t, e, e.client, e.app)
		})
		t.Run(kind+" down", func(t *testing.T) {
			e := tunnelled(t, kind == "TLS", gateway.Config{DrainUpgrade: 10 * time.Millisecond})
			f(t, e, e.app, e.client)
		})
	}
}

// numbers are bytes that tell where they belong.
func numbers(size int) []byte {
	b := make([]byte, 0, size+8)
	for i := uint64(0); len(b) < size; i++ {
		b = binary.BigEndian.AppendUint64(b, i)
	}
	return b[:size]
}

// TestTunnelHoldsUpWhoSendsTooMuch has one end send without the other one
// reading: what the gateway holds is bounded, and nothing of it is lost.
func TestTunnelHoldsUpWhoSendsTooMuch(t *testing.T) {
	ways(t, func(t *testing.T, _ ends, from, to half) {
		all := numbers(64 << 20) // more than all sockets on the way take
		must(t, from.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err := from.Write(all)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d bytes that nobody read: %v", n, err)
		}
		got := make([]byte, n)
		for read := 0; read < len(got); { // in pieces, so that the gateway waits again and again
			n, err := io.ReadFull(to, got[read:min(len(got), read+100<<10)])
			must(t, err)
			read += n
		}
		if !bytes.Equal(got, all[:len(got)]) {
			t.Error("other bytes came than were sent")
		}
	})
}

// TestTunnelEndsBehindTheBytes sends bytes and the end at once, in sizes around
// those of buffers, and then the other end does.
func TestTunnelEndsBehindTheBytes(t *testing.T) {
	for _, size := range []int{1, 8 << 10, 66<<10 - 1, 66 << 10, 66<<10 + 1, 2 * 66 << 10, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			ways(t, func(t *testing.T, _ ends, from, to half) {
				for _, way := range [][2]half{{from, to}, {to, from}} {
					sent := make(chan error, 1)
					go func() {
						_, err := way[0].Write(numbers(size))
						sent <- errors.Join(err, way[0].CloseWrite())
					}()
					got, err := io.ReadAll(way[1])
					must(t, err)
					must(t, <-sent)
					if !bytes.Equal(got, numbers(size)) {
						t.Fatalf("%d bytes came, or others", len(got))
					}
				}
			})
		})
	}
}

// TestTunnelTakesAnEndThatWasThereFirst has clients that have said everything and
// ended before the gateway looks: no second event tells of the end.
func TestTunnelTakesAnEndThatWasThereFirst(t *testing.T) {
	s := startStreams(t, gateway.Config{}, func(s *streaming) []route.Stream {
		return s.on(line("t1", echoApp(t, "one").Addr().String()))
	})
	for range 50 {
		c := dial(t, s.tcp, false).(half)
		must(t, c.SetDeadline(time.Now().Add(limit)))
		_, err := io.WriteString(c, "all")
		must(t, errors.Join(err, c.CloseWrite()))
		got, err := io.ReadAll(c)
		must(t, err)
		if string(got) != "one all" {
			t.Fatalf("got %q", got)
		}
	}
}

// TestBrokenTunnelEnds has a client leave that was held up, so that it is seen only
// in the other direction: the app sees it leave.
func TestBrokenTunnelEnds(t *testing.T) {
	e := tunnelled(t, false, gateway.Config{})
	must(t, e.client.SetWriteDeadline(time.Now().Add(time.Second)))
	if _, err := e.client.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	must(t, e.client.(*net.TCPConn).SetLinger(0))
	must(t, e.client.Close())
	for {
		_, err := io.WriteString(e.app, "anybody?")
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("it never saw its client leave")
		}
		if err != nil {
			break
		}
	}
	if a := e.last(t); !a.Upgrade || a.Problem == "" || strings.Contains(a.Problem, "timeout") {
		t.Errorf("recorded %+v", a)
	}
}

// TestHalfATunnelEndsWithTheGateway has one direction ended and the other silent.
func TestHalfATunnelEndsWithTheGateway(t *testing.T) {
	ways(t, func(t *testing.T, e ends, from, to half) {
		must(t, from.CloseWrite())
		got, err := io.ReadAll(to)
		must(t, err)
		if len(got) > 0 {
			t.Fatalf("%q came from nobody", got)
		}
		must(t, e.stop())
		if n, err := from.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %d bytes, %v", n, err)
		}
	})
}

// TestHalfATunnelDoesNotStay has one direction ended and the other one silent.
func TestHalfATunnelDoesNotStay(t *testing.T) {
	for name, cfg := range map[string]gateway.Config{"by the gateway's limit": {HalfOpen: 2 * time.Second}, "by the route's": {}} {
		for _, secure := range []bool{false, true} {
			for _, way := range []string{"up", "down"} {
				t.Run(fmt.Sprint(name, " ", way, " ", secure), func(t *testing.T) {
					t.Parallel()
					idle := time.Duration(0)
					if cfg.HalfOpen == 0 {
						idle = 2 * time.Second
					}
					e := tunnelledIdle(t, secure, cfg, idle)
					from, to := e.client, e.app
					if way == "down" {
						from, to = e.app, e.client
					}
					must(t, from.CloseWrite())
					got, err := io.ReadAll(to)
					must(t, err)
					if len(got) > 0 {
						t.Fatalf("%q came from nobody", got)
					}
					_, werr := io.WriteString(to, "still here") // a slow machine may be too late for that
					got, err = io.ReadAll(from)
					if errors.Is(err, os.ErrDeadlineExceeded) || len(got) > 0 && string(got) != "still here" {
						t.Errorf("got %q, %v; wrote %v", got, err, werr)
					}
					if a := e.last(t); !a.Upgrade || !strings.Contains(a.Problem, "silent") {
						t.Errorf("recorded %+v", a)
					}
				})
			}
		}
	}
}
