package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"naru/internal/route"
	"naru/internal/route/wire"
)

func newOutbox(most int) *outbox { return &outbox{most: most, full: make(chan struct{}, 1)} }

// sent reads what an outbox sends.
func sent(t *testing.T, o *outbox) (records []route.Access, lost uint64) {
	t.Helper()
	err := o.send(func(b *wire.Batch, dropped uint64) error {
		if b.Size() > enough+4096 {
			t.Errorf("a message of %d bytes", b.Size())
		}
		m, err := wire.Read(bytes.NewReader(bytes.Clone(b.AccessFrame(dropped))), wire.DefaultMaxFrame)
		if err == nil {
			records, lost = append(records, m.Access.Records...), lost+m.Access.Dropped
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, lost
}

// TestAnOutboxLosesNothing has it filled and emptied at the same time, by several.
func TestAnOutboxLosesNothing(t *testing.T) {
	const writers, each = 4, 2000
	o := newOutbox(writers * each)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			text := make([]byte, 0, 16) // which is used again
			for i := range each {
				text = fmt.Appendf(text[:0], "%d", i)
				o.record(&route.Access{Instance: fmt.Sprint(w), URI: stringOf(text), Agent: strings.Repeat("x", 30)})
			}
		})
	}
	written := make(chan struct{})
	go func() { writing.Wait(); close(written) }()
	var got []route.Access
	for full := true; full; {
		select {
		case <-o.full:
		case <-written:
			full = false
		}
		more, lost := sent(t, o)
		if got = append(got, more...); lost > 0 {
			t.Fatalf("%d lost", lost)
		}
	}
	next := map[string]int{}
	for _, a := range got {
		if a.URI != fmt.Sprint(next[a.Instance]) {
			t.Fatalf("%s of writer %s comes after %d others", a.URI, a.Instance, next[a.Instance])
		}
		next[a.Instance]++
	}
	if len(got) != writers*each {
		t.Errorf("%d came", len(got))
	}
}

// TestWhatCannotBeSentIsCounted: what was in a message that did not arrive is lost,
// and what was said to be lost in it, too; what waits behind it is not.
func TestWhatCannotBeSentIsCounted(t *testing.T) {
	o := newOutbox(1000)
	for range 1010 {
		o.record(&route.Access{Agent: strings.Repeat("x", 100)})
	}
	broken := errors.New("broken")
	first := 0
	if err := o.send(func(b *wire.Batch, _ uint64) error { first = b.Len(); return broken }); !errors.Is(err, broken) || first == 0 || first == 1000 {
		t.Fatalf("%d records in the first message, %v", first, err)
	}
	got, lost := sent(t, o)
	if lost != uint64(first+10) || len(got) != 1000-first {
		t.Errorf("%d lost, %d came, %d were in the message that was lost", lost, len(got), first)
	}
	o.record(&route.Access{})
	if got, lost := sent(t, o); len(got) != 1 || lost != 0 {
		t.Errorf("then %d lost, %d came", lost, len(got))
	}
}

// TestAnOutboxAllocatesNothing once it has been filled before.
func TestAnOutboxAllocatesNothing(t *testing.T) {
	o := newOutbox(10_000)
	a := &route.Access{Agent: strings.Repeat("x", 100)}
	fill := func() {
		for range 900 {
			o.record(a)
		}
		if err := o.send(func(*wire.Batch, uint64) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	if n := testing.AllocsPerRun(10, fill); n > 0 {
		t.Errorf("%v allocations for 900 records", n)
	}
}

func BenchmarkOutbox(b *testing.B) {
	o := newOutbox(1 << 30)
	a := &route.Access{
		RequestID: "8f3a9c52-0000-4000-8000-000000000001", Client: "198.51.100.7:51628", Method: "GET", Host: "shop.test", URI: "/cart?item=7", Proto: "HTTP/1.1",
		Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", Status: 200, Sent: 62, Instance: "8f3a9c52-0000-4000-8000-000000000004", Trace: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			o.record(a)
			select {
			case <-o.full:
				_ = o.send(func(*wire.Batch, uint64) error { return nil })
			default:
			}
		}
	})
}
