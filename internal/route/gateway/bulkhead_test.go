package gateway

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

func TestBulkheadLetsInWhoCameFirst(t *testing.T) {
	b := newBulkhead(route.Bulkhead{Requests: 2, Queue: 3})
	for i, want := range []bool{true, true, false} {
		if b.enter() != want {
			t.Fatalf("request %d: let in is %v, want %v", i+1, !want, want)
		}
	}
	var all []*waiter
	for range 3 {
		all = append(all, b.queue())
	}
	if b.queue() != nil {
		t.Error("a fourth waits")
	}
	in := func() (n int) {
		for _, w := range all {
			select {
			case <-w.turn:
				n++
			default:
			}
		}
		return n
	}
	b.abandon(all[0])
	b.leave()
	select {
	case <-all[1].turn:
	default:
		t.Error("it is not the turn of who waits longest")
	}
	if b.enter() {
		t.Error("somebody passed the queue")
	}
	b.abandon(all[1]) // its turn came at the moment it left
	if in() != 2 {
		t.Errorf("%d had their turn, want the second and the third", in())
	}
	b.leave()
	b.leave()
	if n := b.in.Load(); n != 0 {
		t.Errorf("%x is left", n)
	}
	if w := b.queue(); w == nil || !w.in {
		t.Error("a place that is free is not given")
	}
}

// TestBulkheadIsNeverOverfull runs many requests, some of which give up, through
// one that is kept full.
func TestBulkheadIsNeverOverfull(t *testing.T) {
	const places, visitors, rounds = 3, 24, 3000
	b := newBulkhead(route.Bulkhead{Requests: places, Queue: 16})
	var inside, most atomic.Int64
	var all sync.WaitGroup
	for range visitors {
		all.Go(func() {
			for range rounds {
				if !b.enter() {
					w := b.queue()
					if w == nil {
						continue
					}
					if rand.IntN(3) == 0 {
						b.abandon(w)
						continue
					}
					<-w.turn
				}
				n := inside.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				inside.Add(-1)
				b.leave()
			}
		})
	}
	all.Wait()
	if most.Load() > places {
		t.Errorf("%d were inside at once", most.Load())
	}
	if n := b.in.Load(); n != 0 || b.waits != 0 || b.first != nil {
		t.Errorf("left behind: word %x, %d waiting", n, b.waits)
	}
}

func BenchmarkBulkhead(b *testing.B) {
	head := newBulkhead(route.Bulkhead{Requests: 1000})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if head.enter() {
				head.leave()
			}
		}
	})
}

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
		for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
			b.mu.Lock()
			n := b.waits
			b.mu.Unlock()
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
	if n := b.in.Load(); n != 0 {
		t.Errorf("%x is left", n)
	}
}
