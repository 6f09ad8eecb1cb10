package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"naru/internal/route"
)

// mirrored is an entry that copies to a group at an address.
func mirrored(t testing.TB, ts *tables, address string) *entry {
	t.Helper()
	to := groupOf("other", 0, 1)
	to.Instances[0].Address = address
	to.Guard = &route.Guard{Key: "k", Baseline: "g"}
	table := oneRoute(groupOf("g", 1, 1), to)
	table.Routes[0].Policy = &route.Policy{Mirror: &route.Mirror{Group: "other"}}
	if err := ts.apply(table); err != nil {
		t.Fatal(err)
	}
	return ts.entryOf("shop.test")
}

const copyText = "POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 2\r\n\r\nhi"

func TestCopiesBeyondTheBoundAreDropped(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if string(body) != "hi" || err != nil || r.Header.Get(mirrorField) != "1" || r.Host != "shop.test" {
			t.Errorf("got %q of %s with %v (%v)", body, r.Host, r.Header, err)
		}
		arrived <- struct{}{}
		<-answer
	}))
	defer srv.Close()
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	address := strings.TrimPrefix(srv.URL, "http://")
	m := mirrored(t, ts, address).mirror
	send := func() { (&replica{m, []byte(copyText), len(copyText) - 2}).send() }
	for range copiesAtOnce {
		send()
	}
	for range copiesAtOnce {
		<-arrived
	}
	again := mirrored(t, ts, address).mirror // another table
	if again == m || again.slots != m.slots {
		t.Fatal("a new table makes room for more")
	}
	m = again
	for range 10 {
		send()
	}
	if got := m.group.count.classes[0].Load(); got != 10 {
		t.Errorf("%d were dropped and counted, want 10", got)
	}
	close(answer)
	ts.copies.running.Wait()
	total := m.group.count.total(counterKey{"r", "other:mirror"})
	if total.Classes[2] != copiesAtOnce || total.Received != 2*copiesAtOnce {
		t.Errorf("counted %+v", total)
	}
	if m.group.compared.watch != nil || m.group.breaker != nil {
		t.Error("copies are evidence")
	}
	if m.group.backends[0].busy() != 0 {
		t.Error("a copy is still counted at the instance")
	}
	if own := ts.reports.counters[counterKey{"r", "other"}]; own != nil && own.took.Load() != 0 {
		t.Error("copies are counted as the group's requests")
	}
}

func TestCopiesEndWithTheGateway(t *testing.T) {
	arrived := make(chan struct{})
	var gone sync.WaitGroup
	gone.Add(1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
		gone.Done()
	}))
	defer srv.Close()
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	m := mirrored(t, ts, strings.TrimPrefix(srv.URL, "http://")).mirror
	(&replica{m, []byte(copyText), len(copyText) - 2}).send()
	<-arrived
	ts.copies.stop()
	gone.Wait()
}
