package meter

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"naru/internal/app"
	"naru/internal/route"
)

// clock is a time that only a test moves.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func newMeter(l Limits) (*Meter, *clock) {
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	return at(l, c.read), c
}

// count is n requests of a class, each of which took 3 ms.
func count(routeID, group string, class int, n uint64) route.Counter {
	c := route.Counter{Route: routeID, Group: group, Sent: int64(n) * 100, Received: int64(n), Took: time.Duration(n) * 3 * time.Millisecond}
	c.Classes[class] = n
	c.Latency[route.LatencyBucket(3*time.Millisecond)] = n
	return c
}

var shop = &route.Table{Routes: []route.Entry{
	{ID: "r1", Host: "shop.test", Path: "/", App: route.App{ID: "a1", Name: "shop"}, Groups: []route.Group{{ID: "g1", Name: "shop-v001"}, {ID: "g2", Name: "shop-v002"}}},
	{ID: "r2", Host: "shop.test", Path: "/api", App: route.App{ID: "a1", Name: "shop"}, Groups: []route.Group{{ID: "g1", Name: "shop-v001"}}},
	{ID: "r3", Host: "blog.test", Path: "/", App: route.App{ID: "a2", Name: "blog"}, Groups: []route.Group{{ID: "g3", Name: "blog-v001"}}},
}}

func homes(a app.ID) Home {
	if a == "a1" {
		return Home{"o1", "s1", "default/dev"}
	}
	return Home{"o1", "s2", `other/"quoted"` + "\n"}
}

// scrape reads what the meter writes with Prometheus's own parser, and has its
// linter look at it.
func scrape(t *testing.T, m *Meter, dir Directory, r Reader) map[string]*dto.MetricFamily {
	t.Helper()
	var text bytes.Buffer
	if err := m.Write(&text, dir, r); err != nil {
		t.Fatal(err)
	}
	return parse(t, text.Bytes())
}

