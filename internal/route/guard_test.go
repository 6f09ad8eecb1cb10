package route_test

import (
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
)

func TestGuardsAndMatchesAreChecked(t *testing.T) {
	guard := func(change func(g *route.Guard)) route.Group {
		g := route.Guard{Key: "r1", Baseline: "g0"}
		change(&g)
		return route.Group{ID: "g", Guard: &g}
	}
	match := func(m route.Match) route.Group { return route.Group{ID: "g", Match: &m} }
	for name, tc := range map[string]struct {
		group route.Group
		field string // "" is fine
	}{
		"defaults":             {guard(func(*route.Guard) {}), ""},
		"all given":            {guard(func(g *route.Guard) { *g = g.Filled() }), ""},
		"no latency":           {guard(func(g *route.Guard) { g.Slow = -1 }), ""},
		"no key":               {guard(func(g *route.Guard) { g.Key = "" }), "guard.key"},
		"no baseline":          {guard(func(g *route.Guard) { g.Baseline = "" }), "guard.baseline"},
		"certain alarm":        {guard(func(g *route.Guard) { g.Alarm = 1 }), "guard.alarm"},
		"better than baseline": {guard(func(g *route.Guard) { g.Ratio = 0.5 }), "guard.ratio"},
		"floor of all":         {guard(func(g *route.Guard) { g.Floor = 1 }), "guard.floor"},
		"slow as usual":        {guard(func(g *route.Guard) { g.Slow = 0.5 }), "guard.slow"},
		"impossible record":    {guard(func(g *route.Guard) { g.Record = &route.Record{Requests: 1, Failed: 2} }), "guard.record"},
		"header":               {match(route.Match{Header: "X-Internal", Value: "yes"}), ""},
		"cookie of any value":  {match(route.Match{Cookie: "ring"}), ""},
		"nothing":              {match(route.Match{Value: "yes"}), "match"},
		"both":                 {match(route.Match{Header: "A", Cookie: "b"}), "match.cookie"},
		"no header name":       {match(route.Match{Header: "X Internal:"}), "match.header"},
		"a pair":               {route.Group{ID: "g", Pair: "other"}, ""},
		"its own pair":         {route.Group{ID: "g", Pair: "g"}, "pair"},
		"line break":           {match(route.Match{Header: "A", Value: "b\r\nHost: x"}), "match.value"},
	} {
		t.Run(name, func(t *testing.T) {
			table := route.Table{Routes: []route.Entry{{ID: "r", Host: "shop.example", Path: "/", Groups: []route.Group{tc.group}}}}
			err := table.Check()
			if tc.field == "" {
				if err != nil {
					t.Errorf("Check() = %v", err)
				}
				return
			}
			if want := "routes[0].groups[0]." + tc.field; err == nil || fault.Of(err).Field != want {
				t.Errorf("Check() = %v, want a problem at %s", err, want)
			}
		})
	}
}

func TestTripsSayWhy(t *testing.T) {
	for want, trip := range map[string]route.Trip{
		"errors: 12 of 25 requests failed (48 %), 1 of 2400 (0.0417 %) of what ran before, allowed 1.5 times that": {
			Measure: route.Errors, Canary: route.Tally{Requests: 25, Bad: 12}, Base: route.Tally{Requests: 2400, Bad: 1}, Allowed: 1.5,
		},
		"latency: 9 of 20 requests took over 80ms (45 %), allowed 10 %": {
			Measure: route.Latency, Canary: route.Tally{Requests: 20, Bad: 9}, Allowed: 0.1, Alone: true, Slow: app.Duration(80 * time.Millisecond),
		},
		"health: 0 of 2 of its instances pass the gateway's health check (GET /up: status 503), 3 of 4 of what ran before": {
			Measure: route.Health, Canary: route.Tally{Requests: 2, Bad: 2}, Base: route.Tally{Requests: 4, Bad: 1}, Said: "GET /up: status 503",
		},
	} {
		if got := trip.Reason(); got != want {
			t.Errorf("Reason() = %s\nwant       %s", got, want)
		}
		if strings.ContainsAny(trip.Reason(), "\n\r") {
			t.Error("more than a line")
		}
	}
}
