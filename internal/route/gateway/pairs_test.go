package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/route"
)

// sideServer is an instance that tells of each copy it gets, and answers it when
// it may.
type sideServer struct {
	address string
	arrived chan struct{}
	answer  chan int // statuses
	copies  atomic.Int64
}

func newSide(t *testing.T) *sideServer {
	t.Helper()
	s := &sideServer{arrived: make(chan struct{}, 10), answer: make(chan int, 10)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(mirrorField) != "1" {
			t.Errorf("not marked: %v", r.Header)
		}
		s.copies.Add(1)
		s.arrived <- struct{}{}
		select {
		case status := <-s.answer:
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "copy")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(srv.Close)
	s.address = strings.TrimPrefix(srv.URL, "http://")
	return s
}

// comparedBy puts a table in use whose group "new" is compared with "old".
func comparedBy(t *testing.T, ts *tables, next, old *sideServer, instances int) *pairing {
	t.Helper()
	a, b := groupOf("new", 10, instances), groupOf("old", 90, 1+instances)
	for i := range a.Instances {
		a.Instances[i].Address = next.address
	}
	for i := range b.Instances {
		b.Instances[i].Address = old.address
	}
	a.Pair = "old"
	a.Guard = &route.Guard{Key: "k", Baseline: "old"}
	table := oneRoute(a, b)
	table.Journeys = []route.Journeys{{App: "a", Counted: []route.Counted{{Name: "all"}}}}
	if err := ts.apply(table); err != nil {
		t.Fatal(err)
	}
	return ts.entryOf("shop.test").pairing
}

const pairText = "GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n"

func TestPairsAreCountedApartAndTogether(t *testing.T) {
	next, old := newSide(t), newSide(t)
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	p := comparedBy(t, ts, next, old, 1)
	count := func(group string) route.Counter {
		return ts.reports.counter("r", group).total(counterKey{"r", group})
	}
	p.send([]byte(pairText))
	<-next.arrived
	<-old.arrived
	p.send([]byte(pairText)) // one for each instance of the smaller side: there is no room
	again := comparedBy(t, ts, next, old, 1)
	if again == p || again.pace != p.pace {
		t.Fatal("a new table makes room for more")
	}
	again.send([]byte(pairText))
	next.answer <- http.StatusInternalServerError
	if n := count("new" + route.Pairs).Requests(); n != 0 {
		t.Errorf("%d counted while the other side has not answered", n)
	}
	old.answer <- http.StatusNotFound
	ts.copies.running.Wait()
	if a, b := next.copies.Load(), old.copies.Load(); a != 1 || b != 1 {
		t.Errorf("%d and %d copies, want 1 each", a, b)
	}
	if a, b := count("new"+route.Pairs), count("old"+route.Pairs); a.Classes[5] != 1 || b.Classes[4] != 1 || a.Requests() != 1 || b.Requests() != 1 {
		t.Errorf("counted %+v and %+v", a, b)
	}
	for _, g := range []string{"new", "old", "new" + route.Copies} {
		if n := count(g).Requests(); n != 0 {
			t.Errorf("%d are counted as requests of %s", n, g)
		}
	}
	for _, side := range p.sides {
		if side.compared.watch != nil || side.breaker != nil || side.count.tours.Load() != nil {
			t.Error("copies are evidence of guards, breakers or journeys")
		}
		if side.backends[0].busy() != 0 {
			t.Error("a copy is still counted at the instance")
		}
	}
	if p.pace.atOnce.Load() != 0 {
		t.Error("there is no room any more")
	}
	if more := comparedBy(t, ts, next, old, 3); more.most != 3 {
		t.Errorf("%d at once for 3 and 4 instances, want 3", more.most)
	}
}

// What a side without an instance in service would be sent, nobody is.
func TestPairsNeedBothSides(t *testing.T) {
	next, old := newSide(t), newSide(t)
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	p := comparedBy(t, ts, next, old, 1)
	for p.sides[0].backends[0].serving() {
		p.sides[0].backends[0].Unwell(1)
	}
	p.send([]byte(pairText))
	ts.copies.running.Wait()
	if old.copies.Load() != 0 || p.pace.atOnce.Load() != 0 {
		t.Errorf("%d copies, %d on their way, want none", old.copies.Load(), p.pace.atOnce.Load())
	}
}

func TestPairsAreBounded(t *testing.T) {
	next, old := newSide(t), newSide(t)
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	p := comparedBy(t, ts, next, old, 3)
	took := 0
	for range 10 * pairsPerSecond {
		if p.ready(0) {
			took++
		}
	}
	if took != pairsPerSecond {
		t.Errorf("%d in a moment, want %d", took, pairsPerSecond)
	}
	minute := time.Minute.Nanoseconds()
	p.pace.atOnce.Store(3)
	if p.ready(minute) {
		t.Error("more at once than instances")
	}
	p.pace.atOnce.Store(0)
	for range 3 { // one of each instance
		p.rest(minute, 20*time.Millisecond)
	}
	rested := minute + (180 * time.Millisecond).Nanoseconds()
	if p.ready(rested-1) || !p.ready(rested) {
		t.Error("instances do not rest nine times as long as they were busy")
	}
	p.rest(rested, time.Hour)
	if got := time.Duration(p.pace.rested.Load() - rested); got != 3*time.Second {
		t.Errorf("a copy that hung rests for %s, want 3s", got)
	}
}

// A pair that is broken off counts for neither side.
func TestPairsEndWithTheGateway(t *testing.T) {
	next, old := newSide(t), newSide(t)
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	p := comparedBy(t, ts, next, old, 1)
	p.send([]byte(pairText))
	<-next.arrived
	<-old.arrived
	ts.copies.stop()
	for _, side := range p.sides {
		if n := side.count.total(counterKey{}).Requests(); n != 0 {
			t.Errorf("%d counted for %s", n, side.id)
		}
	}
}