func parse(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("linted: %v, %v", problems, err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	out, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return out
}

// value is that of the one metric with the labels, NAME=VALUE.
func value(t *testing.T, all map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range all[name].GetMetric() {
		has := map[string]bool{}
		for _, l := range m.Label {
			has[l.GetName()+"="+l.GetValue()] = true
		}
		fits := true
		for _, l := range labels {
			fits = fits && has[l]
		}
		switch {
		case !fits:
		case m.Histogram != nil:
			return float64(m.Histogram.GetSampleCount())
		case m.Gauge != nil:
			return m.Gauge.GetValue()
		default:
			return m.Counter.GetValue()
		}
	}
	return -1
}

func TestCopiesStandApart(t *testing.T) {
	m, _ := newMeter(Limits{})
	m.Counters("g", []route.Counter{count("r1", "g1", 2, 10), count("r1", "g1"+route.Copies, 5, 3), count("r1", "g9"+route.Copies, 5, 7)})
	all := scrape(t, m, Listed(shop, homes), Reader{All: true})
	for group, want := range map[string]float64{"shop-v001": 10, "shop-v001:mirror": 3} {
		got := 0.0
		for _, class := range []string{"2xx", "5xx"} {
			got += max(0, value(t, all, "naru_gateway_requests_total", "space=default/dev", "app=shop", "route=shop.test", "group="+group, "class="+class))
		}
		if got != want {
			t.Errorf("%s: %v requests, want %v", group, got, want)
		}
	}
}

// What is counted for a comparison is asked for by itself, and in no metric.
func TestCopiesForAComparison(t *testing.T) {
	m, c := newMeter(Limits{Forget: time.Hour})
	m.Counters("g", []route.Counter{})
	m.Counters("g", []route.Counter{count("r1", "g1", 2, 10), count("r1", "g1"+route.Pairs, 5, 3)})
	sums, ok := m.Groups("g1", "g1"+route.Pairs)
	if a, b := sums["g1"], sums["g1"+route.Pairs]; !ok || a.Requests() != 10 || b.Classes[5] != 3 || b.Requests() != 3 {
		t.Errorf("%+v and %+v (%v), want 10 requests and 3 copies", a, b, ok)
	}
	if all := m.Totals(); len(all) != 1 || all[0].Group != "g1" {
		t.Errorf("totals of %+v", all)
	}
	all := scrape(t, m, Listed(shop, homes), Reader{All: true})
	if n := len(all["naru_gateway_requests_total"].GetMetric()); n != 1 {
		t.Errorf("%d series, want that of visitors", n)
	}
	// Forgotten while its group is there, it would be counted a second time.
	m.Counters("g", []route.Counter{count("r1", "gone"+route.Pairs, 5, 3)})
	c.now = c.now.Add(2 * time.Hour)
	m.Forget(Listed(shop, homes))
	sums, _ = m.Groups("g1"+route.Pairs, "gone"+route.Pairs)
	if a, b := sums["g1"+route.Pairs], sums["gone"+route.Pairs]; a.Requests() != 3 || b.Requests() != 0 {
		t.Errorf("after two hours %d are left, and %d of a group that is gone; want 3 and 0", a.Requests(), b.Requests())
	}
}

func TestNoCounterGoesBackwards(t *testing.T) {
	m, _ := newMeter(Limits{})
	dir := Listed(shop, homes)
	last := 0.0
	for _, step := range []struct {
		name string
		do   func()
		want float64
	}{
		{"a gateway counts", func() { m.Counters("old", []route.Counter{count("r1", "g1", 2, 10)}) }, 10},
		{"it says the same again", func() { m.Counters("old", []route.Counter{count("r1", "g1", 2, 10)}) }, 10},
		{"it counts on", func() { m.Counters("old", []route.Counter{count("r1", "g1", 2, 15)}) }, 15},
		{"another takes over", func() { m.Counters("new", []route.Counter{count("r1", "g1", 2, 1)}) }, 16},
		{"the old one drains", func() { m.Counters("old", []route.Counter{count("r1", "g1", 2, 17)}) }, 18},
		{"and ends", func() { m.Living("new") }, 18},
		{"the new one forgot its counter", func() { m.Counters("new", []route.Counter{count("r1", "g1", 2, 0)}) }, 18},
		{"and counts from nought", func() { m.Counters("new", []route.Counter{count("r1", "g1", 2, 2)}) }, 20},
	} {
		step.do()
		got := value(t, scrape(t, m, dir, Reader{All: true}), "naru_gateway_requests_total", "space=default/dev", "app=shop", "route=shop.test", "group=shop-v001", "class=2xx")
		if got != step.want || got < last {
			t.Errorf("%s: %v requests, want %v", step.name, got, step.want)
		}
		last = got
	}
}

func TestWhatIsOpenEndsWithItsProcess(t *testing.T) {
	m, _ := newMeter(Limits{})
	dir := Listed(shop, homes)
	open := func(gateway string, active int64) {
		c := count("r1", "g1", 2, 1)
		c.Active = active
		m.Counters(gateway, []route.Counter{c})
		m.Load(gateway, route.Load{Connections: active, Accepted: uint64(active)})
	}
	look := func(active, connections, accepted float64) {
		t.Helper()
		all := scrape(t, m, dir, Reader{All: true})
		if a, c, n := value(t, all, "naru_gateway_active_requests", "route=shop.test"), value(t, all, "naru_gateway_connections"), value(t, all, "naru_gateway_connections_accepted_total"); a != active || c != connections || n != accepted {
			t.Errorf("%v active, %v open, %v accepted, want %v, %v, %v", a, c, n, active, connections, accepted)
		}
	}
	open("a", 3)
	open("b", 4)
	look(7, 7, 7)
	open("a", 1)
	look(5, 5, 7)
	m.Living("b")
	look(4, 4, 7)
}

func TestNamesAndWhoSeesThem(t *testing.T) {
	m, _ := newMeter(Limits{})
	dir := Listed(shop, homes)
	m.Counters("g", []route.Counter{count("r1", "g1", 2, 1), count("r2", "g1", 2, 2), count("r1", "g2", 5, 3), count("r3", "g3", 2, 4), count("", "", 4, 5), count("r1", "", 5, 6)})
	m.Tripped([]route.Trip{{Key: "ro", Group: "g2", Measure: route.Errors}})
	m.Tripped([]route.Trip{{Key: "ro", Group: "g2", Measure: route.Errors}}) // it is said again on every connection
	for name, reader := range map[string]Reader{
		"of the platform": {All: true}, "of a space": {Sees: func(h Home) bool { return h.Space == "s1" }}, "of nothing": {Sees: func(Home) bool { return false }}, "nobody": {},
	} {
		t.Run(name, func(t *testing.T) {
			all := scrape(t, m, dir, reader)
			for _, c := range []struct {
				value                   float64
				metric                  string
				labels                  []string
				everybody, space, admin bool
			}{
				{1, "naru_gateway_requests_total", []string{"route=shop.test", "group=shop-v001", "class=2xx"}, false, true, true},
				{2, "naru_gateway_requests_total", []string{"route=shop.test/api"}, false, true, true},
				{6, "naru_gateway_requests_total", []string{"app=shop", "group=", "class=5xx"}, false, true, true},
				{3, "naru_gateway_request_duration_seconds", []string{"app=shop", "group=shop-v001"}, false, true, true},
				{1, "naru_gateway_guard_trips_total", []string{"app=shop", "group=shop-v002", "measure=errors"}, false, true, true},
				{4, "naru_gateway_requests_total", []string{"app=blog", "space=other/\"quoted\"\n"}, false, false, true},
				{5, "naru_gateway_requests_total", []string{"app=", "route=", "class=4xx"}, false, false, true},
				{1, "naru_gateway_processes", nil, false, false, true},
			} {
				want := -1.0
				if reader.All && c.admin || name == "of a space" && c.space {
					want = c.value
				}
				if got := value(t, all, c.metric, c.labels...); got != want {
					t.Errorf("%s%v = %v, want %v", c.metric, c.labels, got, want)
				}
			}
		})
	}
}

func TestWhatIsGoneIsForgottenInTime(t *testing.T) {
	m, c := newMeter(Limits{Forget: time.Hour})
	m.Counters("g", []route.Counter{count("r1", "g1", 2, 1), count("r9", "g9", 2, 1)})
	known := Listed(shop, homes)
	look := func(want int) {
		t.Helper()
		m.Forget(known)
		if n := len(scrape(t, m, known, Reader{All: true})["naru_gateway_response_bytes_total"].GetMetric()); n != want {
			t.Errorf("%d pairs, want %d", n, want)
		}
	}
	look(2)
	c.now = c.now.Add(59 * time.Minute)
	look(2)
	c.now = c.now.Add(2 * time.Minute)
	look(1) // the one in the table stays
}

// TestTheNumberOfSeriesIsBounded: what there is no place for is still counted.
func TestAGroupThatWentUnnamed(t *testing.T) {
	m, _ := newMeter(Limits{})
	m.Counters("g", []route.Counter{count("r1", "g0", 2, 3)}) // it left before this control plane began
	reader := Reader{Sees: func(h Home) bool { return h.Space == "s1" }}
	if got := value(t, scrape(t, m, Listed(shop, homes), reader), "naru_gateway_requests_total", "space=default/dev", "app=shop", "route=shop.test", "group=g0"); got != 3 {
		t.Errorf("%v requests, want 3", got)
	}
	// Gateways know its name longer than the table does.
	said := count("r1", "g0", 2, 4)
	said.Name = "shop-v007"
	m.Counters("g", []route.Counter{said})
	if got := value(t, scrape(t, m, Listed(shop, homes), reader), "naru_gateway_requests_total", "space=default/dev", "app=shop", "route=shop.test", "group=shop-v007"); got != 4 {
		t.Errorf("%v requests under its name, want 4", got)
	}
	for _, c := range m.Totals() {
		if c.Name != "shop-v007" {
			t.Errorf("totals of %q", c.Name)
		}
	}
	// The table knows better.
	renamed := count("r1", "g1", 2, 1)
	renamed.Name = "old name"
	m.Counters("g", []route.Counter{renamed})
	if got := value(t, scrape(t, m, Listed(shop, homes), reader), "naru_gateway_requests_total", "route=shop.test", "group=shop-v001"); got != 1 {
		t.Errorf("%v requests of a group of the table, want 1", got)
	}
}

func TestTheNumberOfSeriesIsBounded(t *testing.T) {
	m, _ := newMeter(Limits{Series: 10})
	var all []route.Counter
	for i := range 1000 {
		all = append(all, count(fmt.Sprint("r", i), "g", 2, 1))
	}
	m.Counters("g", all)
	got := scrape(t, m, Listed(&route.Table{}, nil), Reader{All: true})
	sum := 0.0
	for _, one := range got["naru_gateway_requests_total"].GetMetric() {
		sum += one.Counter.GetValue()
	}
	if n := len(got["naru_gateway_requests_total"].GetMetric()); n != 11 || sum != 1000 {
		t.Errorf("%d series with %v requests, want 11 with 1000", n, sum)
	}
}

func TestRates(t *testing.T) {
	m, c := newMeter(Limits{})
	c.now = c.now.Add(time.Hour)
	say := func(ok, bad uint64) {
		n := count("r1", "g1", 2, ok)
		n.Classes[5] = bad
		m.Counters("g", []route.Counter{n, count("r2", "g1", 2, ok)})
	}
	say(1e6, 5e5) // from before we looked: no rate
	if got := m.Rates("g1"); len(got) > 0 {
		t.Errorf("at first %v", got)
	}
	for i := range uint64(60) {
		c.now = c.now.Add(time.Second)
		say(1e6+10*(i+1), 5e5+5*(i+1))
	}
	got := m.Rates("g1", "g2")
	if r := got["g1"]; len(got) != 1 || r.PerSecond < 24 || r.PerSecond > 26 || r.Failed < 0.19 || r.Failed > 0.21 {
		t.Errorf("25 a second, a fifth failed, are told as %v", got)
	}
	c.now = c.now.Add(time.Minute)
	if got := m.Rates("g1"); len(got) > 0 {
		t.Errorf("a minute later %v", got)
	}
}

// golden compares with a file beside the test.
func TestGolden(t *testing.T) {
	m, _ := newMeter(Limits{})
	m.Counters("g", []route.Counter{count("r1", "g1", 2, 7), count("r1", "g2", 5, 1)})
	m.Load("g", route.Load{Connections: 3, Upgraded: 1, Accepted: 9})
	m.Dropped(2)
	var text bytes.Buffer
	if err := m.Write(&text, Listed(shop, homes), Reader{All: true}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "metrics.txt")
	if os.Getenv("NARU_UPDATE") != "" {
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("wrote\n%s\nwant (NARU_UPDATE=1 writes it)\n%s", text.String(), want)
	}
}

// self is a gateway in the same process.
type self struct{ counters []route.Counter }

func (s *self) Table() *route.Table       { return shop }
func (s *self) Counters() []route.Counter { return s.counters }
func (s *self) Load() route.Load          { return route.Load{Connections: 1, Accepted: 1} }
func (s *self) Trips() []route.Trip       { return nil }

func TestAloneAGatewayShowsItsOwn(t *testing.T) {
	g := &self{[]route.Counter{count("r1", "g1", 2, 7)}}
	h := Alone(g, slog.New(slog.DiscardHandler))
	for want := 7.0; want < 9; want++ {
		g.counters[0].Classes[2] = uint64(want)
		res := httptest.NewRecorder()
		h.ServeHTTP(res, httptest.NewRequest("GET", "/metrics", nil))
		if got := value(t, parse(t, res.Body.Bytes()), "naru_gateway_requests_total", "app=shop", "group=shop-v001"); got != want || !strings.HasPrefix(res.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
			t.Errorf("status %d, %v requests, want %v", res.Code, got, want)
		}
	}
}

// BenchmarkScrape is of a platform with 10,000 routes, each with traffic.
func BenchmarkScrape(b *testing.B) {
	m, t := New(Limits{}), &route.Table{}
	var counters []route.Counter
	for i := range 10_000 {
		id := fmt.Sprint("r", i)
		t.Routes = append(t.Routes, route.Entry{
			ID: id, Host: fmt.Sprintf("app-%d.example.com", i), Path: "/", App: route.App{ID: fmt.Sprint("a", i), Name: fmt.Sprintf("app-%d", i)},
			Groups: []route.Group{{ID: "g" + id, Name: fmt.Sprintf("app-%d-v001", i)}},
		})
		counters = append(counters, count(id, "g"+id, 2, uint64(i)+1))
	}
	m.Counters("g", counters)
	var out bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		dir := Listed(t, func(app.ID) Home { return Home{"o", "s", "default/dev"} })
		if err := m.Write(&out, dir, Reader{All: true}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len()), "bytes")
	var packed bytes.Buffer
	pack, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if _, err := pack.Write(out.Bytes()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(packed.Len()), "packed")
	b.ReportMetric(float64(bytes.Count(out.Bytes(), []byte("\n"))), "lines")
}

// BenchmarkRates is naru groups on a platform with 20,000 pairs.
func BenchmarkRates(b *testing.B) {
	m := New(Limits{})
	for n := range uint64(2) {
		var counters []route.Counter
		for i := range 20_000 {
			counters = append(counters, count(fmt.Sprint("r", i), fmt.Sprint("g", i), 2, n))
		}
		m.Counters("g", counters)
	}
	for b.Loop() {
		if len(m.Rates("g7", "g8")) != 2 {
			b.Fatal("no rates")
		}
	}
}

// BenchmarkCounters is a gateway's message about 1,000 pairs that changed.
func BenchmarkCounters(b *testing.B) {
	m := New(Limits{})
	var counters []route.Counter
	for i := range 1000 {
		counters = append(counters, count(fmt.Sprint("r", i), "g", 2, 1))
	}
	n := uint64(1)
	for b.Loop() {
		n++
		for i := range counters {
			counters[i].Classes[2] = n
		}
		m.Counters("g", counters)
	}
}
