package deliver_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/route"
	"naru/internal/route/domain/dnstest"
)

// entry is how the gateway has a route now.
func (w *world) entry(t *testing.T, name string) route.Entry {
	t.Helper()
	table, err := w.gateway.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range table.Routes {
		if (route.Route{Host: e.Host, Path: e.Path, When: e.When}).Name() == name {
			return e
		}
	}
	t.Fatalf("the gateway has no %s: %+v", name, table.Routes)
	return route.Entry{}
}

// What a route asks for is with the gateways when the call returns.
func TestChangesOfARouteReachTheGateway(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	a, err := p.CreateApp(t.Context(), by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.MapRoute(t.Context(), by, a.ID, client.NewRoute{
		Host: "shop.example", Path: "/", TermsChange: client.TermsChange{Limits: json.RawMessage(`{"body":7}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := w.entry(t, "shop.example"); e.Limits == nil || e.Limits.Body != 7 || e.Policy != nil {
		t.Errorf("mapped: %+v", e)
	}
	change, err := route.ParseChange([]byte(`{"policy":{"https":true,"auth":{"users":{"ann":"long enough"}}},"limits":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if r, err = p.ChangeRoute(t.Context(), by, r.ID, change); err != nil {
		t.Fatal(err)
	}
	if e := w.entry(t, "shop.example"); e.Limits != nil || e.Policy == nil || !e.Policy.HTTPS || e.Policy.Auth.Users["ann"] != r.Policy.Auth.Users["ann"] {
		t.Errorf("changed: %+v", e)
	}
	some := client.NewRoute{
		Host: "shop.example", When: &client.When{Match: []client.Match{{Header: "x-beta", Value: "1"}}},
		TermsChange: client.TermsChange{Policy: json.RawMessage(`{"breaker":{}}`)},
	}
	for range 2 { // mapped twice it is the same one
		if _, err = p.MapRoute(t.Context(), by, a.ID, some); err != nil {
			t.Fatal(err)
		}
	}
	if e := w.entry(t, "shop.example header:X-Beta=1"); e.Policy == nil || e.Policy.Breaker == nil || e.Policy.HTTPS {
		t.Errorf("with a condition: %+v", e)
	}
	if all, err := p.store.RoutesAt(t.Context(), "shop.example", "/"); err != nil || len(all) != 2 {
		t.Errorf("routes: %+v, %v", all, err)
	}

	events, err := p.store.EventsBefore(t.Context(), w.space, "", "route.changed", 0, 10)
	if err != nil || len(events) != 3 { // the fourth changed nothing
		t.Fatalf("events = %+v, %v", events, err)
	}
	text, err := json.Marshal(events)
	if err != nil || strings.Contains(string(text), "$2") || !strings.Contains(string(text), `"policy.auth.users.ann"`) || strings.Contains(string(text), "long enough") {
		t.Errorf("events: %s, %v", text, err)
	}
}

func TestRoutesOfOnePlaceAreBounded(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	a, err := p.CreateApp(t.Context(), by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	mapped := func(i int) error {
		_, err := p.MapRoute(t.Context(), by, a.ID, client.NewRoute{
			Host: "shop.example", When: &client.When{Match: []client.Match{{Header: "X-Team", Value: fmt.Sprint(i)}}},
		})
		return err
	}
	for i := range route.MaxConditions {
		if err := mapped(i); err != nil {
			t.Fatal(err)
		}
	}
	if f := fault.Of(mapped(route.MaxConditions)); f == nil || f.Kind != fault.TooLarge || f.Try == "" {
		t.Errorf("one more: %v", f)
	}
	if err := mapped(0); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}

// Who has a host and path has all of its requests: somebody else's condition
// would take some of them without a trace.
func TestAnotherSpaceTakesNoneOfTheRequests(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	a, err := p.CreateApp(t.Context(), by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.MapRoute(t.Context(), by, a.ID, client.NewRoute{Host: "shop.example", Path: "/pay"}); err != nil {
		t.Fatal(err)
	}
	mine, err := p.store.Space(t.Context(), w.space)
	if err != nil {
		t.Fatal(err)
	}
	other, err := p.store.CreateSpace(t.Context(), mine.Org, "other")
	if err != nil {
		t.Fatal(err)
	}
	thief, err := p.CreateApp(t.Context(), by, other.ID, "thief")
	if err != nil {
		t.Fatal(err)
	}
	for name, when := range map[string]*client.When{"all": nil, "one method": {Methods: []string{"POST"}}, "a cookie": {Match: []client.Match{{Cookie: "session"}}}} {
		_, err := p.MapRoute(t.Context(), by, thief.ID, client.NewRoute{Host: "shop.example", Path: "/pay", When: when})
		if f := fault.Of(err); f == nil || f.Kind != fault.Conflict || strings.Contains(f.Error(), "dev") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A push lays its rules over those of its routes, and keeps no password with its
// operation.
func TestPushChangesItsRoutes(t *testing.T) {
	w := newWorld(t)
	p := w.up(t)
	in := client.Push{App: "shop", Source: client.Source{Image: "v1"}, Routes: []client.NewRoute{
		{Host: "free.example"},
		{Host: "shop.example", TermsChange: client.TermsChange{Policy: json.RawMessage(`{"https":true,"redirect":null}`)}},
	}}
	op, err := p.Push(t.Context(), by, w.space, in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.store.RouteNamed(t.Context(), "shop.example", "/")
	if err != nil || r.Policy == nil || !r.Policy.HTTPS {
		t.Errorf("pushed: %+v, %v", r, err)
	}
	p.await(t, op)

	for patch, want := range map[string]string{
		`{"auth":{"users":{"ann":"long enough"}}}`: "routes[1].policy.auth.users",
		`{"rates":[{"requests":-1}]}`:              "routes[1].policy.rates[0].requests",
		`{"rates":"many"}`:                         "routes[1].policy.rates",
	} {
		in.Routes[1].Policy = json.RawMessage(patch)
		_, err := p.Push(t.Context(), by, w.space, in)
		if f := fault.Of(err); f == nil || f.Kind != fault.Invalid || f.Field != want {
			t.Errorf("%s: %v, want one about %s", patch, err, want)
		}
	}
}

// Names outside the apps domain go to who proves them, or to who comes first
// where nothing is to be proved; nobody takes what another space's wildcard has.
func TestAHostIsForWhoMayHaveIt(t *testing.T) {
	w := newWorld(t)
	w.proof, w.names = true, dnstest.New(t)
	p := w.up(t)
	ctx := t.Context()
	mine, err := p.CreateApp(ctx, by, w.space, "shop")
	if err != nil {
		t.Fatal(err)
	}
	space, err := p.store.Space(ctx, w.space)
	if err != nil {
		t.Fatal(err)
	}
	other, err := p.store.CreateSpace(ctx, space.Org, "other")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := p.CreateApp(ctx, by, other.ID, "theirs")
	if err != nil {
		t.Fatal(err)
	}
	maps := func(a app.App, in client.NewRoute) *fault.Error {
		t.Helper()
		_, err := p.MapRoute(ctx, by, a.ID, in)
		return fault.Of(err)
	}
	if f := maps(mine, client.NewRoute{Host: "shop"}); f != nil {
		t.Errorf("a name below the apps domain: %v", f)
	}
	f := maps(mine, client.NewRoute{Host: "*.Shop.example"})
	if f == nil || f.Kind != fault.Denied || f.Field != "host" || !strings.Contains(f.Try, "_naru.shop.example to naru=") {
		t.Fatalf("an unproved wildcard: %v", f)
	}
	token := regexp.MustCompile(`naru=[a-z2-7]+`).FindString(f.Try)
	if f := maps(mine, client.NewRoute{Host: "shop.example", TCP: &client.TCP{}}); f == nil || f.Kind != fault.Denied {
		t.Errorf("unproved connections: %v", f)
	}
	_, err = p.Push(ctx, by, w.space, client.Push{App: "fresh", Source: client.Source{Image: "v1"}, Routes: []client.NewRoute{{Host: "fresh"}, {Host: "new.example"}}})
	if !fault.Is(err, fault.Denied) {
		t.Errorf("an unproved push: %v", err)
	}
	if _, err := p.store.AppNamed(ctx, w.space, "fresh"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a push that was refused left an app: %v", err)
	}

	w.names.Set(t, fmt.Sprintf("_naru.shop.example. 60 IN TXT %q", token))
	if f := maps(mine, client.NewRoute{Host: "*.shop.example"}); f != nil {
		t.Fatalf("a proved wildcard: %v", f)
	}
	w.names.Remove("_naru.shop.example")
	if f := maps(mine, client.NewRoute{Host: "*.shop.example", Path: "/more"}); f != nil {
		t.Errorf("what the space has: %v", f)
	}
	if f := maps(mine, client.NewRoute{Host: "www.shop.example"}); f != nil {
		t.Errorf("what its wildcard has: %v", f)
	}
	f = maps(theirs, client.NewRoute{Host: "login.shop.example"})
	if f == nil || f.Kind != fault.Conflict {
		t.Fatalf("below another space's wildcard: %v", f)
	}
	if other := regexp.MustCompile(`naru=[a-z2-7]+`).FindString(f.Try); other == token || other == "" {
		t.Errorf("another space's token is %q", other)
	}
	if f := maps(mine, client.NewRoute{Host: "*.deep.apps.test"}); f != nil {
		t.Fatal(f)
	}
	if f := maps(theirs, client.NewRoute{Host: "x.deep.apps.test"}); f == nil || f.Kind != fault.Conflict {
		t.Errorf("below another space's part of the apps domain: %v", f)
	}
	all := client.NewRoute{Host: "*.apps.test"}
	if f := maps(mine, all); f == nil || f.Kind != fault.Denied {
		t.Errorf("all that nobody has mapped: %v", f)
	}
	if _, err := p.MapRoute(feature.As(ctx, feature.Asker{Admin: true}), by, mine.ID, all); err != nil {
		t.Fatal(err)
	}
	if f := maps(mine, all); f != nil {
		t.Errorf("again, where an administrator did: %v", f)
	}
	if f := maps(theirs, client.NewRoute{Host: "theirs"}); f != nil {
		t.Errorf("below a wildcard over all apps: %v", f)
	}
}
