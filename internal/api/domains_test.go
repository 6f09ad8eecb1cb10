package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"naru/internal/api"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/route"
)

func TestWhatProvesAHost(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	dev, ctx := w.dev("dev"), t.Context()

	d, err := dev.Domain(ctx, "Shop")
	must(t, err)
	if d.Host != "shop.localhost" || d.State != client.DomainFree || len(d.Checks) != 0 || d.Try != "" {
		t.Errorf("an app's own name: %+v", d)
	}
	d, err = dev.Domain(ctx, "WWW.Shop.Example")
	must(t, err)
	if d.Host != "www.shop.example" || d.State != client.DomainUnproved || d.Text == "" || len(d.Checks) != 3 {
		t.Fatalf("nothing is seen: %+v", d)
	}
	txt, a := d.Checks[0], d.Checks[2]
	if txt.Records != "TXT" || txt.Name != "_naru.www.shop.example" || len(txt.Expected) != 1 || txt.Seen == nil || len(txt.Seen) != 0 || !strings.Contains(d.Try, txt.Expected[0]) {
		t.Errorf("the token: %+v, try %s", txt, d.Try)
	}
	if a.Name != "www.shop.example" || !slices.Equal(a.Expected, []string{"192.0.2.1"}) || a.Proved {
		t.Errorf("the addresses: %+v", a)
	}

	w.names.Set(t, "www.shop.example. 60 IN A 192.0.2.1")
	d, err = dev.Domain(ctx, "www.shop.example")
	must(t, err)
	if d.State != client.DomainProved || !d.Checks[2].Proved || d.Checks[0].Proved || !slices.Equal(d.Checks[2].Seen, []string{"192.0.2.1"}) {
		t.Errorf("by its address: %+v", d)
	}
	w.names.Set(t, fmt.Sprintf("_naru.shop.example. 60 IN TXT %q", txt.Expected[0]))
	d, err = dev.Domain(ctx, "*.shop.example")
	must(t, err)
	if d.State != client.DomainProved || len(d.Checks) != 1 || d.Checks[0].Name != "_naru.shop.example" || !d.Checks[0].Proved {
		t.Errorf("a wildcard by the token: %+v", d)
	}

	other, err := w.store.CreateSpace(ctx, w.org.ID, "hidden")
	must(t, err)
	_, err = w.store.SetRoute(ctx, route.Route{ID: route.ID(id.New()), Space: other.ID, Host: "*.taken.localhost", Path: "/"})
	must(t, err)
	d, err = dev.Domain(ctx, "x.taken.localhost")
	must(t, err)
	if d.State != client.DomainTaken || d.Try == "" || strings.Contains(d.Text, "hidden") {
		t.Errorf("below another space's wildcard: %+v", d)
	}
	if _, err = dev.Domain(ctx, "https://x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a URL: %v", err)
	}
}
