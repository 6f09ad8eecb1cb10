package api_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"naru/internal/api"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/observe/meter"
	"naru/internal/route"
	"naru/internal/run"
)

// counted has a request counted for an app of the developer's space and for one
// of a space they do not see.
func (w *world) counted() run.Group {
	w.t.Helper()
	a := w.app("shop")
	g, err := w.store.CreateGroup(w.t.Context(), run.Group{App: a.ID, Process: "web", Size: 1})
	must(w.t, err)
	w.meter.homes[a.ID] = meter.Home{Org: w.org.ID, Space: w.space.ID, Name: "default/dev"}
	w.meter.homes["b"] = meter.Home{Org: "o", Space: "s", Name: "other/prod"}
	w.meter.table.Routes = []route.Entry{
		{ID: "r1", Host: "shop.test", Path: "/", App: route.App{ID: string(a.ID), Name: "shop"}, Groups: []route.Group{{ID: string(g.ID), Name: g.Name}}},
		{ID: "r2", Host: "blog.test", Path: "/", App: route.App{ID: "b", Name: "blog"}, Groups: []route.Group{{ID: "g2", Name: "blog-v001"}}},
	}
	for n := range uint64(2) { // a rate is what comes after the first look
		var counters []route.Counter
		for _, key := range [][2]string{{"r1", string(g.ID)}, {"r2", "g2"}} {
			c := route.Counter{Route: key[0], Group: key[1]}
			c.Classes[2], c.Classes[5], c.Latency[3] = 3*n, n, 4*n
			counters = append(counters, c)
		}
		w.meter.Counters("g", counters)
	}
	return g
}

func TestMetricsAreOfTheAppsOneSees(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.counted()
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.user("stranger")
	for name, want := range map[string][]string{
		"dev": {`app="shop"`}, "stranger": nil, "root": {`app="shop"`, `app="blog"`, "naru_gateway_connections "},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/metrics", nil)
			must(t, err)
			req.Header.Set("Authorization", "Bearer "+w.token(name))
			req.Header.Set("Accept-Encoding", "gzip")
			res, err := http.DefaultClient.Do(req)
			must(t, err)
			defer func() { _ = res.Body.Close() }()
			if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != meter.ContentType || res.Header.Get("Content-Encoding") != "gzip" {
				t.Fatalf("status %d, %s %s", res.StatusCode, kind, res.Header.Get("Content-Encoding"))
			}
			pack, err := gzip.NewReader(res.Body)
			must(t, err)
			text, err := io.ReadAll(pack)
			must(t, err)
			for _, has := range []string{`app="shop"`, `app="blog"`, "naru_gateway_connections "} {
				wanted := false
				for _, one := range want {
					wanted = wanted || one == has
				}
				if strings.Contains(string(text), has) != wanted {
					t.Errorf("%s: want it to be there: %v\n%s", has, wanted, text)
				}
			}
			if problems, err := promlint.New(strings.NewReader(string(text))).Lint(); err != nil || len(problems) > 0 {
				t.Errorf("linted: %v, %v", problems, err)
			}
		})
	}
}

func TestGroupsTellTheirLastMinute(t *testing.T) {
	w := newWorld(t, api.Config{})
	g := w.counted()
	w.meter.breakers[string(g.ID)] = route.BreakerHalfOpen
	w.meter.breakers["another"] = route.BreakerOpen
	groups, err := w.dev("root").App("shop").Groups(t.Context())
	must(t, err)
	d, err := w.dev("root").App("shop").Get(t.Context())
	must(t, err)
	if len(groups) != 1 || len(d.Groups) != 1 || d.Groups[0].ID != string(g.ID) {
		t.Fatalf("groups %+v, %+v", groups, d.Groups)
	}
	if got := groups[0].Breaker; got != "half-open" {
		t.Errorf("breaker %q", got)
	}
	for _, got := range []*client.Traffic{groups[0].Traffic, d.Groups[0].Traffic} {
		if got == nil || got.RequestsPerSecond <= 0 || got.ErrorShare != 0.25 {
			t.Errorf("traffic %+v", got)
		}
	}
}
