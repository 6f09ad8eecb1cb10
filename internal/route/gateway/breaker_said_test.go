package gateway_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/gateway"
	"naru/internal/route/wire"
)

// controller is a control plane that a test speaks for.
type controller struct {
	t  *testing.T
	ln net.Listener
	c  net.Conn
	in *bufio.Reader
}

func (c *controller) accept() *wire.Hello {
	c.t.Helper()
	must(c.t, c.ln.(*net.UnixListener).SetDeadline(time.Now().Add(limit)))
	conn, err := c.ln.Accept()
	must(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close() })
	must(c.t, conn.SetReadDeadline(time.Now().Add(limit)))
	c.c, c.in = conn, bufio.NewReader(conn)
	return c.until(func(m *wire.Message) bool { return m.Hello != nil }).Hello
}

// until reads until a message is the one that is waited for.
func (c *controller) until(is func(*wire.Message) bool) *wire.Message {
	c.t.Helper()
	for {
		m, err := wire.Read(c.in, wire.DefaultMaxFrame)
		must(c.t, err)
		if is(m) {
			return m
		}
	}
}

// TestBreakersAreSaid has a group fail and a control plane hear of it, at once and
// when it is dialed again.
func TestBreakersAreSaid(t *testing.T) {
	bad := serveApp(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	socket := filepath.Join(t.TempDir(), "control")
	ln, err := net.Listen("unix", socket)
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	c := &controller{t: t, ln: ln}
	r := startQuietly(t, route.Table{}, gateway.Config{Control: socket})
	if hello := c.accept(); len(hello.Breakers) != 0 {
		t.Errorf("it begins with %+v", hello.Breakers)
	}
	table := tableOf(bad)
	table.Routes[0].Policy = &route.Policy{Breaker: &route.Breaker{Requests: 3}}
	body, err := json.Marshal(table)
	must(t, err)
	must(t, wire.Write(c.c, &wire.Message{Table: body}))
	c.until(func(m *wire.Message) bool { return m.Ack != nil && m.Ack.Version == 1 })
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i := range 4 {
		req, err := http.NewRequest(http.MethodGet, "http://"+r.addr+"/", nil)
		must(t, err)
		req.Host = "shop.test"
		res, err := client.Do(req)
		must(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		must(t, err)
		must(t, res.Body.Close())
		if want := map[bool]int{true: 500, false: 503}[i < 3]; res.StatusCode != want {
			t.Errorf("request %d: status %d, want %d", i, res.StatusCode, want)
		}
	}
	check := func(got []route.Breaking) {
		t.Helper()
		if len(got) != 1 || got[0].Route != "r1" || got[0].Group != "g1" || got[0].State != route.BreakerOpen || got[0].Reason != "3 of 3 requests failed in 10s" {
			t.Errorf("said %+v", got)
		}
	}
	check(c.until(func(m *wire.Message) bool { return m.Breakers != nil }).Breakers)
	must(t, c.c.Close())
	check(c.accept().Breakers)
}
