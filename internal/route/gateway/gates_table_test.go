package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/route"
	"naru/internal/route/gateway"
)

// asked sends a request over a connection of its own.
func asked(t testing.TB, addr, host string, fields ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/a?b", nil)
	must(t, err)
	req.Host = host
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	res, err := tr.RoundTrip(req)
	must(t, err)
	_, err = io.Copy(io.Discard, res.Body)
	must(t, err)
	must(t, res.Body.Close())
	return res
}

// saying is an app that says its name in a field.
func saying(t testing.TB, name string) string {
	return silentApp(t, "HTTP/1.1 200 OK\r\nX-Name: "+name+"\r\nContent-Length: 0\r\n\r\n")
}

func TestHTTPSIsAtThePortWhereTheGatewaySpeaksTLS(t *testing.T) {
	table := tableOf(saying(t, "a"))
	table.Routes[0].Policy = &route.Policy{HTTPS: true}
	plain, secure := listen(t), listen(t)
	_, port, err := net.SplitHostPort(secure.Addr().String())
	must(t, err)
	r := start(t, table, gateway.Config{}, plain, gateway.Secure(secure, certificate(t)))
	_, own, err := net.SplitHostPort(r.addr)
	must(t, err)
	for host, want := range map[string]string{
		"shop.test:" + own: "https://shop.test:" + port + "/a?b",
		"shop.test":        "https://shop.test/a?b",
	} {
		if res := asked(t, r.addr, host); res.StatusCode != 308 || res.Header.Get("Location") != want {
			t.Errorf("%s is sent to %d %s, want %s", host, res.StatusCode, res.Header.Get("Location"), want)
		}
	}
}

// TestARequestThatWaitsFollowsTheTableThatCame has requests wait while their
// group loses its weight, their route its policy, and at last their route.
func TestARequestThatWaitsFollowsTheTableThatCame(t *testing.T) {
	a, b := saying(t, "a"), saying(t, "b")
	table := tableOf(a)
	e := &table.Routes[0]
	e.Groups = append(e.Groups, route.Group{ID: "g2", Name: "shop-v002", Instances: []route.Instance{{ID: "b", Address: b}}})
	e.Policy = &route.Policy{
		Faults:   []route.Fault{{Share: 1, Delay: app.Duration(500 * time.Millisecond)}},
		Response: &route.Rules{Set: map[string]string{"X-Table": "1"}},
	}
	r := startQuietly(t, table, gateway.Config{Control: "/nowhere/socket"})
	must(t, r.Apply(&table))
	waiting := func() <-chan *http.Response {
		answer := make(chan *http.Response, 1)
		go func() { answer <- asked(t, r.addr, "shop.test") }()
		return answer
	}
	with := func(change func(e *route.Entry)) *route.Table {
		next := table
		next.Version = r.Version() + 1
		next.Routes = append([]route.Entry(nil), table.Routes...)
		next.Routes[0].Groups = append([]route.Group(nil), e.Groups...)
		change(&next.Routes[0])
		return &next
	}
	answer := waiting()
	must(t, r.Apply(with(func(e *route.Entry) {
		e.Groups[0].Weight, e.Groups[1].Weight = 0, 1
		e.Policy = &route.Policy{Faults: e.Policy.Faults, Response: &route.Rules{Set: map[string]string{"X-Table": "2"}}}
	})))
	if res := <-answer; res.Header.Get("X-Name") != "b" || res.Header.Get("X-Table") != "2" {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	answer = waiting()
	must(t, r.Apply(with(func(e *route.Entry) { e.Groups = e.Groups[:0] })))
	if res := <-answer; res.StatusCode != 503 {
		t.Errorf("without a group: %d", res.StatusCode)
	}
}

// TestTablesChangeUnderAllGates changes policies while they are followed.
func TestTablesChangeUnderAllGates(t *testing.T) {
	table := tableOf(saying(t, "a"))
	many := make([]string, 2000)
	for i := range many {
		many[i] = fmt.Sprintf("10.%d.%d.0/24", i/250, i%250)
	}
	policy := func(i int) *route.Policy {
		return &route.Policy{
			Maintenance: &route.Maintenance{Except: append([]string{"127.0.0.1"}, many[:i%10*200]...)},
			Addresses:   &route.Addresses{Deny: many, Allow: []string{"127.0.0.0/8"}},
			Auth:        &route.Auth{Realm: fmt.Sprint(i % 2), Users: map[string]string{"ann": hashOfSecret}},
			Rates:       []route.Rate{{Requests: 1_000_000}},
			Faults:      []route.Fault{{Share: 0.5, Delay: app.Duration(time.Millisecond)}},
			Request:     &route.Rules{Set: map[string]string{"X-A": "{client} {group}"}},
			Response:    &route.Rules{Set: map[string]string{"X-A": fmt.Sprint(i, " {group}")}, Remove: []string{"Date"}},
		}
	}
	table.Routes[0].Policy = policy(0)
	r := startQuietly(t, table, gateway.Config{Control: "/nowhere/socket"})
	must(t, r.Apply(&table))
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				res := asked(t, r.addr, "shop.test", "Authorization: Basic YW5uOnNlY3JldA==")
				if res.StatusCode != 200 || !strings.HasSuffix(res.Header.Get("X-A"), " shop-v001") || res.Header.Get("Date") != "" {
					t.Errorf("got %d %v", res.StatusCode, res.Header)
				}
			}
		})
	}
	for i := range 100 {
		next := table
		next.Version = uint64(i + 2)
		next.Routes = append([]route.Entry(nil), table.Routes...)
		next.Routes[0].Policy = policy(i)
		must(t, r.Apply(&next))
	}
	close(done)
	asking.Wait()
}
