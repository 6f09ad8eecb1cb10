package gateway

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/wire"
)

// tablesWith puts a table of one route in use.
func tablesWith(t testing.TB, cfg Config, groups ...route.Group) *tables {
	t.Helper()
	cfg.TableFile = "unused"
	cfg = cfg.withDefaults()
	ts := newTables(cfg, newReports(cfg))
	if err := ts.apply(oneRoute(groups...)); err != nil {
		t.Fatal(err)
	}
	return ts
}

func oneRoute(groups ...route.Group) *route.Table {
	return &route.Table{Version: 1, Routes: []route.Entry{{
		ID: "r", Host: "shop.test", Path: "/", App: route.App{ID: "a", Name: "shop"}, Groups: groups,
	}}}
}

func groupOf(id string, weight, instances int) route.Group {
	g := route.Group{ID: id, Name: id, Weight: weight}
	for i := range instances {
		g.Instances = append(g.Instances, route.Instance{ID: fmt.Sprintf("%s-%d", id, i), Address: fmt.Sprintf("127.0.0.1:%d", i+1), Index: i})
	}
	return g
}

func (t *tables) entryOf(host string) *entry {
	e, _ := t.view().index.Find(host, "/")
	return e
}

// A counter says its group's name, also when the group has left the table.
func TestCountersKeepTheirGroupsName(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g1", 100, 1))
	ts.entryOf("shop.test").groups[0].count.ended(200, time.Millisecond, 1, 1)
	if err := ts.apply(oneRoute(groupOf("g2", 100, 1))); err != nil {
		t.Fatal(err)
	}
	all := ts.reports.totals(map[counterKey]route.Counter{})
	if len(all) != 1 || all[0].Group != "g1" || all[0].Name != "g1" {
		t.Errorf("%+v", all)
	}
}

func TestPickFollowsWeights(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g1", 90, 2), groupOf("g2", 10, 1), groupOf("g3", 0, 1), groupOf("g4", 100, 0))
	e := ts.entryOf("shop.test")
	const n = 20_000
	got := map[string]int{}
	for range n {
		g, b := e.pick(&ts.cfg, nil)
		if b == nil {
			t.Fatal("nothing picked")
		}
		got[g.id]++
	}
	// Six standard deviations of a binomial: one run in 500 million fails.
	if dev := math.Abs(float64(got["g2"]) - n*0.1); dev > 6*math.Sqrt(n*0.1*0.9) {
		t.Errorf("g2 got %d of %d", got["g2"], n)
	}
	if got["g3"] != 0 || got["g4"] != 0 {
		t.Errorf("groups without weight or instances got requests: %v", got)
	}
}

func TestPickPrefersTheLessBusy(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g", 1, 2))
	e := ts.entryOf("shop.test")
	busy := e.groups[0].backends[0]
	busy.acquire()
	for range 100 {
		if _, b := e.pick(&ts.cfg, nil); b == busy {
			t.Fatal("the busier of two was picked")
		}
	}
	busy.release()
	seen := map[*backend]bool{}
	for range 1000 {
		_, b := e.pick(&ts.cfg, nil)
		seen[b] = true
	}
	if len(seen) != 2 {
		t.Error("equally busy instances do not share")
	}
}

func TestEjectedComesBackSlowly(t *testing.T) {
	ts := tablesWith(t, Config{EjectFirst: time.Hour, EjectMax: 3 * time.Hour}, groupOf("g", 1, 2))
	cfg := &ts.cfg
	e := ts.entryOf("shop.test")
	bad, good := e.groups[0].backends[0], e.groups[0].backends[1]
	bad.failed(cfg, errors.New("refused"))
	for range 100 {
		if _, b := e.pick(cfg, nil); b != good {
			t.Fatal("an ejected instance was picked")
		}
	}
	later := time.Now().Add(2 * time.Hour).UnixNano()
	if !bad.fit.Ready(later, cfg.terms()) {
		t.Error("it does not come back after its term")
	}
	if bad.fit.Ready(later, cfg.terms()) {
		t.Error("it gets a second request before the first one has ended")
	}
	bad.failed(cfg, errors.New("refused"))
	if got := bad.fit.Term(cfg.terms()); got != 2*time.Hour {
		t.Errorf("second term %s, want twice the first", got)
	}
	bad.failed(cfg, errors.New("refused"))
	if got := bad.fit.Term(cfg.terms()); got != 3*time.Hour {
		t.Errorf("third term %s, want the longest", got)
	}
	bad.worked(now(), false)
	if !bad.serving() {
		t.Error("it worked and is still ejected")
	}
	_, _, ejections := ts.reports.urgent()
	if len(ejections) != 2 || ejections[0].Back || !ejections[1].Back {
		t.Errorf("reported %+v", ejections)
	}
}

