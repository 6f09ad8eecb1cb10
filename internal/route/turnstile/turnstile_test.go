package turnstile

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func TestWhoCameFirstIsLetIn(t *testing.T) {
	s := New(2, 3)
	for i, want := range []bool{true, true, false} {
		if s.Enter() != want {
			t.Fatalf("request %d: let in is %v, want %v", i+1, !want, want)
		}
	}
	var all []*Waiter
	for range 3 {
		all = append(all, s.Queue())
	}
	if s.Queue() != nil {
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
	s.Abandon(all[0])
	s.Leave()
	select {
	case <-all[1].turn:
	default:
		t.Error("it is not the turn of who waits longest")
	}
	if s.Enter() {
		t.Error("somebody passed the queue")
	}
	s.Abandon(all[1]) // its turn came at the moment it left
	if in() != 2 {
		t.Errorf("%d had their turn, want the second and the third", in())
	}
	s.Leave()
	s.Leave()
	if n := s.in.Load(); n != 0 {
		t.Errorf("%x is left", n)
	}
	if w := s.Queue(); w == nil || !w.in {
		t.Error("a place that is free is not given")
	}
}

// TestItIsNeverOverfull runs many, some of whom give up, through one
// that is kept full.
func TestItIsNeverOverfull(t *testing.T) {
	const places, visitors, rounds = 3, 24, 3000
	s := New(places, 16)
	var inside, most atomic.Int64
	var all sync.WaitGroup
	for range visitors {
		all.Go(func() {
			for range rounds {
				if !s.Enter() {
					w := s.Queue()
					if w == nil {
						continue
					}
					if rand.IntN(3) == 0 {
						s.Abandon(w)
						continue
					}
					<-w.turn
				}
				n := inside.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				inside.Add(-1)
				s.Leave()
			}
		})
	}
	all.Wait()
	if most.Load() > places {
		t.Errorf("%d were inside at once", most.Load())
	}
	if n := s.in.Load(); n != 0 || s.waits != 0 || s.first != nil {
		t.Errorf("left behind: word %x, %d waiting", n, s.waits)
	}
}

func BenchmarkTurnstile(b *testing.B) {
	s := New(1000, 0)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if s.Enter() {
				s.Leave()
			}
		}
	})
}
