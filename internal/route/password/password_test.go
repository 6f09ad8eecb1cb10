package password

import (
	"fmt"
	"net/netip"
	"testing"
)

// hashOfSecret is the password "secret".
const hashOfSecret = "$2a$04$i1RTxfyElxbHPBtSt2nxU..r2A/tcp9f1eSXLk/F6Er4isxRA72za"

func newTestList() *List {
	return NewList(map[string]string{"ann": hashOfSecret, "eve": hashOfSecret})
}

// visitor is one of many.
func visitor(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)
}

func TestWhatWasRightIsKnown(t *testing.T) {
	desk := NewDesk(1)
	defer desk.Wait()
	l := newTestList()
	for said, right := range map[string]bool{
		"ann:secret": true, "eve:secret": true, "ann:Secret": false, "ann:": false, "bob:secret": false, "secret": false, "": false,
	} {
		if l.Known([]byte(said)) {
			t.Errorf("%q is known before it was said", said)
		}
		try, isNew := l.Begin([]byte(said), visitor(1))
		if try == nil || !isNew {
			t.Fatalf("%q is not compared", said)
		}
		desk.Compare(try)
		if <-try.Done(); try.Right() != right {
			t.Errorf("%q is right: %v, want %v", said, !right, right)
		}
		if l.Known([]byte(said)) != right {
			t.Errorf("%q is known: %v, want %v", said, !right, right)
		}
	}
	said := []byte("ann:secret")
	if n := testing.AllocsPerRun(100, func() { l.Known(said) }); n != 0 {
		t.Errorf("%v allocations for one that is known", n)
	}
	if newTestList().Known(said) {
		t.Error("another list knows it, too")
	}
}

func TestAFloodWaitsInAShortLine(t *testing.T) {
	l := newTestList()
	var all []*Try
	begin := func(i int, from netip.Prefix) *Try {
		try, isNew := l.Begin(fmt.Appendf(nil, "ann:wrong%d", i), from)
		if isNew {
			all = append(all, try)
		}
		return try
	}
	first := begin(0, visitor(1))
	if again := begin(0, visitor(2)); again != first || len(all) != 1 {
		t.Error("equal names and passwords are compared twice")
	}
	for i := 1; i < maxFrom; i++ {
		if begin(i, visitor(1)) == nil {
			t.Fatal("one visitor may have", maxFrom)
		}
	}
	if begin(maxFrom, visitor(1)) != nil {
		t.Error("one visitor has more in the line than it may")
	}
	for i := maxFrom; i < maxLine; i++ {
		if begin(i, visitor(i)) == nil {
			t.Fatal("the line may hold", maxLine)
		}
	}
	if begin(maxLine, visitor(maxLine)) != nil {
		t.Error("the line is longer than it may be")
	}
	desk := NewDesk(2)
	for _, try := range all {
		desk.Compare(try)
	}
	desk.Wait()
	for _, try := range all {
		if <-try.Done(); try.Right() {
			t.Error("a wrong password is right")
		}
	}
	if len(l.line) != 0 || len(l.from) != 0 || len(*l.known.Load()) != 0 {
		t.Errorf("%d are in the line, %d visitors, %d known", len(l.line), len(l.from), len(*l.known.Load()))
	}
}

func TestAnUnknownNameCostsAsMuchAsAKnownOne(t *testing.T) {
	l := newTestList()
	seen := map[string]bool{}
	for i := range 2 {
		try, _ := l.Begin(fmt.Appendf(nil, "bob:%d", i), visitor(1))
		if try.real || len(try.hash) != 60 {
			t.Fatalf("%+v", try)
		}
		seen[string(try.hash)] = true
	}
	if len(seen) != 1 {
		t.Error("a name that nobody has is compared now with one, now with another")
	}
}
