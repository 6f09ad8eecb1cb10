package gateway

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// TestPoolAfterASurge: connections that many requests at once needed are kept for
// a second, after which there are as many as always.
func TestPoolAfterASurge(t *testing.T) {
	const most, limit = 2, 4 * time.Second
	p := &pool{}
	put := func(n int, now int64) {
		for range n {
			near, far := net.Pipe()
			t.Cleanup(func() { _ = far.Close() })
			p.put(&upstream{nc: piped{near}}, now, most)
		}
	}
	holds := func(want int, when string) {
		t.Helper()
		if n := len(p.idle); n != want {
			t.Errorf("%s: %d are kept, want %d", when, n, want)
		}
	}
	put(most*surge+1, 0)
	holds(most*surge, "as many as a surge may leave")
	p.age(surging, limit, most)
	holds(most*surge, "a second later")
	for range 5 { // in use, as the only ones
		if u := p.pop(surging, limit); u == nil {
			t.Fatal("none was kept")
		}
	}
	put(5, surging)
	p.age(surging+1, limit, most)
	holds(5, "the others were unused")
	p.age(2*surging+1, limit, most)
	holds(most, "all were unused")
	p.age(surging+limit.Milliseconds()+1, limit, most)
	holds(0, "in the end")
}

// piped is a connection in memory.
type piped struct{ net.Conn }

func (piped) CloseWrite() error                     { return nil }
func (piped) SyscallConn() (syscall.RawConn, error) { return nil, net.ErrClosed }
