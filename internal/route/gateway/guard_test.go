package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/gateway"
	"naru/internal/route/hub"
)

// twoGroups is a table of an old group and a new one that gets a share of the
// requests and is guarded.
func twoGroups(old, canary string, share int, g *route.Guard) route.Table {
	t := tableOf(old)
	e := &t.Routes[0]
	e.Groups[0].ID, e.Groups[0].Weight = "old", 100-share
	e.Groups = append(e.Groups, route.Group{
		ID: "new", Name: "new", Weight: share, Guard: g, Instances: []route.Instance{{ID: "n0", Address: canary}},
	})
	return t
}

// ask sends requests one after another and returns how many were answered by
// which status.
func ask(t *testing.T, addr, host string, requests int, header http.Header) map[int]int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	statuses := map[int]int{}
	for range requests {
		req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/", nil)
		must(t, err)
		req.Host = host
		for name, values := range header {
			req.Header[name] = values
		}
		res, err := client.Do(req)
		must(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		must(t, err)
		must(t, res.Body.Close())
		statuses[res.StatusCode]++
	}
	return statuses
}

// halfBroken fails every second request or so.
func halfBroken(t *testing.T) string {
	return serveApp(t, func(w http.ResponseWriter, _ *http.Request) {
		if rand.IntN(2) == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
}

// TestAWorseGroupLosesItsWeight: alone, told by nobody, and it stays so over
// tables and for the next process.
func TestAWorseGroupLosesItsWeight(t *testing.T) {
	guarded := &route.Guard{Key: "r1", Baseline: "old", Slow: -1}
	table := twoGroups(named(t, "old"), halfBroken(t), 20, guarded)
	host := table.Routes[0].Host

	trips := make(chan []route.Trip, 10)
	h := hub.New(hub.Config{Settle: time.Nanosecond, Interval: time.Millisecond, Tripped: func(_ context.Context, all []route.Trip) error {
		trips <- all
		return nil
	}}, slog.New(slog.DiscardHandler))
	socket := filepath.Join(t.TempDir(), "hub.sock")
	control, err := hub.Listen(socket, 0)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx, control) }()
	t.Cleanup(func() { stop(); must(t, <-done) })

	file := filepath.Join(t.TempDir(), "table.json")
	serve := func() (addr string, end func()) {
		ln := listen(t)
		g, err := gateway.New(gateway.Config{Control: socket, TableFile: file, Boot: "b"}, testLog(t))
		must(t, err)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx, []net.Listener{ln}) }()
		return ln.Addr().String(), func() { stop(); must(t, <-done) }
	}
	acked := func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		must(t, h.WaitAcked(ctx, h.Publish(table)))
	}
	addr, end := serve()
	acked()
	got := ask(t, addr, host, 600, nil)
	if got[500] == 0 || got[500] > 20 {
		t.Errorf("answers %v: wanted few failures until the group was left out", got)
	}
	select {
	case all := <-trips:
		if len(all) != 1 || all[0].Key != "r1" || all[0].Group != "new" || all[0].Measure != route.Errors {
			t.Errorf("told of %+v", all)
		}
	case <-time.After(limit):
		t.Fatal("the control plane was told of no trip")
	}
	table.Routes[0].Groups[0].Weight, table.Routes[0].Groups[1].Weight = 50, 50 // it does not know yet
	acked()
	if got := ask(t, addr, host, 100, nil); got[200] != 100 {
		t.Errorf("under the next table: %v", got)
	}
	end()

	addr, end = serve()
	defer end()
	select {
	case all := <-trips: // said again
		if len(all) != 1 || all[0].Key != "r1" {
			t.Errorf("the next process tells of %+v", all)
		}
	case <-time.After(limit):
		t.Fatal("the next process tells of no trip")
	}
	acked()
	if got := ask(t, addr, host, 100, nil); got[200] != 100 {
		t.Errorf("in the next process: %v", got)
	}
	table.Routes[0].Groups[1].Guard = &route.Guard{Key: "r2", Baseline: "old", Slow: -1, Requests: 1000}
	acked()
	if got := ask(t, addr, host, 100, nil); got[500] == 0 {
		t.Errorf("under another key: %v", got)
	}
}

func TestMatchedRequestsComeToTheirGroup(t *testing.T) {
	for name, tc := range map[string]struct {
		match  route.Match
		header http.Header
		teapot bool
	}{
		"header":             {route.Match{Header: "x-internal", Value: "yes"}, http.Header{"X-Internal": {"yes"}}, true},
		"another value":      {route.Match{Header: "X-Internal", Value: "yes"}, http.Header{"X-Internal": {"no"}}, false},
		"no header":          {route.Match{Header: "X-Internal", Value: "yes"}, nil, false},
		"any value":          {route.Match{Header: "X-Internal"}, http.Header{"X-Internal": {"1"}}, true},
		"cookie":             {route.Match{Cookie: "ring", Value: "in"}, http.Header{"Cookie": {"a=b; ring=in; c=d"}}, true},
		"cookie of a prefix": {route.Match{Cookie: "ring", Value: "in"}, http.Header{"Cookie": {"xring=in; ring=inner; rings=in"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			teapot := serveApp(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
			table := twoGroups(named(t, "old"), teapot, 0, nil)
			table.Routes[0].Groups[1].Match = &tc.match
			r := start(t, table, gateway.Config{})
			got := ask(t, r.addr, table.Routes[0].Host, 10, tc.header)
			if want := map[bool]int{true: 10, false: 0}[tc.teapot]; got[http.StatusTeapot] != want {
				t.Errorf("answers %v", got)
			}
		})
	}
}
