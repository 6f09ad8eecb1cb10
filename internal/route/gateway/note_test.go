package gateway_test

import (
	"io"
	"net/http"
	"net/netip"
	"testing"

	"naru/internal/route"
	"naru/internal/route/gateway"
)

// picky is a recorder that wants only what failed.
type picky struct{ records }

func (p picky) Wants(status int) bool { return status >= 500 }

func (p picky) Lost() uint64 { return 7 }

func TestRecordersGetWhatTheyWant(t *testing.T) {
	answers := make(chan int, 3)
	at := serveApp(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(<-answers) })
	p := picky{make(records, 10)}
	r := start(t, tableOf(at), gateway.Config{Recorder: p})
	for _, status := range []int{200, 503, 404} {
		answers <- status
		if got := statusOf(t, r.addr, nil); got != status {
			t.Fatalf("status %d, want %d", got, status)
		}
	}
	must(t, r.stop())
	close(p.records)
	var got []route.Access
	for a := range p.records {
		got = append(got, a)
	}
	if len(got) != 1 || got[0].Status != 503 {
		t.Errorf("records %+v", got)
	}
	if lost := r.Load().LogLost; lost != 7 {
		t.Errorf("%d lines are said to be lost, want 7", lost)
	}
}

// TestARecordSaysOnWhoseBehalf: what a log shows is what the instance was told.
func TestARecordSaysOnWhoseBehalf(t *testing.T) {
	told := make(chan http.Header, 1)
	at := serveApp(t, func(_ http.ResponseWriter, r *http.Request) { told <- r.Header })
	for name, c := range map[string]struct {
		trusted    []netip.Prefix
		client, by string
	}{
		"of a stranger":     {nil, "127.0.0.1", "http"},
		"of a trusted peer": {[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "192.0.2.1, 10.0.0.1, 127.0.0.1", "https"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, tableOf(at), gateway.Config{Trusted: c.trusted})
			statusOf(t, r.addr, http.Header{"X-Forwarded-For": {"192.0.2.1", "10.0.0.1"}, "X-Forwarded-Proto": {"https"}})
			a, h := r.last(t), <-told
			if a.ForwardedFor != c.client || a.ForwardedProto != c.by {
				t.Errorf("recorded %q, %q, want %q, %q", a.ForwardedFor, a.ForwardedProto, c.client, c.by)
			}
			if h.Get("X-Forwarded-For") != a.ForwardedFor || h.Get("X-Forwarded-Proto") != a.ForwardedProto {
				t.Errorf("recorded %q, %q, the instance was told %v", a.ForwardedFor, a.ForwardedProto, h)
			}
		})
	}
}

// statusOf sends a request for shop.test and returns its status.
func statusOf(t *testing.T, addr string, fields http.Header) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
	must(t, err)
	req.Host = "shop.test"
	for name, values := range fields {
		req.Header[name] = values
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	must(t, err)
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}
