package api_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"naru/internal/api"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/route"
)

// The wire types of terms and those of the table are one form of JSON.
func TestTermsHaveOneForm(t *testing.T) {
	same(t, "terms", reflect.TypeFor[route.Terms](), reflect.TypeFor[client.Terms]())
	same(t, "when", reflect.TypeFor[route.When](), reflect.TypeFor[client.When]())
}

func same(t *testing.T, at string, a, b reflect.Type) {
	t.Helper()
	for a.Kind() == reflect.Pointer && b.Kind() == reflect.Pointer {
		a, b = a.Elem(), b.Elem()
	}
	if a.Kind() != b.Kind() {
		t.Errorf("%s: %s in the table, %s on the wire", at, a, b)
		return
	}
	switch a.Kind() {
	case reflect.Struct:
		wire := fields(b)
		for name, field := range fields(a) {
			if wire[name] == nil {
				t.Errorf("%s.%s is not on the wire", at, name)
				continue
			}
			same(t, at+"."+name, field, wire[name])
			delete(wire, name)
		}
		for name := range wire {
			t.Errorf("%s.%s is not in the table", at, name)
		}
	case reflect.Slice, reflect.Map:
		same(t, at+"[]", a.Elem(), b.Elem())
	}
}

func fields(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out[name] = t.Field(i).Type
	}
	return out
}

func TestTermsOfARoute(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.app("shop")
	dev := w.dev("root")
	r, err := dev.App("shop").MapRoute(t.Context(), client.NewRoute{Host: "shop", Path: "/api"})
	must(t, err)
	some, err := dev.App("shop").MapRoute(t.Context(), client.NewRoute{Host: "shop", Path: "/api", When: &client.When{Methods: []string{"POST"}}})
	must(t, err)
	if some.ID == r.ID || some.Name != "shop.localhost/api method:POST" {
		t.Fatalf("with a condition it is %+v", some)
	}

	got, err := dev.ChangeRoute(t.Context(), "shop.localhost/api", client.TermsChange{
		Policy: json.RawMessage(`{"https":true,"auth":{"users":{"ann":"long enough"}},"rates":[{"requests":10,"by":"client"}]}`),
		Limits: json.RawMessage(`{"body":1048576}`),
	})
	must(t, err)
	p := got.Policy
	if got.ID != r.ID || p == nil || !p.HTTPS || p.Auth.Users["ann"] != "***" || p.Rates[0] != (client.Rate{Requests: 10, By: "client"}) || got.Limits.Body != 1<<20 {
		t.Errorf("changed: %+v", got)
	}
	hash := func() string {
		kept, err := w.store.Route(t.Context(), route.ID(r.ID))
		must(t, err)
		return kept.Policy.Auth.Users["ann"]
	}
	before := hash()
	if !strings.HasPrefix(before, "$2") {
		t.Errorf("kept as %q", before)
	}
	_, err = dev.ChangeRoute(t.Context(), r.ID, client.TermsChange{Policy: json.RawMessage(`{"auth":{"realm":"x"},"https":null,"rates":null}`), Limits: json.RawMessage(`null`)})
	must(t, err)
	again, err := dev.Route(t.Context(), "shop.localhost/api")
	must(t, err)
	if again.Policy.HTTPS || again.Policy.Rates != nil || again.Limits != nil || again.Policy.Auth.Realm != "x" || hash() != before {
		t.Errorf("changed again: %+v", again.Policy)
	}
	// The route for POST is another one, by its name and by its id.
	for _, name := range []string{"shop.localhost/api method:POST", some.ID} {
		if other, err := dev.Route(t.Context(), name); err != nil || other.ID != some.ID || other.Policy != nil || other.When.Methods[0] != "POST" {
			t.Errorf("%s: %+v, %v", name, other, err)
		}
	}
	all, err := dev.Routes(t.Context(), client.Page{Limit: 1})
	must(t, err)
	rest, err := dev.Routes(t.Context(), client.Page{After: all.Next})
	must(t, err)
	if len(all.Items) != 1 || len(rest.Items) != 1 || rest.Items[0].ID != some.ID || strings.Contains(w.logs.String(), "long enough") {
		t.Errorf("listed: %+v, then %+v", all.Items, rest.Items)
	}
}

func TestErrorsOfTermsNameTheField(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.app("shop")
	_, err := w.dev("root").App("shop").MapRoute(t.Context(), client.NewRoute{Host: "shop"})
	must(t, err)
	other, err := w.store.CreateSpace(t.Context(), w.org.ID, "other", event.Event{Kind: "space.created", Actor: "test", Subject: "other"})
	must(t, err)
	const at = "/v1/orgs/default/spaces/dev/routes/"
	for name, tc := range map[string]struct {
		path, body string
		status     int
		field      string
	}{
		"a number that cannot be": {at + "shop.localhost", `{"policy":{"rates":[{"requests":-1}]}}`, 422, "policy.rates[0].requests"},
		"a wrong type":            {at + "shop.localhost", `{"policy":{"rates":[{"requests":1},{"requests":"x"}]}}`, 422, "policy.rates[1].requests"},
		"an unknown rule":         {at + "shop.localhost", `{"policy":{"rate":"1/s"}}`, 422, "policy.rate"},
		"an unknown part":         {at + "shop.localhost", `{"polcy":{}}`, 422, "polcy"},
		"a short password":        {at + "shop.localhost", `{"policy":{"auth":{"users":{"ann":"x"}}}}`, 422, "policy.auth.users.ann"},
		"no route":                {at + "none.localhost", `{"policy":{}}`, 404, "route"},
		"no such condition":       {at + "shop.localhost%20method:GET", `{"policy":{}}`, 404, "route"},
		"not a condition":         {at + "shop.localhost%20x", `{"policy":{}}`, 422, "route"},
		"not an id":               {at + id.New(), `{"policy":{}}`, 404, "route"},
		"of another space":        {strings.Replace(at, "/dev/", "/"+other.Name+"/", 1) + "shop.localhost", `{"policy":{"https":true}}`, 404, "route"},
	} {
		t.Run(name, func(t *testing.T) {
			res := w.do("PATCH", tc.path, w.token("root"), tc.body)
			p := problem(t, res.Body)
			if res.StatusCode != tc.status || p.Field != tc.field || p.Message == "" {
				t.Errorf("%d %+v, want %d about %s", res.StatusCode, p, tc.status, tc.field)
			}
		})
	}
	_, err = w.dev("root").Route(t.Context(), "none.localhost")
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("err = %v", err)
	}
}
