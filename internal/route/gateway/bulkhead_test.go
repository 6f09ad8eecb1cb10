package gateway

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

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
