package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// TestAVisitorThatLeavesIsNotWaitedFor has a client wait for its turn, and leave.
func TestAVisitorThatLeavesIsNotWaitedFor(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-answer
	}))
	defer srv.Close()
	spec := groupOf("g", 1, 1)
	spec.Instances[0].Address = strings.TrimPrefix(srv.URL, "http://")
	table := oneRoute(spec)
	table.Routes[0].Policy = &route.Policy{Bulkhead: &route.Bulkhead{Requests: 1, Queue: 1, Wait: app.Duration(time.Hour)}}
	g, err := New(Config{Control: filepath.Join(t.TempDir(), "nobody")}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = g.Apply(table)
	}
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, []net.Listener{ln}) }()
	ask := func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err == nil {
			_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	b, _ := g.tables.entryOf("shop.test").policy.gates[0].(*bulkhead)
	until := func(waits int) {
		for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
			n := b.turn.Waiting()
			if n == waits {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d wait, want %d", n, waits)
			}
		}
	}
	first := ask()
	<-arrived
	second := ask()
	until(1)
	_ = second.Close()
	until(0)
	close(answer)
	_ = first.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !b.turn.Enter() {
		t.Error("who left is still inside")
	}
}
