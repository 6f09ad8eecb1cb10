package route_test

import (
	"strings"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/encode"
)

func TestAccessLine(t *testing.T) {
	a := route.Access{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Host: "shop.example", Method: "GET", URI: "/a?b", Proto: "HTTP/1.1",
		Status: 200, Received: 1, Sent: 2, Agent: "curl", Client: "1.2.3.4:5", Upstream: "10.64.0.7:8080", RequestID: "id",
		Took: 1500 * time.Microsecond, App: route.App{ID: "a1", Name: "shop"}, Index: 3,
	}
	want := `shop.example - [2026-01-02T03:04:05Z] "GET /a?b HTTP/1.1" 200 1 2 "-" "curl" "1.2.3.4:5" "10.64.0.7:8080"` +
		` request_id:"id" response_time:0.001500 gateway_time:0.000000 app_id:"a1" app_index:"3"`
	if got := a.Line(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	a.Trace, a.Problem = "4bf92f3577b34da6a3ce929d0e0e4736", "no instance"
	if got := a.Line(); got != want+` trace_id:"4bf92f3577b34da6a3ce929d0e0e4736" problem:"no instance"` {
		t.Errorf("got  %s", got)
	}
	a.URI, a.Method = "/\"a\" \xff", "\xc3"
	if got, in := a.Line(), `"\xc3 /\"a\" \xff HTTP/1.1"`; !strings.Contains(got, in) {
		t.Errorf("%s is not in %s", in, got)
	}
	a.Host, a.URI, a.Agent, a.Referer = "a\nb", "/\x1b[31m\n", strings.Repeat("x", 5000), "\"\r\n"
	line := a.Line()
	if strings.ContainsAny(line, "\r\n\x1b") || len(line) > 2000 {
		t.Errorf("a client can break the line: %q", line)
	}
}

func BenchmarkAccessLine(b *testing.B) {
	a := route.Access{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 60_000_000, time.UTC), Host: "shop.example", Method: "GET", URI: "/a?b=c&d", Proto: "HTTP/1.1",
		Status: 200, Sent: 1024, Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", Referer: "https://shop.example/cart", Client: "198.51.100.7:51628",
		Upstream: "10.64.0.7:8080", RequestID: "8f3a9c52-0000-4000-8000-000000000001", Took: 1500 * time.Microsecond, Header: 1400 * time.Microsecond,
		App: route.App{ID: "cabd9e08-384e-4689-b868-1ba3d5d838bf", Name: "shop"}, Trace: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	var text []byte
	var clock encode.Clock
	b.ReportAllocs()
	for b.Loop() {
		text = a.AppendLine(text[:0], &clock)
	}
}
