package run_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/run"
)

type listens []netip.AddrPort

func (l listens) Listening(context.Context, run.InstanceID) ([]netip.AddrPort, error) { return l, nil }

func health(check app.CheckType, path string) app.Health {
	ms := func(n int) app.Duration { return app.Duration(time.Duration(n) * time.Millisecond) }
	return app.Health{Check: check, Path: path, StartTimeout: ms(300), Interval: ms(10), Timeout: ms(200), Failures: 2}
}

// probe runs Probe and hands its reports to step, which ends it by returning
// false.
func probe(t *testing.T, target run.Target, see run.Listener, step func(n int, healthy bool) bool) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	return run.Probe(ctx, see, target, func(healthy bool) error {
		n++
		if !step(n, healthy) {
			cancel()
		}
		return nil
	})
}

func TestProbeFollowsHealth(t *testing.T) {
	var sick atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sick.Load() || r.URL.Path != "/ok" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	var got []bool
	err := probe(t, run.Target{Addr: strings.TrimPrefix(srv.URL, "http://"), Health: health(app.CheckHTTP, "/ok"), Started: time.Now()}, listens(nil),
		func(n int, healthy bool) bool {
			got = append(got, healthy)
			sick.Store(n == 1)
			return n < 3
		})
	if !errors.Is(err, context.Canceled) || len(got) != 3 || !got[0] || got[1] || !got[2] {
		t.Errorf("Probe() = %v, reports %v, want healthy, sick, healthy", err, got)
	}
}

func TestProbeSaysWhatAnAppListensOnInstead(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		see  listens
		want string
	}{
		"nothing":       {nil, "no port at all"},
		"another port":  {listens{netip.MustParseAddrPort("0.0.0.0:3000")}, "it listens on 0.0.0.0:3000"},
		"only loopback": {listens{netip.MustParseAddrPort("127.0.0.1:8080")}, "listen on 0.0.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			target := run.Target{Addr: addr, Port: 8080, Health: health(app.CheckPort, ""), Started: time.Now()}
			err := probe(t, target, tc.see, func(int, bool) bool { return true })
			var never *run.NeverHealthy
			if !errors.As(err, &never) || !strings.Contains(never.Reason, tc.want) || !strings.Contains(never.Reason, "port 8080") {
				t.Errorf("Probe() = %v, want one that says %q", err, tc.want)
			}
		})
	}
}

func TestProbeSaysWhatHTTPAnswered(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	err := probe(t, run.Target{Addr: strings.TrimPrefix(srv.URL, "http://"), Health: health(app.CheckHTTP, "/ok"), Started: time.Now()}, listens(nil),
		func(int, bool) bool { return true })
	if err == nil || !strings.Contains(err.Error(), "GET /ok answered 404") {
		t.Errorf("Probe() = %v", err)
	}
}

func TestProcessCheckIsHealthyAtOnce(t *testing.T) {
	reports := 0
	err := probe(t, run.Target{Health: health(app.CheckProcess, "")}, listens(nil), func(_ int, healthy bool) bool {
		reports++
		return !healthy
	})
	if !errors.Is(err, context.Canceled) || reports != 1 {
		t.Errorf("Probe() = %v after %d reports", err, reports)
	}
}
