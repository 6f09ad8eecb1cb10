package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/route"
)

// ward has instances that say how they are as a test wants them to.
type ward struct {
	*tables
	mu    sync.Mutex
	ill   map[string]bool
	asked map[string]int
}

func newWard(t *testing.T, cfg Config) *ward {
	cfg = cfg.withDefaults()
	w := &ward{tables: newTables(cfg, newReports(cfg)), ill: map[string]bool{}, asked: map[string]int{}}
	w.asking = w.answer
	return w
}

func (w *ward) answer(_ context.Context, b *backend, p route.Probe) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[b.instance.ID+p.Path]++
	if w.ill[b.instance.ID] {
		return errors.New("status 500")
	}
	return nil
}

func (w *ward) set(id string, ill bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ill[id] = ill
}

// use puts a table in use in which two routes have the groups.
func (w *ward) use(t *testing.T, probes [2]*route.Probe, groups ...route.Group) *entry {
	t.Helper()
	table := oneRoute(groups...)
	table.Routes = append(table.Routes, table.Routes[0])
	table.Routes[1].ID, table.Routes[1].Host = "r2", "also.test"
	for i, p := range probes {
		if p != nil {
			table.Routes[i].Policy = &route.Policy{Health: p}
		}
	}
	if err := w.apply(table); err != nil {
		t.Fatal(err)
	}
	return w.entryOf("shop.test")
}

func TestWhoIsUnwellGetsNoRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, Config{})
		probe := &route.Probe{Path: "/up", Every: app.Duration(10 * time.Second), Fails: 2, Passes: 3}
		e := w.use(t, [2]*route.Probe{probe, probe}, groupOf("g", 1, 3), groupOf("idle", 0, 1))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.prober.Run(ctx)
		}()
		picked := func() map[string]int {
			t.Helper()
			got := map[string]int{}
			for range 300 {
				_, b := e.pick(&w.cfg, nil)
				got[b.instance.ID]++
			}
			return got
		}
		w.set("g-1", true)
		if picked()["g-1"] == 0 {
			t.Error("one that was not asked yet does not count as well")
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := picked(); got["g-1"] != 0 || len(got) != 2 {
			t.Errorf("picked %v", got)
		}
		w.mu.Lock()
		for id, n := range w.asked { // two routes ask the same
			if n < 2 || n > 4 {
				t.Errorf("%s was asked %d times in 30 s", id, n)
			}
		}
		if len(w.asked) != 4 {
			t.Errorf("asked: %v", w.asked)
		}
		w.mu.Unlock()
		for _, id := range []string{"g-0", "g-2"} {
			w.set(id, true)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := picked(); len(got) != 3 {
			t.Errorf("all are unwell, and only %v are tried", got)
		}
		w.set("g-2", false)
		time.Sleep(45 * time.Second)
		synctest.Wait()
		if got := picked(); got["g-2"] != 300 {
			t.Errorf("one is well again: picked %v", got)
		}
		_, _, said := w.reports.urgent()
		if len(said) != 4 || said[0].Reason != "GET /up: status 500" || !said[3].Back {
			t.Errorf("said %+v", said)
		}
		// Nobody asks any more.
		e = w.use(t, [2]*route.Probe{}, groupOf("g", 1, 3))
		if got := picked(); len(got) != 3 {
			t.Errorf("nobody asks, and only %v are picked", got)
		}
		w.mu.Lock()
		clear(w.asked)
		w.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.asked) != 0 {
			t.Errorf("asked %v", w.asked)
		}
		stop()
		<-done
	})
}

func TestHowInstancesAreAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"well": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, ""},
		"moved": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://192.0.2.1/")
			w.WriteHeader(302)
		}, ""},
		"missing":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "status 404"},
		"unwell":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "status 503"},
		"too slow": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in 50ms"},
		"as asked": {func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI != "/up?deep=1" || r.UserAgent() != "naru-gateway" || r.Method != http.MethodGet {
				w.WriteHeader(400)
			}
		}, ""},
		"broken": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tc.answer)
			defer srv.Close()
			b, p := &backend{instance: route.Instance{Address: strings.TrimPrefix(srv.URL, "http://")}}, route.Probe{Path: "/up?deep=1", Timeout: app.Duration(50 * time.Millisecond)}
			ctx, cancel := context.WithTimeout(t.Context(), p.Timeout.Std())
			defer cancel()
			if tc.want != "no answer in 50ms" {
				ctx = t.Context()
			}
			err := newAsking()(ctx, b, p)
			if err == nil && tc.want != "" || err != nil && err.Error() != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestNobodyIsAskedAtAddressesOfAnotherBoot(t *testing.T) {
	w := newWard(t, Config{Boot: "b"})
	table := oneRoute(groupOf("g", 1, 2))
	table.Routes[0].Policy = &route.Policy{Health: &route.Probe{Path: "/up"}}
	for boot, want := range map[string]int{"a": 0, "b": 2} {
		table.Boot = boot
		if err := w.apply(table); err != nil {
			t.Fatal(err)
		}
		if n := len(w.view().asked); n != want {
			t.Errorf("boot %s: %d are asked, want %d", boot, n, want)
		}
	}
}
