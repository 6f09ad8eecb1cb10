package deliver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/route"
)

// A push that names TCP routes may be repeated: it keeps the ports it was given,
// and changes what it asks of them.
func TestPushedTCPRoutesAreMappedOnce(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	asked := func(any client.TCP, appPort int) client.Push {
		in := push("serve")
		in.Routes = []client.NewRoute{{TCP: &any}, {Host: "shop", TCP: &client.TCP{}}, {TCP: &client.TCP{Port: 20000}, Port: appPort}}
		return in
	}
	for i, in := range []client.Push{asked(client.TCP{}, 7000), asked(client.TCP{Idle: client.Duration(time.Minute)}, 7001)} {
		op, err := p.Push(t.Context(), by, w.space, in)
		p.done(t, op, err)
		table, err := w.gateway.Table(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(table.Routes) != 0 || len(table.TCP) != 3 || table.TCP[0].SNI != "shop.apps.test" || table.TCP[1].Port != 20000 || table.TCP[2].Port != 20001 {
			t.Fatalf("push %d: the gateway has %+v and %+v", i+1, table.Routes, table.TCP)
		}
		if table.TCP[2].Timeouts != nil != (i == 1) {
			t.Errorf("push %d: times %+v", i+1, table.TCP[2].Timeouts)
		}
		if at := table.TCP[1].Groups[0].Instances[0].Address; !strings.HasSuffix(at, fmt.Sprint(":", 7000+i)) {
			t.Errorf("push %d: connections go to %s", i+1, at)
		}
	}
	in := asked(client.TCP{}, 0)
	in.Routes[2].TCP.Port = 9
	_, err := p.Push(t.Context(), by, w.space, in)
	if f := fault.Of(err); f.Kind != fault.Invalid || f.Field != "routes[2].port" {
		t.Errorf("a port out of the range: %v of %s", err, f.Field)
	}
	in.Routes[2].TCP.Port, in.Routes[2].Port = 20001, 7002 // the one that the first keeps
	op, err := p.Push(t.Context(), by, w.space, in)
	if f := fault.Of(err); f.Kind != fault.Conflict || f.Field != "routes[0].port" {
		t.Errorf("no port is left: %v of %s, operation %v", err, f.Field, op.ID)
	}
}

// TCP routes are with the gateways when the call returns, with ports from the
// platform's range.
func TestMappingOfTCPRoutes(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	a, err := p.CreateApp(t.Context(), by, w.space, "db")
	if err != nil {
		t.Fatal(err)
	}
	streams := func() []route.Stream {
		table, err := w.gateway.Table(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return table.TCP
	}
	mapped := func(in client.NewRoute) route.Route {
		t.Helper()
		r, err := p.MapRoute(t.Context(), by, a.ID, in)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := mapped(client.NewRoute{TCP: &client.TCP{Proxy: "v1"}, Process: "db"})
	second := mapped(client.NewRoute{TCP: &client.TCP{}})
	if first.Name() != "tcp:20000" || second.Name() != "tcp:20001" {
		t.Errorf("given %s and %s", first.Name(), second.Name())
	}
	again := mapped(client.NewRoute{TCP: &client.TCP{Port: 20000, Connections: 3}, Process: "db"})
	if again.ID != first.ID || again.TCP.Proxy != "v1" || again.TCP.Connections != 3 || len(again.Destinations) != 1 {
		t.Errorf("mapped again: %+v", again)
	}
	named := mapped(client.NewRoute{Host: "db", TCP: &client.TCP{}})
	if got := streams(); len(got) != 3 || got[0].SNI != "db.apps.test" || got[1].Port != 20000 || got[1].Limits.Connections != 3 || got[1].Proxy != "v1" {
		t.Errorf("the gateway has %+v", got)
	}
	for name, tc := range map[string]struct {
		in   client.NewRoute
		kind fault.Kind
	}{
		"no port is left":           {client.NewRoute{TCP: &client.TCP{}}, fault.Conflict},
		"a port out of the range":   {client.NewRoute{TCP: &client.TCP{Port: 9}}, fault.Invalid},
		"a port and a name":         {client.NewRoute{Host: "db", TCP: &client.TCP{Port: 20000}}, fault.Invalid},
		"a wildcard":                {client.NewRoute{Host: "*.apps.test", TCP: &client.TCP{}}, fault.Invalid},
		"a name of the platform's":  {client.NewRoute{Host: "api.naru.apps.test", TCP: &client.TCP{}}, fault.Invalid},
		"a path":                    {client.NewRoute{Host: "db", Path: "/x", TCP: &client.TCP{}}, fault.Invalid},
		"a protocol":                {client.NewRoute{Protocol: "http2", TCP: &client.TCP{Port: 20000}}, fault.Invalid},
		"a condition":               {client.NewRoute{Host: "db", When: &client.When{Methods: []string{"GET"}}, TCP: &client.TCP{}}, fault.Invalid},
		"rules":                     {client.NewRoute{Host: "db", TermsChange: client.TermsChange{Policy: json.RawMessage(`{"https":true}`)}, TCP: &client.TCP{}}, fault.Invalid},
		"another version of PROXY":  {client.NewRoute{TCP: &client.TCP{Port: 20000, Proxy: "v3"}}, fault.Invalid},
		"neither a host nor a port": {client.NewRoute{}, fault.Invalid},
	} {
		if _, err := p.MapRoute(t.Context(), by, a.ID, tc.in); !fault.Is(err, tc.kind) {
			t.Errorf("%s: error %v, want %s", name, err, tc.kind)
		}
	}
	change, err := route.ParseChange([]byte(`{"limits":{"body":7}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ChangeRoute(t.Context(), by, first.ID, change); !fault.Is(err, fault.Invalid) {
		t.Errorf("a rule of a TCP route: %v", err)
	}
	for _, r := range []route.Route{first, second, named} {
		if err := p.UnmapRoute(t.Context(), by, a.ID, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := streams(); len(got) != 0 {
		t.Errorf("the gateway still has %+v", got)
	}
	if r := mapped(client.NewRoute{TCP: &client.TCP{}}); r.Name() != "tcp:20000" {
		t.Errorf("a port that is free again is not given: %s", r.Name())
	}
}