func TestTheOthersShareWhatAnEjectedOneHad(t *testing.T) {
	ts := tablesWith(t, Config{EjectFirst: time.Hour}, groupOf("g", 1, 4))
	e := ts.entryOf("shop.test")
	e.groups[0].backends[1].failed(&ts.cfg, errors.New("refused"))
	const n = 9000
	got := map[string]int{}
	for range n {
		_, b := e.pick(&ts.cfg, nil)
		got[b.instance.ID]++
	}
	for _, id := range []string{"g-0", "g-2", "g-3"} {
		if dev := math.Abs(float64(got[id]) - n/3); dev > 6*math.Sqrt(n*2/9) {
			t.Errorf("%s got %d of %d", id, got[id], n)
		}
	}
	if got["g-1"] != 0 {
		t.Errorf("the ejected one got %d", got["g-1"])
	}
}

func TestAllEjectedAreStillTried(t *testing.T) {
	ts := tablesWith(t, Config{EjectFirst: time.Hour}, groupOf("g", 1, 2))
	e := ts.entryOf("shop.test")
	for _, b := range e.groups[0].backends {
		b.failed(&ts.cfg, errors.New("refused"))
	}
	_, first := e.pick(&ts.cfg, nil)
	if first == nil {
		t.Fatal("nobody was picked")
	}
	_, second := e.pick(&ts.cfg, tried{first})
	if second == nil || second == first {
		t.Errorf("then %v was picked", second)
	}
	if _, b := e.pick(&ts.cfg, tried{first, second}); b != nil {
		t.Error("one that was tried was picked again")
	}
}

func TestLeavingSendsNewRequestsBack(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	b := ts.entryOf("shop.test").groups[0].backends[0]
	if !b.acquire() {
		t.Fatal("not let in")
	}
	if err := ts.apply(oneRoute(groupOf("g", 1, 0))); err != nil {
		t.Fatal(err)
	}
	if b.acquire() {
		t.Error("a request was let in after the instance had left")
	}
	ack, idle, _ := ts.reports.urgent()
	if len(ack.Busy) != 1 || ack.Busy[0] != "g-0" || idle != nil {
		t.Errorf("ack %+v, idle %v", ack, idle)
	}
	b.release()
	if _, idle, _ := ts.reports.urgent(); idle == nil || !slices.Equal(idle.Instances, []string{"g-0"}) {
		t.Errorf("idle %+v", idle)
	}
	if err := ts.apply(oneRoute(groupOf("g", 1, 1))); err != nil {
		t.Fatal(err)
	}
	if again := ts.entryOf("shop.test").groups[0].backends[0]; !again.acquire() {
		t.Error("it came back and lets nobody in")
	}
}

func TestRecordsAreBounded(t *testing.T) {
	cfg := Config{Control: "unused", Records: 10}.withDefaults()
	r := newReports(cfg)
	x := &exchange{g: &Gateway{cfg: cfg, reports: r}, origin: &origin{}, watch: &watch{}}
	for range 25 {
		x.reset(time.Now(), nil)
		x.status = 404
		x.ended()
	}
	var n int
	var dropped uint64
	count := func(b *wire.Batch, lost uint64) error {
		n, dropped = n+b.Len(), dropped+lost
		return nil
	}
	if err := r.records.send(count); err != nil || n != 10 || dropped != 15 {
		t.Errorf("%d records, %d dropped, %v", n, dropped, err)
	}
	if err := r.records.send(count); err != nil || n != 10 || dropped != 15 {
		t.Error("said twice")
	}
	seen := map[counterKey]route.Counter{}
	if totals := r.totals(seen); len(totals) != 1 || totals[0].Classes[4] != 25 {
		t.Errorf("totals %+v", totals)
	}
	if totals := r.totals(seen); len(totals) != 0 {
		t.Errorf("unchanged totals are said again: %+v", totals)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{1, 3, 50} {
		b.Run(fmt.Sprintf("%d instances", n), func(b *testing.B) {
			ts := tablesWith(b, Config{}, groupOf("g1", 90, n), groupOf("g2", 10, n))
			b.ReportAllocs()
			for b.Loop() {
				e, _ := ts.view().index.Find(route.CutPort("shop.test:8080"), "/a/b")
				_, back := e.pick(&ts.cfg, nil)
				if back.acquire() {
					back.release()
				}
			}
		})
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g1", 90, 3), groupOf("g2", 10, 3))
	if n := testing.AllocsPerRun(1000, func() {
		e, _ := ts.view().index.Find(route.CutPort("shop.test:8080"), "/a/b")
		if _, b := e.pick(&ts.cfg, nil); b.acquire() {
			b.release()
		}
	}); n != 0 {
		t.Errorf("%v allocations per pick", n)
	}
}

func BenchmarkApply(b *testing.B) {
	t := &route.Table{Version: 1}
	for i := range 10_000 {
		g := route.Group{ID: fmt.Sprint("g", i), Name: "g", Weight: 100}
		for j := range 5 {
			g.Instances = append(g.Instances, route.Instance{ID: fmt.Sprint("i", i, "-", j), Address: "10.64.0.1:8080", Index: j})
		}
		t.Routes = append(t.Routes, route.Entry{ID: fmt.Sprint("r", i), Host: fmt.Sprintf("app-%d.test", i), Path: "/", Groups: []route.Group{g}})
	}
	cfg := Config{TableFile: "unused"}.withDefaults()
	ts := newTables(cfg, newReports(cfg))
	for b.Loop() {
		if err := ts.apply(t); err != nil {
			b.Fatal(err)
		}
	}
}
