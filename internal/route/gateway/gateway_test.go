package gateway_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/gateway"
)

// limit is how long a test waits for something that has to happen; it is never
// waited out when things are well.
const limit = time.Minute

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// listen opens a loopback listener.
func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// records keeps what a gateway recorded.
type records chan route.Access

func (r records) Wants(int) bool { return true }

func (r records) Lost() uint64 { return 0 }

func (r records) Record(a *route.Access) {
	kept := *a
	for _, s := range []*string{&kept.RequestID, &kept.Client, &kept.Method, &kept.Host, &kept.URI, &kept.Agent, &kept.Referer, &kept.Trace, &kept.ForwardedFor, &kept.ForwardedProto} {
		*s = strings.Clone(*s)
	}
	select {
	case r <- kept:
	default: // a test that sends more does not look at them
	}
}

// running is a gateway that serves.
type running struct {
	*gateway.Gateway
	addr    string
	file    string
	records records
	stop    func() error // drains and returns what Run returned
}

// start serves a table on a loopback port, or on the listeners given.
func start(t testing.TB, table route.Table, cfg gateway.Config, listeners ...net.Listener) *running {
	t.Helper()
	r := &running{records: make(records, 10_000)}
	if cfg.Control == "" && cfg.TableFile == "" {
		cfg.TableFile = filepath.Join(t.TempDir(), "table.json")
		writeTable(t, cfg.TableFile, table)
	}
	r.file = cfg.TableFile
	if cfg.Recorder == nil {
		cfg.Recorder = r.records
	}
	return r.run(t, cfg, listeners)
}

// startQuietly is start without a recorder.
func startQuietly(t testing.TB, table route.Table, cfg gateway.Config) *running {
	t.Helper()
	r := &running{}
	if cfg.Control == "" {
		cfg.TableFile = filepath.Join(t.TempDir(), "table.json")
		writeTable(t, cfg.TableFile, table)
	}
	return r.run(t, cfg, nil)
}

func (r *running) run(t testing.TB, cfg gateway.Config, listeners []net.Listener) *running {
	t.Helper()
	g, err := gateway.New(cfg, testLog(t))
	must(t, err)
	r.Gateway = g
	if len(listeners) == 0 {
		listeners = []net.Listener{listen(t)}
	}
	r.addr = listeners[0].Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var rerr error
	go func() {
		defer close(done)
		rerr = g.Run(ctx, listeners)
	}()
	r.stop = func() error {
		cancel()
		<-done
		return rerr
	}
	t.Cleanup(func() { must(t, r.stop()) })
	return r
}

func writeTable(t testing.TB, path string, table route.Table) {
	t.Helper()
	data, err := json.MarshalIndent(table, "", "  ")
	must(t, err)
	must(t, os.WriteFile(path, data, 0o600))
}

// tableOf routes shop.test to the addresses, one instance each.
func tableOf(addresses ...string) route.Table {
	g := route.Group{ID: "g1", Name: "shop-v001", Weight: 100, Instances: []route.Instance{}}
	for i, a := range addresses {
		g.Instances = append(g.Instances, route.Instance{ID: "i-" + a, Address: a, Index: i})
	}
	return route.Table{Version: 1, Routes: []route.Entry{{
		ID: "r1", Host: "shop.test", Path: "/", App: route.App{ID: "a1", Name: "shop"}, Groups: []route.Group{g},
	}}}
}

// last waits for the record of the next request.
func (r *running) last(t testing.TB) route.Access {
	t.Helper()
	select {
	case a := <-r.records:
		return a
	case <-time.After(limit):
		t.Fatal("no record of the request")
		return route.Access{}
	}
}
