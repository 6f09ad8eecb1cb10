package gateway_test

import (
	"bytes"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"naru/internal/route"
	"naru/internal/route/gateway"
)

// silentApp answers every request on a connection with the same bytes and
// allocates nothing for it.
func silentApp(t testing.TB, answer string) string {
	t.Helper()
	ln := listen(t)
	out := []byte(answer)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				in := make([]byte, 16<<10)
				have := 0
				for {
					n, err := c.Read(in[have:])
					if err != nil {
						return
					}
					if have += n; !whole(in[:have]) {
						continue
					}
					have = 0
					if _, err := c.Write(out); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// whole reports whether a request has come with its body of 4 KiB, if it has one.
func whole(b []byte) bool {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	return end >= 0 && (b[0] != 'P' || len(b) == end+4+4096)
}

// asker sends one request after the other on one connection.
type asker struct {
	net.Conn
	ask  []byte
	want int // bytes of an answer
	in   []byte
}

func (a *asker) next(t testing.TB) {
	if _, err := a.Write(a.ask); err != nil {
		t.Fatal(err)
	}
	for have := 0; have < a.want; {
		n, err := a.Read(a.in[have:])
		if err != nil {
			t.Fatal(err, string(a.in[:have]))
		}
		have += n
	}
}

// newAsker finds out how long the answers are by asking once.
func newAsker(t testing.TB, addr, ask, answer string) *asker {
	t.Helper()
	a := &asker{Conn: dial(t, addr, false), ask: []byte(ask), in: make([]byte, 128<<10)}
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	_, err := a.Write(a.ask)
	must(t, err)
	for have := 0; ; {
		n, err := a.Read(a.in[have:])
		must(t, err)
		have += n
		if end := bytes.Index(a.in[:have], []byte("\r\n\r\n")); end > 0 && have == end+4+len(body) {
			a.want = have
			return a
		}
	}
}

var plainRows = map[string]struct{ ask, answer string }{
	"GET 1 KiB": {
		"GET /a?b HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nDate: Sat, 21 Nov 2026 07:52:26 GMT\r\n\r\n" + strings.Repeat("x", 1024),
	},
	"GET 64 KiB": {
		"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + strings.Repeat("x", 65536),
	},
	"GET chunked": {
		"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + strings.Repeat("x", 1024) + "\r\n0\r\n\r\n",
	},
	"POST 4 KiB": {
		"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 4096\r\n\r\n" + strings.Repeat("x", 4096),
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	},
}

// TestPlainPathAllocatesNothing counts the allocations of the whole process
// while requests pass a gateway, an app and a client: with counters, ids, trace
// headers, and with records for a control plane.
func TestPlainPathAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools drop what they are given")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools
	for name, row := range plainRows {
		for kind, cfg := range map[string]gateway.Config{
			"alone": {}, "with records": {Control: "/nowhere/socket", Records: 10, Spans: 10},
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				if n := allocations(t, tableOf(silentApp(t, row.answer)), cfg, row.ask, row.answer); n > 0 {
					t.Errorf("%d allocations in %d requests", n, counted)
				}
			})
		}
	}
}

// TestPoliciesAllocateNothing counts with what routes may ask for.
func TestPoliciesAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools drop what they are given")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	row := plainRows["GET 1 KiB"]
	ask := strings.Replace(row.ask, "\r\n\r\n", "\r\nX-Key: abc\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\nCookie: a=b; sid=42\r\n\r\n", 1)
	for name, p := range map[string]route.Policy{
		"a rate":              {Rates: []route.Rate{{Requests: 1_000_000}}},
		"a rate by client":    {Rates: []route.Rate{{Requests: 1_000_000, By: "client"}}},
		"rates by two values": {Rates: []route.Rate{{Requests: 1_000_000, By: "header:x-key"}, {Requests: 1_000_000, By: "cookie:sid"}}},
		"a bulkhead":          {Bulkhead: &route.Bulkhead{Requests: 1, Queue: 1}},
		"sticky by a header":  {Sticky: &route.Sticky{Header: "X-Key"}},
		"sticky by a cookie":  {Sticky: &route.Sticky{Cookie: "sid"}},
		"a breaker":           {Breaker: &route.Breaker{}},
		"addresses":           {Addresses: &route.Addresses{Allow: []string{"127.0.0.0/8"}}, Maintenance: &route.Maintenance{Except: []string{"127.0.0.1"}}},
		"a password":          {Auth: &route.Auth{Users: map[string]string{"ann": hashOfSecret}}},
		"faults of others":    {Faults: []route.Fault{{Match: &route.Match{Header: "X-Fault"}, Abort: 500}}},
		"rules for fields": {
			Request:  &route.Rules{Remove: []string{"X-Key"}, Set: map[string]string{"X-Client": "{client} {path}"}, Add: map[string][]string{"X-Id": {"{request_id}"}}},
			Response: &route.Rules{Remove: []string{"Date"}, Set: map[string]string{"X-Group": "{group}"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			table := tableOf(silentApp(t, row.answer))
			table.Routes[0].Policy = &p
			if n := allocations(t, table, gateway.Config{}, ask, row.answer); n > 0 {
				t.Errorf("%d allocations in %d requests", n, counted)
			}
		})
	}
}

// hashOfSecret is the password "secret".
const hashOfSecret = "$2a$04$i1RTxfyElxbHPBtSt2nxU..r2A/tcp9f1eSXLk/F6Er4isxRA72za"

const counted = 2000

// allocations returns how often the process allocates while requests are
// answered, 0 where that is no more than what else goes on in it now and then.
func allocations(t *testing.T, table route.Table, cfg gateway.Config, ask, answer string) uint64 {
	t.Helper()
	r := startQuietly(t, table, cfg)
	if cfg.Control != "" {
		must(t, r.Apply(&table))
	}
	a := newAsker(t, r.addr, ask, answer)
	for range 100 {
		a.next(t)
	}
	var n uint64
	for range 3 { // what else goes on takes its share of a machine that is slow
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range counted {
			a.next(t)
		}
		runtime.ReadMemStats(&after)
		if n = after.Mallocs - before.Mallocs; n <= counted/10 {
			return 0
		}
	}
	return n
}

func BenchmarkPlain(b *testing.B) {
	for name, row := range plainRows {
		b.Run(name, func(b *testing.B) {
			r := startQuietly(b, tableOf(silentApp(b, row.answer)), gateway.Config{})
			a := newAsker(b, r.addr, row.ask, row.answer)
			b.ReportAllocs()
			for b.Loop() {
				a.next(b)
			}
		})
	}
}
