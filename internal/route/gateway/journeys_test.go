package gateway_test

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
	"naru/internal/route/gateway"
)

// journeyed is what a gateway counted of journeys, as scenes write it.
func journeyed(g *gateway.Gateway) string {
	var out []string
	for _, c := range g.Journeys() {
		group := c.Group
		if group == "" {
			group = "-"
		}
		width := 1 + len(c.Within)
		for row := range len(c.Cells) / width {
			if c.Cells[row*width] == 0 {
				continue
			}
			line := fmt.Sprintf("%s %s %s", group, c.Journey, c.Status(row))
			for i, n := range c.Cells[row*width : (row+1)*width] {
				line += map[bool]string{true: " ", false: "/"}[i == 0] + fmt.Sprint(n)
			}
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// counted waits until the gateway has counted what a step says; a request is
// counted before there is a record of it.
func (r *running) counted(t *testing.T, st step) {
	t.Helper()
	for {
		got := journeyed(r.Gateway)
		if got == st.arg {
			return
		}
		select {
		case <-r.records:
		case <-time.After(limit):
			t.Fatalf("line %d: counted %q, want %q", st.line, got, st.arg)
		}
	}
}

// A gateway that gets another table goes on counting; journeys that are counted by
// other statuses or times are counted anew, and what was counted stays.
func TestJourneysOverTables(t *testing.T) {
	table := tableOf(silentApp(t, plainRows["GET 1 KiB"].answer))
	all := route.Counted{Name: "all"}
	table.Journeys = []route.Journeys{{App: "a1", Counted: []route.Counted{all}}}
	r := start(t, table, gateway.Config{})
	a := newAsker(t, r.addr, plainRows["GET 1 KiB"].ask, plainRows["GET 1 KiB"].answer) // asks once
	want := func(text string) {
		t.Helper()
		r.counted(t, step{arg: text})
	}
	want("g1 all 2xx 1")
	put := func(counted ...route.Counted) {
		t.Helper()
		next := table
		table.Version++
		next.Version, next.Journeys = table.Version, nil
		if counted != nil {
			next.Journeys = []route.Journeys{{App: "a1", Counted: counted}}
		}
		must(t, r.Apply(&next))
	}
	put(all)
	a.next(t)
	want("g1 all 2xx 2")
	all.Statuses, all.Within = []int{200}, []app.Duration{app.Duration(time.Nanosecond)}
	put(all)
	a.next(t)
	want("g1 all 200 1/0; g1 all 2xx 2")
	put()
	a.next(t)
	r.last(t)
	want("g1 all 200 1/0; g1 all 2xx 2")
}

// A table that asks for more than there is a place for is refused.
func TestJourneysAreBounded(t *testing.T) {
	table := tableOf("127.0.0.1:1")
	for name, c := range map[string]route.Counted{
		"a pattern that is none": {Name: "x", Path: "/{a"},
		"a status that is none":  {Name: "x", Path: "/", Statuses: []int{99}},
		"too many times":         {Name: "x", Path: "/", Within: make([]app.Duration, route.MaxWithin+1)},
	} {
		table.Journeys = []route.Journeys{{App: "a1", Counted: []route.Counted{c}}}
		if err := table.Check(); err == nil || !strings.Contains(err.Error(), "journeys[0].counted[0]") {
			t.Errorf("%s: %v", name, err)
		}
	}
	table.Journeys = []route.Journeys{{App: "a1", Counted: make([]route.Counted, route.MaxCounted+1)}}
	if err := table.Check(); err == nil {
		t.Error("too many journeys were taken")
	}
}

func manyJourneys(n int) []route.Journeys {
	counted := []route.Counted{{Name: "all", Statuses: []int{404, 429}, Within: []app.Duration{app.Duration(time.Second)}}}
	for i := range n - 1 {
		path := fmt.Sprintf("/section%d/{user}/orders/{order}", i)
		counted = append(counted, route.Counted{Name: "GET " + path, Methods: []string{"GET"}, Path: path, Within: []app.Duration{app.Duration(time.Second)}})
	}
	return []route.Journeys{{App: "a1", Counted: counted}}
}

func TestJourneysAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools drop what they are given")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	row := plainRows["GET 1 KiB"]
	table := tableOf(silentApp(t, row.answer))
	table.Journeys = manyJourneys(20)
	if n := allocations(t, table, gateway.Config{}, strings.Replace(row.ask, "/a?b", "/section9/ann/orders/7", 1), row.answer); n > 0 {
		t.Errorf("%d allocations in %d requests", n, counted)
	}
}

func BenchmarkJourneys(b *testing.B) {
	row := plainRows["GET 1 KiB"]
	for _, n := range []int{0, 1, 5, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table := tableOf(silentApp(b, row.answer))
			if n > 0 {
				table.Journeys = manyJourneys(n)
			}
			r := startQuietly(b, table, gateway.Config{})
			a := newAsker(b, r.addr, strings.Replace(row.ask, "/a?b", "/section3/ann/orders/7", 1), row.answer)
			b.ReportAllocs()
			for b.Loop() {
				a.next(b)
			}
		})
	}
}
