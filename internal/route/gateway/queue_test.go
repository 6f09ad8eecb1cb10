package gateway

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// fetch asks a pool for connections, each in a goroutine of its own. The channel
// tells what they got; nil: they are to make one.
func fetch(p *pool, n int) chan *upstream {
	got := make(chan *upstream, n)
	for range n {
		go func() { got <- p.get(0, time.Hour, new(waiter)) }()
	}
	synctest.Wait()
	return got
}

// makers counts those who are to make one, and fails where anybody is not.
func makers(t *testing.T, got chan *upstream, want int) {
	t.Helper()
	synctest.Wait()
	if len(got) != want {
		t.Fatalf("%d have an answer, want %d", len(got), want)
	}
	for range want {
		if u := <-got; u != nil {
			t.Fatal("a connection out of nothing")
		}
	}
}

func fresh(t *testing.T) *upstream {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = far.Close() })
	return &upstream{nc: piped{near}}
}

func TestFewOfManyMakeConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		got := fetch(p, 3*madeAtOnce)
		makers(t, got, madeAtOnce)

		p.made() // it came about, or not
		makers(t, got, 1)

		u := fresh(t)
		p.put(u, 0, 1)
		if given := <-got; given != u {
			t.Fatal("another one was given")
		}
		if len(p.idle) > 0 {
			t.Error("it was also kept")
		}
		for range 2*madeAtOnce - 2 {
			p.made()
		}
		makers(t, got, 2*madeAtOnce-2)
	})
}

func TestWhoComesLaterDoesNotOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		makers(t, fetch(p, madeAtOnce), madeAtOnce)
		first := fetch(p, 1)
		second := fetch(p, 1)
		u := fresh(t)
		p.put(u, 0, 1)
		synctest.Wait()
		if len(first) != 1 || len(second) != 0 {
			t.Fatalf("%d and %d were served", len(first), len(second))
		}
		p.put(u, 0, 1)
		<-second
	})
}

// TestQueueThatStandsStill: an instance that takes no connection keeps only those
// waiting that ask it.
func TestQueueThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		got := fetch(p, 3*madeAtOnce)
		makers(t, got, madeAtOnce)
		time.Sleep(queueLook - 1)
		makers(t, got, 0)
		time.Sleep(time.Nanosecond)
		makers(t, got, 2*madeAtOnce)

		got = fetch(p, 1) // and again
		makers(t, got, 0)
		time.Sleep(queueLook)
		makers(t, got, 1)
	})
}

func TestQueueThatMovesIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		got := fetch(p, madeAtOnce+2*queuePace)
		makers(t, got, madeAtOnce)
		for range queuePace {
			p.made()
		}
		makers(t, got, queuePace)
		time.Sleep(queueLook)
		makers(t, got, 0)
		time.Sleep(queueLook) // nothing happened in it
		makers(t, got, queuePace)
	})
}

// TestOnlyStockedPoolsAreLookedAt: a pool is among the stocked as long as it holds
// connections, once.
func TestOnlyStockedPoolsAreLookedAt(t *testing.T) {
	var s stocked
	p := &pool{among: &s}
	holds := func(want int) {
		t.Helper()
		if len(s.pools) != want {
			t.Fatalf("%d are looked at, want %d", len(s.pools), want)
		}
	}
	holds(0)
	p.put(fresh(t), 0, 2)
	p.put(fresh(t), 0, 2)
	holds(1)
	s.age(1, time.Second, 2)
	holds(1)
	p.pop(1, time.Second)
	p.put(fresh(t), 1, 2)
	holds(1)
	s.age(2000, time.Second, 2)
	holds(0)
	p.put(fresh(t), 2000, 2)
	holds(1)
}
